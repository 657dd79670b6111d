package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// value checks an expression and what its place demands of it. The value is
// unknown where it depends on anything but the text; ok is false, and the value
// cty.DynamicVal, if something was found.
func (c *checker) value(x *syntax.Expr, at site, w Want) (v cty.Value, ok bool) {
	v, ok = c.evaluate(x, scope.References(x.Expression), at)
	if !ok {
		return cty.DynamicVal, false
	}
	v, found := w.Convert(x, v)
	c.found = append(c.found, found...)
	if found.HasErrors() {
		return cty.DynamicVal, false
	}
	return v, true
}

func (c *checker) evaluate(x *syntax.Expr, refs []scope.Reference, at site) (cty.Value, bool) {
	good := c.references(x, refs, at)
	if !c.calls(x) || !good {
		return cty.DynamicVal, false
	}
	ctx, _ := scope.Context(c.Folders[x.File].Functions, refs, unknowns{c, at, refs})
	v, found := eval.Evaluate(x.Expression, ctx)
	if found.HasErrors() {
		ds := Findings(found, x.Place)
		sumOfTexts(x, ds)
		c.found = append(c.found, ds...)
		return cty.DynamicVal, false
	}
	w := &walker{c: c, x: x, contexts: []*hcl.EvalContext{ctx}, good: true}
	scope.Walk(x.Expression, w)
	return v, w.good
}

// sumOfTexts adds to a finding about a text beside a + how texts are joined.
func sumOfTexts(x *syntax.Expr, ds engine.Diagnostics) {
	sides := map[engine.Range]bool{}
	scope.Visit(x.Expression, func(n hclsyntax.Node) {
		if sum, ok := n.(*hclsyntax.BinaryOpExpr); ok && sum.Op == hclsyntax.OpAdd {
			sides[*diag.Range(sum.LHS.Range())], sides[*diag.Range(sum.RHS.Range())] = true, true
		}
	})
	for i, d := range ds {
		if d.Summary == "Invalid operand" && d.Subject != nil && sides[*d.Subject] {
			ds[i].Detail += ` Texts are joined in a template: "${a}${b}".`
		}
	}
}

// unknowns is the source of values while checking: unknown ones of the right
// types.
type unknowns struct {
	c    *checker
	at   site
	refs []scope.Reference // of the expression
}

func (u unknowns) Named(root, name string) (cty.Value, hcl.Diagnostics) {
	switch root {
	case "var":
		if v := u.c.out.variables[name]; v != nil {
			return v.Unknown(), nil
		}
	case "local":
		return u.c.localValue(name), nil
	case "task":
		if t := u.c.out.tasks[name]; t != nil {
			return u.c.taskValue(t, u.refs), nil
		}
	}
	return cty.DynamicVal, nil
}

func (u unknowns) Whole(root string) cty.Value {
	switch root {
	case "host", "group":
		return cty.UnknownVal(inventoryType(root)).RefineNotNull()
	case "cluster":
		return unknownObject(eval.ClusterType)
	case "localhost", "target":
		return unknownObject(eval.HostType)
	case "run":
		return unknownObject(eval.RunType)
	case "path":
		return unknownObject(pathType())
	case "error":
		return unknownObject(eval.ErrorType)
	case "each":
		return u.at.each
	case "self":
		if u.at.task != nil {
			return u.c.resultValue(u.at.task)
		}
	}
	return cty.DynamicVal
}

// unknownObject is an object whose attributes are unknown and not null.
func unknownObject(ty cty.Type) cty.Value {
	attrs := map[string]cty.Value{}
	for name, t := range ty.AttributeTypes() {
		attrs[name] = cty.UnknownVal(t).RefineNotNull()
	}
	return cty.ObjectVal(attrs)
}

// Findings takes over what the evaluation of an expression found.
func Findings(found hcl.Diagnostics, p diag.Place) engine.Diagnostics {
	ds := diag.FromHCL(diag.Evaluation, p, found)
	for i, d := range ds {
		switch {
		case strings.Contains(d.Summary, "function"):
			ds[i].Code = string(diag.FunctionArgument)
		case d.Summary == "Unsupported attribute":
			ds[i].Code = string(diag.UnknownAttribute)
			attributeHint(&ds[i], found[i])
		}
	}
	return ds
}

// attributeHint adds to a finding about an attribute what there is.
func attributeHint(d *engine.Diagnostic, f *hcl.Diagnostic) {
	x, ok := f.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok || f.EvalContext == nil || f.Subject == nil {
		return
	}
	for i, s := range x.Traversal {
		name, named := scope.StepName(s)
		if i == 0 || !named || s.SourceRange() != *f.Subject {
			continue
		}
		v, found := x.Traversal[:i].TraverseAbs(f.EvalContext)
		if found.HasErrors() || !v.Type().IsObjectType() {
			return
		}
		names := attributeNames(v.Type())
		d.Summary = "Unknown attribute"
		d.Detail = fmt.Sprintf("This has no attribute %q.%s", name, diag.DidYouMean(name, names))
		d.Notes = noteLines("Attributes: ", names)
		return
	}
}

// calls checks that every function and template exists, and finds a form that
// is easily mistaken.
func (c *checker) calls(x *syntax.Expr) bool {
	good := true
	scope.Visit(x.Expression, func(n hclsyntax.Node) {
		switch n := n.(type) {
		case *hclsyntax.FunctionCallExpr:
			good = c.function(x, n) && good
		case *hclsyntax.SplatExpr:
			s, ok := n.Source.(*hclsyntax.ScopeTraversalExpr)
			if !ok || len(s.Traversal) != 2 || s.Traversal.RootName() != "task" {
				break
			}
			name, _ := scope.StepName(s.Traversal[1])
			if t := c.out.tasks[name]; t != nil && t.Looping() {
				c.add(diag.New(diag.LoopingTask, "This task loops", n.SrcRange, x.Place,
					"%q runs once for each value, so its results are a map, and [*] goes over lists. Write [for k, r in task.%s : r.OUTPUT].", name, name))
				good = false
			}
		}
	})
	return good
}

func (c *checker) function(x *syntax.Expr, n *hclsyntax.FunctionCallExpr) bool {
	switch _, ok := c.Folders[x.File].Functions.Functions[n.Name]; {
	case !ok:
		c.unknownFunction(x, n)
		return false
	case n.Name == "templatefile" && len(n.Args) > 0:
		return c.template(x, n.Args[0])
	case n.Name == "nonsensitive":
		c.add(diag.Warn(diag.New(diag.SecretUncovered, "Secret declared harmless", n.NameRange, x.Place,
			"From here on the value is shown like any other: in plans, logs and the journal.")))
	}
	return true
}

// template checks the path of a template file, and the file.
func (c *checker) template(x *syntax.Expr, path hclsyntax.Expression) bool {
	v, found := path.Value(nil)
	if found.HasErrors() || v.Type() != cty.String || v.IsNull() || !v.IsKnown() || v.IsMarked() {
		c.add(diag.New(diag.NotLiteral, "Literal needed", path.Range(), x.Place,
			"The path of a template is a string in quotes: the file is read before anything else is known. For one of several templates write CONDITION ? templatefile(...) : templatefile(...)."))
		return false
	}
	read := c.Folders[x.File].Template
	if read == nil {
		return true
	}
	if err := read(v.AsString()); err != nil {
		c.add(diag.New(diag.FunctionArgument, "Invalid function argument", path.Range(), x.Place, "Invalid value for \"path\" parameter: %s.", err.Error()))
		return false
	}
	return true
}

func (c *checker) unknownFunction(x *syntax.Expr, n *hclsyntax.FunctionCallExpr) {
	detail := fmt.Sprintf("There is no function %q.", n.Name)
	if instead, ok := eval.RefusedFunctions()[n.Name]; ok {
		detail += " " + instead
	} else {
		names := slices.Sorted(maps.Keys(c.Folders[x.File].Functions.Functions))
		detail += suggestFunction(n.Name, names)
	}
	c.add(diag.New(diag.UnknownFunction, "Unknown function", n.NameRange, x.Place, "%s", detail))
}

func suggestFunction(name string, names []string) string {
	for _, n := range names {
		if _, bare, ok := strings.Cut(n, "::"); ok && bare == name {
			return fmt.Sprintf(" Did you mean %q?", n)
		}
	}
	return diag.DidYouMean(name, names)
}
