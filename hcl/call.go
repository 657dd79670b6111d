package hcl

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// maxDepth is how many playbooks may call each other in a row.
const maxDepth = 5

// calls loads the playbooks that tasks call.
func (s *shared) calls(p *Playbook, decoded *syntax.Playbook, stack []string) engine.Diagnostics {
	var found engine.Diagnostics
	for _, ph := range decoded.Phases {
		for _, t := range ph.All() {
			if ty := s.types.Type(t.Type); ty == nil || ty.Role != engine.Calls {
				continue
			}
			x := t.Arg("source")
			if x == nil {
				continue
			}
			callee, d := s.call(x, t, stack)
			if d != nil {
				found = append(found, *d)
			}
			if callee != nil {
				p.callees[t] = callee
			}
		}
	}
	return found
}

// call loads the playbook that a source names.
func (s *shared) call(x *syntax.Expr, t *syntax.Task, stack []string) (*Playbook, *engine.Diagnostic) {
	finding := func(code diag.Code, summary, format string, args ...any) *engine.Diagnostic {
		d := diag.New(code, summary, x.Range(), x.Place, format, args...)
		return &d
	}
	name, ok := literal(x.Expression)
	switch {
	case !ok:
		return nil, finding(diag.NotLiteral, "Literal needed",
			"source must be a string in quotes: the called playbook is read and checked before anything else is known.")
	case name == "" || filepath.IsAbs(name):
		return nil, finding(diag.CallUnreadable, "Not a relative path", "source is relative to the file it is written in. Write for example \"scale.hcl\".")
	}
	path := filepath.Join(filepath.Dir(x.File.Name), filepath.FromSlash(name))
	if strings.HasPrefix(name, Shipped+"/") {
		path = name
	}
	if i := slices.Index(stack, path); i >= 0 {
		return nil, finding(diag.CallCycle, "Playbooks in a circle", "%s calls itself: %s. A playbook may not call one that leads back to it.",
			path, strings.Join(append(slices.Clone(stack[i:]), path), " -> "))
	}
	callee, known := s.loaded[path]
	height := 1
	if callee != nil {
		height = callee.height()
	}
	if len(stack)+height > maxDepth {
		return nil, finding(diag.CallDepth, "Called too deeply", "Playbooks may call each other %d deep, and %s would be deeper: %s.",
			maxDepth, path, strings.Join(append(slices.Clone(stack), path), " -> "))
	}
	if known {
		return callee, nil // if it is nil, its findings have been told
	}
	src, err := s.read(path)
	if err != nil {
		return nil, finding(diag.CallUnreadable, "Called playbook cannot be read", "%s: %s.", path, reason(err))
	}
	callee, found := s.load(path, src, stack)
	s.loaded[path] = callee
	s.found = append(s.found, found...)
	return callee, nil
}

// height is the number of playbooks on the longest way down, this one included.
func (p *Playbook) height() int {
	most := 0
	for _, c := range p.callees {
		most = max(most, c.height())
	}
	return most + 1
}

// literal is the text of a string without interpolation.
func literal(x hclsyntax.Expression) (string, bool) {
	t, ok := x.(*hclsyntax.TemplateExpr)
	if !ok || !t.IsStringLiteral() {
		return "", false
	}
	v, found := t.Value(nil)
	if found.HasErrors() || v.Type() != cty.String || !v.IsKnown() || v.IsNull() {
		return "", false
	}
	return v.AsString(), true
}
