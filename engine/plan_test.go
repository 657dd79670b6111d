package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// dump is all that a plan shows, for comparison and for tests of single lines.
func dump(p *Plan) string {
	var b strings.Builder
	for _, e := range p.Entries {
		fmt.Fprintf(&b, "%s %d %s %s %q perhaps=%v skipped=%v needed=%v model=%v later=%v waits=%v checks=%v %#v\n", e.Kind, e.Number, e.Address,
			e.Place, e.Summary, e.Perhaps, e.Skipped, e.Needed, e.ByModel, e.Later, e.Waits, e.Checks, e.Results)
	}
	for _, o := range p.Outputs {
		fmt.Fprintf(&b, "output %s %#v %v\n", o.Name, o.Value, o.Waits)
	}
	fmt.Fprintf(&b, "%+v %v %v\n", p.Counts, p.Failed, p.Notes)
	return b.String()
}

// entryAt finds a task's line.
func entryAt(t *testing.T, p *Plan, address string) Entry {
	t.Helper()
	for _, e := range p.Entries {
		if e.Address == address {
			return e
		}
	}
	t.Fatalf("the plan has no %s:\n%s", address, dump(p))
	return Entry{}
}

func TestReadsAfterAChangeAreNotReal(t *testing.T) {
	b := newBench(t)
	before := task(b.site.countType(false), "before", map[string]Expr{"key": str("one")})
	after := task(b.site.countType(false), "after", map[string]Expr{"key": str("one")})
	depends := b.add("depends", "two")
	depends.When = expr{f: func(s *Scope) cty.Value {
		return s.Tasks["after"].GetAttr("count").GreaterThan(cty.NumberIntVal(0))
	}, tasks: []string{"after"}}
	loop := b.add("loop", "three")
	loop.OnEach = expr{f: func(s *Scope) cty.Value {
		return cty.UnknownVal(cty.List(cty.Object(map[string]cty.Type{"name": cty.String})))
	}, tasks: []string{"after"}}
	p := b.program(&Phase{
		Name: "p", Tasks: []*Task{before, b.add("one", "one"), after, depends, loop},
		Rescue: []*Task{b.add("undo", "undone")}, Always: []*Task{b.add("last", "last")},
	})
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil || len(plan.Failed) > 0 {
		t.Fatal(err, plan.Failed)
	}
	if e := entryAt(t, plan, "task.before"); e.Later || !e.Results.GetAttr("count").RawEquals(cty.NumberIntVal(0)) {
		t.Errorf("before: got %+v", e)
	}
	if e := entryAt(t, plan, "task.after"); !e.Later || e.Results.GetAttr("count").IsKnown() {
		t.Errorf("after: got %+v", e)
	}
	if e := entryAt(t, plan, "task.depends"); !e.Perhaps {
		t.Errorf("depends: got %+v", e)
	}
	if e := entryAt(t, plan, "task.loop[*]"); !e.Later || strings.Join(e.Waits, " ") != "task.after" {
		t.Errorf("loop: got %+v", e)
	}
	if e := entryAt(t, plan, "task.undo"); !e.Perhaps || e.Place != InRescue {
		t.Errorf("undo: got %+v", e)
	}
	if e := entryAt(t, plan, "task.last"); e.Perhaps || e.Place != InAlways {
		t.Errorf("last: got %+v", e)
	}
	want(t, "counts", fmt.Sprintf("%+v", plan.Counts), "{Reads:2 Checks:0 Changes:5 Destructive:0 Questions:0 Done:0 Open:0}")
	want(t, "effects", b.effects("one", "two", "undone", "last"), "one=0 two=0 undone=0 last=0")
}

func TestPlanIsAFunctionOfWhatItReads(t *testing.T) {
	b := newBench(t)
	each := task(b.site.addType(nil), "each", map[string]Expr{
		"key": expr{f: func(s *Scope) cty.Value { return s.Target.GetAttr("name") }}, "value": str("v"),
	})
	each.OnEach = hosts("d", "b", "a", "c")
	p := b.program(&Phase{Name: "p", Tasks: []*Task{each, b.call("join", "x", "y")}, Rescue: []*Task{b.add("undo", "u")}})
	p.Outputs = []*Output{{Name: "all", Value: expr{f: func(s *Scope) cty.Value { return s.Tasks["each"] }, tasks: []string{"each"}}}}
	first := ""
	for range 50 {
		plan, err := MakePlan(context.Background(), p, b.env)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = dump(plan)
		}
		if got := dump(plan); got != first {
			t.Fatalf("got\n%s\nwant\n%s", got, first)
		}
	}
}

func TestBudgets(t *testing.T) {
	b := newBench(t)
	members := func(healthy int) world.Cluster {
		c := world.Cluster{Known: true}
		for i := range 3 {
			m := world.Member{ID: fmt.Sprint(i), Host: fmt.Sprint(i), Health: world.Unhealthy}
			if i < healthy {
				m.Health = world.Healthy
			}
			c.Members = append(c.Members, m)
		}
		return c
	}
	b.env.Survey = func(context.Context, Look, []string) world.Cluster { return members(2) }
	now := b.env.Identity.StartedAt
	b.env.Now = func() time.Time { return now }
	heals := b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		apply := s.Apply
		s.Apply = func(ctx context.Context, h Hands, a addArgs, st addState) (addResults, error) {
			now = now.Add(time.Minute)
			return apply(ctx, h, a, st)
		}
		s.Advance = func(_, _ string, a addArgs, _ addResults, w *world.World) {
			w.Cluster = members(3)
			b.env.Survey = func(context.Context, Look, []string) world.Cluster { return members(3) }
		}
	})
	later := b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		apply := s.Apply
		s.Apply = func(ctx context.Context, h Hands, a addArgs, st addState) (addResults, error) {
			now = now.Add(time.Hour)
			return apply(ctx, h, a, st)
		}
	})
	p := b.program(&Phase{Tasks: []*Task{
		task(heals, "heal", map[string]Expr{"key": str("one"), "value": str("v")}),
		task(later, "later", map[string]Expr{"key": str("two"), "value": str("v")}),
	}})
	p.Cluster.Endpoints = []string{"http://127.0.0.1:2379"}
	plan, err := MakePlan(context.Background(), p, b.env)
	if err != nil {
		t.Fatal(err)
	}
	e := entryAt(t, plan, "task.heal")
	if e.Before == nil || e.Before.Tolerance() != 0 || e.After.Tolerance() != 1 {
		t.Errorf("budgets: got %+v %+v", e.Before, e.After)
	}
	if e := entryAt(t, plan, "task.later"); e.Before != nil {
		t.Errorf("a budget that did not move is shown: %+v", e.Before)
	}
	b.env.Survey = func(context.Context, Look, []string) world.Cluster { return members(2) }
	env := b.env
	env.Survey = func(ctx context.Context, l Look, eps []string) world.Cluster { return b.env.Survey(ctx, l, eps) }
	o := Run(context.Background(), p, env, nil, RunOptions{StateDir: b.state})
	wantCode(t, o, ExitOK)
	if o.Exposed != time.Minute {
		t.Errorf("exposed: got %s, want 1m", o.Exposed)
	}
}

// diskHost answers every path with the path itself.
type diskHost struct{ conn.Reader }

func (diskHost) ReadFile(_ context.Context, path string) ([]byte, error) { return []byte(path), nil }

func (diskHost) Stat(_ context.Context, path string) (conn.Info, error) {
	return conn.Info{Path: path, Size: 7}, nil
}

func (diskHost) ReadDir(_ context.Context, path string) ([]conn.Info, error) {
	return []conn.Info{{Path: path + "/a"}, {Path: path + "/b"}}, nil
}

func (diskHost) Unit(_ context.Context, name string) (conn.Unit, error) {
	return conn.Unit{Name: name, ActiveState: "failed", SubState: "failed"}, nil
}

func (diskHost) Query(context.Context, conn.Command) (conn.Result, error) { return conn.Result{}, nil }

func TestOverlay(t *testing.T) {
	ctx := context.Background()
	w := &world.World{}
	h := w.Host("a")
	r := planReader{Reader: diskHost{}, host: h}
	if _, err := r.Query(ctx, conn.Command{Argv: []string{"x"}}); err != nil {
		t.Errorf("untouched host: %v", err)
	}
	h.Move("/data", "/data.old")
	h.Write("/etc/unit", []byte("text"))
	h.Write("/etc/blind", nil)
	h.Remove("/etc/a")
	h.Units["u"] = "started"
	for path, wanted := range map[string]string{
		"/other": "/other", "/data.old": "/data", "/data.old/x": "/data/x", "/data": "missing", "/data/x": "missing",
		"/etc/unit": "text", "/etc/blind": "unknown", "/etc/a": "missing",
	} {
		data, err := r.ReadFile(ctx, path)
		got := string(data)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			got = "missing"
		case errors.Is(err, ErrImagined):
			got = "unknown"
		}
		if got != wanted {
			t.Errorf("%s: got %s, want %s", path, got, wanted)
		}
	}
	if info, err := r.Stat(ctx, "/data.old"); err != nil || info.Path != "/data.old" || info.Size != 7 {
		t.Errorf("stat of what was moved: got %+v, %v", info, err)
	}
	infos, err := r.ReadDir(ctx, "/etc")
	if err != nil || len(infos) != 1 || infos[0].Path != "/etc/b" {
		t.Errorf("directory with a removed file: got %+v, %v", infos, err)
	}
	if infos, err = r.ReadDir(ctx, "/data.old"); err != nil || infos[0].Path != "/data.old/a" {
		t.Errorf("directory that was moved: got %+v, %v", infos, err)
	}
	// One that has failed is stopped as it is.
	for state, want := range map[string]string{"started": "active", "starting": "activating", "stopped": "failed"} {
		h.Units["u"] = state
		if u, err := r.Unit(ctx, "u"); err != nil || u.ActiveState != want {
			t.Errorf("unit that is %s: got %+v, %v, want %s", state, u, err, want)
		}
	}
	if u, err := r.Unit(ctx, "other"); err != nil || u.ActiveState != "failed" {
		t.Errorf("unit: got %+v, %v", u, err)
	}
	if _, err := r.Query(ctx, conn.Command{Argv: []string{"x"}}); !errors.Is(err, ErrImagined) {
		t.Errorf("touched host: got %v", err)
	}
	var reader conn.Reader = readOnly{stubHost{name: "a"}}
	if _, ok := reader.(conn.Host); ok {
		t.Error("a plan's host can be changed")
	}
}

func TestAgree(t *testing.T) {
	obj := func(a, b cty.Value) cty.Value { return cty.ObjectVal(map[string]cty.Value{"a": a, "b": b}) }
	x, y, unknown := cty.StringVal("x"), cty.StringVal("y"), cty.UnknownVal(cty.String)
	for _, tc := range []struct {
		planned, now cty.Value
		want         string
	}{
		{obj(x, y), obj(x, y), ""},
		{obj(x, unknown), obj(x, y), ""},
		{obj(x, y), obj(y, x), "a b"},
		{obj(x, cty.NullVal(cty.String)), obj(x, y), "b"},
		{obj(x, cty.ListVal([]cty.Value{x, unknown})), obj(x, cty.ListVal([]cty.Value{x, y})), ""},
		{obj(x, cty.ListVal([]cty.Value{x, unknown})), obj(x, cty.ListVal([]cty.Value{y, y})), "b"},
		{obj(x, cty.ListVal([]cty.Value{x})), obj(x, cty.ListVal([]cty.Value{x, y})), "b"},
		{obj(x.Mark(Sensitive), y), obj(x, y), ""},
	} {
		if got := strings.Join(differing(tc.planned, tc.now), " "); got != tc.want {
			t.Errorf("%#v and %#v: got %q, want %q", tc.planned, tc.now, got, tc.want)
		}
	}
}
