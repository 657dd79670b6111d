package hcl

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/check"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// arguments is a task's arguments.
type arguments struct {
	w *world
	t *check.Task
}

func (a *arguments) Expr(name string) engine.Expr {
	return a.w.expression(a.t.Arg(name), check.Anything)
}

func (a *arguments) Bind(s *engine.Scope) (cty.Value, engine.Diagnostics) {
	attrs := make(map[string]cty.Value, len(a.t.Type.Args))
	var found engine.Diagnostics
	for _, arg := range a.t.Type.Args {
		x := a.t.Arg(arg.Name)
		if x == nil {
			attrs[arg.Name] = cty.NullVal(arg.Type)
			continue
		}
		e := a.w.expr(x, check.Anything)
		if a.t.Type.Role == engine.Calls && arg.Name == "with" {
			v, ds := a.with(e, s)
			found = append(found, ds...)
			attrs[arg.Name] = v
			continue
		}
		v, ds := e.value(s)
		if !ds.HasErrors() {
			v, ds = check.Argument(a.t.Type, arg, x, v)
			e.explain(ds, s)
		}
		if ds.HasErrors() {
			v = cty.UnknownVal(arg.Type)
		}
		found = append(found, ds...)
		attrs[arg.Name] = v
	}
	return cty.ObjectVal(attrs), diag.Sort(found)
}

// with is the values for the variables of a called playbook, converted to their
// types; variables that are given none are absent.
func (a *arguments) with(e *expr, s *engine.Scope) (cty.Value, engine.Diagnostics) {
	values := map[string]cty.Value{}
	var found engine.Diagnostics
	items, ok := check.With(e.x)
	if !ok {
		v, ds := e.value(s)
		if ds.HasErrors() {
			return cty.DynamicVal, ds
		}
		plain, marks := v.Unmark()
		if !plain.IsKnown() || plain.IsNull() || !plain.Type().IsObjectType() {
			return v, nil
		}
		for name, val := range plain.AsValueMap() {
			found = append(found, a.assign(e, name, val.WithMarks(marks), values)...)
		}
		return cty.ObjectVal(values), found
	}
	for _, i := range items {
		item := a.w.expr(i, check.Anything)
		v, ds := item.value(s)
		if ds.HasErrors() {
			found = append(found, ds...)
			continue
		}
		ds = a.assign(item, i.Name, v, values)
		item.explain(ds, s)
		found = append(found, ds...)
	}
	return cty.ObjectVal(values), found
}

func (a *arguments) assign(e *expr, name string, v cty.Value, values map[string]cty.Value) engine.Diagnostics {
	variable := a.t.Callee.Variable(name)
	if variable == nil {
		return nil // the checker has refused it
	}
	out, err := check.Assign(variable, v)
	if err != nil {
		code := diag.VariableValue
		if plain, _ := v.Unmark(); plain.IsNull() {
			code = diag.NullValue
		}
		return engine.Diagnostics{diag.New(code, "Unsuitable value for variable", e.x.Range(), e.x.Place, "%s", err.Error())}
	}
	values[name] = out
	return nil
}
