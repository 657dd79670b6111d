package file

import (
	"context"
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Directory makes sure that a directory is there.
func Directory() *engine.Type {
	return engine.Define(engine.Spec[directoryArgs, directoryState, directoryResults]{
		Name: "directory",
		Doc: "Makes sure that a directory is there, with the given mode and owner. Parents that " +
			"are missing are made with mode 0755; those that are there stay as they are, and so does all that is in the directory.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true,
		Observe: observeDirectory, Plan: planDirectory, Guard: guardDirectory, Apply: applyDirectory,
		Settle: settleDirectory, Verify: verifyDirectory, Advance: advanceDirectory,
	})
}

type directoryArgs struct {
	Path  string  `play:"path,required,abspath,nosecret" doc:"The directory."`
	Mode  *string `play:"mode,mode" doc:"Its permission bits." default:"0700 for a new one, else left as it is"`
	Owner *string `play:"owner,nosecret" doc:"Its owner: a name, or a decimal uid." default:"left as it is"`
	Group *string `play:"group,nosecret" doc:"Its group: a name, or a decimal gid." default:"left as it is"`
}

type directoryResults struct {
	Changed bool   `play:"changed" doc:"Whether anything had to be done."`
	Path    string `play:"path" doc:"The directory."`
}

type directoryState struct {
	seen
	Mismatch []string `json:"mismatch"` // what is not as wanted: "mode 0755 -> 0700"
}

func observeDirectory(ctx context.Context, l engine.Look, a directoryArgs) (directoryState, error) {
	s, err := see(ctx, l.Host, a.Path)
	if err != nil {
		return directoryState{}, err
	}
	st := directoryState{seen: s}
	if !s.Exists {
		return st, nil
	}
	if m := parseMode(a.Mode); a.Mode != nil && s.Mode&permissions != m {
		st.Mismatch = append(st.Mismatch, fmt.Sprintf("mode %04o -> %s", octal(s.Mode), *a.Mode))
	}
	who := readOwners(ctx, l.Host, str(a.Owner), str(a.Group))
	if !who.isUser(s.Owner, str(a.Owner)) {
		st.Mismatch = append(st.Mismatch, "owner "+s.Owner+" -> "+*a.Owner)
	}
	if !who.isGroup(s.Group, str(a.Group)) {
		st.Mismatch = append(st.Mismatch, "group "+s.Group+" -> "+*a.Group)
	}
	return st, nil
}

func planDirectory(p engine.Planning, a directoryArgs, s directoryState) (engine.Planned, directoryResults) {
	r := directoryResults{Changed: true, Path: a.Path}
	if !p.Observed {
		return engine.Planned{Needed: true, Summary: shown(p, "path", a.Path), Unknown: unknown(p, "changed", "path")}, r
	}
	switch {
	case s.imagined():
		return engine.Planned{Needed: true, Summary: fmt.Sprintf("%q", a.Path), Unknown: []string{"changed"}}, r
	case !s.Exists:
		return engine.Planned{Needed: true, Summary: fmt.Sprintf("%q: made", a.Path), Details: wanted(a.Mode, a.Owner, a.Group)}, r
	case len(s.Mismatch) > 0:
		return engine.Planned{Needed: true, Summary: fmt.Sprintf("%q: %s", a.Path, strings.Join(s.Mismatch, ", "))}, r
	}
	r.Changed = false
	return engine.Planned{Summary: fmt.Sprintf("%q: there already", a.Path)}, r
}

func guardDirectory(_ string, a directoryArgs, s directoryState, _ *world.World) world.Verdict {
	if !s.Exists || s.Mode.IsDir() {
		return world.Verdict{}
	}
	return world.Verdict{Checks: []world.Check{check("is-directory", false,
		"name another path, or move what is there aside", "%q is %s, not a directory", a.Path, s.kind())}}
}

func applyDirectory(ctx context.Context, h engine.Hands, a directoryArgs, s directoryState) (directoryResults, error) {
	r := directoryResults{Changed: !s.Exists || len(s.Mismatch) > 0, Path: a.Path}
	if !r.Changed {
		return r, nil
	}
	return r, h.Host.Mkdir(ctx, a.Path, conn.Attr{Mode: parseMode(a.Mode), Owner: str(a.Owner), Group: str(a.Group)})
}

func settleDirectory(ctx context.Context, l engine.Look, a directoryArgs, before directoryState) (engine.Settlement, directoryResults, error) {
	r := directoryResults{Changed: true, Path: a.Path}
	s, err := observeDirectory(ctx, l, a)
	switch {
	case err != nil:
		return "", r, err
	case s.Exists && !s.Mode.IsDir(), before.Exists && !before.same(s.seen):
		return engine.Conflict, r, nil
	case s.Exists && len(s.Mismatch) == 0:
		return engine.Done, r, nil
	case s.Exists && !before.Exists:
		return engine.Partial, r, nil
	}
	return engine.NotDone, r, nil
}

func verifyDirectory(ctx context.Context, l engine.Look, a directoryArgs, _ directoryResults) error {
	s, err := observeDirectory(ctx, l, a)
	switch {
	case err != nil:
		return err
	case !s.Exists || !s.Mode.IsDir():
		return fmt.Errorf("at %s there is %s", a.Path, s.kind())
	case len(s.Mismatch) > 0:
		return fmt.Errorf("%s is not as it should be: %s", a.Path, strings.Join(s.Mismatch, ", "))
	}
	return nil
}

// advanceDirectory cannot tell a new, empty directory from one that only got
// another mode, unless the plan itself had removed what was there.
func advanceDirectory(host, _ string, a directoryArgs, r directoryResults, w *world.World) {
	h := w.Host(host)
	switch state, _, _ := h.Look(a.Path); {
	case state == world.Absent:
		h.Mkdir(a.Path)
	case state == world.Real && r.Changed:
		h.Blur(a.Path)
	}
}

// wanted lists the attributes that the author asked for.
func wanted(mode, owner, group *string) []engine.Detail {
	var ds []engine.Detail
	for _, d := range []struct {
		name  string
		value *string
	}{{"mode", mode}, {"owner", owner}, {"group", group}} {
		if d.value != nil {
			ds = append(ds, engine.Detail{Name: d.name, Value: *d.value})
		}
	}
	return ds
}

// unknown names the results that cannot be told: changed, where there is one,
// and those that repeat an argument which is not known yet.
func unknown(p engine.Planning, always string, repeated ...string) []string {
	names := []string{always}
	for _, r := range repeated {
		if p.Unknown[r] {
			names = append(names, r)
		}
	}
	return names
}
