package hcl

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Resolve is the text of a playbook that says the same as this one and extends
// none: of a site playbook its base, with a comment at each change; of any other
// its file as it is. Paths in it are relative to dir, the folder that all its
// files lie in or below. A playbook that has errors has no such text.
func (p *Playbook) Resolve() (text []byte, dir string, found engine.Diagnostics) {
	dir = filepath.Dir(p.File.Name)
	if p.Site == nil || !p.valid {
		return p.File.Source, dir, nil
	}
	dir, err := p.common()
	if err != nil {
		return nil, dir, engine.Diagnostics{diag.Bare(diag.FileUnreadable, "No common folder", "%s", err.Error())}
	}
	paths := map[*syntax.File][]syntax.Edit{}
	var layers []string
	for layer := p.Playbook.Playbook; layer != nil; layer = layer.Base {
		m := mover{here: dir == "."}
		if m.to, err = way(dir, layer.File.Name); err != nil {
			return nil, dir, engine.Diagnostics{diag.Bare(diag.FileUnreadable, "No common folder", "%s", err.Error())}
		}
		if m.to != "." {
			_ = hclsyntax.VisitAll(layer.File.Body, m.visit) // it finds nothing wrong
			paths[layer.File] = m.edits
		}
		layers = append(layers, fmt.Sprintf("%s %s (%s)", layer.Header.Name, layer.Header.Version, layer.File.Name))
	}
	for _, t := range p.Tasks {
		x := t.Arg("source")
		if x == nil || t.Type.Role != engine.Calls {
			continue
		}
		if to, err := way(dir, x.File.Name); err == nil && to != "." {
			if name, ok := literal(x.Expression); ok {
				paths[x.File] = append(paths[x.File], edit(x.Range(), quoted(moved(to, name))))
			}
		}
	}
	head := []string{
		"Resolved from " + strings.Join(layers, ", which extends ") + ".",
		fmt.Sprintf("Keep it in the folder %q, to which its paths are relative.", filepath.ToSlash(dir)),
	}
	out, found := format(p.File.Name, syntax.Resolve(p.Playbook.Playbook, paths, head), hclwrite.Format)
	return out, dir, found
}

// common is the lowest folder that all files of the playbook lie in or below.
func (p *Playbook) common() (string, error) {
	dir := filepath.Dir(p.File.Name)
	for layer := p.Playbook.Playbook; layer != nil; layer = layer.Base {
		for {
			to, err := way(dir, layer.File.Name)
			if err != nil {
				return dir, err
			}
			if to != ".." && !strings.HasPrefix(to, "../") {
				break
			}
			dir = filepath.Join(dir, "..")
		}
	}
	return dir, nil
}

// way leads from one folder to that of a file, with slashes.
func way(from, file string) (string, error) {
	to := filepath.Dir(file)
	if own(file) {
		return filepath.ToSlash(to), nil
	}
	if filepath.IsAbs(from) == filepath.IsAbs(to) && !strings.HasPrefix(filepath.Clean(from), "..") {
		w, err := filepath.Rel(from, to)
		return filepath.ToSlash(w), err
	}
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	if to, err = filepath.Abs(to); err != nil {
		return "", err
	}
	w, err := filepath.Rel(from, to)
	return filepath.ToSlash(w), err
}

// own reports whether a file comes with the program.
func own(file string) bool { return strings.HasPrefix(filepath.ToSlash(file), Shipped+"/") }

// moved is a path that is relative to the folder to.
func moved(to, name string) string {
	if own(name) {
		return name
	}
	return path.Join(to, name)
}

func quoted(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }

func edit(r hcl.Range, text string) syntax.Edit {
	return syntax.Edit{Start: r.Start.Byte, End: r.End.Byte, Text: text}
}

// mover finds what in a file depends on where it lies.
type mover struct {
	here  bool   // the other place is the working directory, as "."
	to    string // where the file's folder is, seen from there
	edits []syntax.Edit
}

func (m *mover) visit(n hclsyntax.Node) hcl.Diagnostics {
	switch n := n.(type) {
	case *hclsyntax.FunctionCallExpr:
		if n.Name != "templatefile" || len(n.Args) == 0 {
			break
		}
		if name, ok := literal(n.Args[0]); ok {
			m.edits = append(m.edits, edit(n.Args[0].Range(), quoted(moved(m.to, name))))
		}
	case *hclsyntax.Attribute:
		for _, x := range scope.Mentions(n.Expr) {
			m.folder(x)
		}
	}
	return nil
}

// folder moves a mention of path.playbook, or of path as a whole.
func (m *mover) folder(x hclsyntax.Expression) {
	if s, ok := x.(*hclsyntax.SplatExpr); ok {
		x = s.Source
	}
	t, ok := x.(*hclsyntax.ScopeTraversalExpr)
	if !ok || t.Traversal.RootName() != "path" {
		return
	}
	value := quoted(m.to)
	if !strings.HasPrefix(m.to, Shipped) {
		value = `"${path.playbook}/` + strings.TrimPrefix(quoted(m.to), `"`)
		if m.here {
			value = "trimprefix(" + value + `, "./")`
		}
	}
	if len(t.Traversal) > 1 {
		m.edits = append(m.edits, edit(hcl.RangeBetween(t.Traversal[0].SourceRange(), t.Traversal[1].SourceRange()), value))
		return
	}
	m.edits = append(m.edits, edit(t.SrcRange, "{ playbook = "+value+" }"))
}
