package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Remove deletes a file or a directory for good.
func Remove() *engine.Type {
	return engine.Define(engine.Spec[removeArgs, removeState, removeResults]{
		Name: "remove",
		Doc: "Deletes a file or a directory for good; move can be taken back, this cannot. It works only below the " +
			"cluster's remove_roots (by default its data directory and what is named like it with a suffix, such as " +
			"/var/lib/etcd.old), or where the run's own ID is in the name, never on a mount point, and never through a " +
			"symbolic link.",
		Effect: engine.Destroy, Where: engine.OnHost, Retryable: true,
		Check: checkRemove, Observe: observeRemove, Plan: planRemove, Guard: guardRemove, Apply: applyRemove,
		Settle: settleRemove, Verify: verifyRemove, Advance: advanceRemove,
	})
}

type removeArgs struct {
	Path      string `play:"path,required,abspath,nosecret" doc:"What to delete."`
	Recursive bool   `play:"recursive" doc:"Delete a directory with all that is in it." default:"false"`
}

type removeResults struct {
	Path    string `play:"path" doc:"The path."`
	Removed bool   `play:"removed" doc:"Whether there was anything to delete."`
}

type removeState struct {
	seen
	Entries int      `json:"entries"` // directly in the directory
	Allowed bool     `json:"allowed"` // within the roots
	Roots   []string `json:"roots"`   // nil only if not observed
	Link    string   `json:"link"`    // the first parent that is a symbolic link
}

func checkRemove(a removeArgs) error {
	if !path.IsAbs(a.Path) || path.Clean(a.Path) != a.Path || strings.ContainsFunc(a.Path, unicode.IsControl) {
		return &engine.ArgError{Arg: "path", Text: fmt.Sprintf("%q is not an absolute path in its shortest form.", a.Path)}
	}
	if strings.Count(a.Path, "/") < 2 {
		return &engine.ArgError{Arg: "path", Text: fmt.Sprintf("%q is a directory of the root; nothing so high up is ever deleted.", a.Path)}
	}
	return nil
}

func observeRemove(ctx context.Context, l engine.Look, a removeArgs) (removeState, error) {
	s := removeState{Roots: append([]string{}, l.Cluster.RemoveRoots...)}
	s.Allowed = l.RunID != "" && strings.Contains(path.Base(a.Path), l.RunID) // nobody else gives such a name
	if len(s.Roots) == 0 && l.Cluster.DataDir != "" {
		s.Roots = append(s.Roots, l.Cluster.DataDir, l.Cluster.DataDir+".*")
	}
	for _, root := range s.Roots {
		s.Allowed = s.Allowed || within(a.Path, root)
	}
	if !s.Allowed {
		return s, nil // and nothing there is looked at
	}
	var err error
	if s.Link, err = symlinkAbove(ctx, l.Host, a.Path); err != nil || s.Link != "" {
		return s, err
	}
	if s.seen, err = see(ctx, l.Host, a.Path); err != nil || !s.Exists || !s.Mode.IsDir() {
		return s, err
	}
	entries, err := l.Host.ReadDir(ctx, a.Path)
	if errors.Is(err, fs.ErrNotExist) {
		s.seen, err = seen{Looked: true}, nil
	}
	s.Entries = len(entries)
	return s, err
}

// within reports whether path is root or lies below it. A root that ends in
// ".*" stands for all its siblings of that prefix.
func within(p, root string) bool {
	prefix, siblings := strings.CutSuffix(root, ".*")
	if !siblings {
		return p == root || strings.HasPrefix(p, strings.TrimSuffix(root, "/")+"/")
	}
	rest, ok := strings.CutPrefix(p, prefix+".")
	return ok && rest != "" && rest[0] != '/'
}

func planRemove(p engine.Planning, a removeArgs, s removeState) (engine.Planned, removeResults) {
	r := removeResults{Path: a.Path, Removed: true}
	if !p.Observed {
		return engine.Planned{Needed: true, Summary: shown(p, "path", a.Path) + " is deleted", Unknown: unknown(p, "removed", "path")}, r
	}
	switch {
	case s.Exists && s.Mode.IsDir():
		return engine.Planned{Needed: true, Summary: fmt.Sprintf("%q is deleted with all that is in it", a.Path)}, r
	case s.Exists:
		return engine.Planned{Needed: true, Summary: fmt.Sprintf("%q is deleted", a.Path)}, r
	}
	r.Removed = false
	return engine.Planned{Summary: fmt.Sprintf("%q: nothing is there", a.Path)}, r
}

func guardRemove(_ string, a removeArgs, s removeState, _ *world.World) (v world.Verdict) {
	if s.Roots == nil {
		return v // not observed
	}
	if len(s.Roots) == 0 && !s.Allowed {
		v.Checks = append(v.Checks, check("within-remove-roots", false,
			"give the cluster a data_dir or remove_roots in the inventory", "the inventory allows nothing to be deleted"))
		return v
	}
	v.Checks = append(v.Checks, check("within-remove-roots", s.Allowed,
		"move it aside instead, or name its directory in remove_roots of the cluster in the inventory",
		"%q is %s of %s", a.Path, map[bool]string{true: "this run's, or within one", false: "outside"}[s.Allowed], strings.Join(s.Roots, ", ")))
	if !s.Allowed {
		return v
	}
	v.Checks = append(v.Checks, check("no-symbolic-link", s.Link == "",
		"name the real path", "%s", linkText(a.Path, s.Link)))
	if !s.Exists {
		return v
	}
	v.Checks = append(v.Checks, check("no-mount-point", !s.Mount,
		"unmount it first, or delete what is in it by name", "%q is %s", a.Path, mountText(s.seen)))
	if s.Mode.IsDir() && !a.Recursive && s.Entries > 0 {
		v.Checks = append(v.Checks, check("empty", false,
			"set recursive = true to delete all of it", "%q is a directory with %d entries", a.Path, s.Entries))
	}
	return v
}

func linkText(p, link string) string {
	if link == "" {
		return fmt.Sprintf("no directory above %q is a symbolic link", p)
	}
	return fmt.Sprintf("%q, above %q, is a symbolic link", link, p)
}

func applyRemove(ctx context.Context, h engine.Hands, a removeArgs, s removeState) (removeResults, error) {
	r := removeResults{Path: a.Path, Removed: s.Exists}
	if !s.Exists {
		return r, nil
	}
	return r, h.Host.Remove(ctx, a.Path, a.Recursive)
}

func settleRemove(ctx context.Context, l engine.Look, a removeArgs, before removeState) (engine.Settlement, removeResults, error) {
	r := removeResults{Path: a.Path, Removed: before.Exists}
	now, err := observeRemove(ctx, l, a)
	switch {
	case err != nil:
		return "", r, err
	case !now.Exists:
		return engine.Done, r, nil
	case !now.same(before.seen):
		return engine.Conflict, r, nil
	case a.Recursive && now.Entries < before.Entries:
		return engine.Partial, r, nil
	}
	return engine.NotDone, r, nil
}

func verifyRemove(ctx context.Context, l engine.Look, a removeArgs, _ removeResults) error {
	s, err := see(ctx, l.Host, a.Path)
	if err == nil && s.Exists {
		return fmt.Errorf("%s is still there", a.Path)
	}
	return err
}

func advanceRemove(host, _ string, a removeArgs, r removeResults, w *world.World) {
	if r.Removed {
		w.Host(host).Remove(a.Path)
	}
}
