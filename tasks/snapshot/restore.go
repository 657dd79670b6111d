package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// Restore makes a data directory of a snapshot.
func Restore() *engine.Type {
	return engine.Define(engine.Spec[restoreArgs, restoreState, restoreResults]{
		Name: "etcd_snapshot_restore",
		Doc: "Makes a data directory for a new cluster out of a snapshot whose checksum is right. It is made beside its place, " +
			"under a name with the run's ID, and renamed once it is whole and on disk; nothing is overwritten. " +
			"It belongs to the user and group of the inventory's cluster, with mode 0700, and RESTORED.json in it says what it was made of.",
		Effect: engine.Change, Where: engine.OnHost, Timeout: patience,
		Check: checkRestore, Observe: observeRestore, Plan: planRestore, Guard: guardRestore, Apply: applyRestore,
		Settle: settleRestore, Verify: verifyRestore, Advance: advanceRestore,
	})
}

type restoreArgs struct {
	Snapshot       string   `play:"snapshot,required,abspath,nosecret" doc:"The snapshot, on the host."`
	DataDir        string   `play:"data_dir,required,abspath,nosecret" doc:"The data directory to make. Nothing may be there; the directory it lies in has to be."`
	Name           string   `play:"name,required,nosecret" doc:"The name of the member."`
	PeerURLs       []string `play:"peer_urls,required,nosecret" doc:"The peer URLs of the member, those of initial_cluster."`
	InitialCluster string   `play:"initial_cluster,required,nosecret" doc:"All members of the new cluster, in etcd's form name=URL,name=URL. It has to be the same on all of them."`
	Token          string   `play:"initial_cluster_token,required,nosecret" doc:"The token of the new cluster: one that was never used before, and the same on all members. With an old token the members would have their old IDs, and what is left of the old cluster would speak to them."`
	RevisionBump   *int64   `play:"revision_bump" doc:"Raise the revision by so much, so that no client sees it go back: more than what was written since the snapshot. 1000000000 is a week at 1,500 writes a second. Goes with mark_compacted." default:"0"`
	MarkCompacted  bool     `play:"mark_compacted" doc:"Tell watchers that the revisions before the raised one are gone, so that they begin anew. Goes with revision_bump." default:"false"`
	LastRevision   *int64   `play:"last_revision" doc:"The highest revision that clients have seen. A revision_bump that does not go beyond it is refused." default:"not known"`
	ServerVersion  *string  `play:"server_version,nosecret" doc:"The version of the etcd that is to run with it, such as 3.6: a snapshot of a later minor version is refused." default:"any"`
	SkipHashCheck  bool     `play:"skip_hash_check" doc:"Take a file without a checksum as well, such as the db of a data directory. Its pages are checked; its content nobody can." default:"false"`
	Owner          *string  `play:"owner,nosecret" doc:"The owner of the data directory." default:"cluster.user"`
	Group          *string  `play:"group,nosecret" doc:"Its group." default:"cluster.group"`
}

type restoreResults struct {
	ClusterID string `play:"cluster_id" doc:"The ID of the new cluster, hex."`
	MemberID  string `play:"member_id" doc:"The ID of the member in it, hex."`
	DataDir   string `play:"data_dir" doc:"The data directory."`
	Revision  int64  `play:"revision" doc:"The revision that the cluster will begin with, revision_bump included."`
}

type restoreState struct {
	Snapshot seen     `json:"snapshot"`
	Sum      string   `json:"sum"` // of the snapshot, as it says itself
	Target   seen     `json:"target"`
	Parent   seen     `json:"parent"`
	Staging  seen     `json:"staging"`
	Done     bool     `json:"done"`   // the target is what is wanted
	Staged   bool     `json:"staged"` // the staging folder is
	Revision int64    `json:"revision"`
	Free     uint64   `json:"free"`  // bytes, beside the target
	Used     []string `json:"used"`  // data directories that were restored with the same token, by another run
	Token    string   `json:"token"` // of the inventory's cluster
}

// staging is where the data directory is made.
func (a restoreArgs) staging(run string) string { return a.DataDir + ".etcdplay." + run + ".new" }

func (a restoreArgs) bump() int64 {
	if a.RevisionBump == nil {
		return 0
	}
	return *a.RevisionBump
}

func checkRestore(a restoreArgs) error {
	wrong := func(arg, format string, args ...any) error {
		return &engine.ArgError{Arg: arg, Text: fmt.Sprintf(format, args...)}
	}
	cluster, err := types.NewURLsMap(a.InitialCluster)
	switch {
	case err != nil:
		return wrong("initial_cluster", "%v. Write name=http://host:2380, with commas between the members.", err)
	case cluster[a.Name] == nil:
		return wrong("name", "initial_cluster has no member %q.", a.Name)
	case len(a.PeerURLs) == 0:
		return wrong("peer_urls", "A member needs at least one peer URL.")
	case a.Token == "":
		return wrong("initial_cluster_token", "A token that was never used before is needed; ${run.id} in it makes it one.")
	case a.bump() < 0:
		return wrong("revision_bump", "The revision can only be raised.")
	case a.bump() > 0 && !a.MarkCompacted:
		return wrong("mark_compacted", "With revision_bump, write mark_compacted = true: the revisions in between do not exist.")
	case a.bump() == 0 && a.MarkCompacted:
		return wrong("revision_bump", "mark_compacted goes with a revision_bump above 0.")
	case path.Dir(a.DataDir) == "/":
		return wrong("data_dir", "It is made beside its place, and beside %s there is only the root directory. Name a path further down.", a.DataDir)
	}
	have := cluster[a.Name].StringSlice()
	want := slices.Sorted(slices.Values(a.PeerURLs))
	slices.Sort(have)
	if !slices.Equal(have, want) {
		return wrong("peer_urls", "initial_cluster says that %s has %s, and peer_urls say %s.", a.Name, strings.Join(have, ","), strings.Join(want, ","))
	}
	if _, _, err := identities(a.InitialCluster, a.Token, a.Name); err != nil {
		return wrong("initial_cluster", "%v.", err)
	}
	return checkVersion(a.ServerVersion)
}

// marker is what the marker of this restore will say, but for the revision.
func (a restoreArgs) marker(run string, s restoreState) Marker {
	cluster, member, _ := identities(a.InitialCluster, a.Token, a.Name) // has been checked
	return Marker{
		Format: markerFormat, Run: run, Snapshot: a.Snapshot, Size: s.Snapshot.Size, Sum: s.Sum, Name: a.Name,
		PeerURLs: a.PeerURLs, InitialCluster: a.InitialCluster, Token: a.Token, RevisionBump: a.bump(),
		ClusterID: cluster, MemberID: member,
	}
}

func observeRestore(ctx context.Context, l engine.Look, a restoreArgs) (s restoreState, err error) {
	s.Token = l.Cluster.Token
	for _, look := range []struct {
		to   *seen
		path string
	}{{&s.Snapshot, a.Snapshot}, {&s.Target, a.DataDir}, {&s.Parent, path.Dir(a.DataDir)}, {&s.Staging, a.staging(l.RunID)}} {
		if *look.to, err = see(ctx, l.Host, look.path); err != nil {
			return s, err
		}
	}
	if s.Snapshot.Exists && s.Snapshot.Mode.IsRegular() {
		if s.Sum, err = saidSum(ctx, l.Host, a.Snapshot, s.Snapshot.Size); err != nil {
			return s, err
		}
	}
	if s.Free, err = l.Host.FreeBytes(ctx, a.DataDir); err != nil {
		return s, err
	}
	want := a.marker(l.RunID, s)
	for _, look := range []struct {
		in   seen
		path string
		to   *bool
	}{{s.Target, a.DataDir, &s.Done}, {s.Staging, a.staging(l.RunID), &s.Staged}} {
		if !look.in.Exists || !look.in.Mode.IsDir() {
			continue
		}
		m, ok, err := readMarker(ctx, l.Host, look.path)
		if err != nil {
			return s, err
		}
		if *look.to = ok && m.same(want); *look.to {
			s.Revision = m.Revision
		}
	}
	s.Used, err = usedBy(ctx, l, a)
	return s, err
}

func planRestore(p engine.Planning, a restoreArgs, s restoreState) (engine.Planned, restoreResults) {
	r := restoreResults{DataDir: a.DataDir, Revision: s.Revision}
	planned := engine.Planned{Needed: true, Summary: shown(p, "snapshot", a.Snapshot) + " -> " + shown(p, "data_dir", a.DataDir), Unknown: []string{"revision"}}
	if p.Unknown["data_dir"] {
		planned.Unknown = append(planned.Unknown, "data_dir")
	}
	if p.Unknown["initial_cluster"] || p.Unknown["initial_cluster_token"] || p.Unknown["name"] {
		planned.Unknown = append(planned.Unknown, "cluster_id", "member_id")
	} else {
		r.ClusterID, r.MemberID, _ = identities(a.InitialCluster, a.Token, a.Name) // has been checked
	}
	if p.Observed && s.Done {
		return engine.Planned{Summary: fmt.Sprintf("%q: restored already", a.DataDir)}, r
	}
	plain := func(name, value string) string {
		if p.Unknown[name] {
			return later
		}
		return value
	}
	planned.Details = []engine.Detail{
		{Name: "name", Value: plain("name", a.Name)},
		{Name: "initial_cluster", Value: plain("initial_cluster", a.InitialCluster)},
		{Name: "token", Value: plain("initial_cluster_token", a.Token)},
	}
	if a.bump() > 0 {
		planned.Details = append(planned.Details, engine.Detail{Name: "revision_bump", Value: fmt.Sprintf("%d, and all before it compacted", a.bump())})
	}
	return planned, r
}

// room is what a restored data directory takes beside the database: a segment
// of the write-ahead log (64 MB), and a little more.
const room = 80 << 20

func guardRestore(_ string, a restoreArgs, s restoreState, _ *world.World) (v world.Verdict) {
	if !s.Target.Looked || s.Done {
		return v
	}
	v.Checks = append(v.Checks,
		check("snapshot-is-file", s.Snapshot.Exists && s.Snapshot.Mode.IsRegular(),
			"correct snapshot", "at %q there is %s", a.Snapshot, s.Snapshot.kind()),
		check("target-is-free", !s.Target.Exists,
			"choose another name, for example with ${run.id} in it; nothing is ever overwritten",
			"at %q there is %s", a.DataDir, s.Target.kind()),
		check("target-directory-exists", s.Parent.Exists && s.Parent.Mode.IsDir(),
			"make it first with a task of type directory", "%q, where it would go, is %s", path.Dir(a.DataDir), s.Parent.kind()),
		check("token-is-new", a.Token != s.Token && len(s.Used) == 0,
			"write initial_cluster_token = \"${cluster.token}-${run.id}\": with a token that was used before, what is left of the old cluster would take the new one for itself",
			"the token %q %s", a.Token, usedText(a.Token == s.Token, s.Used)),
	)
	need := uint64(s.Snapshot.Size) + room
	if s.Snapshot.Exists && !s.Staged {
		v.Checks = append(v.Checks, check("enough-space", s.Free >= need,
			"make room, or choose a data_dir on another file system", "%d bytes are needed beside %q, and %d are free", need, a.DataDir, s.Free))
	}
	return v
}

func usedText(current bool, dirs []string) string {
	switch {
	case current:
		return "is that of the cluster as it is"
	case len(dirs) > 0:
		return "was used to restore " + strings.Join(dirs, ", ")
	}
	return "was not used here before"
}

func applyRestore(ctx context.Context, h engine.Hands, a restoreArgs, s restoreState) (restoreResults, error) {
	want := a.marker(h.RunID, s)
	r := restoreResults{ClusterID: want.ClusterID, MemberID: want.MemberID, DataDir: a.DataDir, Revision: s.Revision}
	if s.Done {
		return r, nil
	}
	staging := a.staging(h.RunID)
	if !s.Staged {
		if s.Staging.Exists {
			if !s.Staging.Mode.IsDir() {
				return r, engine.Definite(fmt.Errorf("at %s, where the data directory is made, there is %s", staging, s.Staging.kind()))
			}
			h.Say("removing what an earlier attempt has left at %s", staging)
			if err := h.Host.Remove(ctx, staging, true); err != nil {
				return r, err
			}
		}
		made, err := stage(ctx, h, a, want, staging)
		if err != nil {
			return r, err
		}
		r.Revision = made.Revision
	}
	attr := conn.Attr{Mode: 0o700, Owner: str(a.Owner), Group: str(a.Group)}
	if a.Owner == nil {
		attr.Owner = h.Cluster.User
	}
	if a.Group == nil {
		attr.Group = h.Cluster.Group
	}
	if err := h.Host.SetAttr(ctx, staging, attr, true); err != nil {
		return r, err
	}
	return r, h.Host.Rename(ctx, staging, a.DataDir)
}

// stage makes the data directory at staging, with its marker.
func stage(ctx context.Context, h engine.Hands, a restoreArgs, want Marker, staging string) (Marker, error) {
	t, err := onhost.Find(ctx, h.Host)
	if err != nil {
		return Marker{}, engine.Definite(err)
	}
	h.Say("restoring %s", a.Snapshot)
	q := restoreRequest{
		Marker: want, Staging: staging, Unhashed: a.SkipHashCheck, ServerVersion: str(a.ServerVersion),
	}
	if a.LastRevision != nil {
		q.LastRevision = *a.LastRevision
	}
	var made Marker
	if useOwn(t) {
		made, err = restoreWithOwn(ctx, h, q)
	} else {
		err = damaged(a.Snapshot, t.Do(ctx, h.Host, h.Progress, "snapshot-restore", q, &made))
	}
	if err = settled(err); errors.Is(err, engine.ErrDefinite) {
		// Who has failed may have left half a directory behind.
		if rerr := h.Host.Remove(ctx, staging, true); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = fmt.Errorf("%w; and %s stays there: %w", err, staging, rerr)
		}
	}
	return made, err
}

// settleRestore goes by the markers: a directory has one when it is whole.
func settleRestore(ctx context.Context, l engine.Look, a restoreArgs, before restoreState) (engine.Settlement, restoreResults, error) {
	s, err := observeRestore(ctx, l, a)
	want := a.marker(l.RunID, s)
	r := restoreResults{ClusterID: want.ClusterID, MemberID: want.MemberID, DataDir: a.DataDir, Revision: s.Revision}
	switch {
	case err != nil:
		return "", r, err
	case s.Done:
		return engine.Done, r, nil
	case s.Target.Exists && !before.Target.Exists, s.Staging.Exists && !s.Staging.Mode.IsDir():
		return engine.Conflict, r, nil
	case s.Staging.Exists:
		return engine.Partial, r, nil
	}
	return engine.NotDone, r, nil
}

func verifyRestore(ctx context.Context, l engine.Look, a restoreArgs, _ restoreResults) error {
	m, ok, err := readMarker(ctx, l.Host, a.DataDir)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%s is no restored data directory: it has no %s", a.DataDir, MarkerName)
	case m.Run != l.RunID || m.Token != a.Token || m.Name != a.Name:
		return fmt.Errorf("%s was restored by run %s, for member %s with token %s", a.DataDir, m.Run, m.Name, m.Token)
	}
	for _, p := range []string{"member/snap/db", "member/wal"} {
		if s, err := see(ctx, l.Host, path.Join(a.DataDir, p)); err != nil || !s.Exists {
			return fmt.Errorf("%s has no %s: %w", a.DataDir, p, orMissing(err))
		}
	}
	return nil
}

func advanceRestore(host, _ string, a restoreArgs, _ restoreResults, w *world.World) {
	w.Host(host).Blur(a.DataDir)
}
