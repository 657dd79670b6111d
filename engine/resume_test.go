package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// failing makes Apply fail for a key, with a known outcome, until it is set to "".
func (b *bench) failing(key *string) {
	b.site.before = func(k string) error {
		if k == *key {
			return Definite(errors.New("no room"))
		}
		return nil
	}
}

// call is a task that calls a playbook with one phase of two tasks per round.
func (b *bench) call(name string, keys ...string) *Task {
	var vs []cty.Value
	for _, k := range keys {
		vs = append(vs, cty.StringVal(k))
	}
	value := expr{f: func(s *Scope) cty.Value { return cty.ObjectVal(map[string]cty.Value{"key": s.Each.GetAttr("value")}) }}
	t := task(callType, name, map[string]Expr{"source": str("inner.hcl"), "with": value})
	t.ForEach = lit(cty.ListVal(vs))
	t.Call = &Call{Source: "inner.hcl", Outputs: map[string]cty.Type{"token": cty.String}, Bind: func(with cty.Value, _ *Scope) (*Program, Diagnostics) {
		key := with.GetAttr("key")
		first := task(b.site.addType(nil), "first", map[string]Expr{"key": lit(key), "value": str("v")})
		second := task(b.site.addType(nil), "second", map[string]Expr{"key": str("sum"), "value": result("first", "token")})
		p := b.program(&Phase{Name: "inner", Tasks: []*Task{first, second}})
		p.Outputs = []*Output{{Name: "token", Value: result("first", "token")}}
		return p, nil
	}}
	return t
}

func TestCalls(t *testing.T) {
	b := newBench(t)
	fail := "c"
	b.failing(&fail)
	after := task(b.site.addType(nil), "after", map[string]Expr{"key": str("end"), "value": expr{
		f: func(s *Scope) cty.Value {
			return s.Tasks["join"].Index(cty.StringVal("c")).GetAttr("token")
		}, tasks: []string{"join"},
	}})
	p := b.program(&Phase{Name: "outer", Tasks: []*Task{b.call("join", "a", "c"), after}})
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil || len(plan.Failed) > 0 {
		t.Fatal(err, plan.Failed)
	}
	var names []string
	for _, e := range plan.Entries {
		if e.Kind == TaskEntry {
			names = append(names, e.Address)
		}
	}
	want(t, "planned", strings.Join(names, " "),
		`task.join["a"]/task.first task.join["a"]/task.second task.join["c"]/task.first task.join["c"]/task.second task.after`)
	o := Run(context.Background(), p, b.env, plan, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitFailed)
	want(t, "failure", o.Failure.Address, `task.join["c"]/task.first`)
	fail = ""
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects", b.effects("a", "c", "sum", "end"), "a=1 c=1 sum=2 end=1")
	want(t, "value", b.site.lines("end")[0], "token of c")
}

func TestVolatileIsReadAgain(t *testing.T) {
	for _, volatile := range []bool{false, true} {
		b := newBench(t)
		fail := "two"
		b.failing(&fail)
		n := task(b.site.countType(volatile), "n", map[string]Expr{"key": str("k")})
		two := task(b.site.addType(nil), "two", map[string]Expr{"key": str("two"), "value": expr{
			f: func(s *Scope) cty.Value {
				return cty.StringVal(s.Tasks["n"].GetAttr("count").AsBigFloat().String())
			}, tasks: []string{"n"},
		}})
		p := b.program(&Phase{Tasks: []*Task{n, two}})
		wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), ExitFailed)
		b.site.add("k", "x")
		fail = ""
		wantCode(t, b.resume(p), ExitOK)
		wanted := map[bool]string{false: "0", true: "1"}[volatile]
		if got := b.site.lines("two")[0]; got != wanted {
			t.Errorf("volatile %v: got %s, want %s", volatile, got, wanted)
		}
	}
}

func TestResumeRefusesChanges(t *testing.T) {
	secret := func(v string) Input {
		return Input{Name: "token", Value: cty.StringVal(v).Mark(Sensitive), Source: "--var", Sensitive: true}
	}
	for _, tc := range []struct {
		name   string
		change func(p *Program)
		accept bool
		code   int
		err    string
	}{
		{"nothing", func(*Program) {}, false, ExitOK, ""},
		{"playbook", func(p *Program) { p.Digest = "d2" }, false, ExitRefused, "the playbook has changed"},
		{"playbook, accepted", func(p *Program) { p.Digest = "d2" }, true, ExitOK, ""},
		{"inventory", func(p *Program) { p.Inventory = "i2" }, true, ExitRefused, "the inventory has changed"},
		{"input", func(p *Program) { p.Inputs[0].Value = cty.StringVal("y") }, true, ExitRefused, "variable who has changed"},
		{"secret", func(p *Program) { p.Inputs[1] = secret("another") }, true, ExitRefused, "variable token has changed"},
		{"input gone", func(p *Program) { p.Inputs = p.Inputs[1:] }, true, ExitRefused, "variable who has changed"},
		{"cluster", func(p *Program) { p.Cluster.Name = "other" }, true, ExitRefused, "the cluster has changed"},
		{"template", func(p *Program) { p.Templates = map[string]string{"unit.tmpl": "t2"} }, false, ExitRefused, "a template has changed"},
		{"finished task of another type", func(p *Program) {
			other := *p.Phases[0].Tasks[0].Type
			other.Name = "append"
			p.Digest, p.Phases[0].Tasks[0].Type = "d2", &other
		}, true, ExitRefused, "finished task.one was of type add"},
		{"finished task gone", func(p *Program) {
			p.Digest, p.Phases[0].Tasks = "d2", p.Phases[0].Tasks[1:]
		}, true, ExitRefused, "task.one has begun and is no longer in the playbook"},
		{"task put before", func(p *Program) {
			p.Digest = "d2"
			extra := *p.Phases[0].Tasks[0]
			extra.Name = "extra"
			p.Phases[0].Tasks = append([]*Task{&extra}, p.Phases[0].Tasks...)
		}, true, ExitRefused, "task.extra stands before a task that has begun"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			fail := "two"
			b.failing(&fail)
			build := func() *Program {
				p := b.program(&Phase{Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}})
				p.Inputs = []Input{{Name: "who", Value: cty.StringVal("x"), Source: "default"}, secret("hunter22")}
				return p
			}
			wantCode(t, Run(context.Background(), build(), b.env, nil, RunOptions{StateDir: b.state}), ExitFailed)
			fail = ""
			p := build()
			tc.change(p)
			o := Resume(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state, AcceptChanges: tc.accept})
			wantCode(t, o, tc.code)
			if tc.err != "" && !strings.Contains(o.Err.Error(), tc.err) {
				t.Errorf("got %q, want %q in it", o.Err, tc.err)
			}
			if tc.code != ExitOK {
				want(t, "effects", b.effects("one", "two"), "one=1 two=0")
			}
			if got := len(b.record().Overrides); tc.name == "playbook, accepted" && got != 1 {
				t.Errorf("what was accepted is recorded %d times, want once", got)
			}
		})
	}
}

func TestSecretsStayOut(t *testing.T) {
	const secret = "correct horse"
	b := newBench(t)
	value := lit(cty.StringVal(secret).Mark(Sensitive))
	b.site.before = func(string) error { return errors.New("refused: " + secret) }
	one := task(b.site.addType(nil), "one", map[string]Expr{"key": str("one"), "value": value})
	p := b.program(&Phase{Tasks: []*Task{one}, Rescue: []*Task{b.add("undo", "undone")}})
	p.Inputs = []Input{{Name: "pw", Value: cty.StringVal(secret).Mark(Sensitive), Sensitive: true}}
	o := Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state, Copies: map[string][]byte{"a/b.hcl": []byte("x")}})
	wantCode(t, o, ExitFailed)
	want(t, "cause", o.Failure.Cause, "refused: (sensitive)")
	for _, e := range b.events {
		if strings.Contains(e.Message, secret) || strings.Contains(Diagnostics(e.Diagnostics).Error(), secret) {
			t.Errorf("event %s tells the secret: %q", e.Kind, e.Message)
		}
	}
	err := filepath.WalkDir(b.state, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), secret) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A secret that comes back in a result, where no mark has reached it, is not
// recorded either; who needs it after a resume is told so.
func TestSecretInResultsIsWithheld(t *testing.T) {
	const secret = "correct horse"
	b := newBench(t)
	fail := "two"
	b.failing(&fail)
	ty := b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		apply := s.Apply
		s.Apply = func(ctx context.Context, h Hands, a addArgs, st addState) (addResults, error) {
			r, err := apply(ctx, h, a, st)
			r.Token = "the password is " + secret
			return r, err
		}
	})
	one := task(ty, "one", map[string]Expr{"key": str("one"), "value": str("v")})
	two := task(b.site.addType(nil), "two", map[string]Expr{"key": str("two"), "value": result("one", "token")})
	p := b.program(&Phase{Tasks: []*Task{one, two}})
	p.Inputs = []Input{{Name: "pw", Value: cty.StringVal(secret).Mark(Sensitive), Sensitive: true}}
	wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), ExitFailed)
	data, err := os.ReadFile(filepath.Join(b.record().Dir, "journal"))
	if err != nil || strings.Contains(string(data), secret) {
		t.Errorf("the journal holds the secret (%v)", err)
	}
	fail = ""
	o := b.resume(p)
	wantCode(t, o, ExitRefused)
	if !strings.Contains(o.Err.Error(), "the journal does not keep") {
		t.Errorf("got %v", o.Err)
	}
}

// What was begun is settled, whatever its conditions say by now.
func TestOpenTaskIsSeenThrough(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	b.site.after = func(string) error {
		cancel()
		return ctx.Err()
	}
	holds := cty.True
	now := expr{f: func(*Scope) cty.Value { return holds }}
	one := b.add("one", "one")
	one.When, one.Pre = now, []Condition{{Condition: now, Message: str("no")}}
	p := b.program(&Phase{Tasks: []*Task{one}})
	wantCode(t, Run(ctx, p, b.env, nil, RunOptions{StateDir: b.state}), ExitInterrupted)
	holds, b.site.after, b.events = cty.False, nil, nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "ends", b.ends(), "one ok reconciled")
	want(t, "effects", b.effects("one"), "one=1")
}

func TestSecondEngineIsKeptOff(t *testing.T) {
	b := newBench(t)
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one")}})
	var second Outcome
	b.site.before = func(string) error {
		env := b.env
		env.Identity.ID = "20261122T095500Z-0002"
		second = Run(context.Background(), p, env, nil, RunOptions{StateDir: b.state})
		return nil
	}
	wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), ExitOK)
	wantCode(t, second, ExitLocked)
	if !strings.Contains(second.Err.Error(), "run 20261122T095500Z-0001 (run)") {
		t.Errorf("the holder is not named: %v", second.Err)
	}
	want(t, "effects", b.effects("one"), "one=1")
}

func TestAbort(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	b.site.after = func(key string) error {
		if key == "two" {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	p := b.program(
		&Phase{Name: "before", Tasks: []*Task{b.add("zero", "zero")}, Always: []*Task{b.add("swept", "swept")}},
		&Phase{
			Name: "change", Tasks: []*Task{b.add("one", "one"), b.add("two", "two"), b.add("three", "three")},
			Rescue: []*Task{b.add("undo", "undone")}, Always: []*Task{b.add("last", "last")},
		},
	)
	wantCode(t, Run(ctx, p, b.env, nil, RunOptions{StateDir: b.state}), ExitInterrupted)
	b.site.after, b.events = nil, nil
	wantCode(t, Abort(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state}), ExitOK)
	want(t, "effects", b.effects("zero", "swept", "one", "two", "three", "undone", "last"), "zero=1 swept=1 one=1 two=1 three=0 undone=1 last=1")
	var remains Diagnostics
	for _, e := range b.events {
		if e.Kind == Finding {
			remains = e.Diagnostics
		}
	}
	if len(remains) == 1 && !slices.Contains(remains[0].Notes, "task.one (add), unless the cleaning up of its phase took it back") {
		t.Errorf("what the phase had changed is not told: %q", remains[0].Notes)
	}
	if len(remains) != 1 || remains[0].Code != codeRemains || remains[0].Notes[0] != "task.zero (add)" {
		t.Errorf("remains: got %+v", remains)
	}
	if got := b.record().State; got != RunAborted {
		t.Errorf("state: got %s", got)
	}
	wantCode(t, b.resume(p), ExitInput)
}

func TestDamagedJournal(t *testing.T) {
	b := newBench(t)
	fail := "two"
	b.failing(&fail)
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}})
	wantCode(t, b.run(p), ExitFailed)
	r := b.record()
	path := filepath.Join(r.Dir, "journal")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), "task.one", "task.two", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, Resume(context.Background(), p, b.env, r, ResumeOptions{StateDir: b.state}), ExitState)
	if _, err := OpenRun(b.state, "2026"); ExitCode(err) != ExitState {
		t.Errorf("OpenRun: got %v", err)
	}
	rs, err := Runs(b.state)
	if err != nil || len(rs) != 1 || rs[0].State != RunUnreadable {
		t.Errorf("Runs: got %v %v", rs, err)
	}
	if _, err := OpenRun(b.state, "1999"); ExitCode(err) != ExitInput {
		t.Errorf("no such run: got %v", err)
	}
}

// A full disk ends the run before any effect without a record, and resume goes
// on once there is room.
func TestJournalThatCannotBeWritten(t *testing.T) {
	b := newBench(t)
	first := true
	ty := b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		plan := s.Plan
		s.Plan = func(p Planning, a addArgs, st addState) (Planned, addResults) {
			// The journal is closed under the run just before the intent.
			if a.Key == "two" && first && b.journal != nil {
				first = false
				b.journal()
			}
			return plan(p, a, st)
		}
	})
	two := task(ty, "two", map[string]Expr{"key": str("two"), "value": str("v")})
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one"), two}, Rescue: []*Task{b.add("undo", "undone")}})
	r := newRunner(p, b.env, nil, nil)
	release, err := r.begin(RunOptions{StateDir: b.state})
	if err != nil {
		t.Fatal(err)
	}
	b.journal = func() {
		if err := r.journal.Close(); err != nil {
			t.Error(err)
		}
	}
	o := r.run(context.Background())
	release()
	wantCode(t, o, ExitState)
	want(t, "effects", b.effects("one", "two", "undone"), "one=1 two=0 undone=0")
	b.journal = nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects", b.effects("one", "two", "undone"), "one=1 two=1 undone=0")
}

// Where nobody can see whether a task took effect, a resumed run asks, and an
// abort leaves the task as it is and cleans nothing up on a guess.
func TestEffectThatNobodyCanSee(t *testing.T) {
	blind := func(b *bench, key string) *Task {
		return task(b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
			s.Settle = func(context.Context, Look, addArgs, addState) (Settlement, addResults, error) {
				return "", addResults{}, ErrBlind
			}
		}), key, map[string]Expr{"key": str(key), "value": str("v")})
	}
	begin := func(t *testing.T) (*bench, *Program) {
		b := newBench(t)
		p := b.program(&Phase{Tasks: []*Task{blind(b, "one")}, Rescue: []*Task{b.add("undo", "undone")}})
		b.site.after = func(string) error { return errors.New("connection reset") }
		wantCode(t, b.run(p), ExitUnknown)
		b.site.after = nil
		return b, p
	}
	for _, tc := range []struct {
		name    string
		ask     func() (string, bool, error)
		code    int
		effects string
	}{
		{"nobody there", nil, ExitUnknown, "one=1 undone=0"},
		{"no", func() (string, bool, error) { return "no", false, nil }, ExitUnknown, "one=1 undone=0"},
		{"yes", func() (string, bool, error) { return "yes", true, nil }, ExitOK, "one=2 undone=0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, p := begin(t)
			if tc.ask != nil {
				b.env.Ask = func(context.Context, Question) (string, bool, error) { return tc.ask() }
			}
			wantCode(t, b.resume(p), tc.code)
			want(t, "effects", b.effects("one", "undone"), tc.effects)
		})
	}
	t.Run("abort", func(t *testing.T) {
		b, p := begin(t)
		b.events = nil
		wantCode(t, Abort(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state}), ExitOK)
		want(t, "effects", b.effects("one", "undone"), "one=1 undone=0")
		want(t, "state", string(b.record().State), string(RunAborted))
		told := ""
		for _, e := range b.events {
			for _, d := range e.Diagnostics {
				told += strings.Join(d.Notes, "\n")
			}
		}
		want(t, "remains", told, "task.one: it is not known whether it took effect")
	})
}

// What an always has done after success is nothing that a later failure undid.
func TestOnlyCleaningUpUndoes(t *testing.T) {
	b := newBench(t)
	fail := "two"
	b.failing(&fail)
	p := b.program(
		&Phase{Tasks: []*Task{b.add("one", "one")}, Always: []*Task{b.add("swept", "swept")}},
		&Phase{Tasks: []*Task{b.add("two", "two")}, Rescue: []*Task{b.add("undo", "undone")}, Always: []*Task{b.add("last", "last")}},
	)
	o := b.run(p)
	wantCode(t, o, ExitFailed)
	want(t, "undone", strings.Join(o.Failure.Undone, " "), "task.undo task.last")
}

// A task that runs out of time while it waits tells what it waited for, not that
// its last look was cut short.
func TestOutOfTimeTellsWhatWasMissing(t *testing.T) {
	b := newBench(t)
	n := 0
	ty := Define(Spec[countArgs, int, countResults]{
		Name: "count", Doc: "Counts.", Effect: Read, Where: Either, Retryable: true, Timeout: 50 * time.Millisecond,
		Observe: func(ctx context.Context, _ Look, _ countArgs) (int, error) {
			if n++; n > 2 {
				<-ctx.Done()
				return 0, errors.New("does not answer")
			}
			return 0, nil
		},
		Report: func(countArgs, int) countResults { return countResults{} },
	})
	w := task(ty, "w", map[string]Expr{"key": str("k")})
	w.Retry = &Retry{Attempts: lit(cty.NumberIntVal(9)), Interval: str("1ms"), Until: lit(cty.False)}
	o := Run(context.Background(), b.program(&Phase{Tasks: []*Task{w}}), b.env, nil, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitFailed)
	want(t, "cause", o.Failure.Cause, "gave up after 50ms: what it waits for does not hold yet")
}
