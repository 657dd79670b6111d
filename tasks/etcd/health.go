package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// HealthArgs is the arguments of etcd_health.
type HealthArgs struct {
	Require *string `play:"require" enum:"all quorum none" default:"none" doc:"Who has to be healthy; if they are not, the task fails."`
	Hash    *bool   `play:"hash" default:"false" doc:"Also compare HashKV of all voters at one revision. It reads the whole key space of each."`
	Reach
}

// HealthResults is the results of etcd_health.
type HealthResults struct {
	OK        bool     `play:"ok" doc:"Every member is healthy, none of them has yet to start, and there is no alarm."`
	Quorum    bool     `play:"quorum" doc:"A quorum of the voters is healthy."`
	Healthy   []string `play:"healthy" doc:"Names of the members that are healthy: they serve a linearizable read (a learner: a read), have no alarm and are at most 1000 entries behind the leader."`
	Unhealthy []string `play:"unhealthy" doc:"Names of the others; one that has not started goes by the name of its host, or by its ID."`
	Learners  []string `play:"learners" doc:"Names of the members without a vote."`
	Leader    string   `play:"leader" doc:"Name of the leader; empty if there is none."`
	Alarms    []string `play:"alarms" doc:"Alarms as \"name: NOSPACE\"."`
	Versions  []string `play:"versions" doc:"The versions that the members run, each once, sorted."`
	Lag       uint64   `play:"lag" doc:"Raft entries that the slowest member that answers is behind the leader."`
	Revision  int64    `play:"revision" doc:"The revision at which HashKV was compared; without hash, the highest that was seen."`
	HashEqual *bool    `play:"hash_equal" doc:"Whether HashKV of all voters is equal; null without hash."`
}

// surveyed is what etcd_health observed.
type surveyed struct {
	Cluster world.Cluster
	Hashes  *hashes
}

func health() *engine.Type {
	return engine.Define(engine.Spec[HealthArgs, surveyed, HealthResults]{
		Name:      "etcd_health",
		Doc:       "Asks every member for a linearizable read, its alarms, version and lag. It reports, and fails only where require says so.",
		Effect:    engine.Read,
		Where:     engine.Controller,
		Retryable: true,
		Volatile:  true,
		Check:     func(a HealthArgs) error { return a.check() },
		Observe:   observeHealth,
		Report:    func(_ HealthArgs, s surveyed) HealthResults { return healthOf(s) },
		Plan: func(p engine.Planning, _ HealthArgs, s surveyed) (engine.Planned, HealthResults) {
			if !p.Observed {
				s = surveyed{Cluster: p.World.Cluster}
			}
			if !s.Cluster.Known {
				return engine.Planned{}, HealthResults{}
			}
			return engine.Planned{Summary: healthSummary(s), Details: healthDetails(s)}, healthOf(s)
		},
		Model: func(_ string, a HealthArgs, w *world.World) (HealthResults, []string, bool) {
			r := healthOf(surveyed{Cluster: w.Cluster})
			unknown := []string{"lag", "revision"}
			if w.Cluster.Leader == "" {
				unknown = append(unknown, "leader")
			}
			for _, m := range w.Cluster.Members {
				if m.Version == "" {
					unknown = append(unknown, "versions")
					break
				}
			}
			if a.hash() {
				unknown = append(unknown, "hash_equal")
			}
			return r, unknown, w.Cluster.Known
		},
	})
}

func (a HealthArgs) hash() bool { return a.Hash != nil && *a.Hash }

func observeHealth(ctx context.Context, l engine.Look, a HealthArgs) (surveyed, error) {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return surveyed{}, err
	}
	s := surveyed{Cluster: acc.surveyUpTo(ctx, 2)}
	if !s.Cluster.Known {
		return surveyed{}, errors.New(s.Cluster.Why)
	}
	if a.hash() {
		if s.Hashes, err = acc.compare(ctx, s.Cluster); err != nil {
			return surveyed{}, err
		}
	}
	return s, required(a, s)
}

// required is the error of a cluster that is not as healthy as the task demands.
func required(a HealthArgs, s surveyed) error {
	r := healthOf(s)
	var reasons []string
	for _, m := range s.Cluster.Members {
		if m.Health != world.Healthy {
			reasons = append(reasons, m.Label()+" "+m.Why)
		}
	}
	why := strings.Join(reasons, "; ")
	b := s.Cluster.Budget()
	switch {
	case a.Require == nil || *a.Require == "none":
	case *a.Require == "all" && !r.OK:
		return fmt.Errorf("%s, and all are required: %s", healthSummary(s), why)
	case *a.Require == "quorum" && !r.Quorum:
		return fmt.Errorf("%d of %s healthy, and %d are required as a quorum: %s", b.Healthy, count(b.Voters, "voter"), b.Quorum, why)
	}
	return nil
}

func healthOf(s surveyed) HealthResults {
	c := s.Cluster
	b := c.Budget()
	r := HealthResults{OK: c.Known && len(c.Members) > 0, Quorum: c.Known && b.Voters > 0 && b.Healthy >= b.Quorum}
	for _, m := range c.Members {
		if m.Health == world.Healthy {
			r.Healthy = append(r.Healthy, m.Label())
		} else {
			r.OK = false
			r.Unhealthy = append(r.Unhealthy, m.Label())
		}
		if m.Learner {
			r.Learners = append(r.Learners, m.Label())
		}
		for _, alarm := range m.Alarms {
			r.OK = false
			r.Alarms = append(r.Alarms, m.Label()+": "+alarm)
		}
		if m.Version != "" && !slices.Contains(r.Versions, m.Version) {
			r.Versions = append(r.Versions, m.Version)
		}
		if m.Name == "" {
			r.OK = false
		}
		if m.Version != "" {
			r.Lag = max(r.Lag, m.Lag)
		}
		r.Revision = max(r.Revision, m.Revision)
	}
	slices.Sort(r.Versions)
	if m := c.Member(c.Leader); m != nil {
		r.Leader = m.Label()
	}
	if s.Hashes != nil {
		equal := s.Hashes.equal()
		r.HashEqual, r.Revision = &equal, s.Hashes.Revision
	}
	return r
}

func healthSummary(s surveyed) string {
	r := healthOf(s)
	text := fmt.Sprintf("%d of %d healthy", len(r.Healthy), len(s.Cluster.Members))
	if len(r.Unhealthy) > 0 {
		text += ", not healthy: " + strings.Join(r.Unhealthy, ", ")
	}
	if s.Hashes != nil {
		text += "; " + s.Hashes.words()
	}
	return text
}

// healthDetails says why each unhealthy member is so.
func healthDetails(s surveyed) []engine.Detail {
	var ds []engine.Detail
	for _, m := range s.Cluster.Members {
		if m.Health != world.Healthy && m.Why != "" {
			ds = append(ds, engine.Detail{Name: m.Label(), Value: m.Why})
		}
	}
	return ds
}

// hashes is HashKV of the voters at one revision.
type hashes struct {
	Revision int64
	By       map[string]hashed // by label
	Missing  []string          // labels of voters that could not be asked
}

type hashed struct {
	Hash    uint32
	Compact int64 // what a hash covers depends on what has been compacted away
}

func (h *hashes) equal() bool {
	first := true
	var want hashed
	for _, got := range h.By {
		if !first && got != want {
			return false
		}
		want, first = got, false
	}
	return len(h.Missing) == 0 && len(h.By) > 0
}

func (h *hashes) words() string {
	switch {
	case len(h.Missing) > 0:
		return "HashKV not told by " + strings.Join(h.Missing, ", ")
	case h.equal():
		return fmt.Sprintf("HashKV equal at revision %d", h.Revision)
	}
	return fmt.Sprintf("HashKV differs at revision %d", h.Revision)
}

// hashFor bounds one HashKV, which reads the whole key space of a member.
const hashFor = time.Minute

// compare hashes the key space of every voter at the lowest revision that all of
// them have. A member between two compactions is asked again.
func (a *access) compare(ctx context.Context, c world.Cluster) (*hashes, error) {
	h := &hashes{}
	for _, m := range c.Members {
		if !m.Learner && m.Revision > 0 && (h.Revision == 0 || m.Revision < h.Revision) {
			h.Revision = m.Revision
		}
	}
	ctx, cancel := context.WithTimeout(ctx, hashFor)
	defer cancel()
	for try := 1; ; try++ {
		h.By, h.Missing = map[string]hashed{}, nil
		type answer struct {
			label string
			hashed
			err error
		}
		answers := make(chan answer)
		asked := 0
		for _, m := range c.Members {
			if m.Learner {
				continue
			}
			asked++
			go func() {
				got, err := a.hashOf(ctx, m, h.Revision)
				answers <- answer{m.Label(), got, err}
			}()
		}
		compact := map[int64]bool{}
		for range asked {
			got := <-answers
			if got.err != nil {
				h.Missing = append(h.Missing, got.label)
				continue
			}
			h.By[got.label] = got.hashed
			compact[got.Compact] = true
		}
		slices.Sort(h.Missing)
		if len(compact) <= 1 || try == 3 {
			return h, ctx.Err()
		}
	}
}

func (a *access) hashOf(ctx context.Context, m world.Member, revision int64) (hashed, error) {
	if m.Revision == 0 {
		return hashed{}, errors.New(m.Why)
	}
	err := errors.New("has no client URL")
	for _, u := range m.ClientURLs {
		var r *clientv3.HashKVResponse
		err = a.read(ctx, u, func(c *client) (err error) {
			r, err = c.maintenance().HashKV(c.life, u, revision)
			return err
		})
		if err == nil {
			return hashed{r.Hash, r.CompactRevision}, nil
		}
	}
	return hashed{}, err
}
