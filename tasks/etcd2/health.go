package etcd2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// healthArgs is the arguments of etcd2_health.
type healthArgs struct {
	Require *string `play:"require" enum:"all quorum none" default:"none" doc:"Who has to be healthy; if they are not, the task fails."`
	Reach
}

// healthResults is the results of etcd2_health.
type healthResults struct {
	OK        bool     `play:"ok" doc:"Every member is healthy, and none of them has yet to start."`
	Quorum    bool     `play:"quorum" doc:"A quorum of the members is healthy."`
	Healthy   []string `play:"healthy" doc:"Names of the members that are healthy: they serve a read that a quorum agrees on, and are at most 1000 entries behind."`
	Unhealthy []string `play:"unhealthy" doc:"Names of the others; one that has not started goes by the name of its host, or by its ID."`
	Leader    string   `play:"leader" doc:"Name of the leader; empty if there is none."`
	Versions  []string `play:"versions" doc:"The versions that the members run, each once, sorted."`
	Index     int64    `play:"index" doc:"The highest index of the v2 store that a member told (X-Etcd-Index); it grows with each write."`
	RaftIndex uint64   `play:"raft_index" doc:"The highest index of the log that a member told (X-Raft-Index)."`
	Strangers []string `play:"strangers" doc:"Hosts of the inventory on whose peer ports etcd answers without being one of the members."`
}

// surveyed is what etcd2_health observed.
type surveyed struct {
	Cluster   world.Cluster
	Strangers []string
}

func health() *engine.Type {
	return engine.Define(engine.Spec[healthArgs, surveyed, healthResults]{
		Name:      "etcd2_health",
		Doc:       "Asks every member over API 2 for a read that a quorum agrees on, its version and its indexes. It reports, and fails only where require says so.",
		Effect:    engine.Read,
		Where:     engine.Controller,
		Retryable: true,
		Volatile:  true,
		Check:     func(a healthArgs) error { return a.check() },
		Observe:   observeHealth,
		Report:    func(_ healthArgs, s surveyed) healthResults { return s.results() },
		Plan: func(p engine.Planning, _ healthArgs, s surveyed) (engine.Planned, healthResults) {
			if !p.Observed {
				s = surveyed{Cluster: p.World.Cluster}
			}
			if !s.Cluster.Known {
				return engine.Planned{}, healthResults{}
			}
			return engine.Planned{Summary: healthSummary(s.Cluster), Details: healthDetails(s)}, s.results()
		},
		Model: func(_ string, _ healthArgs, w *world.World) (healthResults, []string, bool) {
			unknown := []string{"index", "raft_index", "strangers"}
			if w.Cluster.Leader == "" {
				unknown = append(unknown, "leader")
			}
			for _, m := range w.Cluster.Members {
				if m.Version == "" {
					unknown = append(unknown, "versions")
					break
				}
			}
			return healthOf(w.Cluster), unknown, w.Cluster.Known
		},
	})
}

func observeHealth(ctx context.Context, l engine.Look, a healthArgs) (surveyed, error) {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return surveyed{}, err
	}
	var s surveyed
	s.Cluster, _ = acc.survey(ctx)
	if !s.Cluster.Known {
		return s, errors.New(s.Cluster.Why)
	}
	s.Strangers = acc.strangers(ctx, &s.Cluster)
	return s, required(a, s.Cluster)
}

// strangers are the hosts of the inventory on which etcd answers its peers
// without being one of the cluster's members: one that was removed and has come
// back, say. Whose it is stands beside the name.
func (a *access) strangers(ctx context.Context, c *world.Cluster) []string {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var found []string
	for host, urls := range a.look.Cluster.PeerURLs {
		if c.OnHost(host) != nil {
			continue
		}
		for _, u := range urls {
			wg.Go(func() {
				l, err := a.byPeer(ctx, u)
				if err != nil {
					return
				}
				text := host + " (cluster " + l.ClusterID + ")"
				if l.ClusterID == c.ID {
					text = fmt.Sprintf("%s (this cluster, with %s as it remembers)", host, count(len(l.Members), "member"))
				}
				mu.Lock()
				defer mu.Unlock()
				found = append(found, text)
			})
		}
	}
	wg.Wait()
	slices.Sort(found)
	return found
}

// required is the error of a cluster that is not as healthy as the task demands.
func required(a healthArgs, c world.Cluster) error {
	r := healthOf(c)
	var reasons []string
	for _, d := range healthDetails(surveyed{Cluster: c}) {
		reasons = append(reasons, d.Name+" "+d.Value)
	}
	why := strings.Join(reasons, "; ")
	b := c.Budget()
	switch {
	case a.Require == nil || *a.Require == "none":
	case *a.Require == "all" && !r.OK:
		return fmt.Errorf("%s, and all are required: %s", healthSummary(c), why)
	case *a.Require == "quorum" && !r.Quorum:
		return fmt.Errorf("%d of %s healthy, and %d are required as a quorum: %s", b.Healthy, count(b.Voters, "member"), b.Quorum, why)
	}
	return nil
}

func (s surveyed) results() healthResults {
	r := healthOf(s.Cluster)
	r.Strangers = s.Strangers
	return r
}

func healthOf(c world.Cluster) healthResults {
	b := c.Budget()
	r := healthResults{OK: c.Known && len(c.Members) > 0, Quorum: c.Known && b.Voters > 0 && b.Healthy >= b.Quorum}
	for _, m := range c.Members {
		if m.Health == world.Healthy {
			r.Healthy = append(r.Healthy, m.Label())
		} else {
			r.OK = false
			r.Unhealthy = append(r.Unhealthy, m.Label())
		}
		if m.Version != "" && !slices.Contains(r.Versions, m.Version) {
			r.Versions = append(r.Versions, m.Version)
		}
		r.Index, r.RaftIndex = max(r.Index, m.Revision), max(r.RaftIndex, m.Applied)
	}
	slices.Sort(r.Versions)
	if m := c.Member(c.Leader); m != nil {
		r.Leader = m.Label()
	}
	return r
}

func healthSummary(c world.Cluster) string {
	r := healthOf(c)
	text := fmt.Sprintf("%d of %d healthy", len(r.Healthy), len(c.Members))
	if len(r.Unhealthy) > 0 {
		text += ", not healthy: " + strings.Join(r.Unhealthy, ", ")
	}
	return text
}

// healthDetails says why each unhealthy member is so, and who else answers.
func healthDetails(s surveyed) []engine.Detail {
	var ds []engine.Detail
	for _, m := range s.Cluster.Members {
		if m.Health != world.Healthy && m.Why != "" {
			ds = append(ds, engine.Detail{Name: m.Label(), Value: m.Why})
		}
	}
	for _, text := range s.Strangers {
		ds = append(ds, engine.Detail{Name: "not a member", Value: "etcd answers on " + text})
	}
	return ds
}
