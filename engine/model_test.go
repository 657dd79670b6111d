package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// expr is an expression for tests: a function, and the tasks it refers to.
type expr struct {
	f     func(s *Scope) cty.Value
	tasks []string
}

func (e expr) Eval(s *Scope) (cty.Value, Diagnostics) { return e.f(s), nil }
func (e expr) Tasks() []string                        { return e.tasks }
func (e expr) Range() Range                           { return Range{File: "test.hcl", Start: Pos{Line: 7, Column: 1}} }

func (e expr) Values(s *Scope) []NamedValue {
	var vs []NamedValue
	for _, name := range e.tasks {
		vs = append(vs, NamedValue{Name: "task." + name, Value: s.Tasks[name]})
	}
	return vs
}

func lit(v cty.Value) Expr { return expr{f: func(*Scope) cty.Value { return v }} }
func str(s string) Expr    { return lit(cty.StringVal(s)) }

// result is task.NAME.ATTR.
func result(name, attr string) Expr {
	return expr{f: func(s *Scope) cty.Value { return s.Tasks[name].GetAttr(attr) }, tasks: []string{name}}
}

func hosts(names ...string) Expr {
	var vs []cty.Value
	for _, n := range names {
		vs = append(vs, cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(n)}))
	}
	return lit(cty.ListVal(vs))
}

func onHost(name string) Expr {
	return lit(cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal(name)}))
}

// testArgs is written arguments by name.
type testArgs struct {
	types []Arg
	exprs map[string]Expr
}

func (a testArgs) Expr(name string) Expr {
	if e, ok := a.exprs[name]; ok {
		return e
	}
	return nil
}

func (a testArgs) Bind(s *Scope) (cty.Value, Diagnostics) {
	attrs := map[string]cty.Value{}
	for _, arg := range a.types {
		attrs[arg.Name] = cty.NullVal(arg.Type)
		if e := a.exprs[arg.Name]; e != nil {
			v, ds := e.Eval(s)
			if ds.HasErrors() {
				return cty.NilVal, ds
			}
			attrs[arg.Name] = v
		}
	}
	return cty.ObjectVal(attrs), nil
}

func task(ty *Type, name string, args map[string]Expr) *Task {
	return &Task{Name: name, Type: ty, Args: testArgs{ty.Args, args}, Range: Range{File: "test.hcl", Start: Pos{Line: 3, Column: 1}}}
}

// site is what the test types work on: files in a folder, so that it outlives
// the process. Each line of a file is one effect, and so a second one shows.
type site struct {
	dir string

	mu     sync.Mutex
	before func(key string) error // of an Apply, before its effect
	after  func(key string) error // of an Apply, after its effect
	down   map[string]bool        // hosts that do not answer
}

func (x *site) lines(key string) []string {
	data, err := os.ReadFile(filepath.Join(x.dir, key))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		panic(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func (x *site) add(key, line string) {
	f, err := os.OpenFile(filepath.Join(x.dir, key), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := fmt.Fprintln(f, line); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}

func (x *site) hook(f func(string) error, key string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(key)
}

type addArgs struct {
	Key   string `play:"key,required"`
	Value string `play:"value,required"`
}

type addState struct{ Lines int }

type addResults struct {
	Count int    `play:"count"`
	Token string `play:"token"`
}

// addType appends a line. Doing it twice is a mistake that shows.
func (x *site) addType(change func(*Spec[addArgs, addState, addResults])) *Type {
	spec := Spec[addArgs, addState, addResults]{
		Name: "add", Doc: "Appends a line.", Effect: Change, Where: Either, Retryable: true,
		Observe: func(_ context.Context, _ Look, a addArgs) (addState, error) {
			return addState{Lines: len(x.lines(a.Key))}, nil
		},
		Plan: func(p Planning, a addArgs, s addState) (Planned, addResults) {
			return Planned{Needed: true, Summary: "add " + a.Value, Unknown: []string{"token"}}, addResults{Count: s.Lines + 1}
		},
		Apply: func(_ context.Context, h Hands, a addArgs, s addState) (addResults, error) {
			if err := x.hook(x.before, a.Key); err != nil {
				return addResults{}, err
			}
			x.add(a.Key, a.Value)
			if err := x.hook(x.after, a.Key); err != nil {
				return addResults{}, err
			}
			return addResults{Count: s.Lines + 1, Token: "token of " + a.Key}, nil
		},
		Settle: func(_ context.Context, _ Look, a addArgs, s addState) (Settlement, addResults, error) {
			switch ls := x.lines(a.Key); {
			case len(ls) == s.Lines:
				return NotDone, addResults{}, nil
			case len(ls) == s.Lines+1 && ls[s.Lines] == a.Value:
				return Done, addResults{Count: s.Lines + 1, Token: "token of " + a.Key}, nil
			}
			return Conflict, addResults{}, nil
		},
		Verify: func(_ context.Context, _ Look, a addArgs, r addResults) error {
			if n := len(x.lines(a.Key)); n != r.Count {
				return fmt.Errorf("%d lines", n)
			}
			return nil
		},
		Advance: func(host, address string, a addArgs, r addResults, w *world.World) {
			w.Host(host).Write("/"+a.Key, []byte(a.Value))
		},
	}
	if change != nil {
		change(&spec)
	}
	return Define(spec)
}

type countArgs struct {
	Key string `play:"key,required"`
}

type countResults struct {
	Count int `play:"count"`
}

// countType counts the lines.
func (x *site) countType(volatile bool) *Type {
	return Define(Spec[countArgs, int, countResults]{
		Name: "count", Doc: "Counts lines.", Effect: Read, Where: Either, Volatile: volatile, Retryable: true,
		Observe: func(_ context.Context, _ Look, a countArgs) (int, error) { return len(x.lines(a.Key)), nil },
		Plan: func(p Planning, a countArgs, s int) (Planned, countResults) {
			return Planned{Summary: "count " + a.Key}, countResults{}
		},
		Report: func(a countArgs, s int) countResults { return countResults{Count: s} },
	})
}

var (
	assertType = Define(Spec[struct {
		Condition bool   `play:"condition,required"`
		Message   string `play:"error_message,required"`
	}, struct{}, struct{}]{Name: "assert", Doc: "Holds.", Effect: Control, Where: Controller, Role: Assert})
	confirmType = Define(Spec[struct {
		Message string  `play:"message,required"`
		Typed   *string `play:"typed"`
	}, struct{}, struct {
		By string `play:"answered_by"`
	}]{Name: "confirm", Doc: "Asks.", Effect: Control, Where: Controller, Role: Confirm})
	callType = Define(Spec[struct {
		Source string    `play:"source,required"`
		With   cty.Value `play:"with"`
	}, struct{}, struct{}]{Name: "playbook", Doc: "Calls.", Effect: Control, Where: Controller, Role: Calls})
)

// stubHost is a host of which only the name counts.
type stubHost struct {
	conn.Host
	name string
}

func (h stubHost) Name() string { return h.name }

// bench is a program being tested, with all around it.
type bench struct {
	t       testing.TB
	site    *site
	env     Env
	state   string
	journal func() // what becomes of the journal in the middle of a run; nil is nothing

	mu     sync.Mutex
	events []Event
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, site: &site{dir: t.TempDir(), down: map[string]bool{}}, state: filepath.Join(t.TempDir(), "state")}
	now := time.Date(2026, 11, 22, 9, 55, 0, 0, time.UTC)
	b.env = b.site.env(Identity{ID: "20261122T095500Z-0001", StartedAt: now, User: "ada"})
	b.env.Emit = func(e Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}
	return b
}

func (x *site) env(id Identity) Env {
	return Env{
		Identity: id,
		Host: func(_ context.Context, spec HostSpec) (conn.Host, error) {
			if x.down[spec.Name] {
				return nil, fmt.Errorf("dial %s: %w", spec.Name, conn.ErrUnreachable)
			}
			return stubHost{name: spec.Name}, nil
		},
	}
}

func (b *bench) program(phases ...*Phase) *Program {
	return &Program{
		Name: "test", File: "test.hcl", Language: 1, Digest: "d1", Inventory: "i1",
		Cluster: Cluster{Name: "demo", Members: []string{"a", "b"}},
		Hosts:   []HostSpec{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
		Phases:  phases,
	}
}

func (b *bench) add(name, key string) *Task {
	return task(b.site.addType(nil), name, map[string]Expr{"key": str(key), "value": str("v-" + key)})
}

func (b *bench) run(p *Program) Outcome {
	b.t.Helper()
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(plan.Failed) > 0 {
		b.t.Fatalf("plan fails: %v", plan.Failed)
	}
	return Run(context.Background(), p, b.env, plan, RunOptions{StateDir: b.state})
}

func (b *bench) record() *Record {
	b.t.Helper()
	r, err := OpenRun(b.state, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) resume(p *Program) Outcome {
	b.t.Helper()
	return Resume(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state})
}

// ends is the addresses, statuses and hows of the tasks that ended.
func (b *bench) ends() string {
	var out []string
	for _, e := range b.events {
		if e.Kind == TaskEnd {
			out = append(out, strings.TrimPrefix(e.Address, "task.")+" "+string(e.Status)+" "+string(e.How))
		}
	}
	b.events = nil
	return strings.Join(out, "; ")
}

// effects is how many lines each key has.
func (b *bench) effects(keys ...string) string {
	var out []string
	for _, k := range keys {
		out = append(out, k+"="+strconv.Itoa(len(b.site.lines(k))))
	}
	return strings.Join(out, " ")
}
