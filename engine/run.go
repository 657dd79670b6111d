package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Identity is the identity of a run: kept in the journal, so that a resumed run
// computes the same values.
type Identity struct {
	ID        string // "20261122T095500Z-7f3a"
	StartedAt time.Time
	User      string
}

// Env is what a plan or a run needs of the world around it.
type Env struct {
	Identity Identity
	// Host returns the connection to a host of the program's inventory. It may
	// be called often and from several goroutines; connections are shared.
	Host func(ctx context.Context, spec HostSpec) (conn.Host, error)
	// Prepare begins to do for a host that is going to be wanted what Host does, also
	// to connect to its systemd if units is set, and returns at once. It may be nil.
	Prepare func(ctx context.Context, spec HostSpec, units bool)
	// Dial connects to an address of the cluster through whatever reaches it.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Survey reads the cluster: members, health, versions. It answers with a
	// Cluster that is not Known rather than with an error where nobody answers.
	Survey func(ctx context.Context, l Look, endpoints []string) world.Cluster
	// Contacts returns what was learnt of machines since it was called last, in
	// that order. What Host returns a connection to is among it. It may be nil.
	Contacts func() []Contact
	// Kept outlives the tasks; who made it closes it. Nil keeps nothing.
	Kept *Kept
	// Emit receives every event, one at a time, in order.
	Emit func(Event)
	// Ask puts a question to the operator and returns what was typed, and
	// whether it means yes. An error stops the run.
	Ask func(ctx context.Context, q Question) (answer string, yes bool, err error)
	// Now is the clock of events and of the journal; nothing is decided by it.
	Now func() time.Time
}

// Question is what the operator is asked.
type Question struct {
	Address string // of the task
	Text    string
	// Typed is the text that has to be typed, exactly, for the answer to mean yes;
	// "" for an ordinary question. Nothing that answers questions wholesale may
	// answer one with such a text.
	Typed string
}

// NewIdentity is the identity of a run that starts now: its ID is the moment in
// UTC to the second and four random hex digits, "20261122T095500Z-7f3a".
func NewIdentity(now time.Time, user string) (Identity, error) {
	var b [2]byte
	if _, err := rand.Read(b[:]); err != nil {
		return Identity{}, err
	}
	now = now.UTC().Truncate(time.Second)
	return Identity{ID: fmt.Sprintf("%s-%x", now.Format("20060102T150405Z"), b), StartedAt: now, User: user}, nil
}

// Invocation is how a run was called: what is needed to make its Program again.
type Invocation struct {
	Tool      string   `json:"tool"`      // version of etcdplay
	Dir       string   `json:"dir"`       // working directory, absolute
	Playbook  string   `json:"playbook"`  // path as given
	Inventory string   `json:"inventory"` // path as given
	Cluster   string   `json:"cluster"`   // name, where the inventory has several
	Vars      []string `json:"vars"`      // --var as given; the caller leaves out sensitive values
	VarsFiles []string `json:"vars_files"`
}

// RunOptions is what a run needs besides program and environment.
type RunOptions struct {
	StateDir    string // absolute; made if absent
	AcceptDrift bool   // go on where the plan no longer agrees
	// Stop, when closed, lets the running task finish, then runs rescue and
	// always, and ends the run as interrupted: the first Ctrl-C. The second is
	// the end of the run's context. May be nil.
	Stop       <-chan struct{}
	Invocation Invocation
	// Copies are the source files as read, by name; the run's folder keeps them.
	Copies map[string][]byte
	// Scrub, if not nil, is applied to every text and event besides the values
	// that the engine itself finds to be sensitive.
	Scrub *Scrubber
}

// ResumeOptions is RunOptions for a resumed or aborted run.
type ResumeOptions struct {
	StateDir string
	// AcceptChanges goes on although the playbook or a template has changed, as
	// long as every recorded task is still there with its type and nothing new
	// stands before the last of them. It is recorded as an override. A changed
	// inventory, cluster or input is refused in any case.
	AcceptChanges bool
	// AcceptDrift goes on although members of the cluster are not those that the
	// run left. It is recorded as an override. Another cluster is refused in any
	// case.
	AcceptDrift bool
	Stop        <-chan struct{}
	Invocation  Invocation
	Scrub       *Scrubber
}
