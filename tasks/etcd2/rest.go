package etcd2

import (
	"context"
	"errors"
	"net"
	"net/url"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// othersFor bounds the look at the other hosts.
const othersFor = 15 * time.Second

// others looks whether etcd is at rest on all other hosts of the cluster: those
// that are not lost by their units, and all by their ports.
func others(ctx context.Context, l engine.Look, a forceArgs) (held map[string]string, answering []string) {
	ctx, cancel := context.WithTimeout(ctx, othersFor)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	held = map[string]string{}
	for _, host := range l.Cluster.Members {
		if host == l.Host.Name() {
			continue
		}
		wg.Go(func() {
			port := answersAt(ctx, l, host)
			mu.Lock()
			defer mu.Unlock()
			if port != "" {
				answering = append(answering, host+" ("+port+")")
			}
		})
		if slices.Contains(a.Lost, host) || l.At == nil {
			continue
		}
		wg.Go(func() {
			why := ""
			if r, err := l.At(ctx, host); err != nil {
				why = err.Error()
			} else {
				why = atRest(ctx, r, a.Unit)
			}
			mu.Lock()
			defer mu.Unlock()
			if why != "" {
				held[host] = why
			}
		})
	}
	wg.Wait()
	slices.Sort(answering)
	return held, answering
}

// answersAt is the peer address of the host on which something listens, or "".
func answersAt(ctx context.Context, l engine.Look, host string) string {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	for _, u := range l.Cluster.PeerURLs[host] {
		parsed, err := url.Parse(u)
		if err != nil {
			continue
		}
		var c net.Conn
		if c, err = l.Host.Dial(ctx, parsed.Host); err != nil {
			continue
		}
		_ = c.Close() // nothing was sent on it
		return parsed.Host
	}
	return ""
}

// atRest says why etcd on a host is not at rest for good, or "".
func atRest(ctx context.Context, r conn.Reader, unit string) string {
	u, err := r.Unit(ctx, unit)
	switch {
	case errors.Is(err, conn.ErrNoUnit):
		return ""
	case err != nil:
		return err.Error()
	case u.ActiveState != "inactive" && u.ActiveState != "failed" || u.MainPID != 0:
		return unit + " is " + u.ActiveState
	case u.LoadState == "masked":
		return ""
	case u.NeedDaemonReload:
		return "systemd has an older version of " + unit + " in mind"
	case slices.ContainsFunc(u.DropInPaths, func(p string) bool { return path.Base(p) == world.MaskDropin }):
		return ""
	}
	return unit + " is stopped and could be started again, by the next boot or by anybody"
}
