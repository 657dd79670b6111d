package etcd2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/etcdunit"
)

// force is whether a host's next start of etcd would force a new cluster.
type force struct {
	By  string // what in the unit's settings says so; "" for nothing
	Why string // why it cannot be told; "" if it can
}

// forceOf looks at the unit as systemd would start it, with the files that its
// environment comes from.
func forceOf(ctx context.Context, r conn.Reader, unit string) (force, conn.Unit) {
	u, err := r.Unit(ctx, unit)
	switch {
	case errors.Is(err, conn.ErrNoUnit):
		return force{}, u
	case err != nil:
		return force{Why: err.Error()}, u
	case u.NeedDaemonReload:
		return force{Why: "systemd has an older version of " + unit + " in mind (NeedDaemonReload)"}, u
	}
	env, err := etcdunit.Environment(ctx, r, u)
	if err != nil {
		return force{Why: err.Error()}, u
	}
	var environment []string
	for name, value := range env {
		environment = append(environment, name+"="+value)
	}
	return force{By: world.ForcesNewCluster(environment, u.ExecStart)}, u
}

// forcedFor bounds the look at all hosts: one that does not answer must not hold
// up the rest.
const forcedFor = 10 * time.Second

// forcedHosts looks at the hosts of the members listed, and at the one that has
// these peer URLs. Nil where no hosts can be looked at.
func forcedHosts(ctx context.Context, l engine.Look, list listing, urls []string) map[string]force {
	if l.At == nil {
		return nil
	}
	c := list.world(l.Cluster)
	hosts := map[string]bool{c.HostOf(urls): true}
	for _, m := range c.Members {
		hosts[m.Host] = true
	}
	delete(hosts, "")
	ctx, cancel := context.WithTimeout(ctx, forcedFor)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	found := map[string]force{}
	for host := range hosts {
		wg.Go(func() {
			var f force
			if r, err := l.At(ctx, host); err != nil {
				f.Why = err.Error()
			} else {
				f, _ = forceOf(ctx, r, l.Cluster.Unit)
			}
			mu.Lock()
			defer mu.Unlock()
			found[host] = f
		})
	}
	wg.Wait()
	return found
}

// unforced is Q11 for an addition: on no host of the cluster's members, nor on
// that of the new one, would the next start force a new cluster. A host that was
// not looked at (in a plan, or where there are none) says nothing.
func unforced(found map[string]force, c *world.Cluster, urls []string) world.Check {
	q := world.Check{ID: "Q11", Holds: true, Text: "force-new-cluster is not effective on any host of the cluster"}
	hosts := map[string]bool{c.HostOf(urls): true}
	for _, m := range c.Members {
		hosts[m.Host] = true
	}
	for _, host := range slices.Sorted(maps.Keys(found)) {
		f := found[host]
		if !hosts[host] || f == (force{}) {
			continue
		}
		q.Holds = false
		if f.By != "" {
			q.Text = fmt.Sprintf("%s on %s would force a new cluster at its next start (%s) and throw out every other member", c.Unit, host, f.By)
			q.Help = "remove that setting first, with systemd_dropin and state = \"absent\" if it is a drop-in of ours"
			return q
		}
		q.Text = fmt.Sprintf("whether %s on %s would force a new cluster cannot be told: %s", c.Unit, host, f.Why)
		q.Help = "make the host answer, and let systemd read its files (systemctl daemon-reload)"
	}
	return q
}
