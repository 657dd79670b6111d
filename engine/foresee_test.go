package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

// TestForesee holds which hosts a plan connects to before it comes to them: those
// that a task is certain to look at, and no other.
func TestForesee(t *testing.T) {
	b := newBench(t)
	type unitArgs struct {
		Unit string `play:"unit,required,unit"`
	}
	unit := Define(Spec[unitArgs, struct{}, struct{}]{
		Name: "unit", Doc: "A unit.", Effect: Change, Where: OnHost,
		Apply: func(context.Context, Hands, unitArgs, struct{}) (struct{}, error) { return struct{}{}, nil },
	})
	on := func(host string, change ...func(*Task)) *Task {
		x := b.add("x", "k")
		x.On = onHost(host)
		for _, f := range change {
			f(x)
		}
		return x
	}
	late := func(name string) Expr {
		return expr{f: func(*Scope) cty.Value { panic("evaluated before " + name) }, tasks: []string{name}}
	}
	when := func(e Expr) func(*Task) { return func(t *Task) { t.When = e } }
	for _, c := range []struct {
		name   string
		phases []*Phase
		want   string
	}{
		{"a task", []*Phase{{Tasks: []*Task{on("a")}}}, "a"},
		{"the same host twice, with a unit", []*Phase{{Tasks: []*Task{
			on("a"), {Name: "u", Type: unit, On: onHost("a"), Args: testArgs{unit.Args, map[string]Expr{"unit": str("x.service")}}},
		}}}, "a+units"},
		{"conditions", []*Phase{{Tasks: []*Task{on("a", when(lit(cty.True))), on("b", when(lit(cty.False))), on("c", when(late("t")))}}}, "a"},
		{"phases", []*Phase{
			{When: lit(cty.False), Tasks: []*Task{on("a")}},
			{When: late("t"), Tasks: []*Task{on("b")}},
			{When: lit(cty.UnknownVal(cty.Bool)), Tasks: []*Task{on("c")}},
			{When: lit(cty.True), Tasks: []*Task{on("d")}, Rescue: []*Task{on("a")}, Always: []*Task{on("a")}},
		}, "d"},
		{"what a task yields", []*Phase{{Tasks: []*Task{
			on("a", func(t *Task) { t.On = late("t") }),
			on("b", func(t *Task) { t.Args = testArgs{t.Type.Args, map[string]Expr{"key": late("t"), "value": str("v")}} }),
			on("c", func(t *Task) { t.Become = late("t") }),
		}}}, ""},
		{"a loop", []*Phase{{Tasks: []*Task{on("", func(t *Task) { t.On, t.OnEach = nil, hosts("b", "c") })}}}, "b c"},
		{"an unknown loop", []*Phase{{Tasks: []*Task{on("", func(t *Task) { t.On, t.OnEach = nil, late("t") })}}}, ""},
		{"an unknown host", []*Phase{{Tasks: []*Task{on("nobody")}}}, ""},
		{"a call", []*Phase{{Tasks: []*Task{{
			Name: "call", Type: callType, Args: testArgs{callType.Args, map[string]Expr{"source": str("x.hcl")}},
			Call: &Call{Bind: func(cty.Value, *Scope) (*Program, Diagnostics) {
				return b.program(&Phase{Tasks: []*Task{on("d")}}), nil
			}},
		}}}}, "d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			env := b.env
			env.Prepare = func(_ context.Context, spec HostSpec, units bool) {
				name := spec.Name
				if units {
					name += "+units"
				}
				got = append(got, name)
			}
			p := b.program(c.phases...)
			p.Cluster.Members = []string{"a", "b", "c", "d"}
			foresee(t.Context(), p, env)
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}

	// A host that the survey does not reach is left for later.
	spare := b.program(&Phase{Tasks: []*Task{on("d")}})
	early := b.env
	early.Prepare = func(_ context.Context, spec HostSpec, _ bool) { t.Errorf("%s was contacted early", spec.Name) }
	foresee(t.Context(), spare, early)

	// It is done before the survey, which takes the time that connecting takes.
	var order []string
	b.env.Prepare = func(context.Context, HostSpec, bool) { order = append(order, "prepare") }
	b.env.Survey = func(context.Context, Look, []string) world.Cluster {
		order = append(order, "survey")
		return world.Cluster{}
	}
	p := b.program(&Phase{Tasks: []*Task{on("a")}})
	p.Cluster.Endpoints = []string{"http://a:2379"}
	if _, err := MakePlan(t.Context(), p, b.env); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "prepare survey" {
		t.Errorf("got %q", got)
	}

	// So it is in a new run, and not in one that is taken up: that has to look first.
	order = nil
	dir := t.TempDir()
	b.env.Identity.ID = "20260101T000000Z-0001"
	if o := Run(t.Context(), p, b.env, nil, RunOptions{StateDir: dir}); !strings.HasPrefix(strings.Join(order, " "), "prepare survey") {
		t.Errorf("a run: got %q, ending with %v", order, o.Err)
	}
	stop := make(chan struct{})
	close(stop)
	b.env.Identity.ID = "20260101T000000Z-0002"
	if o := Run(t.Context(), p, b.env, nil, RunOptions{StateDir: dir, Stop: stop}); o.Status != Interrupted {
		t.Fatalf("a run that is stopped: got %s, %v", o.Status, o.Err)
	}
	order = nil
	r, err := OpenRun(dir, b.env.Identity.ID)
	if err != nil {
		t.Fatal(err)
	}
	if o := Resume(t.Context(), p, b.env, r, ResumeOptions{StateDir: dir}); len(order) == 0 || slices.Contains(order, "prepare") {
		t.Errorf("a resumed run: got %q, ending with %v", order, o.Err)
	}
}
