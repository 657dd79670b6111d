package check

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// shell finds values put into a shell script without quoting. A script that is
// a local is looked at there. The expression has been evaluated and is good.
func (c *checker) shell(x *syntax.Expr, at site) {
	refs := scope.References(x.Expression)
	if t, ok := x.Expression.(*hclsyntax.ScopeTraversalExpr); ok && len(t.Traversal) == 2 && refs[0].Root == "local" {
		l := c.out.locals[refs[0].Name]
		if l != nil && c.once(diag.UnquotedInShell, l.Expr.Range(), "local") {
			c.shell(l.Expr, site{before: len(c.out.Tasks), local: true})
		}
		return
	}
	ctx, _ := scope.Context(c.Folders[x.File].Functions, refs, unknowns{c, at, refs})
	c.scriptParts(x, x.Expression, ctx)
}

// scriptParts goes through an expression that yields a script. ctx is nil where
// the types of its parts cannot be told, inside of loops.
func (c *checker) scriptParts(x *syntax.Expr, n hclsyntax.Expression, ctx *hcl.EvalContext) {
	switch n := n.(type) {
	case *hclsyntax.ParenthesesExpr:
		c.scriptParts(x, n.Expression, ctx)
	case *hclsyntax.ConditionalExpr:
		c.scriptParts(x, n.TrueResult, ctx)
		c.scriptParts(x, n.FalseResult, ctx)
	case *hclsyntax.TemplateWrapExpr:
		c.scriptPart(x, n.Wrapped, ctx)
	case *hclsyntax.TemplateExpr:
		for _, p := range n.Parts {
			c.scriptPart(x, p, ctx)
		}
	case *hclsyntax.TemplateJoinExpr:
		if f, ok := n.Tuple.(*hclsyntax.ForExpr); ok {
			c.scriptParts(x, f.ValExpr, nil)
		}
	}
}

// scriptPart looks at one interpolation.
func (c *checker) scriptPart(x *syntax.Expr, p hclsyntax.Expression, ctx *hcl.EvalContext) {
	switch p := p.(type) {
	case *hclsyntax.LiteralValueExpr:
		return
	case *hclsyntax.FunctionCallExpr:
		if p.Name == "shellquote" {
			return
		}
	case *hclsyntax.TemplateExpr, *hclsyntax.TemplateWrapExpr, *hclsyntax.TemplateJoinExpr, *hclsyntax.ConditionalExpr, *hclsyntax.ParenthesesExpr:
		c.scriptParts(x, p, ctx)
		return
	}
	if ctx != nil {
		if v, found := p.Value(ctx); !found.HasErrors() && (v.Type() == cty.Number || v.Type() == cty.Bool) {
			return // it has no character that a shell would take for its own
		}
	}
	if c.once(diag.UnquotedInShell, p.Range(), "part") {
		c.add(diag.New(diag.UnquotedInShell, "Unquoted value in a shell script", p.Range(), x.Place,
			"Write ${shellquote(...)}, or pass the value in env and write \"$NAME\", or use argv, which needs no shell."))
	}
}
