package check

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// With takes the with argument of a call apart, where it is written as an
// object whose names are written out: each value, named for its variable. ok is
// false if it is another expression.
func With(x *syntax.Expr) (items []*syntax.Expr, ok bool) {
	o, ok := x.Expression.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil, false
	}
	for _, i := range o.Items {
		name := hcl.ExprAsKeyword(i.KeyExpr)
		if name == "" {
			v, found := i.KeyExpr.Value(nil)
			if found.HasErrors() || v.Type() != cty.String || !v.IsKnown() || v.IsNull() || v.IsMarked() {
				return nil, false
			}
			name = v.AsString()
		}
		items = append(items, &syntax.Expr{Expression: i.ValueExpr, File: x.File, Name: name, NameRange: i.KeyExpr.Range(), Place: x.Place})
	}
	return items, true
}

// call checks the values given to a called playbook against its variables.
func (c *checker) call(t *Task, at site) {
	given := map[string]bool{}
	if x := t.Arg("with"); x != nil {
		items, ok := With(x)
		if !ok {
			c.computedWith(t, x, at)
			return
		}
		for _, i := range items {
			v, good := c.value(i, at, Want{})
			if given[i.Name] {
				c.add(diag.New(diag.DuplicateName, "Value given twice", i.NameRange, i.Place, "%q has a value already. Keep one of the two.", i.Name))
				continue
			}
			given[i.Name] = true
			c.passed(t, i, v, good)
		}
	}
	c.missing(t, given)
}

// passed checks one value; good is false if its expression is wrong already.
func (c *checker) passed(t *Task, i *syntax.Expr, v cty.Value, good bool) {
	callee := t.Callee
	if callee == nil {
		return
	}
	variable := callee.variables[i.Name]
	if variable == nil {
		var names []string
		for _, v := range callee.Variables {
			names = append(names, v.Name)
		}
		c.add(diag.New(diag.CallUnknown, "Undeclared variable", i.NameRange, i.Place,
			"%s declares no variable %q.%s", callee.File.Name, i.Name, diag.DidYouMean(i.Name, names)))
		return
	}
	if !good {
		return
	}
	if _, err := Assign(variable, v); err != nil {
		c.add(diag.New(diag.VariableValue, "Unsuitable value for variable", i.Range(), i.Place, "%s (declared at %s line %d)",
			err.Error(), variable.Range.Filename, variable.Range.Start.Line))
	}
}

func (c *checker) missing(t *Task, given map[string]bool) {
	if t.Callee == nil {
		return
	}
	for _, v := range t.Callee.Variables {
		if v.Default == cty.NilVal && !given[v.Name] {
			c.add(diag.New(diag.CallMissing, "Missing value", t.Range, t.Place,
				"%s needs a value for its variable %q. Write with = { %s = ... }.", t.Callee.File.Name, v.Name, v.Name))
		}
	}
}

// computedWith checks a with that is not written as an object.
func (c *checker) computedWith(t *Task, x *syntax.Expr, at site) {
	v, ok := c.value(x, at, Want{})
	if !ok || t.Callee == nil {
		return
	}
	ty := v.Type()
	if !ty.IsObjectType() {
		c.add(diag.New(diag.CallUnknown, "Values not known", x.Range(), x.Place,
			"Which variables get a value has to be known before anything runs. Write with = { NAME = ... }."))
		return
	}
	given := map[string]bool{}
	for _, name := range attributeNames(ty) {
		given[name] = true
		value := cty.UnknownVal(ty.AttributeType(name))
		if plain, marks := v.Unmark(); plain.IsKnown() && !plain.IsNull() {
			value = plain.GetAttr(name).WithMarks(marks)
		}
		c.passed(t, &syntax.Expr{Expression: x.Expression, File: x.File, Name: name, NameRange: x.Range(), Place: x.Place}, value, true)
	}
	c.missing(t, given)
}
