package etcd2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// What an answer to a change proves. The v2 API has one answer, 500, for all that
// went wrong in the server: a change that it refused at once, since its peers
// were not connected for 5 s, as well as one whose outcome it does not know. So
// a 500 proves nothing, and what became of the change is seen in the list, after
// the time in which it may still arrive.

// pollMost is the longest wait between two looks at a cluster.
const pollMost = 500 * time.Millisecond

// changeTimeout is the default for the whole of a change of membership: one
// refusal that is waited out, and an election.
const changeTimeout = 2 * time.Minute

// connectedFor is how long a member has to run before etcd counts it as
// connected for long enough: its health interval of 5 s, the time to connect,
// and the second to which the answers' clock is told.
const connectedFor = 7 * time.Second

// observeList is Observe of the changes: the list before the intent.
func observeList(ctx context.Context, l engine.Look, r Reach) (listing, error) {
	a, err := newAccess(l, r)
	if err != nil {
		return listing{}, err
	}
	return a.list(ctx)
}

// request is one change of membership as HTTP has it.
type request struct {
	method, path string
	body         any // nil, or sent as JSON
}

// urlsBody is the body of an addition and of an update.
type urlsBody struct {
	PeerURLs []string `json:"peerURLs"`
}

// persist sends a change until the list shows it or etcd refuses it for good.
// there looks whether it is there. The error is definite unless an answer was
// lost and the list could not be read since.
func (a *access) persist(ctx context.Context, before listing, r request, settle time.Duration, there func(listing) bool) (listing, error) {
	if err := a.connected(ctx, before); err != nil {
		return listing{}, engine.Definite(err)
	}
	for {
		sent := time.Now()
		err := a.send(ctx, before, r)
		var refused *refusalError
		var unsent *unsentError
		switch {
		case errors.As(err, &unsent):
			a.look.Say("the change could not be sent (%s); trying again", reason(err))
			if !pause(ctx, pollMost) {
				return listing{}, engine.Definite(fmt.Errorf("the change could not be sent: %w", err))
			}
			continue
		case errors.As(err, &refused) && refused.status < http.StatusInternalServerError:
			// It may be the echo of an earlier try of ours.
			if l, listErr := a.agreed(ctx, before); listErr == nil && there(l) {
				return l, nil
			}
			return listing{}, engine.Definite(err)
		case err != nil:
			a.look.Say("etcd does not say whether it took the change (%s); looking whether it did", reason(err))
		}
		content, last, watchErr := a.watch(ctx, before, settle-time.Since(sent), there)
		switch {
		case watchErr != nil:
			return listing{}, errors.Join(err, watchErr) // Settle will look again
		case content:
			return last, nil
		case err == nil:
			return listing{}, errors.New("etcd said that it took the change, and the member list does not show it")
		case ctx.Err() != nil:
			return listing{}, engine.Definite(fmt.Errorf("etcd does not take the change: %w", err))
		}
	}
}

// send sends the change to the member that gave the list it is based on.
func (a *access) send(ctx context.Context, before listing, r request) error {
	ctx, cancel := context.WithTimeout(ctx, changeFor)
	defer cancel()
	_, err := a.call(ctx, r.method, before.Endpoint, r.path, r.body, nil)
	return err
}

// connected waits until every member runs for long enough that etcd does not
// refuse a change for lack of connected peers: such a refusal could not be told
// from a lost answer. What a member does not tell is not waited for.
func (a *access) connected(ctx context.Context, before listing) error {
	if len(before.Members) < 2 {
		return nil
	}
	for {
		_, s := a.survey(ctx)
		youngest := connectedFor
		for _, m := range before.Members {
			if one, ok := s.sights[m.ID]; ok && one.Uptime > 0 {
				youngest = min(youngest, one.Uptime)
			}
		}
		if youngest >= connectedFor {
			return nil
		}
		a.look.Say("etcd takes changes once its peers have been connected for 5 s; waiting")
		if !pause(ctx, connectedFor-youngest) {
			return ctx.Err()
		}
	}
}

// pause waits, and reports false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watch reads the list until look is content, or for the time that a sent change
// may still take. It reports whether look was content, and the last list.
// Without any answer that counts it goes on as long as ctx does, since silence
// decides nothing.
func (a *access) watch(ctx context.Context, before listing, settle time.Duration, look func(listing) bool) (bool, listing, error) {
	deadline := time.Now().Add(settle)
	content, last := false, listing{}
	err := engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		late := time.Now().After(deadline)
		l, err := a.agreed(ctx, before)
		if err != nil {
			return false, err
		}
		last, content = l, look(l)
		return content || late, nil
	})
	return content, last, err
}

// quorumWords is "members 3 -> 4, quorum 2 -> 3".
func quorumWords(before, after int) string {
	return fmt.Sprintf("members %d -> %d, quorum %d -> %d", before, after, world.Quorum(before), world.Quorum(after))
}
