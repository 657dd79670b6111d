package etcd

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// PromoteArgs is the arguments of etcd_member_promote.
type PromoteArgs struct {
	ID string `play:"id,required,member" doc:"The learner's ID, hex."`
	Reach
}

// PromoteResults is the results of etcd_member_promote.
type PromoteResults struct {
	ID string `play:"id" doc:"As given, hex without leading zeros."`
}

func memberPromote(settle time.Duration) *engine.Type {
	return engine.Define(engine.Spec[PromoteArgs, listing, PromoteResults]{
		Name:      "etcd_member_promote",
		Doc:       "Gives a learner its vote. It waits until the learner answers and has caught up with the leader. One that has its vote already is no error.",
		Effect:    engine.Change,
		Where:     engine.Controller,
		Retryable: true,
		Timeout:   changeTimeout,
		Surveyed:  true,
		Check: func(a PromoteArgs) error {
			if _, err := memberID(a.ID); err != nil {
				return err
			}
			return a.check()
		},
		Observe: func(ctx context.Context, l engine.Look, a PromoteArgs) (listing, error) {
			return observeList(ctx, l, a.Reach)
		},
		Plan: planPromote,
		Guard: func(_ string, a PromoteArgs, _ listing, w *world.World) world.Verdict {
			return w.Cluster.MayPromote(canonical(a.ID))
		},
		Apply: applyPromote,
		Settle: func(ctx context.Context, l engine.Look, a PromoteArgs, _ listing) (engine.Settlement, PromoteResults, error) {
			return settlePromote(ctx, l, a, settle)
		},
		Verify: func(ctx context.Context, l engine.Look, a PromoteArgs, r PromoteResults) error {
			acc, err := newAccess(l, a.Reach)
			if err != nil {
				return err
			}
			return engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
				list, err := acc.agreed(ctx)
				if err != nil {
					return false, err
				}
				return list.votes(r.ID)
			})
		},
		Advance: func(_, _ string, a PromoteArgs, _ PromoteResults, w *world.World) {
			w.PromoteMember(canonical(a.ID))
		},
	})
}

// votes reports whether the member has its vote; the error says why not.
func (l listing) votes(id string) (bool, error) {
	switch m := l.member(id); {
	case m == nil:
		return false, stop("member %s is not in the list", id)
	case m.Learner:
		return false, fmt.Errorf("member %s is still a learner", id)
	}
	return true, nil
}

func planPromote(p engine.Planning, a PromoteArgs, s listing) (engine.Planned, PromoteResults) {
	c := p.World.Cluster
	planned := engine.Planned{Needed: true}
	if p.Unknown["id"] {
		planned.Unknown = []string{"id"}
	}
	r := PromoteResults{ID: canonical(a.ID)}
	m := c.Find(r.ID)
	n := c.Budget().Voters
	if now := s.member(r.ID); p.Observed && s.Linear && now != nil && !now.Learner {
		return engine.Planned{Summary: now.Name + " has its vote already"}, r
	}
	switch {
	case !c.Known || m == nil: // the guard says what is wrong
		planned.Summary = "the learner gets its vote"
	case !m.Learner:
		planned.Needed = false
		planned.Summary = m.Label() + " has its vote already"
	default:
		planned.Summary = "the learner gets its vote; " + quorumWords(n, n+1)
	}
	return planned, r
}

func applyPromote(ctx context.Context, h engine.Hands, a PromoteArgs, _ listing) (PromoteResults, error) {
	acc, err := newAccess(h.Look, a.Reach)
	if err != nil {
		return PromoteResults{}, engine.Definite(err)
	}
	id, err := memberID(a.ID)
	if err != nil {
		return PromoteResults{}, engine.Definite(err)
	}
	r := PromoteResults{ID: hexID(id)}
	if done, err := acc.awaitLearner(ctx, r.ID); done || err != nil {
		return r, engine.Definite(err)
	}
	send := func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.MemberPromote(ctx, id)
		return err
	}
	err = acc.persist(ctx, listing{}, send, func(ctx context.Context, o outcome, err error) (bool, error) {
		switch o {
		case unsynced:
			h.Say("the learner has not caught up with the leader; asking again")
			return false, fmt.Errorf("etcd still refuses: %s", rpctypes.ErrorDesc(err))
		case lost:
			return false, stop("the answer to the promotion was lost: %w", err)
		}
		if l, listErr := acc.agreed(ctx); listErr == nil {
			if done, _ := l.votes(r.ID); done {
				return true, nil
			}
		}
		return false, stop("%s", rpctypes.ErrorDesc(err))
	})
	return r, err
}

// awaitLearner waits until the learner is fit to vote, and says how far it is.
// It reports whether it votes already. The promotion then goes to the leader: a
// follower has to hand it on, which one older than 3.5.28 or 3.6.6 cannot do where
// authentication is on.
func (a *access) awaitLearner(ctx context.Context, id string) (votes bool, err error) {
	err = engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		c := a.survey(ctx)
		if !c.Known {
			return false, fmt.Errorf("%s", c.Why)
		}
		m := c.Member(id)
		switch {
		case m == nil:
			return false, stop("member %s is not in the list", id)
		case !m.Learner:
			votes = true
			return true, nil
		}
		a.leader = c.Leader
		ready := m.CaughtUp()
		if !ready.Holds {
			a.look.Say("%s", ready.Text)
			return false, fmt.Errorf("%s", ready.Text)
		}
		return true, nil
	})
	return votes, err
}

func settlePromote(ctx context.Context, l engine.Look, a PromoteArgs, settle time.Duration) (engine.Settlement, PromoteResults, error) {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return "", PromoteResults{}, err
	}
	id := canonical(a.ID)
	_, last, err := acc.watch(ctx, settle, func(now listing) bool {
		m := now.member(id)
		return m == nil || !m.Learner
	})
	if err != nil {
		return "", PromoteResults{}, err
	}
	switch m := last.member(id); {
	case m == nil:
		return engine.Conflict, PromoteResults{}, nil
	case m.Learner:
		return engine.NotDone, PromoteResults{}, nil
	}
	return engine.Done, PromoteResults{ID: id}, nil
}
