package etcd2

import (
	"context"
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/etcd"
)

// membersArgs is the arguments of etcd2_members.
type membersArgs struct {
	Reach
}

// membersResults is the results of etcd2_members.
type membersResults struct {
	ClusterID      string        `play:"cluster_id" doc:"The cluster's ID, hex."`
	Agreed         bool          `play:"agreed" doc:"Whether a quorum agrees on the list. Without one it is what a member remembers."`
	Count          int           `play:"count" doc:"How many members there are."`
	Index          int64         `play:"index" doc:"The index of the v2 store (X-Etcd-Index) of the member that gave the list; it grows with each write."`
	InitialCluster string        `play:"initial_cluster" doc:"All of them as --initial-cluster wants them, sorted by name."`
	Members        []etcd.Member `play:"members" doc:"Sorted by name, then by ID. IDs are hex without leading zeros."`
}

func members() *engine.Type {
	return engine.Define(engine.Spec[membersArgs, listing, membersResults]{
		Name: "etcd2_members",
		Doc: "Reads the member list over API 2: what a quorum agrees on or, where there is none, what one member remembers. " +
			"A member that waits for a quorum serves no clients; then its peer port is asked.",
		Effect:    engine.Read,
		Where:     engine.Controller,
		Retryable: true,
		Check:     func(a membersArgs) error { return a.check() },
		Observe: func(ctx context.Context, l engine.Look, a membersArgs) (listing, error) {
			acc, err := newAccess(l, a.Reach)
			if err != nil {
				return listing{}, err
			}
			list, err := acc.list(ctx)
			if err != nil {
				return acc.byPeers(ctx, err)
			}
			acc.learners(ctx, &list)
			return list, nil
		},
		Report: func(_ membersArgs, s listing) membersResults { return s.told() },
		Plan: func(p engine.Planning, _ membersArgs, s listing) (engine.Planned, membersResults) {
			c, note, r := p.World.Cluster, "", membersOf(p.World.Cluster, s.Linear)
			if p.Observed {
				c, r = s.world(p.Cluster), s.told()
				if !s.Linear {
					note = ", as one of them remembers it: there is no quorum"
				}
			}
			if !c.Known {
				return engine.Planned{}, membersResults{}
			}
			return engine.Planned{Summary: count(len(c.Members), "member") + ": " + strings.Join(labels(c.Members), ", ") + note}, r
		},
		Model: func(_ string, _ membersArgs, w *world.World) (membersResults, []string, bool) {
			b := w.Cluster.Budget()
			r := membersOf(w.Cluster, b.Healthy >= b.Quorum)
			for _, m := range w.Cluster.Members {
				if m.ID == "" {
					return r, []string{"members", "index"}, w.Cluster.Known
				}
			}
			return r, []string{"index"}, w.Cluster.Known
		},
	})
}

func (l listing) told() membersResults {
	r := membersOf(l.world(engine.Cluster{}), l.Linear)
	r.Index = int64(l.Index)
	return r
}

func membersOf(c world.Cluster, agreed bool) membersResults {
	r := membersResults{ClusterID: c.ID, Agreed: agreed, Count: len(c.Members), InitialCluster: world.InitialCluster(c.Members)}
	for _, m := range c.Members {
		r.Members = append(r.Members, etcd.Member{
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
