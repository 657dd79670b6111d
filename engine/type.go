package engine

import (
	"context"
	"net"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Effect is what a task may do to the world.
type Effect string

const (
	Read    Effect = "read"    // nothing; carried out in a plan too
	Change  Effect = "change"  // something that can be taken back
	Destroy Effect = "destroy" // something that cannot
	Control Effect = "control" // nothing outside the run: asks, checks, calls
)

// Where is the place a task runs at.
type Where string

const (
	OnHost     Where = "host"       // needs on or on_each
	Controller Where = "controller" // runs where etcdplay runs; takes neither
	Either     Where = "either"     // on is optional
)

// Role marks the few types that the engine itself gives their meaning.
type Role string

const (
	Plain   Role = ""
	Assert  Role = "assert"  // holds or stops the run
	Confirm Role = "confirm" // asks the operator
	Calls   Role = "call"    // runs another playbook
)

// Type is one task type, as the engine, the checker and the reference see it.
// Define makes it from a Spec; the functions then take and yield cty values.
type Type struct {
	Name      string
	Doc       string // one paragraph
	Effect    Effect
	Where     Where
	Role      Role
	Retryable bool
	Timeout   time.Duration // for the whole task, retries included
	// Volatile results (health, free space) are read again when a resumed run
	// still needs them; others come from the journal.
	Volatile bool
	// Surveyed types have the cluster read anew immediately before their Guard.
	Surveyed bool
	// Writes is the arguments that together name the one file, on the task's host,
	// that a type writes whole; none if it writes another way, or nothing.
	Writes []string
	// Sets is the arguments that together name what, on the task's host, a type
	// brings into a state: of two tasks that set the same, the later one counts.
	Sets    []string
	Args    []Arg    // in the order of documentation
	Results []Result // without status, which every task has

	impl taskImpl // nil exactly for types whose Role is not Plain
}

// Arg is one argument of a type.
type Arg struct {
	Name       string
	Type       cty.Type
	Required   bool
	Kind       Kind
	Enum       []string // allowed values; nil means any
	Whole      bool     // its numbers are whole, and fit 64 bits with a sign
	Default    string   // in words, for the reference
	NoSecret   bool     // a sensitive value here is an error
	Deprecated string   // what to use instead; "" means it is not
	Doc        string
}

// Kind narrows what a string argument may hold.
type Kind string

const (
	AnyString Kind = ""
	Duration  Kind = "duration" // "90s", "5m": Go syntax, above zero
	Mode      Kind = "mode"     // "0644": four octal digits
	AbsPath   Kind = "abspath"  // absolute, clean, not "/"
	URL       Kind = "url"
	SHA256    Kind = "sha256"   // 64 hex digits
	UnitName  Kind = "unit"     // a systemd unit name with its suffix
	FileName  Kind = "filename" // one path element
	MemberID  Kind = "member"   // hex
)

// Result is one result of a type.
type Result struct {
	Name      string
	Type      cty.Type
	Sensitive bool
	Doc       string

	nullable bool // its field is a pointer
}

// ResultType is the object type of a task's results, status included.
func (t *Type) ResultType() cty.Type {
	attrs := map[string]cty.Type{"status": cty.String}
	for _, r := range t.Results {
		attrs[r.Name] = r.Type
	}
	return cty.Object(attrs)
}

// Look is what a task may look with: eyes and no hands. Observe, Verify and
// Settle get nothing else, and that is why a plan cannot change anything.
type Look struct {
	Host    conn.Reader // the task's host; nil for a task that has none
	Cluster Cluster
	RunID   string
	// Dial connects to an address of the cluster, through whatever connection
	// reaches it.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// DialFrom connects to an address as seen from a host of the inventory.
	DialFrom func(ctx context.Context, host, addr string) (net.Conn, error)
	// At is another host of the inventory. An error may wrap conn.ErrUnreachable.
	At func(ctx context.Context, host string) (conn.Reader, error)
	// Failed is closed once the task has failed on another of its hosts: who only
	// waits for all of them together waits in vain then. Nil where it has no other.
	Failed <-chan struct{}
	// Kept is what tasks before this one left; it may be nil.
	Kept *Kept
	// Say tells the operator what the task is waiting for. It may be called
	// often; the last text counts.
	Say func(format string, args ...any)
	// Progress tells how far something long is, in bytes; total is 0 if unknown.
	Progress func(done, total int64)
}

// Hands is what Apply gets: a host that can be changed.
type Hands struct {
	Look
	Host conn.Host // nil for a task that has none
}

// Planning is what Plan gets besides arguments and state.
type Planning struct {
	World   *world.World // the model as it is before this task; not to be changed
	Host    string       // the task's host; "" if it has none
	Cluster Cluster
	RunID   string
	// Unknown holds the names of the arguments whose value is not known yet.
	// Their fields are zero.
	Unknown map[string]bool
	// Observed is false where Observe could not be carried out, because an
	// argument is unknown or the model cannot answer it; the state is then zero.
	Observed bool
	Address  string // of the task
}

// Planned is what Plan says a task would do.
type Planned struct {
	Needed  bool     // false: it is so already, nothing would be changed
	Summary string   // one line: `etcd-member.service: failed -> stopped`
	Details []Detail // further facts, in order
	Diff    *Diff    // of a file that would be written or removed
	// Unknown names the results that only the run can tell; the others are
	// predictions that have to come true.
	Unknown []string
}

// Detail is one `name = value` line below a planned task.
type Detail struct {
	Name, Value string
}

// Diff is a file before and after.
type Diff struct {
	Path          string
	Action        string // "create", "update, then daemon-reload", …
	Before, After string
	Exists        bool // there is a file now
	Removed       bool // there would be none after
}

// Settlement is what Settle finds of an effect whose outcome was unknown.
type Settlement string

const (
	Done     Settlement = "done"     // the effect is there
	NotDone  Settlement = "not done" // it is not, and the attempt that was sent can no longer bring it about
	Partial  Settlement = "partial"  // it is half there; Apply may be called again and will complete it
	Conflict Settlement = "conflict" // somebody else changed the same thing; a person must look
)
