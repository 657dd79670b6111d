package scope

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Variables lists the names that stand in an expression, in the order of the
// source, without those that a for expression binds. The words of a type, as in
// convert(x, list(string)), are no names.
func Variables(x hclsyntax.Expression) []hcl.Traversal {
	var types []hcl.Range
	_ = hclsyntax.VisitAll(x, func(n hclsyntax.Node) hcl.Diagnostics {
		if t := typeOf(n); t != nil {
			types = append(types, t.Range())
		}
		return nil // it only looks
	})
	all := hclsyntax.Variables(x)
	if len(types) == 0 {
		return all
	}
	var names []hcl.Traversal
	for _, t := range all {
		if !within(t.SourceRange(), types) {
			names = append(names, t)
		}
	}
	return names
}

func within(r hcl.Range, types []hcl.Range) bool {
	for _, t := range types {
		if t.ContainsPos(r.Start) {
			return true
		}
	}
	return false
}

// Walk visits an expression as the library does, without the types in it, which
// nobody evaluates.
func Walk(x hclsyntax.Expression, w hclsyntax.Walker) {
	_ = hclsyntax.Walk(x, &values{Walker: w}) // what is found is for w to keep
}

// Visit calls visit for each node that Walk comes to, the outer before the inner.
func Visit(x hclsyntax.Expression, visit func(hclsyntax.Node)) { Walk(x, visitor(visit)) }

// typeOf is the type that is written in a call of convert; nil for any other
// node.
func typeOf(n hclsyntax.Node) hclsyntax.Expression {
	if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == "convert" && len(call.Args) > 1 {
		return call.Args[1]
	}
	return nil
}

// values is a walker that steps over types.
type values struct {
	hclsyntax.Walker
	types []hclsyntax.Node // that are still to come
	depth int              // in a type
}

// Enter counts how deep in a type it is, or hands the node on.
func (v *values) Enter(n hclsyntax.Node) hcl.Diagnostics {
	if v.depth > 0 || len(v.types) > 0 && n == v.types[len(v.types)-1] {
		v.depth++
		return nil
	}
	if t := typeOf(n); t != nil {
		v.types = append(v.types, t)
	}
	return v.Walker.Enter(n)
}

// Exit is the other half of Enter.
func (v *values) Exit(n hclsyntax.Node) hcl.Diagnostics {
	if v.depth > 0 {
		if v.depth--; v.depth == 0 {
			v.types = v.types[:len(v.types)-1]
		}
		return nil
	}
	return v.Walker.Exit(n)
}

type visitor func(hclsyntax.Node)

func (v visitor) Enter(n hclsyntax.Node) hcl.Diagnostics {
	v(n)
	return nil
}

func (visitor) Exit(hclsyntax.Node) hcl.Diagnostics { return nil }
