package etcd2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// removeArgs is the arguments of etcd2_member_remove.
type removeArgs struct {
	ID            string `play:"id,required,member" doc:"The member's ID, hex. Never its name: a name may mean another member by now."`
	EvenIfHealthy bool   `play:"even_if_healthy" default:"false" doc:"Remove a member although it is healthy. Without it, that is refused: it may be the wrong one."`
	Reach
}

// removeResults is the results of etcd2_member_remove.
type removeResults struct {
	ID    string `play:"id" doc:"As given, hex without leading zeros."`
	Count int    `play:"count" doc:"How many members are left."`
}

func memberRemove(settle time.Duration) *engine.Type {
	return engine.Define(engine.Spec[removeArgs, listing, removeResults]{
		Name:     "etcd2_member_remove",
		Doc:      "Takes a member out of the cluster over API 2, for good: etcd never uses its ID again, and what it has on disk can no longer join. One that is gone already is no error.",
		Effect:   engine.Destroy,
		Where:    engine.Controller,
		Timeout:  changeTimeout,
		Surveyed: true,
		Check: func(a removeArgs) error {
			if err := checkID(a.ID); err != nil {
				return err
			}
			return a.check()
		},
		Observe: func(ctx context.Context, l engine.Look, a removeArgs) (listing, error) {
			return observeList(ctx, l, a.Reach)
		},
		Plan: planRemove,
		Guard: func(_ string, a removeArgs, _ listing, w *world.World) world.Verdict {
			return w.Cluster.MayRemove(canonical(a.ID), a.EvenIfHealthy)
		},
		Apply: func(ctx context.Context, h engine.Hands, a removeArgs, s listing) (removeResults, error) {
			acc, err := newAccess(h.Look, a.Reach)
			if err != nil {
				return removeResults{}, engine.Definite(err)
			}
			id := canonical(a.ID)
			if s.member(id) == nil && s.Linear {
				return removeResults{ID: id, Count: len(s.Members)}, nil
			}
			gone := func(now listing) bool { return now.member(id) == nil }
			l, err := acc.persist(ctx, s, request{http.MethodDelete, "/v2/members/" + id, nil}, settle, gone)
			return removeResults{ID: id, Count: len(l.Members)}, err
		},
		Settle: func(ctx context.Context, l engine.Look, a removeArgs, s listing) (engine.Settlement, removeResults, error) {
			acc, err := newAccess(l, a.Reach)
			if err != nil {
				return "", removeResults{}, err
			}
			id := canonical(a.ID)
			gone, last, err := acc.watch(ctx, s, settle, func(now listing) bool { return now.member(id) == nil })
			switch {
			case err != nil:
				return "", removeResults{}, err
			case gone:
				return engine.Done, removeResults{ID: id, Count: len(last.Members)}, nil
			}
			return engine.NotDone, removeResults{}, nil
		},
		Verify: verifyRemove,
		Advance: func(_, _ string, a removeArgs, _ removeResults, w *world.World) {
			w.RemoveMember(canonical(a.ID))
		},
	})
}

func checkID(text string) error {
	if id, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0x"), 16, 64); err != nil || id == 0 {
		return &engine.ArgError{Arg: "id", Text: fmt.Sprintf("%q is not a member ID. Write it as etcd prints it, in hex, for example 1609b5a3a078c227.", text)}
	}
	return nil
}

func planRemove(p engine.Planning, a removeArgs, s listing) (engine.Planned, removeResults) {
	id := canonical(a.ID)
	c := p.World.Cluster
	r := removeResults{ID: id}
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
	planned.Summary = fmt.Sprintf("%s leaves; %s", m.Label(), quorumWords(n, n-1))
	return planned, r
}

// verifyRemove waits until a quorum agrees that the member is gone. After the
// removal of the leader that takes an election.
func verifyRemove(ctx context.Context, l engine.Look, a removeArgs, r removeResults) error {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return err
	}
	return engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		list, err := acc.list(ctx)
		switch {
		case err != nil:
			return false, err
		case !list.Linear:
			return false, errors.New("no quorum agrees on the member list")
		case list.member(r.ID) != nil:
			return false, fmt.Errorf("member %s is still in the list", r.ID)
		}
		return true, nil
	})
}
