package check

import (
	"errors"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

func (c *checker) declareVariables() {
	for _, v := range c.Playbook.Variables {
		d := &Variable{Variable: v, Type: cty.DynamicPseudoType}
		c.out.Variables = append(c.out.Variables, d)
		if c.out.variables[v.Name] == nil {
			c.out.variables[v.Name] = d
		}
		if v.Type == nil {
			d.Default = cty.DynamicVal // what it is cannot be told
			continue
		}
		ty, defaults, found := eval.TypeExpr(v.Type.Expression)
		c.addAll(found, v.Type.Place)
		if found.HasErrors() {
			d.Default = cty.DynamicVal
			continue
		}
		d.Type, d.Defaults = ty, defaults
		if v.Default != nil {
			d.Default = c.defaultValue(d)
		}
	}
}

// defaultValue is the default, converted; cty.DynamicVal where it is wrong.
func (c *checker) defaultValue(v *Variable) cty.Value {
	x := v.Variable.Default
	if refs := scope.Variables(x.Expression); len(refs) > 0 {
		detail := "A default is read before anything else is known, so it may refer to nothing. Write the value out, or put it into a local."
		if v.Preset {
			detail = "A preset is a default, which is read before anything else is known, so it may refer to nothing. Write the value out."
		}
		if v.Type.Equals(eval.HostType) && !v.Preset {
			detail = "A default is read before the inventory is, so it names no host. Write default = null and nullable = true, and use coalesce(var." + v.Name + ", host[\"NAME\"])."
		}
		c.add(diag.New(diag.NoReference, "Constant needed", refs[0].SourceRange(), x.Place, "%s", detail))
		return cty.DynamicVal
	}
	val, ok := c.value(x, site{before: -1, what: "a default"}, Want{})
	if !ok {
		return cty.DynamicVal
	}
	val, err := Assign(v, val)
	if err != nil {
		c.add(diag.New(diag.VariableValue, "Unsuitable value for variable", x.Range(), x.Place, "%s", err.Error()))
		return cty.DynamicVal
	}
	return val
}

// valueError is a value that does not suit its variable, in sentences.
type valueError string

func (e valueError) Error() string { return string(e) }

// Assign converts a value to the type of a variable. The error is a sentence
// that begins with the variable's name.
func Assign(v *Variable, val cty.Value) (cty.Value, error) {
	out, err := eval.Strict(val, v.Type, v.Defaults)
	if err != nil {
		if te := (*eval.TypeError)(nil); errors.As(err, &te) && len(te.Path) > 0 {
			return cty.NilVal, valueError("var." + v.Name + err.Error())
		}
		return cty.NilVal, valueError("var." + v.Name + ": " + err.Error())
	}
	if isNull(out) && !v.Nullable {
		return cty.NilVal, valueError("var." + v.Name + " must not be null. Give it a value, or write nullable = true in its block.")
	}
	if v.Sensitive {
		out = secret(out)
	}
	return out, nil
}

// Unknown is a value of the variable of which only the type is known.
func (v *Variable) Unknown() cty.Value {
	u := cty.UnknownVal(v.Type.WithoutOptionalAttributesDeep())
	if !v.Nullable && v.Type != cty.DynamicPseudoType {
		u = u.RefineNotNull()
	}
	if v.Sensitive {
		u = secret(u)
	}
	return u
}

// condition checks both parts of a condition.
func (c *checker) condition(x *syntax.Condition, at site) {
	if x.Condition != nil {
		c.value(x.Condition, at, Want{Form: Condition})
	}
	if x.Message != nil {
		c.value(x.Message, at, Want{Form: Message})
	}
}

func sensitive(v cty.Value) bool { return eval.IsSensitive(v) }

func secret(v cty.Value) cty.Value { return eval.MarkSensitive(v) }
