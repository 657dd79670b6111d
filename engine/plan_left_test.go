package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// left is the plan of taking the run up, in short: each task with what is said
// of it.
func (b *bench) left(p *Program) string {
	b.t.Helper()
	plan, err := PlanResume(context.Background(), p, b.env, b.record(), false)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(plan.Failed) > 0 {
		b.t.Fatalf("plan fails: %v", plan.Failed)
	}
	var out []string
	for _, e := range plan.Entries {
		word := "left"
		switch {
		case e.Kind == PhaseEntry && e.Owed:
			word = "owed"
		case e.Kind == PhaseEntry:
			word = "phase"
		case e.Recorded:
			word = "done"
		case e.Open:
			word = "open"
		case e.Doubt != "":
			word = "doubt"
		case e.Perhaps:
			word = "perhaps"
		}
		out = append(out, strings.TrimPrefix(e.Name, "task.")+" "+word)
	}
	return strings.Join(out, ", ")
}

// TestPlanResume holds the plan of a resume against what the resume does.
func TestPlanResume(t *testing.T) {
	b := newBench(t)
	fail := "two"
	b.failing(&fail)
	third := task(b.site.addType(nil), "three", map[string]Expr{"key": str("three"), "value": result("one", "token")})
	p := b.program(&Phase{Name: "a", Tasks: []*Task{b.add("one", "one")}}, &Phase{Name: "b", Tasks: []*Task{b.add("two", "two"), third}})
	wantCode(t, b.run(p), ExitFailed)
	want(t, "left", b.left(p), "a phase, one done, b phase, two left, three left")
	want(t, "a plan's effects", b.effects("one", "two", "three"), "one=1 two=0 three=0")
	plan, err := PlanResume(context.Background(), p, b.env, b.record(), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Entries[4].Args.GetAttr("value").AsString(); got != "token of one" {
		t.Errorf("what is left sees the recorded result: got %q", got)
	}
	if c := plan.Counts; c.Done != 1 || c.Changes != 2 || c.Open != 0 {
		t.Errorf("counts: got %+v", c)
	}
	b.site.down["a"] = true
	p.Phases[1].Tasks[0].On, p.Phases[1].Tasks[1].On = onHost("a"), onHost("a")
	want(t, "with a host that does not answer", b.left(p), "a phase, one done, b phase, two doubt, three doubt")
	b.site.down["a"] = false
	other := *p
	other.Digest = "d2"
	if _, err := PlanResume(context.Background(), &other, b.env, b.record(), false); !errors.Is(err, ErrDrift) {
		t.Errorf("another playbook: got %v, want ErrDrift", err)
	}
	fail = ""
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects", b.effects("one", "two", "three"), "one=1 two=1 three=1")
}

// TestPlanResumeOpen holds the plan of a resume where the process died in the
// middle of a change, and in the middle of a rescue.
func TestPlanResumeOpen(t *testing.T) {
	for _, row := range []struct{ at, left, then string }{
		{"P4 task.two", "p phase, one done, two open, undo perhaps, last left", "one=1 two=1 undone=0 last=1"},
		{"rescue", "p owed, undo open, last left, p phase, one left, two left, undo perhaps, last left", "one=2 two=1 undone=1 last=2"},
	} {
		t.Run(row.at, func(t *testing.T) {
			b := newBench(t)
			die := func() { panic(errDied) }
			p := b.program(&Phase{
				Name: "p", Tasks: []*Task{b.add("one", "one"), b.add("two", "two")},
				Rescue: []*Task{b.add("undo", "undone")}, Always: []*Task{b.add("last", "last")},
			})
			b.site.before = func(key string) error {
				switch {
				case key == "two" && row.at != "rescue", key == "undone":
					die()
				case key == "two":
					return Definite(errors.New("no room"))
				}
				return nil
			}
			b.dies(p)
			b.site.before = nil
			want(t, "left", b.left(p), row.left)
			wantCode(t, b.resume(p), ExitOK)
			want(t, "effects", b.effects("one", "two", "undone", "last"), row.then)
		})
	}
}

var errDied = errors.New("died")

// dies runs p in a process that ends with a panic in the middle.
func (b *bench) dies(p *Program) {
	b.t.Helper()
	defer func() {
		if r := recover(); r != errDied { //nolint:errorlint // it is the value that was thrown
			b.t.Fatalf("got %v, want a death", r)
		}
	}()
	b.run(p)
}
