package file

import (
	"context"
	"fmt"
	"path"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Chown gives a file or a directory tree an owner.
func Chown() *engine.Type {
	return engine.Define(engine.Spec[chownArgs, chownState, chownResults]{
		Name: "chown",
		Doc: "Gives a file or a directory an owner and a group; with recursive also all that is below it on " +
			"the same file system. Symbolic links get the owner themselves and are never followed.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true,
		Observe: observeChown, Plan: planChown, Guard: guardChown, Apply: applyChown,
		Settle: settleChown, Verify: verifyChown,
	})
}

type chownArgs struct {
	Path      string  `play:"path,required,abspath,nosecret" doc:"The file or directory."`
	Owner     string  `play:"owner,required,nosecret" doc:"Its owner: a name, or a decimal uid."`
	Group     *string `play:"group,nosecret" doc:"Its group: a name, or a decimal gid." default:"left as it is"`
	Recursive bool    `play:"recursive" doc:"Also all that is below it." default:"false"`
}

type chownResults struct {
	Changed bool `play:"changed" doc:"Whether anything had to be done."`
}

type chownState struct {
	seen
	Wrong string `json:"wrong"` // the first file found with another owner: "/a/b: root:root"
}

// maxWalk is how many files are looked at before the rest is taken to need the
// change: giving an owner twice does no harm, looking at a million files does.
const maxWalk = 10_000

func observeChown(ctx context.Context, l engine.Look, a chownArgs) (chownState, error) {
	top, err := see(ctx, l.Host, a.Path)
	if err != nil || !top.Exists {
		return chownState{seen: top}, err
	}
	who := readOwners(ctx, l.Host, a.Owner, str(a.Group))
	right := func(owner, group string) bool { return who.isUser(owner, a.Owner) && who.isGroup(group, str(a.Group)) }
	st := chownState{seen: top}
	if !right(top.Owner, top.Group) {
		st.Wrong = a.Path + ": " + top.Owner + ":" + top.Group
		return st, nil
	}
	if !a.Recursive || !top.Mode.IsDir() {
		return st, nil
	}
	st.Wrong, err = walk(ctx, l.Host, a.Path, top.Device, right)
	return st, err
}

// walk looks below dir, on one file system, for the first file whose owner is
// not right.
func walk(ctx context.Context, r conn.Reader, dir string, device uint64, right func(owner, group string) bool) (string, error) {
	looked := 0
	for dirs := []string{dir}; len(dirs) > 0; {
		entries, err := r.ReadDir(ctx, dirs[0])
		if err != nil {
			return "", err
		}
		dirs = dirs[1:]
		for _, e := range entries {
			if e.Device != device {
				continue
			}
			if looked++; looked > maxWalk {
				return fmt.Sprintf("more than %d files", maxWalk), nil
			}
			if !right(e.Owner, e.Group) {
				return e.Path + ": " + e.Owner + ":" + e.Group, nil
			}
			if e.Mode.IsDir() {
				dirs = append(dirs, path.Clean(e.Path))
			}
		}
	}
	return "", nil
}

func planChown(p engine.Planning, a chownArgs, s chownState) (engine.Planned, chownResults) {
	to := a.Owner
	if a.Group != nil {
		to += ":" + *a.Group
	}
	if p.Unknown["owner"] || p.Unknown["group"] {
		to = later
	}
	summary := shown(p, "path", a.Path) + " -> " + to
	r := chownResults{Changed: true}
	if !p.Observed || s.imagined() {
		return engine.Planned{Needed: true, Summary: summary, Unknown: []string{"changed"}}, r
	}
	if s.Wrong != "" || !s.Exists {
		return engine.Planned{Needed: true, Summary: summary}, r
	}
	r.Changed = false
	return engine.Planned{Summary: fmt.Sprintf("%q: belongs to %s already", a.Path, to)}, r
}

func guardChown(_ string, a chownArgs, s chownState, _ *world.World) world.Verdict {
	if !s.Looked {
		return world.Verdict{}
	}
	return world.Verdict{Checks: []world.Check{check("path-exists", s.Exists,
		"make it first, with a task of type directory", "at %q there is %s", a.Path, s.kind())}}
}

func applyChown(ctx context.Context, h engine.Hands, a chownArgs, s chownState) (chownResults, error) {
	r := chownResults{Changed: s.Wrong != ""}
	if !r.Changed {
		return r, nil
	}
	return r, h.Host.SetAttr(ctx, a.Path, conn.Attr{Owner: a.Owner, Group: str(a.Group)}, a.Recursive)
}

func settleChown(ctx context.Context, l engine.Look, a chownArgs, before chownState) (engine.Settlement, chownResults, error) {
	r := chownResults{Changed: true}
	now, err := observeChown(ctx, l, a)
	switch {
	case err != nil:
		return "", r, err
	case !now.same(before.seen):
		return engine.Conflict, r, nil
	case now.Wrong == "":
		return engine.Done, r, nil
	case now.Wrong != before.Wrong:
		return engine.Partial, r, nil
	}
	return engine.NotDone, r, nil
}

func verifyChown(ctx context.Context, l engine.Look, a chownArgs, _ chownResults) error {
	s, err := observeChown(ctx, l, a)
	switch {
	case err != nil:
		return err
	case !s.Exists:
		return fmt.Errorf("nothing is at %s", a.Path)
	case s.Wrong != "" && s.Wrong != fmt.Sprintf("more than %d files", maxWalk):
		return fmt.Errorf("it has another owner: %s", s.Wrong)
	}
	return nil
}
