// Package engine runs playbooks. It knows what a program is (phases of tasks in
// their written order), what a task type promises, how a plan is made, how a
// task is run so that its effect is never lost track of, and how an interrupted
// run goes on. It does not know in which language a playbook is written, what
// any task type does, or how a host is reached.
//
// Built with the tag faultinject, a run counts the points at which it may die
// and, told by ETCDPLAY_KILL_AT, kills itself at one of them; fault_on.go says
// which they are. No other build can.
package engine

import (
	"time"

	"github.com/zclconf/go-cty/cty"
)

// Program is a checked playbook bound to an inventory and to values of its
// variables. Its structure is final; what its expressions yield may depend on
// results of its tasks.
type Program struct {
	Name     string // of the playbook block
	Version  string // of the playbook, "" if it has none
	Language int
	File     string // path of the playbook as given
	// Digest is over the tokens of the playbook and of all it calls, without
	// comments and white space: a reworded comment does not change it.
	Digest    string
	Inventory string            // digest of the inventory
	Templates map[string]string // path to digest, of every template file read
	Inputs    []Input
	Changes   []SiteChange // those that site playbooks make, of called playbooks too

	Cluster Cluster
	Hosts   []HostSpec // the whole inventory, in its written order
	Phases  []*Phase   // tasks written outside any phase stand in a phase without a name
	Outputs []*Output
}

// located is the cluster with the peer URLs of all hosts.
func (p *Program) located() Cluster {
	c := p.Cluster
	if c.PeerURLs != nil {
		return c
	}
	c.PeerURLs = map[string][]string{}
	for _, h := range p.Hosts {
		c.PeerURLs[h.Name] = h.Member.PeerURLs
	}
	return c
}

// Input is the value of one variable, with where it came from.
type Input struct {
	Name      string
	Value     cty.Value // marked where sensitive
	Source    string    // "default", "--var", "ETCDPLAY_VAR_x", "values.hcl line 3", …
	Sensitive bool
}

// SiteChange is one thing in which a site playbook deviates from the one it extends.
type SiteChange struct {
	Kind string `json:"kind"`           // "preset", "added", "changed", "dropped"
	Task string `json:"task,omitempty"` // address without keys; "" of a preset
	What string `json:"what"`           // one line: `exec "silence" before old`
	Why  string `json:"why,omitempty"`  // of a dropped task, the author's reason
	File string `json:"file"`           // where the site playbook says so
	Line int    `json:"line"`
}

// Cluster is what the inventory says of the cluster that a run works on.
type Cluster struct {
	Name      string
	Token     string
	API       int    // 2 or 3
	Scheme    string // http or https
	Layout    string // how a member is configured: "etcd-member" or "debian"
	Unit      string // systemd unit of a member
	Dropin    string // file name of the drop-in that configures a member
	EnvFile   string // the file of variables that configures a member in Debian's layout
	DataDir   string
	User      string // owner of the data directory
	Group     string
	ID        string   // expected cluster ID, hex; "" if the inventory does not pin it
	Members   []string // host names, in their written order
	Endpoints []string // client URLs of the members, in that order
	// PeerURLs holds those of every host of the inventory, member or not, by the
	// host's name. A member of the running cluster is found on its host by them.
	// Nil stands for those of Program.Hosts.
	PeerURLs    map[string][]string
	RemoveRoots []string // the only directories below which a task may remove
	TLS         TLS
	Auth        Auth
}

// TLS names the files of the client's side; all empty means plain HTTP or the
// system's roots.
type TLS struct {
	CAFile, CertFile, KeyFile string
	// ServerName is what the members' certificates are for; "" means the name or
	// the address in the URL of each.
	ServerName string
}

// Auth is etcd's user; the password is in an environment variable or in a file,
// never in an inventory.
type Auth struct {
	Username, PasswordEnv, PasswordFile string
}

// HostSpec is one host of the inventory.
type HostSpec struct {
	Name       string
	Address    string
	Labels     map[string]string
	Member     MemberSpec
	Connection Connection
	Range      Range
}

// MemberSpec is how a host's member is configured.
type MemberSpec struct {
	Name             string
	PeerURLs         []string
	ClientURLs       []string
	ListenPeerURLs   []string
	ListenClientURLs []string
	ServerTLS        *ServerTLS // nil if its configuration names no certificates
}

// ServerTLS names the files of a member's own side of TLS, as the member sees
// them on its host; what is "" is not configured.
type ServerTLS struct {
	CertFile, KeyFile, CAFile             string
	ClientCertAuth                        bool
	PeerCertFile, PeerKeyFile, PeerCAFile string
	PeerClientCertAuth                    bool
}

// Connection is how a host is reached. Which fields count depends on Kind.
type Connection struct {
	Kind string // "ssh", "local", "sandbox"
	Dir  string // sandbox: its folder, absolute

	User, HostKeyPolicy, KnownHosts, ProxyJump string
	Port                                       int
	IdentityFiles                              []string
	Become                                     string // "none" or "sudo"
	BecomePasswordEnv                          string
	ConnectTimeout                             time.Duration
	Keepalive, Reconnect                       time.Duration // ssh; zero means its own default
	Transport                                  string        // ssh: "native" or "openssh", the system's own program
}

// Phase is a named group of tasks: a heading in the plan, the scope of rescue
// and always, and the grain of resume.
type Phase struct {
	Name        string
	Description string
	When        Expr // nil means always
	Tasks       []*Task
	Rescue      []*Task
	Always      []*Task
	Range       Range
}

// Task is one task of a playbook.
type Task struct {
	Name        string // unique in its playbook
	Type        *Type
	Description string
	Locked      bool

	On       Expr // nil, or yields one host
	OnEach   Expr // nil, or yields a list of hosts
	Parallel Expr // nil means 1
	ForEach  Expr // nil, or yields what the rounds are
	When     Expr // nil means true
	Become   Expr // nil means as the connection says
	Timeout  Expr // nil means the type's default
	Args     Args
	Pre      []Condition
	Post     []Condition
	Retry    *Retry

	Call *Call // for the type playbook; else nil

	Range Range // of the block's header
}

// Looping reports whether the task's results are a map by key.
func (t *Task) Looping() bool { return t.OnEach != nil || t.ForEach != nil }

// purpose is what the author says that the task is for, as a paragraph of its
// own: where its host does not answer, it tells what to do instead.
func (t *Task) purpose() string {
	if t.Description == "" {
		return ""
	}
	return "\n\n" + sentence(t.Description)
}

// Retry is a task's retry block.
type Retry struct {
	Attempts    Expr // number
	Interval    Expr // duration
	Backoff     Expr // nil means 1
	MaxInterval Expr // nil means no bound
	Until       Expr // nil; else bool over self
}

// Condition is a precondition or a postcondition.
type Condition struct {
	Condition Expr
	Message   Expr
}

// Output is one output of the playbook.
type Output struct {
	Name        string
	Description string
	Value       Expr
	Sensitive   bool
	Range       Range
}

// Call is the playbook that a task of type playbook calls. The structure of
// what it yields is the same for every with; only values differ.
type Call struct {
	Source string // as written
	// Outputs is what the called playbook yields, with the types as far as they
	// are known without its values.
	Outputs map[string]cty.Type
	// Bind makes the called program with these values of its variables, some of
	// which may be unknown in a plan.
	Bind func(with cty.Value, s *Scope) (*Program, Diagnostics)
}

// Args is the arguments of one task, not yet evaluated.
type Args interface {
	// Bind evaluates all arguments and returns an object of the type's argument
	// type: every argument present, null where not written, unknown where the
	// scope does not know it yet. It has checked types, kinds (durations, modes,
	// paths), requiredness, and that nothing sensitive is where it may not be.
	Bind(s *Scope) (cty.Value, Diagnostics)

	// Expr is the expression of one argument, nil if it is not written.
	Expr(name string) Expr
}

// Expr is one expression of a playbook, with the names it can see.
type Expr interface {
	// Eval yields the value, of the type that its place demands.
	Eval(s *Scope) (cty.Value, Diagnostics)

	// Tasks names the tasks whose results the value depends on, also through
	// locals, in the order of their first mention.
	Tasks() []string

	// Values lists what the expression refers to and what that was, for a
	// failed condition. Sensitive values are left out.
	Values(s *Scope) []NamedValue

	Range() Range
}

// Scope is what is only known as a run proceeds. The rest (variables, hosts,
// the cluster) an Expr carries itself.
type Scope struct {
	Run    cty.Value            // object({id, started_at, user})
	Tasks  map[string]cty.Value // results by task name, status included; a looping task's by key
	Each   cty.Value            // object({key, value}); cty.NilVal outside a loop
	Target cty.Value            // a host object; cty.NilVal where there is none
	Self   cty.Value            // this task's results; cty.NilVal but in postconditions and until
	Error  cty.Value            // object({task, message}); cty.NilVal but in rescue
}

// With returns a copy of s that f has changed; the map of tasks is shared.
func (s *Scope) With(f func(*Scope)) *Scope {
	c := *s
	f(&c)
	return &c
}
