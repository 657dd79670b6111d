package snapshot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/etcd"
)

// Remains tells what is left of the cluster.
func Remains() *engine.Type {
	return engine.Define(engine.Spec[remainsArgs, remains, remainsResults]{
		Name: "etcd_remains",
		Doc: "Tells what is left of the cluster: which hosts answer, where etcd runs, whether there is a quorum, how far " +
			"what still serves has come. That nobody answers is an answer, not an error.",
		Effect: engine.Read, Where: engine.Controller, Retryable: true, Timeout: 2 * time.Minute,
		Observe: observeRemains, Report: reportRemains, Plan: planRemains,
	})
}

type remainsArgs struct {
	Lost []string `play:"lost" doc:"Names of hosts that are gone for good. They are not connected to; only whether a member answers at their peer URLs is tried." default:"none"`
}

type remainsResults struct {
	Reachable   []string `play:"reachable" doc:"The hosts of members that can be looked at, in the inventory's order."`
	Unreachable []string `play:"unreachable" doc:"Those that cannot, and are not named as lost."`
	Running     []string `play:"running" doc:"Those whose etcd runs, or is on its way to."`
	Answering   []string `play:"answering" doc:"Those of lost at whose peer URLs a member answers all the same."`
	WALDirs     []string `play:"wal_dirs" doc:"Those whose etcd keeps its log outside the data directory."`
	Quorum      bool     `play:"quorum" doc:"Whether a quorum of the voters is healthy."`
	Healthy     []string `play:"healthy" doc:"Names of the members that are healthy."`
	ClusterID   string   `play:"cluster_id" doc:"Of the cluster that answers, hex; empty if none does."`
	Revision    int64    `play:"revision" doc:"The highest revision that a member which answers has; 0 if none does."`
	Version     string   `play:"version" doc:"The lowest minor version that runs, such as 3.6.0; empty if none answers."`
}

// remains is what was seen.
type remains struct {
	Cluster world.Cluster
	Hosts   []world.Bystander
	WALDirs []string
}

func observeRemains(ctx context.Context, l engine.Look, a remainsArgs) (s remains, err error) {
	for _, name := range a.Lost {
		if !slices.Contains(l.Cluster.Members, name) {
			return s, fmt.Errorf("lost names %s, which is no member of the cluster in the inventory (%s)", name, strings.Join(l.Cluster.Members, ", "))
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Cluster = etcd.Survey(ctx, l, present(l.Cluster, a.Lost))
	}()
	s.Hosts, s.WALDirs, err = bystanders(ctx, l, a.Lost)
	<-done
	if s.Cluster.ID != "" && !s.Cluster.Known {
		return s, errors.New(s.Cluster.Why) // somebody answers, and is not the cluster that is meant
	}
	return s, err
}

// present is the endpoints that are not on hosts which are lost: a member that
// came back there is found at its peer URL, and is not asked about the cluster.
func present(c engine.Cluster, lost []string) []string {
	gone := map[string]bool{}
	for _, name := range lost {
		for _, text := range c.PeerURLs[name] {
			if u, err := url.Parse(text); err == nil {
				gone[u.Hostname()] = true
			}
		}
	}
	var endpoints []string
	for _, text := range c.Endpoints {
		if u, err := url.Parse(text); err != nil || !gone[u.Hostname()] {
			endpoints = append(endpoints, text)
		}
	}
	return endpoints
}

func reportRemains(_ remainsArgs, s remains) remainsResults {
	b := s.Cluster.Budget()
	r := remainsResults{
		Quorum: s.Cluster.Known && b.Voters > 0 && b.Healthy >= b.Quorum, WALDirs: s.WALDirs,
		ClusterID: s.Cluster.ID, Version: s.Cluster.Version,
	}
	for _, h := range s.Hosts {
		switch {
		case h.Dead && h.Answers != "":
			r.Answering = append(r.Answering, h.Host)
		case h.Dead:
		case !h.Looked:
			r.Unreachable = append(r.Unreachable, h.Host)
		default:
			r.Reachable = append(r.Reachable, h.Host)
		}
		if h.Running {
			r.Running = append(r.Running, h.Host)
		}
	}
	for _, m := range s.Cluster.Members {
		if m.Health == world.Healthy {
			r.Healthy = append(r.Healthy, m.Label())
		}
		r.Revision = max(r.Revision, m.Revision)
	}
	return r
}

func planRemains(p engine.Planning, a remainsArgs, s remains) (engine.Planned, remainsResults) {
	if !p.Observed {
		return engine.Planned{Summary: "told during the run: what is left of the cluster"}, remainsResults{}
	}
	r := reportRemains(a, s)
	text := "nobody serves"
	if b := s.Cluster.Budget(); s.Cluster.Known {
		text = fmt.Sprintf("%d of %d voters healthy, quorum %d; revision %d", b.Healthy, b.Voters, b.Quorum, r.Revision)
	}
	planned := engine.Planned{Summary: text}
	for _, h := range s.Hosts {
		planned.Details = append(planned.Details, engine.Detail{Name: h.Host, Value: words(h)})
	}
	return planned, r
}

// words is what a host is seen to do.
func words(h world.Bystander) string {
	var parts []string
	switch {
	case h.Dead:
		parts = append(parts, "named as lost")
	case !h.Looked:
		parts = append(parts, "does not answer: "+h.Why)
	case h.Running:
		parts = append(parts, "etcd runs")
	case h.Masked:
		parts = append(parts, "etcd is stopped and masked")
	default:
		parts = append(parts, "etcd is stopped")
	}
	if h.Answers != "" && (h.Dead || !h.Running) {
		parts = append(parts, "a member answers at "+h.Answers)
	}
	return strings.Join(parts, ", ")
}

// answerIn is how long a member's port is waited for.
const answerIn = 3 * time.Second

// bystanders looks at the hosts of all members at once.
func bystanders(ctx context.Context, l engine.Look, lost []string) (hosts []world.Bystander, walDirs []string, err error) {
	hosts = make([]world.Bystander, len(l.Cluster.Members))
	errs := make([]error, len(hosts))
	elsewhere := make([]bool, len(hosts))
	var wg sync.WaitGroup
	for i, name := range l.Cluster.Members {
		wg.Go(func() {
			hosts[i], elsewhere[i], errs[i] = bystander(ctx, l, name, slices.Contains(lost, name))
		})
	}
	wg.Wait()
	for i, name := range l.Cluster.Members {
		if elsewhere[i] {
			walDirs = append(walDirs, name)
		}
	}
	return hosts, walDirs, errors.Join(errs...)
}

// bystander looks at one host. Its error says that a plan cannot tell.
func bystander(ctx context.Context, l engine.Look, name string, dead bool) (b world.Bystander, walDir bool, err error) {
	b = world.Bystander{Host: name, Dead: dead}
	dial := l.Dial
	if !dead {
		r, err := l.At(ctx, name)
		if err == nil {
			walDir, err = lookInto(ctx, &b, r, l)
			dial = r.Dial
		}
		if errors.Is(err, engine.ErrImagined) {
			return b, false, err
		}
		if err != nil {
			b.Why = strings.ReplaceAll(err.Error(), "\n", " ")
			dial = l.Dial
		}
	}
	for _, text := range l.Cluster.PeerURLs[name] {
		u, err := url.Parse(text)
		if err != nil || dial == nil {
			continue
		}
		dctx, cancel := context.WithTimeout(ctx, answerIn)
		var c net.Conn
		c, err = dial(dctx, u.Host)
		cancel()
		if errors.Is(err, engine.ErrImagined) {
			return b, walDir, err
		}
		if err == nil {
			_ = c.Close() // it was only to be made
			b.Answers = u.Host
			break
		}
	}
	return b, walDir, nil
}

// lookInto looks at the host itself.
func lookInto(ctx context.Context, b *world.Bystander, r conn.Reader, l engine.Look) (walDir bool, err error) {
	u, err := r.Unit(ctx, l.Cluster.Unit)
	if err != nil && !errors.Is(err, conn.ErrNoUnit) {
		return false, err
	}
	switch u.ActiveState {
	case "", "inactive", "failed", "maintenance":
		b.Running = u.MainPID != 0
	default:
		b.Running = true
	}
	b.Masked = u.LoadState == "masked" || err != nil || // there is nothing to start
		slices.ContainsFunc(u.DropInPaths, func(p string) bool { return path.Base(p) == world.MaskDropin })
	m, ok, err := readMarker(ctx, r, l.Cluster.DataDir)
	if err != nil {
		return false, err
	}
	b.Ours, b.Looked = ok && m.Run == l.RunID, true
	for _, e := range u.Environment {
		walDir = walDir || strings.HasPrefix(e, "ETCD_WAL_DIR=")
	}
	for _, argv := range u.ExecStart {
		for _, word := range argv {
			walDir = walDir || strings.HasPrefix(strings.TrimLeft(word, "-"), "wal-dir")
		}
	}
	return walDir, nil
}
