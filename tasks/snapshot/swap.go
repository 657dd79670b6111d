package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Swap puts a restored data directory in the place of the member's.
func Swap() *engine.Type {
	return engine.Define(engine.Spec[swapArgs, swapState, swapResults]{
		Name: "etcd_data_swap",
		Doc: "Puts a restored data directory in the place of the member's, which is kept aside. It is the moment in which the " +
			"cluster becomes another one, so it is refused unless no member of the old one runs or could be started, on any " +
			"host of the cluster: each is stopped and masked, or named as lost and silent.",
		Effect: engine.Change, Where: engine.OnHost, Surveyed: true,
		Check: checkSwap, Observe: observeSwap, Plan: planSwap, Guard: guardSwap, Apply: applySwap,
		Settle: settleSwap, Verify: verifySwap, Advance: advanceSwap,
	})
}

type swapArgs struct {
	Restored       string   `play:"restored,required,abspath,nosecret" doc:"The restored data directory, as etcd_snapshot_restore made it in this run."`
	Aside          string   `play:"aside,required,abspath,nosecret" doc:"Where the member's data is kept. Nothing may be there."`
	InitialCluster string   `play:"initial_cluster,required,nosecret" doc:"All members of the new cluster, as they were restored."`
	DataDir        *string  `play:"data_dir,abspath,nosecret" doc:"The member's data directory." default:"cluster.data_dir"`
	Endpoints      []string `play:"endpoints,url" doc:"Client URLs of the new cluster, where they are not the inventory's: as long as clients are kept out of it, it is surveyed there as well." default:"those of the inventory"`
	Lost           []string `play:"lost" doc:"Names of hosts that are gone for good: they need not be stopped, but no member may answer there." default:"none"`
}

type swapResults struct {
	DataDir string  `play:"data_dir" doc:"The data directory."`
	Aside   *string `play:"aside" doc:"Where the old data is; null if there was none."`
}

type swapState struct {
	Looked   bool              `json:"looked"`
	Data     seen              `json:"data"`
	Mount    bool              `json:"mount"`
	Aside    seen              `json:"aside"`
	Restored seen              `json:"restored"`
	OneFS    bool              `json:"one_fs"`
	Whole    bool              `json:"whole"` // what was restored has its marker
	Ours     bool              `json:"ours"`  // the data directory is what this run has restored
	Hosts    []world.Bystander `json:"hosts"`
	Same     []world.Restoring `json:"same"` // what the hosts were restored from
}

func (a swapArgs) dataDir(c engine.Cluster) string {
	if a.DataDir != nil {
		return *a.DataDir
	}
	return c.DataDir
}

func checkSwap(a swapArgs) error {
	if _, err := world.ParseInitialCluster(a.InitialCluster); err != nil {
		return &engine.ArgError{Arg: "initial_cluster", Text: err.Error() + "."}
	}
	if a.Restored == a.Aside {
		return &engine.ArgError{Arg: "aside", Text: "It is the restored directory itself; choose another name."}
	}
	return nil
}

func observeSwap(ctx context.Context, l engine.Look, a swapArgs) (s swapState, err error) {
	dir := a.dataDir(l.Cluster)
	for _, look := range []struct {
		to   *seen
		path string
	}{{&s.Data, dir}, {&s.Aside, a.Aside}, {&s.Restored, a.Restored}} {
		if *look.to, err = see(ctx, l.Host, look.path); err != nil {
			return s, err
		}
	}
	if s.Data.Exists {
		i, err := l.Host.Stat(ctx, dir)
		if err != nil {
			return s, err
		}
		s.Mount = i.Mount
	}
	parent, err := see(ctx, l.Host, path.Dir(dir))
	if err != nil {
		return s, err
	}
	beside, err := see(ctx, l.Host, path.Dir(a.Aside))
	if err != nil {
		return s, err
	}
	s.OneFS = parent.Device == beside.Device && (!s.Restored.Exists || s.Restored.Device == parent.Device) &&
		(!s.Data.Exists || s.Mount || s.Data.Device == parent.Device)
	m, ok, err := readMarker(ctx, l.Host, a.Restored)
	if err != nil {
		return s, err
	}
	s.Whole = ok && m.Run == l.RunID
	if m, ok, err = readMarker(ctx, l.Host, dir); err != nil {
		return s, err
	}
	s.Ours = ok && m.Run == l.RunID
	if s.Hosts, _, err = bystanders(ctx, l, a.Lost); err != nil {
		return s, err
	}
	s.Same, err = restorings(ctx, l, a)
	s.Looked = true
	return s, err
}

// restorings reads of all hosts what they were restored from in this run.
func restorings(ctx context.Context, l engine.Look, a swapArgs) (all []world.Restoring, err error) {
	for _, name := range l.Cluster.Members {
		if slices.Contains(a.Lost, name) {
			continue
		}
		r, err := l.At(ctx, name)
		if err != nil {
			continue // that it does not answer is another finding
		}
		for _, dir := range []string{a.Restored, a.dataDir(l.Cluster)} {
			m, ok, err := readMarker(ctx, r, dir)
			if errors.Is(err, engine.ErrImagined) {
				return nil, err
			}
			if err == nil && ok && m.Run == l.RunID {
				all = append(all, world.Restoring{Host: name, Sum: m.Sum, Token: m.Token, InitialCluster: m.InitialCluster})
				break
			}
		}
	}
	return all, nil
}

// done reports whether there is nothing left to do.
func (s swapState) done() bool { return s.Looked && s.Ours && !s.Restored.Exists }

func planSwap(p engine.Planning, a swapArgs, s swapState) (engine.Planned, swapResults) {
	dir := a.dataDir(p.Cluster)
	r := swapResults{DataDir: dir}
	if s.Data.Exists && !s.Ours || s.Aside.Exists || !p.Observed {
		r.Aside = &a.Aside
	}
	if s.done() {
		return engine.Planned{Summary: fmt.Sprintf("%q is what was restored already", dir)}, r
	}
	place := fmt.Sprintf("%q", dir)
	if p.Unknown["data_dir"] {
		place = later
	}
	planned := engine.Planned{
		Needed: true, Summary: shown(p, "restored", a.Restored) + " -> " + place,
		Details: []engine.Detail{{Name: "old data", Value: "-> " + shown(p, "aside", a.Aside)}},
	}
	if !p.Observed {
		planned.Unknown = []string{"aside"}
	}
	return planned, r
}

func guardSwap(host string, _ swapArgs, s swapState, w *world.World) (v world.Verdict) {
	if !s.Looked || s.done() {
		return v
	}
	v.Checks = append(v.Checks, w.Cluster.MayReplace(s.Hosts, false).Checks...)
	v.Checks = append(v.Checks, world.MaySwap(world.Replacing{
		Host: host, Data: s.Data.Exists && !s.Ours, Mount: s.Mount, Aside: s.Aside.Exists, OneFS: s.OneFS, Restored: s.Whole,
	}).Checks...)
	return world.Verdict{Checks: append(v.Checks, world.SameRestore(s.Same, nil).Checks...)}
}

func applySwap(ctx context.Context, h engine.Hands, a swapArgs, s swapState) (swapResults, error) {
	dir := a.dataDir(h.Cluster)
	r := swapResults{DataDir: dir}
	if s.Aside.Exists {
		r.Aside = &a.Aside
	}
	if s.done() {
		return r, nil
	}
	if s.Data.Exists {
		if err := h.Host.Rename(ctx, dir, a.Aside); err != nil {
			return r, err
		}
		r.Aside = &a.Aside
	}
	return r, h.Host.Rename(ctx, a.Restored, dir)
}

// settleSwap goes by the inodes, which a rename keeps.
func settleSwap(ctx context.Context, l engine.Look, a swapArgs, before swapState) (engine.Settlement, swapResults, error) {
	dir := a.dataDir(l.Cluster)
	r := swapResults{DataDir: dir}
	var now swapState
	for _, look := range []struct {
		to   *seen
		path string
	}{{&now.Data, dir}, {&now.Aside, a.Aside}, {&now.Restored, a.Restored}} {
		var err error
		if *look.to, err = see(ctx, l.Host, look.path); err != nil {
			return "", r, err
		}
	}
	if now.Aside.Exists {
		r.Aside = &a.Aside
	}
	kept := !before.Data.Exists && alike(now.Aside, before.Aside) || before.Data.Exists && one(now.Aside, before.Data)
	switch {
	case one(now.Data, before.Restored) && !now.Restored.Exists && kept:
		return engine.Done, r, nil
	case alike(now.Data, before.Data) && alike(now.Restored, before.Restored) && alike(now.Aside, before.Aside):
		return engine.NotDone, r, nil
	case !now.Data.Exists && one(now.Restored, before.Restored) && kept:
		return engine.Partial, r, nil
	}
	return engine.Conflict, r, nil
}

// one reports whether both are one and the same directory.
func one(a, b seen) bool {
	return a.Exists && b.Exists && a.Device == b.Device && a.Inode == b.Inode
}

// alike reports whether both are nothing, or one and the same directory.
func alike(a, b seen) bool { return !a.Exists && !b.Exists || one(a, b) }

func verifySwap(ctx context.Context, l engine.Look, a swapArgs, r swapResults) error {
	m, ok, err := readMarker(ctx, l.Host, r.DataDir)
	switch {
	case err != nil:
		return err
	case !ok || m.Run != l.RunID:
		return fmt.Errorf("%s is not what was restored", r.DataDir)
	}
	if r.Aside != nil {
		_, err = l.Host.Stat(ctx, *r.Aside)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the old data is not at %s", *r.Aside)
	}
	return err
}

func advanceSwap(host, _ string, a swapArgs, r swapResults, w *world.World) {
	h := w.Host(host)
	if r.Aside != nil {
		h.Move(r.DataDir, a.Aside)
	}
	h.Move(a.Restored, r.DataDir)
	if w.Cluster.Replaced {
		return
	}
	initial, err := world.ParseInitialCluster(a.InitialCluster)
	if err != nil {
		return // has been checked
	}
	var members []world.Member
	for _, name := range slices.Sorted(maps.Keys(initial)) {
		members = append(members, world.Member{Name: name, PeerURLs: initial[name], Planned: "the restore"})
	}
	w.Replace("", members)
	w.Cluster.Elsewhere = a.Endpoints
}
