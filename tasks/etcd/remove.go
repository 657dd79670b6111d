package etcd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// RemoveArgs is the arguments of etcd_member_remove.
type RemoveArgs struct {
	ID            string `play:"id,required,member" doc:"The member's ID, hex. Never its name: a name may mean another member by now."`
	EvenIfHealthy *bool  `play:"even_if_healthy" default:"false" doc:"Remove a voter although it is healthy. Without it, that is refused: it may be the wrong one."`
	Reach
}

// RemoveResults is the results of etcd_member_remove.
type RemoveResults struct {
	ID    string `play:"id" doc:"As given, hex without leading zeros."`
	Count int    `play:"count" doc:"How many members are left, learners included."`
}

func memberRemove(settle time.Duration) *engine.Type {
	return engine.Define(engine.Spec[RemoveArgs, listing, RemoveResults]{
		Name:     "etcd_member_remove",
		Doc:      "Takes a member out of the cluster, for good: etcd never uses its ID again, and what it has on disk can no longer join. One that is gone already is no error.",
		Effect:   engine.Destroy,
		Where:    engine.Controller,
		Timeout:  changeTimeout,
		Surveyed: true,
		Check: func(a RemoveArgs) error {
			if _, err := memberID(a.ID); err != nil {
				return err
			}
			return a.check()
		},
		Observe: func(ctx context.Context, l engine.Look, a RemoveArgs) (listing, error) {
			acc, err := accessBut(l, a)
			if err != nil {
				return listing{}, err
			}
			return acc.list(ctx)
		},
		Plan: planRemove,
		Guard: func(_ string, a RemoveArgs, _ listing, w *world.World) world.Verdict {
			return w.Cluster.MayRemove(canonical(a.ID), a.EvenIfHealthy != nil && *a.EvenIfHealthy)
		},
		Apply: applyRemove,
		Settle: func(ctx context.Context, l engine.Look, a RemoveArgs, _ listing) (engine.Settlement, RemoveResults, error) {
			acc, err := newAccess(l, a.Reach)
			if err != nil {
				return "", RemoveResults{}, err
			}
			id := canonical(a.ID)
			gone, last, err := acc.watch(ctx, settle, func(now listing) bool { return now.member(id) == nil })
			switch {
			case err != nil:
				return "", RemoveResults{}, err
			case gone:
				return engine.Done, RemoveResults{ID: id, Count: len(last.Members)}, nil
			}
			return engine.NotDone, RemoveResults{}, nil
		},
		Verify: verifyRemove,
		Advance: func(_, _ string, a RemoveArgs, _ RemoveResults, w *world.World) {
			w.RemoveMember(canonical(a.ID))
		},
	})
}

// accessBut is the access to a cluster that the member of a is to leave.
func accessBut(l engine.Look, a RemoveArgs) (*access, error) {
	acc, err := newAccess(l, a.Reach)
	if err == nil {
		acc.leaving = canonical(a.ID)
	}
	return acc, err
}

// memberID reads an ID as etcd prints it.
func memberID(text string) (uint64, error) {
	id, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0x"), 16, 64)
	if err != nil || id == 0 {
		return 0, &engine.ArgError{Arg: "id", Text: fmt.Sprintf("%q is not a member ID. Write it as etcd prints it, in hex, for example 1609b5a3a078c227.", text)}
	}
	return id, nil
}

// canonical is the ID in the form in which it is compared; "" stays "".
func canonical(text string) string {
	if id, err := memberID(text); err == nil {
		return hexID(id)
	}
	return text
}

func planRemove(p engine.Planning, a RemoveArgs, s listing) (engine.Planned, RemoveResults) {
	id := canonical(a.ID)
	c := p.World.Cluster
	r := RemoveResults{ID: id}
	planned := engine.Planned{Needed: true}
	if p.Unknown["id"] {
		planned.Unknown = []string{"id"}
	}
	m := c.Find(id)
	switch {
	case p.Observed && s.Linear && s.member(id) == nil:
		r.Count = len(s.Members)
		return engine.Planned{Summary: "member " + id + " is not in the list"}, r
	case c.Known && m == nil && !p.Unknown["id"]:
		r.Count = len(c.Members)
		return engine.Planned{Summary: "member " + id + " is not in the list"}, r
	case !c.Known || m == nil:
		planned.Unknown = append(planned.Unknown, "count")
		planned.Summary = "a member leaves that is not known yet"
		return planned, r
	}
	r.Count = len(c.Members) - 1
	n := c.Budget().Voters
	if m.Learner {
		planned.Summary = fmt.Sprintf("%s, a learner, leaves; members %d, quorum stays %d", m.Label(), n, world.Quorum(n))
	} else {
		planned.Summary = fmt.Sprintf("%s leaves; %s", m.Label(), quorumWords(n, n-1))
	}
	return planned, r
}

func applyRemove(ctx context.Context, h engine.Hands, a RemoveArgs, s listing) (RemoveResults, error) {
	acc, err := accessBut(h.Look, a)
	if err != nil {
		return RemoveResults{}, engine.Definite(err)
	}
	id, err := memberID(a.ID)
	if err != nil {
		return RemoveResults{}, engine.Definite(err)
	}
	r := RemoveResults{ID: hexID(id)}
	send := func(ctx context.Context, c *clientv3.Client) error {
		resp, err := c.MemberRemove(ctx, id)
		if err == nil {
			r.Count = len(resp.Members)
		}
		return err
	}
	err = acc.persist(ctx, s, send, func(ctx context.Context, o outcome, err error) (bool, error) {
		if o == lost {
			return false, stop("the answer to the removal was lost: %w", err)
		}
		if l, listErr := acc.agreed(ctx); listErr == nil && l.member(r.ID) == nil {
			r.Count = len(l.Members)
			return true, nil
		}
		return false, stop("%s", rpctypes.ErrorDesc(err))
	})
	return r, err
}

// verifyRemove waits until a quorum agrees that the member is gone. After the
// removal of the leader that takes an election.
func verifyRemove(ctx context.Context, l engine.Look, a RemoveArgs, r RemoveResults) error {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return err
	}
	return engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		list, err := acc.agreed(ctx)
		if err != nil {
			return false, err
		}
		if list.member(r.ID) != nil {
			return false, fmt.Errorf("member %s is still in the list", r.ID)
		}
		return true, nil
	})
}
