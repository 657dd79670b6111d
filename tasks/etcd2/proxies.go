package etcd2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/etcdunit"
)

// proxiesArgs is the arguments of etcd2_proxies.
type proxiesArgs struct {
	Units []string `play:"units" default:"cluster.unit, and every unit file with etcd or proxy in its name" doc:"Units to look at besides."`
}

// proxiesResults is the results of etcd2_proxies.
type proxiesResults struct {
	Proxies []proxy `play:"proxies" doc:"The units that are proxies, by name."`
}

// proxy is one unit that hands clients on to the cluster.
type proxy struct {
	Unit      string `play:"unit"`
	Kind      string `play:"kind"` // v2 proxy, grpc-proxy, gateway
	Active    bool   `play:"active"`
	Endpoints string `play:"endpoints"` // that its settings name; empty if none
	Needs     string `play:"needs"`     // after the members have changed
}

func proxies() *engine.Type {
	return engine.Define(engine.Spec[proxiesArgs, proxiesResults, proxiesResults]{
		Name: "etcd2_proxies",
		Doc: "Finds units on a host that are proxies of etcd (v2 proxy, grpc-proxy, gateway), and says what each needs once the members of its cluster are others. " +
			"It changes nothing.",
		Effect:    engine.Read,
		Where:     engine.OnHost,
		Retryable: true,
		Observe:   observeProxies,
		Report:    func(_ proxiesArgs, s proxiesResults) proxiesResults { return s },
		Plan: func(p engine.Planning, _ proxiesArgs, s proxiesResults) (engine.Planned, proxiesResults) {
			if !p.Observed {
				return engine.Planned{Summary: "told during the run: proxies of etcd"}, s
			}
			planned := engine.Planned{Summary: fmt.Sprintf("%d proxies of etcd", len(s.Proxies))}
			if len(s.Proxies) == 1 {
				planned.Summary = "1 proxy of etcd"
			}
			for _, x := range s.Proxies {
				planned.Details = append(planned.Details, engine.Detail{Name: x.Unit, Value: x.Kind + ": " + x.Needs})
			}
			return planned, s
		},
		Model: func(string, proxiesArgs, *world.World) (proxiesResults, []string, bool) {
			return proxiesResults{}, nil, false
		},
	})
}

// unitDirs is where unit files are that somebody has installed.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

func observeProxies(ctx context.Context, l engine.Look, a proxiesArgs) (proxiesResults, error) {
	var s proxiesResults
	names := map[string]bool{l.Cluster.Unit: true}
	for _, u := range a.Units {
		names[u] = true
	}
	for _, dir := range unitDirs {
		infos, err := l.Host.ReadDir(ctx, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
		for _, i := range infos {
			name := path.Base(i.Path)
			if strings.HasSuffix(name, ".service") && !strings.Contains(name, "@") && (strings.Contains(name, "etcd") || strings.Contains(name, "proxy")) {
				names[name] = true
			}
		}
	}
	delete(names, "")
	for name := range names {
		u, err := l.Host.Unit(ctx, name)
		switch {
		case errors.Is(err, conn.ErrNoUnit):
			continue
		case err != nil:
			return s, err
		}
		env, err := etcdunit.Environment(ctx, l.Host, u)
		if err != nil {
			return s, fmt.Errorf("the variables of %s: %w", name, err)
		}
		if x := proxyOf(u, env); x != nil {
			s.Proxies = append(s.Proxies, *x)
		}
	}
	slices.SortFunc(s.Proxies, func(a, b proxy) int { return strings.Compare(a.Unit, b.Unit) })
	return s, nil
}

// proxyOf is the proxy that a unit with these variables is, or nil.
func proxyOf(u conn.Unit, env map[string]string) *proxy {
	var words []string
	for _, argv := range u.ExecStart {
		for _, w := range argv {
			if name, ok := strings.CutPrefix(w, "$"); ok {
				words = append(words, strings.Fields(env[strings.Trim(name, "{}")])...)
				continue
			}
			words = append(words, w)
		}
	}
	x := &proxy{Unit: u.Name, Active: u.ActiveState == "active"}
	setting := func(flag, variable string) string {
		for i, w := range words {
			name, value, valued := strings.Cut(strings.TrimLeft(w, "-"), "=")
			switch {
			case name != flag || !strings.HasPrefix(w, "-"):
			case valued:
				return value
			case i+1 < len(words):
				return words[i+1]
			}
		}
		return env[variable]
	}
	switch {
	case slices.Contains(words, "grpc-proxy"):
		x.Kind, x.Endpoints = "grpc-proxy", setting("endpoints", "ETCD_ENDPOINTS")
		x.Needs = "--endpoints has to name the new members, then a restart; it does not follow changes unless --endpoints-auto-sync-interval says so"
	case slices.Contains(words, "gateway"):
		x.Kind, x.Endpoints = "gateway", setting("endpoints", "ETCD_ENDPOINTS")
		x.Needs = "--endpoints has to name the new members, then a restart; it never follows changes"
	default:
		mode := setting("proxy", "ETCD_PROXY")
		if mode != "on" && mode != "readonly" {
			return nil
		}
		dir := setting("data-dir", "ETCD_DATA_DIR")
		if dir == "" {
			dir = "its data directory"
		}
		x.Kind, x.Endpoints = "v2 proxy", setting("initial-cluster", "ETCD_INITIAL_CLUSTER")
		x.Needs = fmt.Sprintf("it follows by itself (--proxy-refresh-interval) while one of the members it knows is left; if none is: stop it, "+
			"move %s/proxy/cluster away, have --initial-cluster name the new members, start it", dir)
	}
	return x
}
