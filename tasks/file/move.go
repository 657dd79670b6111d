package file

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Move renames a file or a directory.
func Move() *engine.Type {
	return engine.Define(engine.Spec[moveArgs, moveState, moveResults]{
		Name: "move",
		Doc: "Renames a file or a directory with all that is in it. It never overwrites and never copies: " +
			"both paths have to be on one file system, and nothing may be at the new one. That is why it can be taken back.",
		Effect: engine.Change, Where: engine.OnHost,
		Check: checkMove, Observe: observeMove, Plan: planMove, Guard: guardMove, Apply: applyMove,
		Settle: settleMove, Verify: verifyMove, Advance: advanceMove,
	})
}

type moveArgs struct {
	From      string `play:"from,required,abspath,nosecret" doc:"What to move."`
	To        string `play:"to,required,abspath,nosecret" doc:"Its new path. The directory it lies in has to be there."`
	MissingOK bool   `play:"missing_ok" doc:"That nothing is at from is no error." default:"false"`
}

type moveResults struct {
	From  string `play:"from" doc:"The old path."`
	Moved bool   `play:"moved" doc:"Whether there was anything to move."`
	To    string `play:"to" doc:"The new path."`
}

type moveState struct {
	From   seen `json:"from"`
	To     seen `json:"to"`
	Parent seen `json:"parent"` // the directory of to
}

func checkMove(a moveArgs) error {
	if a.From == a.To || strings.HasPrefix(a.To, a.From+"/") {
		return &engine.ArgError{Arg: "to", Text: fmt.Sprintf("A directory cannot be moved to or into itself; name a path beside it, such as %q.", a.From+".old")}
	}
	return nil
}

func observeMove(ctx context.Context, l engine.Look, a moveArgs) (s moveState, err error) {
	all, err := seeAll(ctx, l.Host, a.From, a.To, path.Dir(a.To))
	if err != nil {
		return s, err
	}
	s.From, s.To, s.Parent = all[0], all[1], all[2]
	return s, nil
}

func planMove(p engine.Planning, a moveArgs, s moveState) (engine.Planned, moveResults) {
	r := moveResults{From: a.From, Moved: true, To: a.To}
	summary := shown(p, "from", a.From) + " -> " + shown(p, "to", a.To)
	if !p.Observed {
		return engine.Planned{Needed: true, Summary: summary, Unknown: unknown(p, "moved", "from", "to")}, r
	}
	if s.From.Exists {
		return engine.Planned{Needed: true, Summary: summary}, r
	}
	r.Moved = false
	return engine.Planned{Summary: fmt.Sprintf("%q: nothing is there, nothing to move", a.From)}, r
}

func guardMove(_ string, a moveArgs, s moveState, _ *world.World) (v world.Verdict) {
	if !s.From.Looked {
		return v
	}
	if !s.From.Exists {
		v.Checks = append(v.Checks, check("source-exists", a.MissingOK,
			"correct from, or set missing_ok = true", "there is nothing at %q", a.From))
		return v
	}
	v.Checks = append(v.Checks, check("source-is-no-mount", !s.From.Mount,
		"unmount it, or move what is in it one by one to a directory beside it on the same file system",
		"%q is %s", a.From, mountText(s.From)))
	v.Checks = append(v.Checks, check("target-is-free", !s.To.Exists,
		"choose another name, for example with ${run.id} in it; nothing is ever overwritten",
		"at %q there is %s", a.To, s.To.kind()))
	v.Checks = append(v.Checks, check("target-directory-exists", s.Parent.Exists && s.Parent.Mode.IsDir(),
		"make it first with a task of type directory", "%q, where it would go, is %s", path.Dir(a.To), s.Parent.kind()))
	if s.Parent.Exists && !s.From.Mount && !s.From.imagined() && !s.Parent.imagined() {
		same := s.Parent.Device == s.From.Device
		v.Checks = append(v.Checks, check("one-file-system", same,
			"choose a path beside it; a move renames and never copies",
			"%q and %q are %s", a.From, a.To, sameText(same)))
	}
	return v
}

func mountText(s seen) string {
	if s.Mount {
		return "a mount point, which cannot be renamed"
	}
	return "no mount point"
}

func sameText(same bool) string {
	if same {
		return "on one file system"
	}
	return "on different file systems"
}

func applyMove(ctx context.Context, h engine.Hands, a moveArgs, s moveState) (moveResults, error) {
	r := moveResults{From: a.From, Moved: s.From.Exists, To: a.To}
	if !s.From.Exists {
		return r, nil
	}
	return r, h.Host.Rename(ctx, a.From, a.To)
}

// settleMove goes by the inode: a rename keeps it, so that whoever has it is
// the very thing that was to be moved.
func settleMove(ctx context.Context, l engine.Look, a moveArgs, before moveState) (engine.Settlement, moveResults, error) {
	r := moveResults{From: a.From, Moved: before.From.Exists, To: a.To}
	now, err := observeMove(ctx, l, a)
	switch {
	case err != nil:
		return "", r, err
	case !before.From.Exists && !now.From.Exists:
		return engine.Done, r, nil
	case !now.From.Exists && now.To.same(before.From):
		return engine.Done, r, nil
	case now.From.same(before.From) && !now.To.Exists:
		return engine.NotDone, r, nil
	}
	return engine.Conflict, r, nil
}

func verifyMove(ctx context.Context, l engine.Look, a moveArgs, r moveResults) error {
	s, err := observeMove(ctx, l, a)
	switch {
	case err != nil:
		return err
	case s.From.Exists:
		return fmt.Errorf("%s is still there", a.From)
	case r.Moved && !s.To.Exists:
		return fmt.Errorf("nothing is at %s", a.To)
	}
	return nil
}

func advanceMove(host, _ string, a moveArgs, r moveResults, w *world.World) {
	if r.Moved {
		w.Host(host).Move(a.From, a.To)
	}
}
