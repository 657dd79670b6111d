package check

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Argument gives the value of a task's argument the type of the argument, and
// checks its kind and that no secret is where it would be seen. It is asked
// while checking and in a run. A null stands for an argument that is not
// written, unless it is required.
func Argument(t *engine.Type, a engine.Arg, x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	unsuitable := func(err error) (cty.Value, engine.Diagnostics) {
		name, text := a.Name, err.Error()
		if te := (*eval.TypeError)(nil); errors.As(err, &te) && len(te.Path) > 0 {
			path := eval.PathText(te.Path)
			name, text = name+path, strings.TrimPrefix(text, path+": ")
		}
		return cty.NilVal, one(diag.New(diag.UnsuitableValue, "Unsuitable value", x.Range(), x.Place, "Argument \"%s\" of %s: %s", name, t.Name, quoting(x, text)))
	}
	out, err := strict(v, a.Type)
	if err != nil {
		return unsuitable(err)
	}
	if isNull(out) {
		if a.Required {
			return cty.NilVal, null(x, fmt.Sprintf("Argument %q of %s", a.Name, t.Name))
		}
		return out, nil
	}
	if a.NoSecret && sensitive(out) {
		return cty.NilVal, secretArgument(t, a, x)
	}
	if key, ok := emptyPlace(out); ok {
		return cty.NilVal, null(x, fmt.Sprintf("Argument \"%s%s\" of %s", a.Name, eval.PathText(cty.Path{cty.IndexStep{Key: key}}), t.Name))
	}
	if a.Kind != engine.AnyString || len(a.Enum) > 0 || a.Whole {
		if err := kinds(a, eval.Reveal(out)); err != nil {
			return unsuitable(err)
		}
	}
	return out, nil
}

// quoting is the text of a finding, with other advice where what is to be put in
// quotes stands in quotes: a text of one interpolation alone is the value itself.
func quoting(x *syntax.Expr, text string) string {
	const advice = "Put it in quotes."
	if !strings.HasSuffix(text, advice) {
		return text
	}
	alone := false
	scope.Visit(x.Expression, func(n hclsyntax.Node) {
		if _, ok := n.(*hclsyntax.TemplateWrapExpr); ok {
			alone = true
		}
	})
	if !alone {
		return text
	}
	return strings.TrimSuffix(text, advice) + `"${...}" alone is the value itself, also in quotes. Write tostring(...).`
}

func secretArgument(t *engine.Type, a engine.Arg, x *syntax.Expr) engine.Diagnostics {
	if a.Name == "argv" || a.Name == "shell" {
		return one(diag.New(diag.SecretOnCommandLine, "Sensitive value on a command line", x.Range(), x.Place,
			"A command line is visible to every user of the host (ps, /proc). Pass the value in env or stdin."))
	}
	return secretPlace(x, fmt.Sprintf("Argument %q of %s", a.Name, t.Name))
}

// emptyPlace is the key of a null in a list or map, which no task could tell
// from an empty text.
func emptyPlace(v cty.Value) (key cty.Value, found bool) {
	v, _ = v.Unmark()
	if ty := v.Type(); !v.IsKnown() || v.IsNull() || !ty.IsListType() && !ty.IsMapType() {
		return cty.NilVal, false
	}
	for it := v.ElementIterator(); it.Next(); {
		if k, e := it.Element(); isNull(e) {
			return k, true
		}
	}
	return cty.NilVal, false
}

// kinds checks every known string of a value against the argument's kind, and
// every number for being whole where that is due.
func kinds(a engine.Arg, v cty.Value) error {
	if !v.IsKnown() || v.IsNull() {
		return nil
	}
	switch ty := v.Type(); {
	case ty == cty.String:
		return eval.CheckKind(a.Kind, a.Enum, v.AsString())
	case ty == cty.Number && a.Whole:
		return eval.CheckWhole(v)
	case ty.IsListType(), ty.IsSetType(), ty.IsMapType():
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			if err := kinds(a, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// strict converts v to a type without optional attributes.
func strict(v cty.Value, ty cty.Type) (cty.Value, error) {
	if v != cty.NilVal && v.Type().Equals(ty) {
		return v, nil // as nearly all values of a good playbook
	}
	return eval.Strict(v, ty, nil)
}
