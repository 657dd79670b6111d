package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// cutOff runs p until the process ends at once in task.one, after its effect.
func (b *bench) cutOff(t *testing.T, p *Program) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.site.after = func(string) error {
		cancel()
		return ctx.Err()
	}
	wantCode(t, Run(ctx, p, b.env, nil, RunOptions{StateDir: b.state}), ExitInterrupted)
	b.site.after = nil
}

// TestResumeBelievesWhatItSees: what Settle says of an open task decides whether
// the run goes on, stops for a person, or cannot tell; nothing is undone on a guess.
func TestResumeBelievesWhatItSees(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(s *Spec[addArgs, addState, addResults])
		code   int
		cause  string
		undone int
	}{
		{name: "somebody else's", code: ExitRefused, cause: "somebody else changed the same thing", change: func(s *Spec[addArgs, addState, addResults]) {
			s.Settle = func(context.Context, Look, addArgs, addState) (Settlement, addResults, error) {
				return Conflict, addResults{}, nil
			}
		}},
		{name: "nobody answers", code: ExitUnknown, cause: "looking did not tell: host is gone", change: func(s *Spec[addArgs, addState, addResults]) {
			s.Settle = func(context.Context, Look, addArgs, addState) (Settlement, addResults, error) {
				return "", addResults{}, errors.New("host is gone")
			}
		}},
		{name: "there, not proved", code: ExitFailed, undone: 1, cause: "done by the interrupted run, but not proved: it is not so", change: func(s *Spec[addArgs, addState, addResults]) {
			s.Verify = func(context.Context, Look, addArgs, addResults) error { return errors.New("it is not so") }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			build := func() *Program {
				undo := task(b.site.addType(nil), "undo", map[string]Expr{"key": str("undone"), "value": str("v")})
				return b.program(&Phase{Tasks: []*Task{b.typed(tc.change), b.add("two", "two")}, Rescue: []*Task{undo}})
			}
			b.cutOff(t, build())
			o := b.resume(build())
			wantCode(t, o, tc.code)
			if !strings.Contains(o.Failure.Cause, tc.cause) {
				t.Errorf("cause: got %q, want %q in it", o.Failure.Cause, tc.cause)
			}
			want(t, "effects", b.effects("one", "two", "undone"), fmt.Sprintf("one=1 two=0 undone=%d", tc.undone))
		})
	}
}

// TestOpenTaskMustBeTheSame: what was begun is seen through as it was begun, or not
// touched, however much the operator accepts.
func TestOpenTaskMustBeTheSame(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(b *bench, p *Program)
		says   string
	}{
		{"other arguments", func(b *bench, p *Program) {
			p.Phases[0].Tasks[0].Args.(testArgs).exprs["value"] = str("w")
		}, `it was begun with value = "v-one" and now it is "w"`},
		{"another type", func(b *bench, p *Program) {
			p.Phases[0].Tasks[0].Type = b.site.addType(func(s *Spec[addArgs, addState, addResults]) { s.Name = "append" })
		}, `it was begun as a add on "a"`},
		{"another host", func(b *bench, p *Program) {
			p.Phases[0].Tasks[0].On = onHost("b")
		}, `it was begun as a add on "a"`},
		{"another task before it", func(b *bench, p *Program) {
			p.Phases[0].Tasks = append([]*Task{b.add("new", "new")}, p.Phases[0].Tasks...)
		}, "task.new stands before a task that has begun"},
		{"no longer there", func(b *bench, p *Program) {
			p.Phases[0].Tasks = []*Task{b.add("new", "new")}
		}, "task.one has begun and is no longer in the playbook"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			build := func() *Program {
				p := b.program(&Phase{Tasks: []*Task{b.add("one", "one")}})
				p.Phases[0].Tasks[0].On = onHost("a")
				return p
			}
			b.cutOff(t, build())
			p := build()
			p.Digest = "d2"
			tc.change(b, p)
			o := Resume(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state, AcceptChanges: true})
			wantCode(t, o, ExitRefused)
			if !strings.Contains(o.Err.Error(), tc.says) {
				t.Errorf("got %q, want %q in it", o.Err, tc.says)
			}
			want(t, "effects", b.effects("one", "new"), "one=1 new=0")
			wantCode(t, b.resume(build()), ExitOK)
			want(t, "effects", b.effects("one"), "one=1")
		})
	}
}

// TestResumeIsKeptOff: a run is not taken up while another one works on the cluster.
func TestResumeIsKeptOff(t *testing.T) {
	b := newBench(t)
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}})
	b.cutOff(t, p)
	first := b.record()
	var resumed Outcome
	b.site.before = func(key string) error {
		if key == "other" {
			resumed = Resume(context.Background(), p, b.env, first, ResumeOptions{StateDir: b.state})
		}
		return nil
	}
	env := b.env
	env.Identity.ID = "20261122T095500Z-0002"
	q := b.program(&Phase{Tasks: []*Task{b.add("other", "other")}})
	wantCode(t, Run(context.Background(), q, env, nil, RunOptions{StateDir: b.state}), ExitOK)
	wantCode(t, resumed, ExitLocked)
	want(t, "effects", b.effects("one", "two", "other"), "one=1 two=0 other=1")
}

// TestLoopStaysTheSame: a loop that was begun is over the same things for ever, and
// no further round of it is begun once the operator has said stop.
func TestLoopStaysTheSame(t *testing.T) {
	b := newBench(t)
	keys := []cty.Value{cty.StringVal("a"), cty.StringVal("b")}
	key := expr{f: func(s *Scope) cty.Value { return s.Each.GetAttr("value") }}
	one := task(b.site.addType(nil), "one", map[string]Expr{"key": key, "value": str("v")})
	one.ForEach = expr{f: func(*Scope) cty.Value { return cty.ListVal(keys) }}
	p := b.program(&Phase{Tasks: []*Task{one}})
	stop := make(chan struct{})
	b.site.after = func(string) error {
		close(stop)
		return nil
	}
	wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state, Stop: stop}), ExitInterrupted)
	want(t, "effects", b.effects("a", "b"), "a=1 b=0")
	b.site.after = nil
	keys = append(keys, cty.StringVal("c"))
	o := b.resume(p)
	wantCode(t, o, ExitRefused)
	if !strings.Contains(o.Failure.Cause, `looped over ["a" "b"] and would now loop over ["a" "b" "c"]`) {
		t.Errorf("cause: got %q", o.Failure.Cause)
	}
	want(t, "effects", b.effects("a", "b", "c"), "a=1 b=0 c=0")
	keys = keys[:2]
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects", b.effects("a", "b", "c"), "a=1 b=1 c=0")
}

// TestExitCodes holds what each kind of error ends the program with, also where
// one is wrapped in another.
func TestExitCodes(t *testing.T) {
	refusal := (world.Verdict{Checks: []world.Check{{ID: "Q1"}}}).Err()
	for _, tc := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{errors.New("any"), 1},
		{ErrInput, 2},
		{refusal, 3},
		{ErrDrift, 3},
		{errConflict, 3},
		{ErrState, 4},
		{fmt.Errorf("%w: %w", ErrUnknownEffect, ErrState), 4},
		{ErrUnknownEffect, 5},
		{fmt.Errorf("%w: %w", ErrUnknownEffect, conn.ErrUnreachable), 5},
		{&LockedError{}, 6},
		{conn.ErrFenced, 6},
		{conn.ErrUnreachable, 7},
		{conn.ErrRefused, 7},
		{ErrInterrupted, 130},
		{fmt.Errorf("%w: %w", ErrInterrupted, conn.ErrUnreachable), 130},
	} {
		if got := ExitCode(tc.err); got != tc.code {
			t.Errorf("%v: got %d, want %d", tc.err, got, tc.code)
		}
	}
}
