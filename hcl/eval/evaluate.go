package eval

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// MaxWork is how much an expression may handle while it is evaluated: the sizes
// of all values that its parts yield, one after the other.
const MaxWork = 32 << 20

// Evaluate is the value of an expression. What would take more memory or time
// than a playbook may is a finding, made before it is tried: three lines in
// which each repeats the one before are enough for more than any machine has.
func Evaluate(x hclsyntax.Expression, ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if small(x) {
		return x.Value(ctx)
	}
	m := meter{left: MaxWork}
	m.expression(x, ctx, true)
	switch {
	case m.wrong != nil:
		return cty.DynamicVal, tooLarge(m.at, Sentence(m.wrong.Error()))
	case m.left < 0:
		return cty.DynamicVal, tooLarge(x.Range(), fmt.Sprintf("To evaluate this takes more than %d MiB. Take fewer rounds, or shorter texts.", MaxWork>>20))
	}
	v, found := x.Value(ctx)
	if found.HasErrors() {
		return v, found
	}
	if err := checkResult(v); err != nil {
		return cty.DynamicVal, append(found, tooLarge(x.Range(), Sentence(err.Error()))...)
	}
	return v, found
}

// small reports whether an expression only picks what is there already, or is a
// text as it is written.
func small(x hclsyntax.Expression) bool {
	switch x := x.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return true
	case *hclsyntax.LiteralValueExpr:
		return x.Val.Type() != cty.Number
	case *hclsyntax.TemplateExpr:
		return x.IsStringLiteral()
	case *hclsyntax.TemplateWrapExpr:
		return small(x.Wrapped)
	}
	return false
}

func tooLarge(at hcl.Range, detail string) hcl.Diagnostics {
	return hcl.Diagnostics{{
		Severity: hcl.DiagError,
		Summary:  "Value out of bounds",
		Detail:   detail,
		Subject:  &at,
	}}
}

// meter adds up what the parts of an expression yield. It asks for the value of
// a part only after the parts of that were paid for.
type meter struct {
	left  int // negative: nothing more is looked at
	wrong error
	at    hcl.Range // of what is wrong
}

func (m *meter) spend(v cty.Value, at hcl.Range) {
	if m.left < 0 {
		return
	}
	m.left -= Size(v)
	if m.left < 0 {
		return
	}
	if err := checkNumbers(v); err != nil {
		m.left, m.wrong, m.at = -1, err, at
	}
}

// value pays for the value of x; that it has none is told by others.
func (m *meter) value(x hclsyntax.Expression, ctx *hcl.EvalContext) cty.Value {
	if m.left < 0 {
		return cty.DynamicVal
	}
	v, found := x.Value(ctx)
	if found.HasErrors() {
		v = cty.DynamicVal
	}
	m.spend(v, x.Range())
	return v
}

// expression pays for x. outermost says that nothing is made of its value.
func (m *meter) expression(x hclsyntax.Expression, ctx *hcl.EvalContext, outermost bool) {
	if x == nil || m.left < 0 {
		return
	}
	m.left -= 8
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		m.spend(x.Val, x.SrcRange)
	case *hclsyntax.ScopeTraversalExpr:
		m.value(x, ctx)
	case *hclsyntax.RelativeTraversalExpr:
		m.expression(x.Source, ctx, false)
	case *hclsyntax.ParenthesesExpr:
		m.expression(x.Expression, ctx, outermost)
	case *hclsyntax.TemplateExpr:
		m.all(x.Parts, ctx)
		for _, p := range x.Parts {
			switch p.(type) {
			case *hclsyntax.BinaryOpExpr, *hclsyntax.ParenthesesExpr, *hclsyntax.ConditionalExpr:
				m.value(p, ctx) // a number may have come out that is endless to write
			}
		}
	case *hclsyntax.TemplateWrapExpr:
		m.expression(x.Wrapped, ctx, outermost)
	case *hclsyntax.TemplateJoinExpr:
		m.expression(x.Tuple, ctx, false)
	case *hclsyntax.TupleConsExpr:
		m.all(x.Exprs, ctx)
	case *hclsyntax.ObjectConsExpr:
		for _, i := range x.Items {
			m.expression(i.KeyExpr, ctx, false)
			m.expression(i.ValueExpr, ctx, false)
		}
	case *hclsyntax.ObjectConsKeyExpr:
		if hcl.ExprAsKeyword(x.Wrapped) == "" || x.ForceNonLiteral {
			m.expression(x.Wrapped, ctx, false)
		}
	case *hclsyntax.ConditionalExpr:
		m.all([]hclsyntax.Expression{x.Condition, x.TrueResult, x.FalseResult}, ctx)
	case *hclsyntax.BinaryOpExpr:
		m.expression(x.LHS, ctx, false)
		m.expression(x.RHS, ctx, false)
	case *hclsyntax.UnaryOpExpr:
		m.expression(x.Val, ctx, false)
	case *hclsyntax.IndexExpr:
		m.expression(x.Collection, ctx, false)
		m.expression(x.Key, ctx, false)
	case *hclsyntax.FunctionCallExpr:
		m.all(x.Args, ctx)
		if !outermost {
			m.value(x, ctx)
		}
	case *hclsyntax.SplatExpr:
		m.expression(x.Source, ctx, false)
		m.value(x.Source, ctx) // what follows [*] only picks from it
	case *hclsyntax.ForExpr:
		m.loop(x, ctx)
	}
}

func (m *meter) all(list []hclsyntax.Expression, ctx *hcl.EvalContext) {
	for _, x := range list {
		m.expression(x, ctx, false)
	}
}

// loop pays for every round.
func (m *meter) loop(x *hclsyntax.ForExpr, ctx *hcl.EvalContext) {
	m.expression(x.CollExpr, ctx, false)
	coll, _ := m.value(x.CollExpr, ctx).Unmark()
	if !coll.IsKnown() || coll.IsNull() || !coll.CanIterateElements() {
		return
	}
	for it := coll.ElementIterator(); it.Next() && m.left >= 0; {
		k, v := it.Element()
		child := ctx.NewChild()
		child.Variables = map[string]cty.Value{x.ValVar: v}
		if x.KeyVar != "" {
			child.Variables[x.KeyVar] = k
		}
		m.expression(x.KeyExpr, child, false)
		m.expression(x.ValExpr, child, false)
		m.expression(x.CondExpr, child, false)
	}
}
