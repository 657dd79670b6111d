package engine

import (
	"context"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// Accepting a changed playbook is for what is still to come: what was done has to
// be in it as it was, in called playbooks too.
func TestAcceptedChangesAreForWhatIsToCome(t *testing.T) {
	inner := func(b *bench, tasks ...*Task) *Task {
		call := b.call("join", "x")
		call.Call.Bind = func(cty.Value, *Scope) (*Program, Diagnostics) {
			q := b.program(&Phase{Tasks: tasks})
			q.Outputs = []*Output{{Name: "token", Value: str("t")}}
			return q, nil
		}
		return call
	}
	for _, tc := range []struct {
		name string
		then func(b *bench) []*Task
		err  string // "" if the run goes on
	}{
		{"the same", func(b *bench) []*Task {
			return []*Task{b.add("a", "a"), b.add("b", "b"), inner(b, b.add("c", "c"), b.add("d", "d"))}
		}, ""},
		{"a task to come", func(b *bench) []*Task {
			return []*Task{b.add("a", "a"), b.add("b", "b"), inner(b, b.add("c", "c"), b.add("d2", "d"))}
		}, ""},
		{"swapped", func(b *bench) []*Task {
			return []*Task{b.add("b", "b"), b.add("a", "a"), inner(b, b.add("c", "c"), b.add("d", "d"))}
		}, "task.b was run after task.a, and now stands before it"},
		{"other arguments", func(b *bench) []*Task {
			return []*Task{b.add("a", "z &"), b.add("b", "b"), inner(b, b.add("c", "c"), b.add("d", "d"))}
		}, `it was done with key = "a" and now it is "z &"`},
		{"gone from the called one", func(b *bench) []*Task {
			return []*Task{b.add("a", "a"), b.add("b", "b"), inner(b, b.add("d", "d"))}
		}, `task.join["x"]/task.c has begun and is no longer in the playbook`},
		{"new before in the called one", func(b *bench) []*Task {
			return []*Task{b.add("a", "a"), b.add("b", "b"), inner(b, b.add("n", "n"), b.add("c", "c"), b.add("d", "d"))}
		}, `task.join["x"]/task.n stands before a task that has begun`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			fail := "d"
			b.failing(&fail)
			build := func(tasks ...*Task) *Program {
				return b.program(&Phase{Tasks: tasks, Rescue: []*Task{b.add("undo", "undone")}})
			}
			first := b.program(&Phase{Tasks: []*Task{b.add("a", "a"), b.add("b", "b"), inner(b, b.add("c", "c"), b.add("d", "d"))}})
			wantCode(t, Run(context.Background(), first, b.env, nil, RunOptions{StateDir: b.state}), ExitFailed)
			fail = ""
			changed := build(tc.then(b)...)
			changed.Digest = "d2"
			o := Resume(context.Background(), changed, b.env, b.record(), ResumeOptions{StateDir: b.state, AcceptChanges: true})
			if tc.err == "" {
				wantCode(t, o, ExitOK)
				want(t, "effects", b.effects("a", "b", "c", "d", "undone"), "a=1 b=1 c=1 d=1 undone=0")
				return
			}
			wantCode(t, o, ExitRefused)
			if !strings.Contains(o.Err.Error(), tc.err) {
				t.Errorf("got %q, want %q in it", o.Err, tc.err)
			}
			want(t, "effects", b.effects("a", "b", "c", "d", "n", "z", "undone"), "a=1 b=1 c=1 d=0 n=0 z=0 undone=0")
		})
	}
}
