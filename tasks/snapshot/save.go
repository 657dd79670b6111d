package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// Save saves a snapshot of one member.
func Save() *engine.Type {
	return engine.Define(engine.Spec[saveArgs, saveState, saveResults]{
		Name: "etcd_snapshot_save",
		Doc: "Saves a snapshot of one member: with on, to a file of that host, else to one of the machine that etcdplay runs on. " +
			"The file has its name only once it is whole, its checksum is right, every page was looked at, and it is on disk. " +
			"What it holds, and of which member, stands beside it in PATH.json. Nothing is overwritten. A snapshot holds everything that is in etcd, " +
			"secrets as well: both files have mode 0600.",
		Effect: engine.Change, Where: engine.Either, Retryable: true, Timeout: patience,
		Observe: observeSave, Plan: planSave, Guard: guardSave, Apply: applySave,
		Settle: settleSave, Verify: verifySave, Advance: advanceSave,
	})
}

type saveArgs struct {
	Endpoint string `play:"endpoint,required,url,nosecret" doc:"The client URL of the member to save; exactly this one is asked. It need not have a leader, but what it lacks the snapshot lacks."`
	Path     string `play:"path,required,abspath,nosecret" doc:"The file to make. Nothing may be there; the directory it lies in has to be."`
}

type saveResults struct {
	Path      string `play:"path" doc:"The snapshot."`
	SHA256    string `play:"sha256" doc:"Of the whole file, as sha256sum prints it."`
	Size      int64  `play:"size" doc:"Of the whole file, in bytes."`
	Hash      string `play:"hash" doc:"As etcdutl prints it."`
	Revision  int64  `play:"revision" doc:"The last revision in it."`
	TotalKeys int64  `play:"total_keys" doc:"How many keys there are at that revision."`
	Version   string `play:"version" doc:"The version of the storage, such as 3.6.0; empty before etcd 3.6."`
	ClusterID string `play:"cluster_id" doc:"The ID of the cluster that it is of, hex."`
	MemberID  string `play:"member_id" doc:"The ID of the member that it is of, hex."`
}

type saveState struct {
	Target seen `json:"target"`
	Parent seen `json:"parent"`
	Beside seen `json:"beside"` // where its record goes
	// Record is that of this run, and nil if there is none.
	Record *Record `json:"record"`
}

// done reports whether this run has saved it, as far as a quick look can tell.
func (s saveState) done(a saveArgs) bool {
	return s.Record != nil && s.Target.Exists && s.Target.Mode.IsRegular() &&
		s.Target.Size == s.Record.Size && s.Record.Path == a.Path && s.Record.Endpoint == a.Endpoint
}

func (s saveState) results(a saveArgs) saveResults {
	r := saveResults{Path: a.Path}
	if c := s.Record; c != nil {
		r = c.results()
	}
	return r
}

func (c Record) results() saveResults {
	return saveResults{
		Path: c.Path, SHA256: c.SHA256, Size: c.Size, Hash: c.Hash, Revision: c.Revision, TotalKeys: c.TotalKeys,
		Version: c.Version, ClusterID: c.ClusterID, MemberID: c.MemberID,
	}
}

func observeSave(ctx context.Context, l engine.Look, a saveArgs) (s saveState, err error) {
	for _, look := range []struct {
		to   *seen
		path string
	}{{&s.Target, a.Path}, {&s.Parent, path.Dir(a.Path)}, {&s.Beside, recordPath(a.Path)}} {
		if *look.to, err = at(ctx, l, look.path); err != nil {
			return s, err
		}
	}
	if !s.Beside.Mode.IsRegular() || !s.Beside.Exists {
		return s, nil
	}
	b, err := content(ctx, l, recordPath(a.Path))
	if err != nil {
		return s, err
	}
	var r Record
	if json.Unmarshal(b, &r) == nil && r.Format == recordFormat && r.Run == l.RunID {
		s.Record = &r
	}
	return s, nil
}

// at looks at a path where the task's files are.
func at(ctx context.Context, l engine.Look, p string) (seen, error) {
	if l.Host != nil {
		return see(ctx, l.Host, p)
	}
	i, err := os.Lstat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{Looked: true}, nil
	}
	if err != nil {
		return seen{}, err
	}
	return seen{Looked: true, Exists: true, Mode: i.Mode(), Size: i.Size()}, nil
}

func content(ctx context.Context, l engine.Look, p string) ([]byte, error) {
	if l.Host != nil {
		return l.Host.ReadFile(ctx, p)
	}
	return os.ReadFile(p)
}

func planSave(p engine.Planning, a saveArgs, s saveState) (engine.Planned, saveResults) {
	if p.Observed && s.done(a) {
		return engine.Planned{Summary: fmt.Sprintf("%q: saved already", a.Path)}, s.results(a)
	}
	from := a.Endpoint
	if p.Unknown["endpoint"] {
		from = later
	}
	planned := engine.Planned{
		Needed: true, Summary: shown(p, "path", a.Path) + " of " + from,
		Unknown: []string{"sha256", "size", "hash", "revision", "total_keys", "version", "cluster_id", "member_id"},
	}
	if p.Unknown["path"] {
		planned.Unknown = append(planned.Unknown, "path")
	}
	return planned, saveResults{Path: a.Path}
}

func guardSave(_ string, a saveArgs, s saveState, _ *world.World) (v world.Verdict) {
	if !s.Parent.Looked || s.done(a) {
		return v
	}
	help := "choose another name, for example with ${run.id} in it; nothing is ever overwritten"
	v.Checks = append(v.Checks,
		check("directory-exists", s.Parent.Exists && s.Parent.Mode.IsDir(),
			"make it first with a task of type directory", "at %q there is %s", path.Dir(a.Path), s.Parent.kind()),
		check("target-is-free", !s.Target.Exists, help, "at %q there is %s", a.Path, s.Target.kind()),
		check("record-is-free", !s.Beside.Exists || s.Record != nil, help, "at %q there is %s", recordPath(a.Path), s.Beside.kind()),
	)
	return v
}

func applySave(ctx context.Context, h engine.Hands, a saveArgs, s saveState) (saveResults, error) {
	if s.done(a) {
		return s.results(a), nil
	}
	from, err := sourceOf(h.Look, a.Endpoint)
	if err != nil {
		return saveResults{}, engine.Definite(err)
	}
	q := saveRequest{Source: from, Path: a.Path, Run: h.RunID}
	if h.Host == nil {
		h.Say("saving a snapshot of %s", a.Endpoint)
		r, err := save(ctx, "", q, h.Dial, h.Progress, pagesApart)
		return r.results(), engine.Definite(err) // what had come of it is removed
	}
	t, err := onhost.Find(ctx, h.Host)
	if err != nil {
		return saveResults{}, engine.Definite(err)
	}
	if err := t.Fits(); err != nil {
		return saveResults{}, engine.Definite(fmt.Errorf("%w; or leave out on, to save to the machine that etcdplay runs on", err))
	}
	if err := t.Install(ctx, h.Host, h.Progress); err != nil {
		return saveResults{}, engine.Definite(err)
	}
	h.Say("saving a snapshot of %s", a.Endpoint)
	watched, stop := context.WithCancel(ctx)
	defer stop()
	go watch(watched, h, q.part())
	var r Record
	err = t.Do(ctx, h.Host, h.Progress, "snapshot-save", q, &r)
	return r.results(), settled(err)
}

// watch tells how the file grows that a process on the host writes.
func watch(ctx context.Context, h engine.Hands, part string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		if i, err := h.Host.Stat(ctx, part); err == nil && ctx.Err() == nil {
			h.Progress(i.Size, 0)
		}
	}
}

// settleSave reads the whole file anew: what is there is done only if it is what
// its record says.
func settleSave(ctx context.Context, l engine.Look, a saveArgs, before saveState) (engine.Settlement, saveResults, error) {
	s, err := observeSave(ctx, l, a)
	switch {
	case err != nil:
		return "", saveResults{}, err
	case s.done(a):
		var c Contents
		err := ask(ctx, l, a.Path, "snapshot-status", statusRequest{Path: a.Path}, &c)
		var said *onhost.Error
		if errors.As(err, &said) || err == nil && c.SHA256 != s.Record.SHA256 {
			return engine.Conflict, saveResults{}, nil
		}
		return engine.Done, s.results(a), err
	case s.Target.Exists && !before.Target.Exists:
		return engine.Conflict, saveResults{}, nil
	}
	return engine.NotDone, saveResults{}, nil
}

func verifySave(ctx context.Context, l engine.Look, a saveArgs, r saveResults) error {
	s, err := observeSave(ctx, l, a)
	switch {
	case err != nil:
		return err
	case !s.Target.Exists:
		return fmt.Errorf("nothing is at %s", a.Path)
	case !s.done(a) || s.Record.SHA256 != r.SHA256:
		return fmt.Errorf("%s is not what was saved: its record in %s says otherwise", a.Path, recordPath(a.Path))
	}
	return nil
}

func advanceSave(host, _ string, a saveArgs, _ saveResults, w *world.World) {
	if host != "" {
		w.Host(host).Write(a.Path, nil)
		w.Host(host).Write(recordPath(a.Path), nil)
	}
}
