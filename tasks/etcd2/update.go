package etcd2

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// updateArgs is the arguments of etcd2_member_update.
type updateArgs struct {
	ID       string   `play:"id,required,member" doc:"The member's ID, hex."`
	PeerURLs []string `play:"peer_urls,required,url" doc:"The peer URLs that it shall have in the member list."`
	Reach
}

// updateResults is the results of etcd2_member_update.
type updateResults struct {
	ID      string   `play:"id" doc:"As given, hex without leading zeros."`
	Changed bool     `play:"changed" doc:"Whether anything had to be done."`
	Before  []string `play:"before" doc:"The peer URLs that it had."`
}

func memberUpdate(settle time.Duration) *engine.Type {
	return engine.Define(engine.Spec[updateArgs, listing, updateResults]{
		Name: "etcd2_member_update",
		Doc: "Gives a member other peer URLs in the member list, over API 2. What it listens on is not touched. A member that a forced new " +
			"cluster was made of may be listed under http://localhost:2380, where nobody who joins would find it.",
		Effect:   engine.Change,
		Where:    engine.Controller,
		Timeout:  changeTimeout,
		Surveyed: true,
		Check: func(a updateArgs) error {
			if err := checkID(a.ID); err != nil {
				return err
			}
			if err := checkPeerURLs(a.PeerURLs); err != nil {
				return err
			}
			return a.check()
		},
		Observe: func(ctx context.Context, l engine.Look, a updateArgs) (listing, error) {
			return observeList(ctx, l, a.Reach)
		},
		Plan: planUpdate,
		Guard: func(_ string, a updateArgs, _ listing, w *world.World) world.Verdict {
			return w.Cluster.MayUpdate(canonical(a.ID), a.PeerURLs)
		},
		Apply: func(ctx context.Context, h engine.Hands, a updateArgs, s listing) (updateResults, error) {
			acc, err := newAccess(h.Look, a.Reach)
			if err != nil {
				return updateResults{}, engine.Definite(err)
			}
			if s.has(a) && s.Linear {
				return a.results(s, false), nil
			}
			put := request{http.MethodPut, "/v2/members/" + canonical(a.ID), urlsBody{a.PeerURLs}}
			_, err = acc.persist(ctx, s, put, settle, func(now listing) bool { return now.has(a) })
			return a.results(s, true), err
		},
		Settle: func(ctx context.Context, l engine.Look, a updateArgs, s listing) (engine.Settlement, updateResults, error) {
			acc, err := newAccess(l, a.Reach)
			if err != nil {
				return "", updateResults{}, err
			}
			there, last, err := acc.watch(ctx, s, settle, func(now listing) bool { return now.has(a) })
			was, is := s.member(canonical(a.ID)), last.member(canonical(a.ID))
			switch {
			case err != nil:
				return "", updateResults{}, err
			case there:
				return engine.Done, a.results(s, true), nil
			case was == nil || is == nil || !slices.Equal(was.PeerURLs, is.PeerURLs):
				return engine.Conflict, updateResults{}, nil
			}
			return engine.NotDone, updateResults{}, nil
		},
		Verify: func(ctx context.Context, l engine.Look, a updateArgs, _ updateResults) error {
			acc, err := newAccess(l, a.Reach)
			if err != nil {
				return err
			}
			return engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
				list, err := acc.list(ctx)
				if err == nil && !list.has(a) {
					err = fmt.Errorf("member %s does not have the peer URLs %s", canonical(a.ID), strings.Join(a.PeerURLs, ", "))
				}
				return err == nil && list.Linear, err
			})
		},
		Advance: func(_, _ string, a updateArgs, _ updateResults, w *world.World) {
			if m := w.Cluster.Find(canonical(a.ID)); m != nil {
				m.PeerURLs = slices.Sorted(slices.Values(a.PeerURLs))
				m.Host = w.Cluster.HostOf(m.PeerURLs)
			}
		},
	})
}

// has reports whether the member has exactly the peer URLs that it shall have.
func (l listing) has(a updateArgs) bool {
	m := l.member(canonical(a.ID))
	return m != nil && slices.Equal(m.PeerURLs, slices.Sorted(slices.Values(a.PeerURLs)))
}

func (a updateArgs) results(before listing, changed bool) updateResults {
	r := updateResults{ID: canonical(a.ID), Changed: changed}
	if m := before.member(r.ID); m != nil {
		r.Before = m.PeerURLs
	}
	return r
}

func planUpdate(p engine.Planning, a updateArgs, s listing) (engine.Planned, updateResults) {
	c := p.World.Cluster
	if p.Observed && s.Linear {
		c = s.world(p.Cluster)
	}
	r := updateResults{ID: canonical(a.ID), Changed: true}
	if p.Unknown["id"] || p.Unknown["peer_urls"] || !c.Known || c.Member(r.ID) == nil {
		planned := engine.Planned{Needed: true, Summary: "peer URLs -> " + strings.Join(a.PeerURLs, ", "), Unknown: []string{"changed", "before"}}
		if p.Unknown["peer_urls"] {
			planned.Summary = "a member gets peer URLs that are known during the run"
		}
		if p.Unknown["id"] {
			planned.Unknown = append(planned.Unknown, "id")
		}
		return planned, r
	}
	m := c.Member(r.ID)
	r.Before = m.PeerURLs
	want := slices.Sorted(slices.Values(a.PeerURLs))
	if slices.Equal(m.PeerURLs, want) {
		r.Changed = false
		return engine.Planned{Summary: fmt.Sprintf("%s has the peer URLs %s already", m.Label(), strings.Join(want, ", "))}, r
	}
	return engine.Planned{Needed: true, Summary: fmt.Sprintf("%s: peer URLs %s -> %s", m.Label(), strings.Join(m.PeerURLs, ", "), strings.Join(want, ", "))}, r
}
