package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func wantCode(t *testing.T, o Outcome, code int) {
	t.Helper()
	if o.ExitCode() != code {
		t.Fatalf("got exit code %d (%v), want %d", o.ExitCode(), o.Err, code)
	}
}

func TestRunPassesResultsOn(t *testing.T) {
	b := newBench(t)
	second := task(b.site.addType(nil), "second", map[string]Expr{"key": str("two"), "value": result("first", "token")})
	p := b.program(&Phase{Name: "all", Tasks: []*Task{b.add("first", "one"), second}})
	p.Outputs = []*Output{{Name: "token", Value: result("first", "token")}}
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		t.Fatal(err)
	}
	e := plan.Entries[2]
	want(t, "waits", strings.Join(e.Waits, " "), "task.first")
	want(t, "output waits", strings.Join(plan.Outputs[0].Waits, " "), "task.first")
	if plan.Counts.Changes != 2 {
		t.Errorf("got %d changes, want 2", plan.Counts.Changes)
	}
	want(t, "a plan's effects", b.effects("one", "two"), "one=0 two=0")
	o := Run(context.Background(), p, b.env, plan, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitOK)
	want(t, "ends", b.ends(), "first ok executed; second ok executed")
	want(t, "value", b.site.lines("two")[0], "token of one")
	want(t, "output", o.Outputs["token"].AsString(), "token of one")
	r := b.record()
	if r.State != RunOK || len(r.Tasks) != 2 || r.Outputs["token"].AsString() != "token of one" {
		t.Errorf("record: got %+v", r)
	}
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects after resuming a finished run", b.effects("one", "two"), "one=1 two=1")
}

func TestWhenSkips(t *testing.T) {
	b := newBench(t)
	first := b.add("first", "one")
	first.When = lit(cty.False)
	second := b.add("second", "two")
	second.When = expr{f: func(s *Scope) cty.Value {
		return cty.BoolVal(s.Tasks["first"].GetAttr("token").IsNull())
	}, tasks: []string{"first"}}
	wantCode(t, b.run(b.program(&Phase{Tasks: []*Task{first, second}})), ExitOK)
	want(t, "ends", b.ends(), "first skipped ; second ok executed")
}

func TestRescueAndAlways(t *testing.T) {
	b := newBench(t)
	b.site.before = func(key string) error {
		if key == "two" {
			return Definite(errors.New("no room"))
		}
		return nil
	}
	var seen string
	undo := b.add("undo", "undone")
	undo.When = expr{f: func(s *Scope) cty.Value {
		seen = s.Error.GetAttr("task").AsString() + ": " + s.Error.GetAttr("message").AsString()
		return cty.BoolVal(!s.Tasks["one"].GetAttr("token").IsNull())
	}, tasks: []string{"one"}}
	p := b.program(
		&Phase{
			Name: "change", Tasks: []*Task{b.add("one", "one"), b.add("two", "two"), b.add("three", "three")},
			Rescue: []*Task{undo}, Always: []*Task{b.add("last", "last")},
		},
		&Phase{Name: "after", Tasks: []*Task{b.add("four", "four")}},
	)
	o := Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitFailed)
	want(t, "error", seen, "task.two: no room")
	want(t, "ends", b.ends(), "one ok executed; two failed ; undo ok executed; last ok executed")
	want(t, "failure", o.Failure.Address+" "+o.Failure.Cause+" "+strings.Join(o.Failure.Undone, ","), "task.two no room task.undo,task.last")
	want(t, "go on", o.Failure.GoOn, "etcdplay resume 20261122T095500Z-0001")
	if got := b.record(); got.State != RunFailed || got.Failure.Address != "task.two" {
		t.Errorf("record: got %v %+v", got.State, got.Failure)
	}

	// The phase is the grain: resumed, it begins anew.
	b.site.before = nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "ends", b.ends(), "one ok executed; two ok executed; three ok executed; last ok executed; four ok executed")
	want(t, "effects", b.effects("one", "two", "three", "undone", "last", "four"), "one=2 two=1 three=1 undone=1 last=2 four=1")
}

func TestWithoutRescueResumeGoesOnInside(t *testing.T) {
	b := newBench(t)
	fails := true
	b.site.before = func(key string) error {
		if key == "two" && fails {
			return Definite(errors.New("no room"))
		}
		return nil
	}
	p := b.program(&Phase{Name: "change", Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}})
	wantCode(t, b.run(p), ExitFailed)
	fails = false
	b.events = nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "ends", b.ends(), "one ok recorded; two ok executed")
	want(t, "effects", b.effects("one", "two"), "one=1 two=1")
}

func TestLostAnswers(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after error
		settle        func(context.Context, Look, addArgs, addState) (Settlement, addResults, error)
		code          int
		ends, effects string
	}{
		{name: "done", after: errors.New("connection lost"), ends: "one ok reconciled", effects: "one=1"},
		{name: "not done", before: errors.New("connection lost"), code: ExitFailed, ends: "one failed ", effects: "one=0"},
		{
			name: "cannot tell", after: errors.New("connection lost"), code: ExitUnknown, ends: "one unknown ", effects: "one=1",
			settle: func(context.Context, Look, addArgs, addState) (Settlement, addResults, error) {
				return "", addResults{}, errors.New("host is gone")
			},
		},
		{
			name: "conflict", after: errors.New("connection lost"), code: ExitRefused, ends: "one refused ", effects: "one=1",
			settle: func(context.Context, Look, addArgs, addState) (Settlement, addResults, error) {
				return Conflict, addResults{}, nil
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.site.before = func(string) error { return tc.before }
			b.site.after = func(string) error { return tc.after }
			change := func(s *Spec[addArgs, addState, addResults]) {
				if tc.settle != nil {
					s.Settle = tc.settle
				}
			}
			args := map[string]Expr{"key": str("one"), "value": str("v")}
			one := task(b.site.addType(change), "one", args)
			rescue := b.add("undo", "undone")
			o := b.run(b.program(&Phase{Tasks: []*Task{one}, Rescue: []*Task{rescue}}))
			wantCode(t, o, tc.code)
			got, _, _ := strings.Cut(b.ends(), "; undo")
			want(t, "ends", got, tc.ends)
			want(t, "effects", b.effects("one"), tc.effects)
			if tc.code != ExitUnknown && tc.code != ExitRefused {
				return
			}
			want(t, "rescue on a guess", b.effects("undone"), "undone=0")
			if b.record().Open == nil {
				t.Error("the intent is not open")
			}
			// Once looking can tell, resume goes on.
			b.site.after = nil
			one.Type = b.site.addType(nil)
			wantCode(t, b.resume(b.program(&Phase{Tasks: []*Task{one}, Rescue: []*Task{rescue}})), ExitOK)
			want(t, "ends", b.ends(), "one ok reconciled")
			want(t, "effects", b.effects("one"), "one=1")
		})
	}
}

func TestRetry(t *testing.T) {
	b := newBench(t)
	tries := 0
	b.site.before = func(string) error {
		if tries++; tries < 3 {
			return Definite(errors.New("busy"))
		}
		return nil
	}
	one := b.add("one", "one")
	one.Retry = &Retry{Attempts: lit(cty.NumberIntVal(5)), Interval: str("1ms"), Backoff: lit(cty.NumberIntVal(2)), MaxInterval: str("3ms")}
	wantCode(t, b.run(b.program(&Phase{Tasks: []*Task{one}})), ExitOK)
	if tries != 3 {
		t.Errorf("got %d attempts, want 3", tries)
	}
	// until waits on a read.
	b2 := newBench(t)
	read := task(b2.site.countType(true), "enough", map[string]Expr{"key": str("k")})
	read.Retry = &Retry{
		Attempts: lit(cty.NumberIntVal(50)), Interval: str("1ms"),
		Until: expr{f: func(s *Scope) cty.Value {
			b2.site.add("k", "x")
			return s.Self.GetAttr("count").GreaterThanOrEqualTo(cty.NumberIntVal(3))
		}},
	}
	o := Run(context.Background(), b2.program(&Phase{Tasks: []*Task{read}}), b2.env, nil, RunOptions{StateDir: b2.state})
	wantCode(t, o, ExitOK)
	want(t, "effects", b2.effects("k"), "k=4")
}

func TestTimeoutCoversRetries(t *testing.T) {
	b := newBench(t)
	b.site.before = func(string) error { return Definite(errors.New("busy")) }
	one := b.add("one", "one")
	one.Timeout = str("1s")
	one.Retry = &Retry{Attempts: lit(cty.NumberIntVal(1000000)), Interval: str("5ms")}
	begin := time.Now()
	o := b.run(b.program(&Phase{Tasks: []*Task{one}}))
	wantCode(t, o, ExitFailed)
	want(t, "cause", o.Failure.Cause, "gave up after 1s: busy")
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("took %s", d)
	}
}

func TestOnEachParallel(t *testing.T) {
	b := newBench(t)
	// Each host's task waits until as many are under way as may be: with fewer it
	// would never end.
	under := make(chan struct{}, 2)
	ty := b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		apply := s.Apply
		s.Apply = func(ctx context.Context, h Hands, a addArgs, st addState) (addResults, error) {
			under <- struct{}{}
			for len(under) < 2 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			return apply(ctx, h, a, st)
		}
	})
	host := expr{f: func(s *Scope) cty.Value { return s.Target.GetAttr("name") }}
	each := task(ty, "each", map[string]Expr{"key": host, "value": str("v")})
	each.OnEach, each.Parallel = hosts("a", "b"), lit(cty.NumberIntVal(2))
	after := task(b.site.addType(nil), "after", map[string]Expr{"key": str("sum"), "value": expr{
		f: func(s *Scope) cty.Value {
			return s.Tasks["each"].Index(cty.StringVal("b")).GetAttr("token")
		}, tasks: []string{"each"},
	}})
	wantCode(t, b.run(b.program(&Phase{Tasks: []*Task{each, after}})), ExitOK)
	want(t, "effects", b.effects("a", "b", "sum"), "a=1 b=1 sum=1")
	want(t, "value", b.site.lines("sum")[0], "token of b")
}

func TestNoNewHostAfterFailure(t *testing.T) {
	b := newBench(t)
	b.site.before = func(key string) error {
		if key == "b" {
			return Definite(errors.New("no room"))
		}
		return nil
	}
	host := expr{f: func(s *Scope) cty.Value { return s.Target.GetAttr("name") }}
	each := task(b.site.addType(nil), "each", map[string]Expr{"key": host, "value": str("v")})
	each.OnEach = hosts("a", "b", "c", "d")
	p := b.program(&Phase{Tasks: []*Task{each}})
	o := b.run(p)
	wantCode(t, o, ExitFailed)
	want(t, "failure", o.Failure.Address+" "+o.Failure.Host, `task.each["b"] b`)
	want(t, "effects", b.effects("a", "b", "c", "d"), "a=1 b=0 c=0 d=0")
	b.site.before = nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects", b.effects("a", "b", "c", "d"), "a=1 b=1 c=1 d=1")
}

// A host that does not answer, or does not let in, is named; the first with what
// its task is for.
func TestPlanNamesTheHost(t *testing.T) {
	for _, tc := range []struct {
		why  error
		want string
	}{
		{conn.ErrUnreachable, "Host b does not answer: host is unreachable.\n\nName another."},
		{conn.ErrRefused, "No connection to host b: connection was refused."},
	} {
		b := newBench(t)
		b.env.Host = func(context.Context, HostSpec) (conn.Host, error) { return nil, tc.why }
		only := b.add("only", "only")
		only.On, only.Description = onHost("b"), "name another"
		plan, err := MakePlan(context.Background(), b.program(&Phase{Tasks: []*Task{only}}), b.env)
		if err != nil {
			t.Fatal(err)
		}
		if plan.ExitCode() != ExitUnreachable || len(plan.Failed) != 1 || plan.Failed[0].Detail != tc.want {
			t.Errorf("%v: got %d %+v", tc.why, plan.ExitCode(), plan.Failed)
		}
	}
}

func TestUnreachable(t *testing.T) {
	b := newBench(t)
	b.site.down["b"] = true
	first, second := b.add("one", "one"), b.add("two", "two")
	first.On, second.On = onHost("a"), onHost("b")
	p := b.program(&Phase{Tasks: []*Task{first, second}})
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		t.Fatal(err)
	}
	if plan.ExitCode() != ExitUnreachable || len(plan.Failed) != 1 || plan.Failed[0].Detail != "Host b does not answer: dial b: host is unreachable." {
		t.Errorf("plan: got %d %+v", plan.ExitCode(), plan.Failed)
	}
	o := Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitFailed) // something had been sent before
	want(t, "host", o.Failure.Host, "b")
	if !errors.Is(o.Err, conn.ErrUnreachable) {
		t.Errorf("got %v", o.Err)
	}
	b2 := newBench(t)
	b2.site.down["b"] = true
	o = Run(context.Background(), b2.program(&Phase{Tasks: []*Task{second}}), b2.env, nil, RunOptions{StateDir: b2.state})
	wantCode(t, o, ExitUnreachable)
}

func TestGuardRefuses(t *testing.T) {
	b := newBench(t)
	ty := b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		s.Guard = func(string, addArgs, addState, *world.World) world.Verdict {
			return world.Verdict{Checks: []world.Check{{ID: "Q6", Text: "2 of 3 would be left", Help: "Restore instead."}}}
		}
	})
	p := b.program(&Phase{Tasks: []*Task{task(ty, "one", map[string]Expr{"key": str("one"), "value": str("v")})}})
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		t.Fatal(err)
	}
	if plan.ExitCode() != ExitRefused {
		t.Errorf("plan: got exit code %d", plan.ExitCode())
	}
	want(t, "plan", plan.Failed[0].Detail, "Q6: 2 of 3 would be left\n\nRestore instead.")
	wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), ExitRefused)
	want(t, "effects", b.effects("one"), "one=0")
}

func TestPlanAndRunAgree(t *testing.T) {
	b := newBench(t)
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one")}})
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		t.Fatal(err)
	}
	b.site.add("one", "by somebody else") // the count that was predicted can no longer come true
	o := Run(context.Background(), p, b.env, plan, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitRefused)
	want(t, "cause", o.Failure.Cause, "no longer as it was: the plan said result count = 1 and now it is 2; nothing was done")
	want(t, "effects", b.effects("one"), "one=1")
	b.env.Identity.ID = "20261122T095500Z-0002"
	o = Run(context.Background(), p, b.env, plan, RunOptions{StateDir: b.state, AcceptDrift: true})
	wantCode(t, o, ExitOK)
	if got := b.record().Overrides; len(got) != 1 {
		t.Errorf("overrides: got %q", got)
	}
}

func TestStopOnce(t *testing.T) {
	b := newBench(t)
	stop := make(chan struct{})
	b.site.before = func(key string) error {
		if key == "one" {
			close(stop)
		}
		return nil
	}
	p := b.program(&Phase{
		Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}, Always: []*Task{b.add("last", "last")},
	})
	o := Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state, Stop: stop})
	wantCode(t, o, ExitInterrupted)
	want(t, "effects", b.effects("one", "two", "last"), "one=1 two=0 last=1")
	if got := b.record().State; got != RunStopped {
		t.Errorf("state: got %s", got)
	}
}

func TestStopTwice(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.site.after = func(string) error {
		cancel()
		return ctx.Err()
	}
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}, Always: []*Task{b.add("last", "last")}})
	o := Run(ctx, p, b.env, nil, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitInterrupted)
	want(t, "effects", b.effects("one", "two", "last"), "one=1 two=0 last=0")
	if r := b.record(); r.Open == nil || r.Open.Address != "task.one" {
		t.Errorf("open: got %+v", r.Open)
	}
	b.site.after = nil
	b.events = nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "ends", b.ends(), "one ok reconciled; two ok executed; last ok executed")
	want(t, "effects", b.effects("one", "two", "last"), "one=1 two=1 last=1")
}

func TestAssertAndConfirm(t *testing.T) {
	b := newBench(t)
	asked := 0
	answer := false
	b.env.Ask = func(context.Context, Question) (string, bool, error) {
		asked++
		return "x", answer, nil
	}
	hold := expr{f: func(s *Scope) cty.Value { return s.Tasks["n"].GetAttr("count").Equals(cty.NumberIntVal(0)) }, tasks: []string{"n"}}
	p := b.program(&Phase{Tasks: []*Task{
		task(b.site.countType(false), "n", map[string]Expr{"key": str("one")}),
		task(assertType, "none", map[string]Expr{"condition": hold, "error_message": str("There is one.")}),
		task(confirmType, "sure", map[string]Expr{"message": str("Sure?")}),
		b.add("one", "one"),
	}})
	wantCode(t, b.run(p), ExitInterrupted)
	answer = true
	wantCode(t, b.resume(p), ExitOK)
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
	want(t, "effects", b.effects("one"), "one=1")
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		t.Fatal(err)
	}
	d := plan.Failed[0]
	want(t, "assertion", d.Code+" "+d.Detail+" "+d.Values[0].Name+" "+d.In, `EP4001 There is one. task.n task "assert" "none"`)
	if plan.ExitCode() != ExitFailed || len(plan.Entries) != 1 {
		t.Errorf("got exit code %d and %d entries", plan.ExitCode(), len(plan.Entries))
	}
}

// What has to be typed is asked for again until it was, and is on record as an
// override.
func TestConfirmTyped(t *testing.T) {
	b := newBench(t)
	typed, asked := "yes", 0
	b.env.Ask = func(_ context.Context, q Question) (string, bool, error) {
		asked++
		return typed, typed == q.Typed, nil
	}
	fail := "one"
	b.failing(&fail)
	p := b.program(&Phase{Tasks: []*Task{
		task(confirmType, "sure", map[string]Expr{"message": str("Sure?"), "typed": str("lose 7")}), b.add("one", "one"),
	}})
	if o := b.run(p); ExitCode(o.Err) != ExitInterrupted || !strings.Contains(o.Err.Error(), `did not type "lose 7"`) {
		t.Fatalf("got %v", o.Err)
	}
	typed = "lose 7"
	wantCode(t, b.resume(p), ExitFailed)
	fail = ""
	wantCode(t, b.resume(p), ExitOK)
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
	if got := b.record().Overrides; len(got) != 1 || !strings.Contains(got[0], `task.sure: "lose 7" was typed`) {
		t.Errorf("overrides: %q", got)
	}
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		t.Fatal(err)
	}
	if d := plan.Entries[0].Details; len(d) != 1 || d[0].Value != "lose 7" {
		t.Errorf("planned: %+v", d)
	}
}

// Who only waits for all hosts of a task together is told that one has failed; what
// is said of the run is why that one did.
func TestOthersAreTold(t *testing.T) {
	b := newBench(t)
	ty := b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		s.Settle = nil
		s.Apply = func(ctx context.Context, h Hands, a addArgs, _ addState) (addResults, error) {
			if a.Key == "b" {
				return addResults{}, Definite(errors.New("no room"))
			}
			select {
			case <-h.Failed:
				return addResults{}, Definite(fmt.Errorf("waits no more: %w", ErrOthers))
			case <-time.After(time.Minute):
				return addResults{}, errors.New("was not told")
			case <-ctx.Done():
				return addResults{}, ctx.Err()
			}
		}
	})
	name := expr{f: func(s *Scope) cty.Value { return s.Target.GetAttr("name") }}
	each := task(ty, "each", map[string]Expr{"key": name, "value": str("v")})
	each.OnEach, each.Parallel = hosts("a", "b", "c"), lit(cty.NumberIntVal(3))
	p := b.program(&Phase{Tasks: []*Task{each}})
	o := Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitFailed)
	want(t, "failure", o.Failure.Address+": "+o.Failure.Cause, `task.each["b"]: no room`)
}
