package etcd

import (
	"context"
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Member is one entry of the member list as playbooks see it.
type Member struct {
	ID         string   `play:"id"`
	Name       string   `play:"name"`
	PeerURLs   []string `play:"peer_urls"`
	ClientURLs []string `play:"client_urls"`
	Started    bool     `play:"started"`
	Learner    bool     `play:"learner"`
}

// MembersArgs is the arguments of etcd_members.
type MembersArgs struct {
	Reach
}

// MembersResults is the results of etcd_members.
type MembersResults struct {
	Count          int      `play:"count" doc:"How many members there are, learners included."`
	InitialCluster string   `play:"initial_cluster" doc:"All of them as --initial-cluster wants them, sorted by name."`
	Members        []Member `play:"members" doc:"Sorted by name, then by ID. IDs are hex without leading zeros."`
}

// observed is the state of a read: the cluster as it was seen.
type observed struct {
	Cluster world.Cluster
	Linear  bool
}

func members() *engine.Type {
	return engine.Define(engine.Spec[MembersArgs, observed, MembersResults]{
		Name:      "etcd_members",
		Doc:       "Reads the member list: what a quorum agrees on or, where there is none, what one member remembers.",
		Effect:    engine.Read,
		Where:     engine.Controller,
		Retryable: true,
		Check:     func(a MembersArgs) error { return a.check() },
		Observe: func(ctx context.Context, l engine.Look, a MembersArgs) (observed, error) {
			acc, err := newAccess(l, a.Reach)
			if err != nil {
				return observed{}, err
			}
			list, err := acc.list(ctx)
			return observed{list.world(l.Cluster), list.Linear}, err
		},
		Report: func(_ MembersArgs, s observed) MembersResults { return membersOf(s.Cluster) },
		Plan: func(p engine.Planning, _ MembersArgs, s observed) (engine.Planned, MembersResults) {
			c, note := p.World.Cluster, ""
			if p.Observed {
				c = s.Cluster
				if !s.Linear {
					note = ", as one of them remembers it: there is no quorum"
				}
			}
			if !c.Known {
				return engine.Planned{}, MembersResults{}
			}
			return engine.Planned{Summary: count(len(c.Members), "member") + ": " + strings.Join(labels(c.Members), ", ") + note}, membersOf(c)
		},
		Model: func(_ string, _ MembersArgs, w *world.World) (MembersResults, []string, bool) {
			for _, m := range w.Cluster.Members {
				if m.ID == "" {
					return membersOf(w.Cluster), []string{"members"}, w.Cluster.Known
				}
			}
			return membersOf(w.Cluster), nil, w.Cluster.Known
		},
	})
}

func membersOf(c world.Cluster) MembersResults {
	r := MembersResults{Count: len(c.Members), InitialCluster: world.InitialCluster(c.Members)}
	for _, m := range c.Members {
		r.Members = append(r.Members, Member{
			ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs,
			Started: m.Name != "", Learner: m.Learner,
		})
	}
	return r
}

// labels names the members for people; a learner is called one.
func labels(ms []world.Member) []string {
	var names []string
	for _, m := range ms {
		name := m.Label()
		if m.Learner {
			name += " (learner)"
		}
		names = append(names, name)
	}
	return names
}

func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
