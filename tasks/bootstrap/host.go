package bootstrap

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
	"github.com/etcdplay/etcdplay/tasks/etcdunit"
)

// HostArgs is the arguments of etcd_host.
type HostArgs struct {
	Peers   []string `play:"listen_peer_urls,required,url" doc:"The URLs at which the member will listen for peers."`
	Clients []string `play:"listen_client_urls,required,url" doc:"The URLs at which it will listen for clients."`
	Reaches []string `play:"reaches,url" default:"none" doc:"URLs that the host has to reach."`
	Needs   []string `play:"needs,abspath,nosecret" default:"none" doc:"Files that have to be there."`
	Unit    *string  `play:"unit,unit,nosecret" default:"cluster.unit" doc:"The unit that the member will run as."`
	DataDir *string  `play:"data_dir,abspath,nosecret" default:"cluster.data_dir" doc:"The member's data directory."`
	Etcd    *string  `play:"etcd,abspath,nosecret" default:"what the unit runs" doc:"The etcd program on the host, which is asked for its version. Without it the version is that of the unit's ETCD_IMAGE_TAG, or that of a program called etcd which the unit starts, itself or by a wrapper."`
}

// HostResults is the results of etcd_host.
type HostResults struct {
	Ready     bool     `play:"ready" doc:"Whether a member can be made here: the unit is there and at rest, there is no data, nobody listens."`
	Why       []string `play:"why" doc:"What stands against it."`
	Version   string   `play:"version" doc:"The version of etcd that the unit will run, such as \"3.6.16\"; empty if it cannot be told."`
	Data      bool     `play:"data" doc:"Whether there is anything in the data directory."`
	Untouched bool     `play:"untouched" doc:"Whether what stands against it is nothing but the cluster of one that an etcd package makes when it is installed: its unit runs, and that cluster has no other member, and has never held a key, a user or a lease."`
	Unreached []string `play:"unreached" doc:"The URLs of reaches that the host does not reach."`
}

type hostState struct {
	HostResults
	Notes []string `json:"notes"` // what does not stand against it, and should be known
}

func host() *engine.Type {
	return engine.Define(engine.Spec[HostArgs, hostState, HostResults]{
		Name: "etcd_host",
		Doc: "Tells whether the first member of a new cluster can be made on a host, and all that stands against it: no unit, " +
			"a unit that runs, data of another member, an address that is taken, an etcd that cannot be told.",
		Effect: engine.Read, Where: engine.OnHost, Retryable: true, Volatile: true,
		Observe: observeHost,
		Report:  func(_ HostArgs, s hostState) HostResults { return s.HostResults },
		Plan:    planHost,
	})
}

func (a HostArgs) unit(c engine.Cluster) string {
	if a.Unit != nil {
		return *a.Unit
	}
	return c.Unit
}

func (a HostArgs) dataDir(c engine.Cluster) string {
	if a.DataDir != nil {
		return *a.DataDir
	}
	return c.DataDir
}

func observeHost(ctx context.Context, l engine.Look, a HostArgs) (s hostState, err error) {
	u, err := l.Host.Unit(ctx, a.unit(l.Cluster))
	if err != nil && !errors.Is(err, conn.ErrNoUnit) {
		return s, err
	}
	if err != nil {
		u = conn.Unit{LoadState: "not-found"}
	}
	name := a.unit(l.Cluster)
	switch {
	case u.LoadState == "not-found":
		s.against("there is no unit %s; install etcd there first, or correct the unit's name in the inventory", name)
	case u.LoadState != "loaded":
		s.against("the unit %s is %s", name, u.LoadState)
	case u.ActiveState != "inactive" && u.ActiveState != "failed" || u.MainPID != 0:
		s.against("%s is %s", name, u.ActiveState)
	}
	if u.LoadState == "loaded" {
		s.tell(ctx, l.Host, u, a)
		if u.UnitFileState == "disabled" {
			s.Notes = append(s.Notes, name+" is disabled: the next boot will not start it")
		}
	}
	entries, err := content(ctx, l.Host, a.dataDir(l.Cluster))
	if err != nil {
		return s, err
	}
	if s.Data = len(entries) > 0; s.Data {
		s.against("there is data in %s (%s)", a.dataDir(l.Cluster), listed(entries))
	}
	for _, f := range a.Needs {
		if _, err := l.Host.Stat(ctx, f); errors.Is(err, fs.ErrNotExist) {
			s.against("there is no file %s", f)
		} else if err != nil {
			return s, err
		}
	}
	taken := s.knock(ctx, l.Host, a)
	if u.ActiveState == "active" && s.Data {
		taken = slices.DeleteFunc(taken, func(u string) bool { return slices.Contains(a.Peers, u) })
		s.Untouched = untouched(ctx, l.Host.Dial, append(taken, packaged))
	}
	s.Ready = len(s.Why) == 0
	return s, ctx.Err()
}

func (s *hostState) against(format string, args ...any) {
	s.Why = append(s.Why, fmt.Sprintf(format, args...))
}

// content names what is directly in a data directory, without what a file system
// of its own brings along.
func content(ctx context.Context, h conn.Reader, dir string) ([]string, error) {
	i, err := h.Stat(ctx, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !i.Mode.IsDir():
		return []string{"it is not a directory"}, nil
	}
	infos, err := h.ReadDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range infos {
		if n := path.Base(i.Path); n != "lost+found" {
			names = append(names, n)
		}
	}
	return names, nil
}

// knock tries the addresses that the member will listen at, and those that the
// host has to reach. It returns the URLs at which somebody listens already.
func (s *hostState) knock(ctx context.Context, h conn.Reader, a HostArgs) (taken []string) {
	for _, u := range slices.Concat(a.Peers, a.Clients) {
		if words, _ := dialer(h.Dial).answers(ctx, u); words != "" {
			s.against("%s %s", u, words)
			taken = append(taken, u)
		}
	}
	for _, u := range a.Reaches {
		addr, err := dialAddr(u)
		if err == nil {
			err = dialer(h.Dial).reach(ctx, addr)
		}
		if err != nil {
			s.Unreached = append(s.Unreached, u)
			s.against("it does not reach %s: %v", u, err)
		}
	}
	return taken
}

// tell fills in the version of the etcd that the unit will run.
func (s *hostState) tell(ctx context.Context, h conn.Reader, u conn.Unit, a HostArgs) {
	start, err := etcdunit.Read(ctx, h, u)
	if err != nil {
		s.against("%v", err)
		return
	}
	version, source, err := start.Version(ctx, h, a.Etcd)
	switch {
	case err != nil:
		s.against("%v", err)
	case version == "":
		s.against("which etcd %s will run cannot be told: %s; name the program (etcd)", u.Name, source)
	}
	s.Version = version
}

func planHost(p engine.Planning, a HostArgs, s hostState) (engine.Planned, HostResults) {
	if !p.Observed {
		return engine.Planned{Summary: "told during the run: whether a member can be made here"}, HostResults{}
	}
	planned := engine.Planned{Summary: "etcd " + s.Version + ", no data, nobody listens"}
	if !s.Ready {
		planned.Summary = strings.Join(s.Why, "; ")
	}
	for _, n := range s.Notes {
		planned.Details = append(planned.Details, engine.Detail{Name: "note", Value: n})
	}
	return planned, s.HostResults
}
