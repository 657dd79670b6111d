// Package scope is what an expression of a playbook refers to, and how it gets
// the values of that. It knows the names of the language and nothing about
// where they are allowed or what they are; the checker gives it unknown values
// of the right types, a bound playbook the real ones.
package scope

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Roots are the names that an expression can begin with.
func Roots() []string {
	return []string{"var", "local", "host", "group", "cluster", "localhost", "task", "each", "target", "self", "error", "run", "path"}
}

// Reference is one mention of a name in an expression, from its root on.
type Reference struct {
	Traversal hcl.Traversal
	Root      string
	// Name is what stands behind the root, var.NAME or host["NAME"]; "" if the
	// root stands alone or its key is computed.
	Name  string
	Range hcl.Range // of root and name
	Rest  hcl.Traversal
}

// References lists what an expression refers to, in the order of the source.
// Names that a for expression binds are not among them.
func References(x hclsyntax.Expression) []Reference {
	var refs []Reference
	for _, t := range Variables(x) {
		refs = append(refs, reference(t))
	}
	return refs
}

func reference(t hcl.Traversal) Reference {
	r := Reference{Traversal: t, Root: t.RootName(), Range: t[0].SourceRange()}
	if len(t) < 2 {
		return r
	}
	name, ok := StepName(t[1])
	if !ok {
		return r
	}
	r.Name = name
	r.Range = hcl.RangeBetween(r.Range, t[1].SourceRange())
	r.Rest = t[2:]
	return r
}

// StepName is the name that one step of a traversal asks for: .name or ["name"].
func StepName(s hcl.Traverser) (string, bool) {
	switch s := s.(type) {
	case hcl.TraverseAttr:
		return s.Name, true
	case hcl.TraverseIndex:
		if k, _ := s.Key.Unmark(); k.IsKnown() && !k.IsNull() && k.Type() == cty.String {
			return k.AsString(), true
		}
	}
	return "", false
}

// Mentions lists the parts of an expression that only refer to something,
// var.x.name or var.xs[*].name, in the order of the source, without those that a
// for expression binds.
func Mentions(x hclsyntax.Expression) []hclsyntax.Expression {
	var m mentions
	Walk(x, &m)
	return m.found
}

type mentions struct {
	found  []hclsyntax.Expression
	bound  []map[string]struct{}
	within int // splats that are listed as a whole
}

// Enter lists a node that is a mention.
func (m *mentions) Enter(n hclsyntax.Node) hcl.Diagnostics {
	switch n := n.(type) {
	case hclsyntax.ChildScope:
		m.bound = append(m.bound, n.LocalNames)
	case *hclsyntax.SplatExpr:
		if s, ok := n.Source.(*hclsyntax.ScopeTraversalExpr); ok && m.within == 0 && !m.local(s) {
			m.found = append(m.found, n)
			m.within++
		} else if m.within > 0 {
			m.within++
		}
	case *hclsyntax.ScopeTraversalExpr:
		if m.within == 0 && !m.local(n) {
			m.found = append(m.found, n)
		}
	}
	return nil
}

// Exit forgets what ended with a node.
func (m *mentions) Exit(n hclsyntax.Node) hcl.Diagnostics {
	switch n.(type) {
	case hclsyntax.ChildScope:
		m.bound = m.bound[:len(m.bound)-1]
	case *hclsyntax.SplatExpr:
		m.within = max(m.within-1, 0)
	}
	return nil
}

func (m *mentions) local(x *hclsyntax.ScopeTraversalExpr) bool {
	for _, names := range m.bound {
		if _, ok := names[x.Traversal.RootName()]; ok {
			return true
		}
	}
	return false
}

// Source gives the values of names.
type Source interface {
	// Named is the value of NAME in var.NAME, local.NAME or task.NAME. An error
	// of a local's expression comes as diagnostics, and the value is then
	// cty.DynamicVal.
	Named(root, name string) (cty.Value, hcl.Diagnostics)

	// Whole is the value of any other root; cty.NilVal if there is none here.
	Whole(root string) cty.Value
}

// Context is what an expression with these references is evaluated in. It has
// the names that the expression mentions and no others, so that its cost does
// not grow with the playbook.
func Context(functions *hcl.EvalContext, refs []Reference, s Source) (*hcl.EvalContext, hcl.Diagnostics) {
	if len(refs) == 0 {
		return functions, nil
	}
	ctx := functions.NewChild()
	ctx.Variables = make(map[string]cty.Value, len(refs))
	var found hcl.Diagnostics
	named := map[string]map[string]cty.Value{}
	for _, r := range refs {
		switch r.Root {
		case "var", "local", "task":
			if r.Name == "" {
				continue // the checker has refused it
			}
			if named[r.Root] == nil {
				named[r.Root] = map[string]cty.Value{}
			}
			if _, ok := named[r.Root][r.Name]; ok {
				continue
			}
			v, diags := s.Named(r.Root, r.Name)
			found = append(found, diags...)
			if v != cty.NilVal {
				named[r.Root][r.Name] = v
			}
		default:
			if _, ok := ctx.Variables[r.Root]; ok {
				continue
			}
			if v := s.Whole(r.Root); v != cty.NilVal {
				ctx.Variables[r.Root] = v
			}
		}
	}
	for root, values := range named {
		ctx.Variables[root] = cty.ObjectVal(values)
	}
	return ctx, found
}
