package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// Trial restores a snapshot for a moment and asks a genuine etcd what it holds.
func Trial() *engine.Type {
	return engine.Define(engine.Spec[trialArgs, trialState, trialResults]{
		Name: "etcd_snapshot_trial",
		Doc: "Tries a snapshot before anything depends on it: restores it into a scratch directory, starts a genuine etcd on that, " +
			"with a token of its own and on loopback only, asks it for revision, keys and HashKV, stops it and removes the directory. " +
			"Nothing of the cluster is touched. What came of it stands beside the snapshot in PATH.trial.json.",
		Effect: engine.Change, Where: engine.Either, Timeout: patience,
		Check: checkTrial, Observe: observeTrial, Plan: planTrial, Guard: guardTrial, Apply: applyTrial,
		Settle: settleTrial, Verify: verifyTrial, Advance: advanceTrial,
	})
}

type trialArgs struct {
	Path          string  `play:"path,required,abspath,nosecret" doc:"The snapshot."`
	Etcd          *string `play:"etcd,abspath,nosecret" doc:"The etcd program to try it with." default:"the etcd that is found in the search path, else the one in etcdplay"`
	Scratch       *string `play:"scratch,abspath,nosecret" doc:"The directory to restore into, which is removed afterwards. Nothing may be there." default:"one beside the snapshot"`
	ServerVersion *string `play:"server_version,nosecret" doc:"The version of the etcd that is to run with it, such as 3.6: a snapshot of a later minor version is refused." default:"any"`
	SkipHashCheck bool    `play:"skip_hash_check" doc:"Take a file without a checksum as well, such as the db of a data directory." default:"false"`
}

type trialResults struct {
	Path        string `play:"path" doc:"The snapshot."`
	Revision    int64  `play:"revision" doc:"The revision of the etcd that ran with it."`
	TotalKeys   int64  `play:"total_keys" doc:"How many keys it had."`
	HashKV      string `play:"hash_kv" doc:"Its HashKV at that revision, hex. Every member restored from the snapshot has this one, unless the revision is raised."`
	EtcdVersion string `play:"etcd_version" doc:"The version of the etcd that ran with it."`
}

type trialState struct {
	Snapshot seen         `json:"snapshot"`
	Scratch  seen         `json:"scratch"`
	Record   *trialRecord `json:"record"` // of this run, and of the snapshot as it is
}

// trialRecord is what is written beside the snapshot. It is the answer of the
// verb snapshot-trial, too.
type trialRecord struct {
	Format    int    `json:"format"`
	Run       string `json:"run"`
	Snapshot  string `json:"snapshot"`
	Size      int64  `json:"size"`
	Revision  int64  `json:"revision"`
	TotalKeys int64  `json:"total_keys"`
	HashKV    string `json:"hash_kv"`
	Etcd      string `json:"etcd"` // its version
}

func trialPath(path string) string { return path + ".trial.json" }

func (a trialArgs) scratch(run string) string {
	if a.Scratch != nil {
		return *a.Scratch
	}
	return a.Path + ".etcdplay." + run + ".trial"
}

func (r trialRecord) results() trialResults {
	return trialResults{Path: r.Snapshot, Revision: r.Revision, TotalKeys: r.TotalKeys, HashKV: r.HashKV, EtcdVersion: r.Etcd}
}

func (s trialState) results(a trialArgs) trialResults {
	if s.Record == nil {
		return trialResults{Path: a.Path}
	}
	return s.Record.results()
}

func checkTrial(a trialArgs) error {
	if a.Scratch != nil && path.Dir(*a.Scratch) == "/" {
		return &engine.ArgError{Arg: "scratch", Text: fmt.Sprintf("%q lies in the root directory. Name a path further down.", *a.Scratch)}
	}
	return checkVersion(a.ServerVersion)
}

func observeTrial(ctx context.Context, l engine.Look, a trialArgs) (s trialState, err error) {
	if s.Snapshot, err = at(ctx, l, a.Path); err != nil {
		return s, err
	}
	if s.Scratch, err = at(ctx, l, a.scratch(l.RunID)); err != nil {
		return s, err
	}
	beside, err := at(ctx, l, trialPath(a.Path))
	if err != nil || !beside.Exists || !beside.Mode.IsRegular() {
		return s, err
	}
	b, err := content(ctx, l, trialPath(a.Path))
	if err != nil {
		return s, err
	}
	var r trialRecord
	if json.Unmarshal(b, &r) == nil && r.Format == recordFormat && r.Run == l.RunID && r.Snapshot == a.Path && r.Size == s.Snapshot.Size {
		s.Record = &r
	}
	return s, nil
}

func planTrial(p engine.Planning, a trialArgs, s trialState) (engine.Planned, trialResults) {
	if p.Observed && s.Record != nil {
		return engine.Planned{Summary: fmt.Sprintf("%q: tried already", a.Path)}, s.results(a)
	}
	planned := engine.Planned{
		Needed: true, Summary: shown(p, "path", a.Path) + ": restored into a scratch directory, run, and removed again",
		Unknown: []string{"revision", "total_keys", "hash_kv", "etcd_version"},
	}
	if p.Unknown["path"] {
		planned.Unknown = append(planned.Unknown, "path")
	}
	return planned, trialResults{Path: a.Path}
}

func guardTrial(_ string, a trialArgs, s trialState, _ *world.World) (v world.Verdict) {
	if !s.Snapshot.Looked || s.Record != nil {
		return v
	}
	v.Checks = append(v.Checks, check("snapshot-is-file", s.Snapshot.Exists && s.Snapshot.Mode.IsRegular(),
		"correct path", "at %q there is %s", a.Path, s.Snapshot.kind()))
	if a.Scratch != nil {
		v.Checks = append(v.Checks, check("scratch-is-free", !s.Scratch.Exists,
			"choose another name; it is removed afterwards", "at %q there is %s", *a.Scratch, s.Scratch.kind()))
	}
	return v
}

func applyTrial(ctx context.Context, h engine.Hands, a trialArgs, s trialState) (trialResults, error) {
	if s.Record != nil {
		return s.results(a), nil
	}
	q := trialRequest{
		Snapshot: a.Path, Run: h.RunID, Scratch: a.scratch(h.RunID), Own: a.Scratch == nil, Etcd: str(a.Etcd),
		Unhashed: a.SkipHashCheck, ServerVersion: str(a.ServerVersion),
	}
	h.Say("trying %s", a.Path)
	var r trialRecord
	if h.Host == nil {
		err := onhost.Here(ctx, "snapshot-trial", q, &r)
		return r.results(), settled(damaged(a.Path, err))
	}
	t, err := onhost.Find(ctx, h.Host)
	if err != nil {
		return trialResults{}, engine.Definite(err)
	}
	if err := t.Install(ctx, h.Host, h.Progress); err != nil {
		return trialResults{}, engine.Definite(err)
	}
	err = t.Do(ctx, h.Host, h.Progress, "snapshot-trial", q, &r)
	return r.results(), settled(damaged(a.Path, err))
}

func settleTrial(ctx context.Context, l engine.Look, a trialArgs, _ trialState) (engine.Settlement, trialResults, error) {
	s, err := observeTrial(ctx, l, a)
	switch {
	case err != nil:
		return "", trialResults{}, err
	case s.Record != nil:
		return engine.Done, s.results(a), nil
	}
	return engine.NotDone, trialResults{}, nil // a trial that was cut short has shown nothing
}

func verifyTrial(ctx context.Context, l engine.Look, a trialArgs, r trialResults) error {
	s, err := observeTrial(ctx, l, a)
	switch {
	case err != nil:
		return err
	case s.Record == nil || s.results(a) != r:
		return fmt.Errorf("%s does not tell of this trial", trialPath(a.Path))
	case s.Scratch.Exists:
		return fmt.Errorf("%s is still there", a.scratch(l.RunID))
	}
	return nil
}

func advanceTrial(host, _ string, a trialArgs, _ trialResults, w *world.World) {
	if host != "" {
		w.Host(host).Write(trialPath(a.Path), nil)
	}
}
