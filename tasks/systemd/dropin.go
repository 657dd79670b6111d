package systemd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Dropin writes or removes a drop-in of a unit.
func Dropin() *engine.Type {
	return engine.Define(engine.Spec[dropinArgs, dropinState, dropinResults]{
		Name: "systemd_dropin",
		Doc: "Writes or removes a drop-in of a unit, makes systemd read it, and checks that it has effect: that no later " +
			"drop-in takes it back. The unit itself is not restarted. A drop-in that configures a member of the cluster is " +
			"compared with the member list first.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true, Surveyed: true, Writes: []string{"unit", "name", "runtime"},
		Sets: []string{"unit", "name", "runtime"}, Gone: goneDropin,
		Check: checkDropin, Observe: observeDropin, Plan: planDropin, Guard: guardDropin, Apply: applyDropin,
		Settle: settleDropin, Verify: verifyDropin, Advance: advanceDropin,
	})
}

type dropinArgs struct {
	Unit    string  `play:"unit,required,unit,nosecret" doc:"The unit, with its suffix."`
	Name    string  `play:"name,required,filename,nosecret" doc:"The file's name; it has to end in .conf. Drop-ins take effect in the order of their names."`
	Content *string `play:"content" doc:"The file's content; required unless state is absent." default:"none"`
	State   *string `play:"state" enum:"present absent" doc:"Whether the drop-in shall be there." default:"present"`
	Runtime bool    `play:"runtime" doc:"Put it into /run, where the next boot forgets it, instead of /etc." default:"false"`
}

func (a dropinArgs) absent() bool { return a.State != nil && *a.State == "absent" }

func (a dropinArgs) content() string {
	if a.Content == nil || a.absent() {
		return ""
	}
	return *a.Content
}

// path is where the drop-in goes. Of equal names the one in /etc hides the one
// in /run.
func (a dropinArgs) path() string {
	dir := "/etc/systemd/system"
	if a.Runtime {
		dir = "/run/systemd/system"
	}
	return path.Join(dir, a.Unit+".d", a.Name)
}

type dropinResults struct {
	Changed bool   `play:"changed" doc:"Whether anything had to be done."`
	Path    string `play:"path" doc:"The file."`
	SHA256  string `play:"sha256" doc:"The SHA-256 of its content; empty if it is absent."`
}

func (a dropinArgs) results(changed bool) dropinResults {
	r := dropinResults{Changed: changed, Path: a.path()}
	if !a.absent() {
		r.SHA256 = hash(a.content())
	}
	return r
}

// dropinMode lets everybody read a drop-in, as systemd does not keep it secret.
const dropinMode fs.FileMode = 0o644

type dropinState struct {
	Exists     bool        `json:"exists"`
	SHA256     string      `json:"sha256"` // of the file that is there; "" if none is
	Mode       fs.FileMode `json:"mode"`
	Dir        bool        `json:"dir"`  // the unit's folder of drop-ins is there
	Load       string      `json:"load"` // LoadState; "" if not looked at
	Loaded     bool        `json:"loaded"`
	NeedReload bool        `json:"need_reload"`
	// Undone says what would keep the drop-in from having effect: another that
	// hides it, or a later one that takes it back. "" means nothing.
	Undone string `json:"undone"`
	// Configures says that the unit is the one that the cluster's members run as.
	Configures bool   `json:"configures"`
	Before     string `json:"-"` // the content: it may hold what no journal should
	// Imagined says that a plan has put the file there, so that mode and what
	// systemd has read are not known.
	Imagined bool `json:"-"`
}

func checkDropin(a dropinArgs) error {
	switch {
	case !strings.HasSuffix(a.Name, ".conf"):
		return &engine.ArgError{Arg: "name", Text: fmt.Sprintf("systemd ignores drop-ins that are not called *.conf; write %q.", a.Name+".conf")}
	case a.absent() && a.Content != nil:
		return &engine.ArgError{Arg: "content", Text: "A drop-in that shall be absent has no content; leave it out."}
	case a.absent():
		return nil
	case a.Content == nil:
		return &engine.ArgError{Arg: "content", Text: "Write what shall be in the drop-in, or state = \"absent\"."}
	}
	if _, err := parse(*a.Content); err != nil {
		return &engine.ArgError{Arg: "content", Text: err.Error() + "."}
	}
	return nil
}

func observeDropin(ctx context.Context, l engine.Look, a dropinArgs) (s dropinState, err error) {
	v, err := lookAt(ctx, l.Host, a)
	if err != nil {
		return s, err
	}
	return v.state(l.Cluster, a)
}

// state is what was seen, as a plan and the journal keep it.
func (v *view) state(c engine.Cluster, a dropinArgs) (s dropinState, err error) {
	s.Configures = c.Unit == a.Unit
	if v.noUnit {
		s.Load = "not-found"
	} else {
		s.Load, s.NeedReload = v.unit.LoadState, v.unit.NeedDaemonReload
		s.Loaded = slices.Contains(v.unit.DropInPaths, a.path())
		if err := v.undone(a); errors.Is(err, errUndone) {
			s.Undone = err.Error()
		} else if err != nil {
			return s, err
		}
	}
	if v.folder.Err == nil {
		s.Dir = v.folder.Info.Mode.IsDir()
	} else if !errors.Is(v.folder.Err, fs.ErrNotExist) {
		return s, v.folder.Err
	}
	switch i := v.file.Info; {
	case errors.Is(v.file.Err, fs.ErrNotExist):
		return s, nil
	case v.file.Err != nil:
		return s, v.file.Err
	case !i.Mode.IsRegular():
		return s, fmt.Errorf("%s is not a plain file (%s); look at it, and remove it by hand", a.path(), i.Mode)
	default:
		content := string(v.content.Data)
		s.Exists, s.Mode, s.Before, s.SHA256 = true, i.Mode.Perm(), content, hash(content)
		s.Imagined = i.Inode == 0
		return s, v.content.Err
	}
}

// written reports whether the file is as the arguments want it.
func (s dropinState) written(a dropinArgs) bool {
	if a.absent() {
		return !s.Exists
	}
	return s.Exists && s.SHA256 == hash(a.content()) && (s.Mode == dropinMode || s.Imagined)
}

// loaded reports whether systemd has read what is there now, and goes by it. Of
// a unit that is masked or missing it reads no drop-ins.
func (s dropinState) loaded(a dropinArgs) bool {
	return s.Load != "loaded" || s.Imagined || !s.NeedReload && s.Undone == "" && s.Loaded == !a.absent()
}

func planDropin(p engine.Planning, a dropinArgs, s dropinState) (engine.Planned, dropinResults) {
	r := a.results(true)
	if p.Unknown["unit"] || p.Unknown["name"] || p.Unknown["runtime"] || p.Unknown["state"] {
		return engine.Planned{Needed: true, Summary: "a drop-in that is known during the run, then daemon-reload", Unknown: []string{"changed", "path", "sha256"}}, r
	}
	diff := &engine.Diff{Path: a.path(), Before: s.Before, After: a.content(), Exists: s.Exists, Removed: a.absent()}
	planned := engine.Planned{Needed: true, Diff: diff}
	if p.Unknown["content"] {
		planned.Diff, planned.Unknown = nil, []string{"changed", "sha256"}
		planned.Details = []engine.Detail{{Name: "path", Value: a.path()}}
		planned.Summary = "written, then daemon-reload"
		return planned, r
	}
	same := diff.Exists == !a.absent() && diff.Before == diff.After
	switch {
	case !p.Observed:
		planned.Diff, planned.Unknown = nil, []string{"changed"}
		planned.Details = []engine.Detail{{Name: "path", Value: a.path()}}
		diff.Action = "written, then daemon-reload"
	case same && s.written(a) && s.loaded(a):
		r.Changed = false
		return engine.Planned{Summary: map[bool]string{false: "there already", true: "absent already"}[a.absent()]}, r
	case same && s.written(a):
		diff.Action = "daemon-reload"
	case same:
		diff.Action = fmt.Sprintf("mode %04o -> %04o, then daemon-reload", s.Mode, dropinMode)
	case a.absent():
		diff.Action = "remove, then daemon-reload"
	case diff.Exists:
		diff.Action = "update, then daemon-reload"
	default:
		diff.Action = "create, then daemon-reload"
	}
	planned.Summary = diff.Action
	return planned, r
}

// guardDropin holds what configures a member against the member list: Q16 for
// one that joins, Q17 for any.
func guardDropin(_ string, a dropinArgs, s dropinState, w *world.World) (v world.Verdict) {
	if s.Load == "not-found" && !a.absent() {
		v.Checks = append(v.Checks, world.Check{
			ID: "unit-exists", Text: "there is no unit " + a.Unit + " that the drop-in could change",
			Help: "correct the name, or install the unit there first",
		})
	}
	if s.Undone != "" {
		v.Checks = append(v.Checks, world.Check{
			ID: "takes-effect", Text: s.Undone, Help: "remove that drop-in, or give ours a later name",
		})
	}
	if !s.Configures || a.absent() {
		return v
	}
	options, err := parse(a.content())
	if err != nil {
		return v // checkDropin has said so
	}
	m := memberIn(options)
	if m.initialCluster != "" && m.state == "existing" && w.Cluster.Known {
		v.Checks = append(v.Checks, w.Cluster.MayJoin(m.name, m.initialCluster, m.state).Checks...)
	} else if m.initialCluster != "" {
		v.Checks = append(v.Checks, m.ownName())
	}
	v.Checks = append(v.Checks, w.Cluster.MayConfigure(a.content()).Checks...)
	return v
}

func applyDropin(ctx context.Context, h engine.Hands, a dropinArgs, s dropinState) (dropinResults, error) {
	if s.written(a) && s.loaded(a) {
		return a.results(false), nil
	}
	if err := writeDropin(ctx, h, a, s); err != nil {
		return dropinResults{}, err
	}
	if err := h.Host.Units().Reload(ctx); err != nil {
		return dropinResults{}, fmt.Errorf("daemon-reload: %w", err)
	}
	return a.results(true), nil // verifyDropin looks whether it has effect
}

func writeDropin(ctx context.Context, h engine.Hands, a dropinArgs, s dropinState) error {
	switch {
	case s.written(a):
		return nil
	case a.absent():
		return h.Host.Remove(ctx, a.path(), false)
	}
	if !s.Dir {
		if err := h.Host.Mkdir(ctx, path.Dir(a.path()), conn.Attr{Mode: 0o755}); err != nil {
			return err
		}
	}
	return h.Host.WriteFile(ctx, a.path(), conn.File{
		Content: strings.NewReader(a.content()), Size: int64(len(a.content())), SHA256: hash(a.content()),
		Attr: conn.Attr{Mode: dropinMode},
	})
}

func settleDropin(ctx context.Context, l engine.Look, a dropinArgs, before dropinState) (engine.Settlement, dropinResults, error) {
	r := a.results(true)
	now, err := observeDropin(ctx, l, a)
	switch {
	case err != nil:
		return "", r, err
	case now.written(a) && now.loaded(a):
		return engine.Done, r, nil
	case now.written(a):
		return engine.Partial, r, nil
	case now.Exists == before.Exists && now.SHA256 == before.SHA256 && now.Mode == before.Mode:
		return engine.NotDone, r, nil
	}
	return engine.Conflict, r, nil
}

func verifyDropin(ctx context.Context, l engine.Look, a dropinArgs, _ dropinResults) error {
	v, err := lookAt(ctx, l.Host, a)
	if err != nil {
		return err
	}
	s, err := v.state(l.Cluster, a)
	switch {
	case err != nil:
		return err
	case !s.written(a) && a.absent():
		return fmt.Errorf("%s is still there", a.path())
	case !s.written(a):
		return fmt.Errorf("%s is not what was to be written", a.path())
	}
	return v.inEffect(a)
}

// goneDropin finds a drop-in that was written and is away, as one in /run is after
// a boot. One that somebody has changed is theirs.
func goneDropin(ctx context.Context, l engine.Look, a dropinArgs) (string, error) {
	if a.absent() {
		return "", nil
	}
	seen := conn.Glance{What: conn.Stat, Path: a.path()}
	conn.LookAt(ctx, l.Host, &seen)
	switch {
	case errors.Is(seen.Err, fs.ErrNotExist):
		return a.path() + " is not there any more", nil
	case seen.Err != nil:
		return "", seen.Err
	}
	return "", nil
}

func advanceDropin(host, _ string, a dropinArgs, _ dropinResults, w *world.World) {
	switch {
	case a.absent():
		w.Host(host).Remove(a.path())
	case a.Content == nil: // not known yet
		w.Host(host).Write(a.path(), nil)
	default:
		w.Host(host).Write(a.path(), []byte(*a.Content))
	}
}

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}
