package check

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// walker visits an expression with the contexts that its parts are evaluated
// in. What stands in a for expression over an unknown collection is evaluated
// by nobody else.
type walker struct {
	c        *checker
	x        *syntax.Expr
	contexts []*hcl.EvalContext
	loops    []*hcl.EvalContext // of the for expressions around
	good     bool
}

func (w *walker) ctx() *hcl.EvalContext { return w.contexts[len(w.contexts)-1] }

// Enter is called before the parts of a node are visited.
func (w *walker) Enter(n hclsyntax.Node) hcl.Diagnostics {
	switch n := n.(type) {
	case *hclsyntax.ForExpr:
		w.loops = append(w.loops, w.enterLoop(n))
	case hclsyntax.ChildScope:
		w.contexts = append(w.contexts, w.loops[len(w.loops)-1])
	case *hclsyntax.BinaryOpExpr:
		w.compare(n)
		w.operand(n.Op, n.LHS, 0)
		w.operand(n.Op, n.RHS, 1)
	case *hclsyntax.IndexExpr:
		w.index(n)
	case *hclsyntax.UnaryOpExpr:
		w.operand(n.Op, n.Val, 0)
	case *hclsyntax.ConditionalExpr:
		w.branches(n)
	case *hclsyntax.ObjectConsExpr:
		w.keys(n)
	}
	return nil
}

// Exit is called after the parts of a node were visited.
func (w *walker) Exit(n hclsyntax.Node) hcl.Diagnostics {
	switch n.(type) {
	case *hclsyntax.ForExpr:
		w.loops = w.loops[:len(w.loops)-1]
	case hclsyntax.ChildScope:
		w.contexts = w.contexts[:len(w.contexts)-1]
	}
	return nil
}

// enterLoop is the context inside a for expression. Where the library did not
// look inside, because there is no element yet, it is done here.
func (w *walker) enterLoop(n *hclsyntax.ForExpr) *hcl.EvalContext {
	child := w.ctx().NewChild()
	coll, _ := n.CollExpr.Value(w.ctx())
	key, elem := elementOf(coll)
	child.Variables = map[string]cty.Value{n.ValVar: elem}
	if n.KeyVar != "" {
		child.Variables[n.KeyVar] = key
	}
	plain, _ := coll.Unmark()
	if plain.IsKnown() && !plain.IsNull() && plain.CanIterateElements() && plain.LengthInt() > 0 {
		return child
	}
	for _, part := range []hclsyntax.Expression{n.KeyExpr, n.ValExpr, n.CondExpr} {
		if part == nil {
			continue
		}
		_, found := part.Value(child)
		for i, f := range Findings(found, w.x.Place) {
			if found[i].Subject == nil || w.c.once(diag.Code(f.Code), *found[i].Subject, f.Detail) {
				w.c.add(f)
			}
			w.good = false
		}
	}
	return child
}

// keys finds a key that is written twice in an object. The library lets the
// later one count.
func (w *walker) keys(n *hclsyntax.ObjectConsExpr) {
	lines := map[string]int{}
	for _, i := range n.Items {
		v, found := i.KeyExpr.Value(w.ctx())
		v, _ = v.Unmark()
		if found.HasErrors() || v.Type() != cty.String || !v.IsKnown() || v.IsNull() {
			continue
		}
		if line := lines[v.AsString()]; line > 0 {
			w.good = false
			w.c.add(diag.New(diag.DuplicateName, "Key given twice", i.KeyExpr.Range(), w.x.Place,
				"The key %q stands at line %d already. Keep one of the two.", v.AsString(), line))
			continue
		}
		lines[v.AsString()] = i.KeyExpr.Range().Start.Line
	}
}

// compare finds an == or != whose sides can never be equal.
func (w *walker) compare(n *hclsyntax.BinaryOpExpr) {
	if n.Op != hclsyntax.OpEqual && n.Op != hclsyntax.OpNotEqual {
		return
	}
	l, ld := n.LHS.Value(w.ctx())
	r, rd := n.RHS.Value(w.ctx())
	if ld.HasErrors() || rd.HasErrors() {
		return
	}
	lt, rt := l.Type(), r.Type()
	if lt == cty.DynamicPseudoType || rt == cty.DynamicPseudoType || lt.Equals(rt) || !lt.IsPrimitiveType() && !rt.IsPrimitiveType() {
		return
	}
	fix := "Compare values of one type."
	switch {
	case lt.IsPrimitiveType() && rt.IsPrimitiveType() && (quoted(n.LHS) || quoted(n.RHS)):
		fix = "Convert one of them, or take the quotes away."
	case lt.IsPrimitiveType() && rt.IsPrimitiveType():
		fix = "Convert one of them, for example with tostring()."
	case lt.Equals(eval.HostType) || rt.Equals(eval.HostType):
		fix = "Compare the name of the host, HOST.name."
	}
	w.good = false
	w.c.add(diag.New(diag.UnlikeComparison, "Comparison of different types", n.SrcRange, w.x.Place,
		"%s is never equal to %s. %s", capital(eval.TypeName(lt)), eval.TypeName(rt), fix))
}

// index finds a host that is picked by a sensitive name. The library forgets the
// mark of a key while the inventory is not known.
func (w *walker) index(n *hclsyntax.IndexExpr) {
	from, ok := n.Collection.(*hclsyntax.ScopeTraversalExpr)
	if !ok || from.Traversal.RootName() != "host" && from.Traversal.RootName() != "group" {
		return
	}
	if key, found := n.Key.Value(w.ctx()); !found.HasErrors() && key.IsMarked() {
		w.good = false
		w.c.add(diag.New(diag.SecretShown, "Sensitive value in a visible place", n.Key.Range(), w.x.Place,
			"The names of hosts and groups are shown in plans and logs, so they cannot be sensitive. Take the secret out of it, or declare it harmless with nonsensitive()."))
	}
}

func quoted(x hclsyntax.Expression) bool {
	t, ok := x.(*hclsyntax.TemplateExpr)
	return ok && t.IsStringLiteral()
}

// operand finds an operand that the library would turn into another type
// without a word, as it does in "5" + 1.
func (w *walker) operand(op *hclsyntax.Operation, x hclsyntax.Expression, i int) {
	want := op.Impl.Params()[i].Type
	if want == cty.DynamicPseudoType {
		return
	}
	v, found := x.Value(w.ctx())
	if found.HasErrors() || v.Type() == cty.DynamicPseudoType || v.Type() == want {
		return
	}
	w.good = false
	_, err := eval.Strict(cty.UnknownVal(v.Type()), want, nil)
	if err != nil && w.c.once(diag.UnsuitableValue, x.Range(), "operand") {
		w.c.add(diag.New(diag.UnsuitableValue, "Unsuitable operand", x.Range(), w.x.Place, "%s", eval.Sentence(err.Error())))
	}
}

// branches finds a conditional that yields now one primitive type and now
// another; the library would turn both into strings.
func (w *walker) branches(n *hclsyntax.ConditionalExpr) {
	t, td := n.TrueResult.Value(w.ctx())
	f, fd := n.FalseResult.Value(w.ctx())
	if td.HasErrors() || fd.HasErrors() {
		return
	}
	tt, ft := t.Type(), f.Type()
	if tt.Equals(ft) || !tt.IsPrimitiveType() || !ft.IsPrimitiveType() {
		return
	}
	w.good = false
	w.c.add(diag.New(diag.UnlikeBranches, "Two types in one place", n.SrcRange, w.x.Place,
		"This is %s if the condition holds, and %s if it does not. Give both sides one type.", eval.TypeName(tt), eval.TypeName(ft)))
}
