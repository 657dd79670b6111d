package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// typed is the task one with a type that is changed.
func (b *bench) typed(change func(s *Spec[addArgs, addState, addResults])) *Task {
	return task(b.site.addType(change), "one", map[string]Expr{"key": str("one"), "value": str("v")})
}

// TestNothingIsDoneUnproved: a task whose post-condition is not seen to hold has
// failed, whether it did something or found it done, and nothing follows it.
func TestNothingIsDoneUnproved(t *testing.T) {
	unproved := func(s *Spec[addArgs, addState, addResults]) {
		s.Verify = func(context.Context, Look, addArgs, addResults) error { return errors.New("it is not so") }
	}
	already := func(s *Spec[addArgs, addState, addResults]) {
		unproved(s)
		s.Plan = func(_ Planning, _ addArgs, st addState) (Planned, addResults) {
			return Planned{}, addResults{Count: st.Lines, Token: "t"}
		}
	}
	for _, tc := range []struct {
		name      string
		change    func(s *Spec[addArgs, addState, addResults])
		pre, post cty.Value
		cause     string
		effect    string
	}{
		{name: "not proved", change: unproved, cause: "done, but not proved: it is not so", effect: "one=1"},
		{name: "found done, not proved", change: already, cause: "it is not so", effect: "one=0"},
		{name: "precondition", pre: cty.False, cause: "no", effect: "one=0"},
		{name: "precondition null", pre: cty.NullVal(cty.Bool), cause: "its precondition is null", effect: "one=0"},
		{name: "postcondition", post: cty.False, cause: "no", effect: "one=1"},
		{name: "postcondition null", post: cty.NullVal(cty.Bool), cause: "The condition is null.", effect: "one=1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			one := b.typed(tc.change)
			if tc.pre != cty.NilVal {
				one.Pre = []Condition{{Condition: lit(tc.pre), Message: str("no")}}
			}
			if tc.post != cty.NilVal {
				one.Post = []Condition{{Condition: lit(tc.post), Message: str("no")}}
			}
			p := b.program(&Phase{Tasks: []*Task{one, b.add("two", "two")}})
			o := Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state})
			wantCode(t, o, ExitFailed)
			want(t, "cause", o.Failure.Cause, tc.cause)
			want(t, "effects", b.effects("one", "two"), tc.effect+" two=0")
			if got := b.record().Tasks; len(got) > 0 {
				t.Errorf("recorded as done: %+v", got)
			}
		})
	}
}

// TestTriedAgainOnlyWhereItCannotHarm: a retry block does not repeat a change of
// which nobody knows whether it happened, nor one that was refused, and makes no
// further attempt once the operator has said stop.
func TestTriedAgainOnlyWhereItCannotHarm(t *testing.T) {
	stop := make(chan struct{})
	for _, tc := range []struct {
		name   string
		change func(s *Spec[addArgs, addState, addResults])
		fails  error
		code   int
		tries  int
	}{
		{name: "refused by the server", fails: Definite(errors.New("busy")), code: ExitFailed, tries: 3},
		{name: "nobody can tell", fails: errors.New("connection lost"), code: ExitUnknown, tries: 1, change: func(s *Spec[addArgs, addState, addResults]) {
			s.Settle = func(context.Context, Look, addArgs, addState) (Settlement, addResults, error) {
				return "", addResults{}, errors.New("host is gone")
			}
		}},
		{name: "cannot be looked at", fails: fmt.Errorf("exec: %w", conn.ErrOutcomeUnknown), code: ExitUnknown, tries: 1, change: func(s *Spec[addArgs, addState, addResults]) {
			s.Settle = nil
		}},
		{name: "somebody else's", fails: errors.New("connection lost"), code: ExitRefused, tries: 1, change: func(s *Spec[addArgs, addState, addResults]) {
			s.Settle = func(context.Context, Look, addArgs, addState) (Settlement, addResults, error) {
				return Conflict, addResults{}, nil
			}
		}},
		{name: "stopped", fails: Definite(errors.New("busy")), code: ExitInterrupted, tries: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			tries := 0
			b.site.before = func(string) error {
				tries++
				if tc.name == "stopped" {
					close(stop)
				}
				return tc.fails
			}
			one := b.typed(tc.change)
			one.Retry = &Retry{Attempts: lit(cty.NumberIntVal(3)), Interval: str("1ms")}
			opts := RunOptions{StateDir: b.state}
			if tc.name == "stopped" {
				opts.Stop = stop
			}
			o := Run(context.Background(), b.program(&Phase{Tasks: []*Task{one}}), b.env, nil, opts)
			wantCode(t, o, tc.code)
			if tries != tc.tries {
				t.Errorf("tried %d times, want %d", tries, tc.tries)
			}
		})
	}
}

// TestPreconditionsOfWhatIsBegunAnew: what turns out not to have happened is begun
// anew, and so has to be allowed anew.
func TestPreconditionsOfWhatIsBegunAnew(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	b.site.before = func(string) error {
		cancel()
		return ctx.Err()
	}
	holds := cty.True
	one := b.add("one", "one")
	one.Pre = []Condition{{Condition: expr{f: func(*Scope) cty.Value { return holds }}, Message: str("no longer")}}
	p := b.program(&Phase{Tasks: []*Task{one}})
	wantCode(t, Run(ctx, p, b.env, nil, RunOptions{StateDir: b.state}), ExitInterrupted)
	holds, b.site.before = cty.False, nil
	o := b.resume(p)
	wantCode(t, o, ExitFailed)
	if !strings.Contains(o.Failure.Cause, "no longer") {
		t.Errorf("cause: got %q", o.Failure.Cause)
	}
	want(t, "effects", b.effects("one"), "one=0")
	holds = cty.True
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects", b.effects("one"), "one=1")
}

// TestOneClusterByTwoNames: two inventories that name a cluster differently meet
// at any endpoint that they share.
func TestOneClusterByTwoNames(t *testing.T) {
	b := newBench(t)
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one")}})
	p.Cluster.Endpoints = []string{"https://a:2379", "https://b:2379"}
	q := b.program(&Phase{Tasks: []*Task{b.add("two", "two")}})
	q.Cluster.Name, q.Cluster.Endpoints = "other", []string{"https://b:2379", "https://c:2379"}
	var second Outcome
	b.site.before = func(key string) error {
		if key == "one" {
			env := b.env
			env.Identity.ID = "20261122T095500Z-0002"
			second = Run(context.Background(), q, env, nil, RunOptions{StateDir: b.state})
		}
		return nil
	}
	wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), ExitOK)
	wantCode(t, second, ExitLocked)
	want(t, "effects", b.effects("one", "two"), "one=1 two=0")
}
