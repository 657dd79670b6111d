package etcd

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// pollMost is the longest wait between two looks at a cluster.
const pollMost = 500 * time.Millisecond

// changeTimeout is the default for the whole of a change of membership: etcd's
// health interval of 5 s, waited out once, and an election.
const changeTimeout = 2 * time.Minute

// observeList is Observe of the changes: the list before the intent.
func observeList(ctx context.Context, l engine.Look, r Reach) (listing, error) {
	a, err := newAccess(l, r)
	if err != nil {
		return listing{}, err
	}
	return a.list(ctx)
}

// change sends one change of membership to this endpoint, or to the leader where
// it has to go there; "" means to one that just gave a list that a quorum agrees on.
// Tries after a refusal that passes by itself are the caller's: see persist.
func (a *access) change(ctx context.Context, endpoint string, send func(ctx context.Context, c *clientv3.Client) error) error {
	if endpoint == "" {
		l, err := a.agreed(ctx)
		if err != nil {
			return &dialError{err} // nothing was sent
		}
		endpoint = l.Endpoint
	}
	if a.leader != "" {
		endpoint = cmp.Or(a.endpointOf(ctx, a.leader), endpoint)
	}
	c, err := a.open(ctx, endpoint)
	if err != nil {
		return &dialError{err}
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(c.life, changeFor)
	defer cancel()
	return a.allowed(c.explain(send(ctx, c.Client)))
}

// persist sends a change until etcd takes it, as long as etcd's refusals are of
// the kind that passes. The first try goes to the member that gave the list on
// which the change is based, a moment before, and any other to one that is looked
// for then. Other errors are left to decide, which ends the waiting
// by ErrStop, or goes on by (false, error). The error is definite unless an
// answer was lost.
func (a *access) persist(ctx context.Context, based listing, send func(ctx context.Context, c *clientv3.Client) error, decide func(ctx context.Context, o outcome, err error) (bool, error)) error {
	unknown, endpoint := false, ""
	if based.Linear {
		endpoint = based.Endpoint
	}
	err := engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		err := a.change(ctx, endpoint, send)
		endpoint = ""
		if err == nil {
			return true, nil
		}
		o := outcomeOf(err)
		switch o {
		case unsettled:
			a.look.Say("etcd refuses changes until its peers have been connected for 5 s; asking again")
			return false, fmt.Errorf("etcd still refuses, and wants its peers connected for 5 s (%s)", rpctypes.ErrorDesc(err))
		case unsent:
			a.look.Say("the change could not be sent (%s); trying again", rpctypes.ErrorDesc(err))
			return false, fmt.Errorf("the change could not be sent: %w", err)
		case lost:
			unknown = true
		}
		done, err := decide(ctx, o, err)
		if done {
			unknown = false
		}
		return done, err
	})
	if err != nil && !unknown {
		return engine.Definite(err)
	}
	return err
}

// stop ends a wait with this error.
func stop(format string, args ...any) error {
	return &inVain{fmt.Errorf(format, args...)}
}

// inVain is an error that wraps engine.ErrStop and has its own text alone.
type inVain struct{ error }

func (e *inVain) Unwrap() []error { return []error{e.error, engine.ErrStop} }

// watch reads the list that a quorum agrees on until look is content, or for the
// time that a sent change may still take. It reports whether look was content,
// and the last list. Without any answer of a quorum it goes on as long as ctx
// does, since silence decides nothing.
func (a *access) watch(ctx context.Context, settle time.Duration, look func(listing) bool) (bool, listing, error) {
	deadline := time.Now().Add(settle)
	content, last := false, listing{}
	err := engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		late := time.Now().After(deadline)
		l, err := a.agreed(ctx)
		if err != nil {
			return false, err
		}
		last, content = l, look(l)
		if !content && !late {
			a.look.Say("the answer was lost; waiting whether the change still arrives")
		}
		return content || late, nil
	})
	return content, last, err
}

// quorumWords is "members 3 -> 4, quorum 2 -> 3".
func quorumWords(before, after int) string {
	return fmt.Sprintf("members %d -> %d, quorum %d -> %d", before, after, world.Quorum(before), world.Quorum(after))
}
