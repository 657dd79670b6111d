package engine

import (
	"context"
	"net"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Run identity: kept in the journal, so that a resumed run computes the same
// values.
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
	// Dial connects to an address of the cluster through whatever reaches it.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Survey reads the cluster: members, health, versions. It answers with a
	// Cluster that is not Known rather than with an error where nobody answers.
	Survey func(ctx context.Context, l Look, endpoints []string) world.Cluster
	// Emit receives every event, one at a time, in order.
	Emit func(Event)
	// Ask puts a question to the operator and returns what was typed, and
	// whether it means yes. An error stops the run.
	Ask func(ctx context.Context, address, question string) (answer string, yes bool, err error)
	// Now is the clock of events and of the journal; nothing is decided by it.
	Now func() time.Time
}
