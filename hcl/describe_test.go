package hcl_test

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// describe is all that a run could tell two programs apart by, besides where they
// are written: names, order, and what every expression yields when each task has
// made up results.
func describe(p *engine.Program) []string {
	d := &description{scope: &engine.Scope{Tasks: map[string]cty.Value{}}}
	d.say("program %s %s, language %d", p.Name, p.Version, p.Language)
	for _, in := range p.Inputs {
		d.say("var.%s = %#v, sensitive %v", in.Name, in.Value, in.Sensitive)
	}
	for _, ph := range p.Phases {
		d.say("phase %s: %s", ph.Name, ph.Description)
		d.expr("when", ph.When)
		for place, list := range [][]*engine.Task{ph.Tasks, ph.Rescue, ph.Always} {
			for _, t := range list {
				d.task(place, t)
			}
		}
	}
	for _, o := range p.Outputs {
		d.say("output %s: %s, sensitive %v", o.Name, o.Description, o.Sensitive)
		d.expr("value", o.Value)
	}
	return d.lines
}

type description struct {
	scope *engine.Scope
	lines []string
}

func (d *description) say(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *description) expr(what string, x engine.Expr) cty.Value {
	if x == nil {
		return cty.NilVal
	}
	v, found := x.Eval(d.scope)
	d.say("  %s = %#v after %v: %s", what, v, x.Tasks(), summaries(found))
	return v
}

func summaries(found engine.Diagnostics) []string {
	var s []string
	for _, f := range found {
		s = append(s, f.Code+" "+f.Detail)
	}
	return s
}

func (d *description) task(place int, t *engine.Task) {
	d.say("task %s %s in %d: %s, locked %v", t.Type.Name, t.Name, place, t.Description, t.Locked)
	outer := d.scope
	d.scope = outer.With(func(s *engine.Scope) {
		s.Each = cty.ObjectVal(map[string]cty.Value{"key": cty.StringVal("k"), "value": cty.StringVal("v")})
		s.Error = cty.ObjectVal(map[string]cty.Value{"task": cty.StringVal("task.x"), "message": cty.StringVal("no")})
		s.Self = made(t.Type.ResultType(), t.Name)
	})
	for what, x := range []engine.Expr{t.On, t.OnEach, t.Parallel, t.ForEach, t.When, t.Become, t.Timeout} {
		if v := d.expr(fmt.Sprint(what), x); what == 0 && v != cty.NilVal {
			d.scope.Target = v
		}
	}
	args, found := t.Args.Bind(d.scope)
	shown := args
	if t.Call != nil {
		shown = args.GetAttr("with") // its source is a path, which depends on where it is written
	}
	d.say("  args = %#v: %s", shown, summaries(found))
	for _, c := range append(append([]engine.Condition(nil), t.Pre...), t.Post...) {
		d.expr("condition", c.Condition)
		d.expr("message", c.Message)
	}
	if r := t.Retry; r != nil {
		for what, x := range []engine.Expr{r.Attempts, r.Interval, r.Backoff, r.MaxInterval, r.Until} {
			d.expr(fmt.Sprint("retry ", what), x)
		}
	}
	if t.Call != nil {
		called, found := t.Call.Bind(args.GetAttr("with"), d.scope)
		d.say("  calls: %s", summaries(found))
		if called != nil {
			d.lines = append(d.lines, describe(called)...)
		}
	}
	d.scope = outer
	switch result := made(t.Type.ResultType(), t.Name); {
	case t.Call != nil:
		outer.Tasks[t.Name] = cty.DynamicVal
	case t.Looping():
		outer.Tasks[t.Name] = cty.MapVal(map[string]cty.Value{"k": result})
	default:
		outer.Tasks[t.Name] = result
	}
}

// made is a value of the type, the same each time.
func made(ty cty.Type, name string) cty.Value {
	switch {
	case ty == cty.String:
		return cty.StringVal(name)
	case ty == cty.Number:
		return cty.NumberIntVal(int64(len(name)))
	case ty == cty.Bool:
		return cty.BoolVal(len(name)%2 == 0)
	case ty.IsListType():
		return cty.ListVal([]cty.Value{made(ty.ElementType(), name)})
	case ty.IsMapType():
		return cty.MapVal(map[string]cty.Value{name: made(ty.ElementType(), name)})
	case ty.IsObjectType():
		attrs := map[string]cty.Value{}
		for a, t := range ty.AttributeTypes() {
			attrs[a] = made(t, name+"_"+a)
		}
		return cty.ObjectVal(attrs)
	}
	return cty.UnknownVal(ty)
}
