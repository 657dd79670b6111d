package syntax

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Edit is a piece of a file that is to be another text.
type Edit struct {
	Start, End int // bytes
	Text       string
}

// Resolve is the text of a playbook without extends: the file of the lowest base,
// with what site playbooks change in its place and a comment at each change.
// paths are edits that any of the files needs to be moved to where the text is
// to lie. head is said in comments above it all. Its layout is left to others.
func Resolve(p *Playbook, paths map[*File][]Edit, head []string) []byte {
	root := p
	for root.Base != nil {
		root = root.Base
	}
	r := &resolver{p: p, root: root, paths: paths}
	for _, b := range root.File.Body.Blocks {
		if b.Type == "playbook" {
			r.edit(b.TypeRange.Start.Byte, b.CloseBraceRange.End.Byte, r.header(head))
		}
	}
	for _, v := range p.Variables {
		if v.File == root.File {
			r.edits = append(r.edits, r.variable(v)...)
		}
	}
	for _, ph := range root.Phases {
		r.phase(ph)
	}
	var out bytes.Buffer
	out.WriteString(strings.TrimRight(r.cut(root.File, 0, len(root.File.Source), r.edits), "\n"))
	out.WriteString("\n")
	for _, text := range r.declarations(p) {
		out.WriteString("\n" + text + "\n")
	}
	return out.Bytes()
}

type resolver struct {
	p, root *Playbook
	paths   map[*File][]Edit
	edits   []Edit // of the root's file
}

func (r *resolver) edit(start, end int, text string) {
	r.edits = append(r.edits, Edit{start, end, text})
}

// cut is a piece of a file with edits made. Where one lies within another the
// outer one counts; several at one place are made in their order.
func (r *resolver) cut(f *File, start, end int, edits []Edit) string {
	all := slices.Concat(edits, r.paths[f])
	slices.SortStableFunc(all, func(a, b Edit) int {
		switch {
		case a.Start != b.Start:
			return a.Start - b.Start
		case a.Start == a.End || b.Start == b.End:
			return (a.End - a.Start) - (b.End - b.Start) // what is put in stands before what is replaced
		}
		return b.End - a.End
	})
	var out strings.Builder
	at := start
	for _, e := range all {
		if e.Start < at || e.End > end {
			continue
		}
		out.Write(f.Source[at:e.Start])
		out.WriteString(e.Text)
		at = e.End
	}
	out.Write(f.Source[at:end])
	return out.String()
}

// header is the playbook block of the result.
func (r *resolver) header(head []string) string {
	var b strings.Builder
	for _, line := range head {
		b.WriteString(remark("%s", line))
	}
	h := r.p.Header
	fmt.Fprintf(&b, "playbook %s {\nlanguage = %d\n", quoted(h.Name), h.Language)
	for _, a := range [][2]string{{"required_version", h.RequiredVersion}, {"version", h.Version}, {"description", h.Description}} {
		if a[1] != "" {
			fmt.Fprintf(&b, "%s = %s\n", a[0], quoted(a[1]))
		}
	}
	b.WriteString("}")
	return b.String()
}

func quoted(s string) string {
	return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes())
}

// remark is a comment on a line of its own.
func remark(format string, args ...any) string {
	return "# " + strings.Join(strings.Fields(diag.Clean(fmt.Sprintf(format, args...))), " ") + "\n"
}

func at(r hcl.Range) string { return fmt.Sprintf("%s line %d", r.Filename, r.Start.Line) }

// variable is the edits of a variable block.
func (r *resolver) variable(v *Variable) []Edit {
	if !v.Preset {
		return nil
	}
	x := v.Default
	e := edges(v.Block)
	if old := v.Block.Body.Attributes["default"]; old != nil {
		e = append(e, r.replaced(v.File, old, "preset", x.NameRange, "default = "+r.value(x)+trailing(x.File, x.Range().End.Byte)))
	} else {
		e = append(e, tail(v.Block, remark("preset at %s", at(x.NameRange))+"default = "+r.value(x)+"\n"))
	}
	return e
}

// value is an expression as it is to be written.
func (r *resolver) value(x *Expr) string {
	g := x.Range()
	return strings.TrimRight(r.cut(x.File, g.Start.Byte, g.End.Byte, nil), "\n")
}

// edges gives the braces of a block that is written on one line lines of their
// own, so that there is room for more.
func edges(b *hclsyntax.Block) []Edit {
	if b.OpenBraceRange.Start.Line != b.CloseBraceRange.Start.Line {
		return nil
	}
	open, shut := b.OpenBraceRange.End.Byte, b.CloseBraceRange.Start.Byte
	return []Edit{{open, open, "\n"}, {shut, shut, "\n"}}
}

// tail puts a text at the end of a block.
func tail(b *hclsyntax.Block, text string) Edit {
	return Edit{b.CloseBraceRange.Start.Byte, b.CloseBraceRange.Start.Byte, text}
}

// replaced puts another argument into the place of one, with the comment behind it.
func (r *resolver) replaced(f *File, old *hclsyntax.Attribute, verb string, where hcl.Range, text string) Edit {
	start, end := old.SrcRange.Start.Byte, old.SrcRange.End.Byte
	was := strings.TrimSpace(string(f.Source[old.Expr.Range().Start.Byte:old.Expr.Range().End.Byte]))
	comment := fmt.Sprintf("%s at %s", verb, at(where))
	if !strings.Contains(was, "\n") && len(was) <= 60 {
		comment += "; was " + was
	}
	end += len(trailing(f, end))
	if strings.HasSuffix(string(f.Source[:end]), "\n") {
		text += "\n" // a heredoc holds the line break behind it
	}
	return Edit{start, end, remark("%s", comment) + text}
}

// trailing is a comment behind this byte, on the same line.
func trailing(f *File, at int) string {
	line, _, _ := bytes.Cut(f.Source[at:], []byte("\n"))
	if at > 0 && f.Source[at-1] == '\n' {
		return ""
	}
	if s := bytes.TrimLeft(line, " \t"); bytes.HasPrefix(s, []byte("#")) || bytes.HasPrefix(s, []byte("//")) {
		return string(line)
	}
	return ""
}

// leading is where the comments directly above the line of this byte begin; the
// byte's own line, if there are none.
func leading(f *File, at int) int {
	start := bytes.LastIndexByte(f.Source[:at], '\n') + 1
	for start > 0 {
		above := bytes.LastIndexByte(f.Source[:start-1], '\n') + 1
		s := bytes.TrimLeft(f.Source[above:start], " \t")
		if !bytes.HasPrefix(s, []byte("#")) && !bytes.HasPrefix(s, []byte("//")) {
			break
		}
		start = above
	}
	return start
}

// declarations is the variables, locals and outputs that sites add.
func (r *resolver) declarations(p *Playbook) []string {
	if p.Base == nil {
		return nil
	}
	texts := r.declarations(p.Base)
	for _, b := range p.File.Body.Blocks {
		if b.Type != "variable" && b.Type != "locals" && b.Type != "output" {
			continue
		}
		var edits []Edit
		for _, v := range r.p.Variables {
			if v.Block == b {
				edits = r.variable(v)
			}
		}
		texts = append(texts, r.whole(p.File, b, edits))
	}
	return texts
}

// whole is a block that a site adds, with the comments above it.
func (r *resolver) whole(f *File, b *hclsyntax.Block, edits []Edit) string {
	start := b.TypeRange.Start.Byte
	lead := string(f.Source[leading(f, start):start])
	if !strings.Contains(lead, "\n") {
		lead = "" // indentation
	}
	return strings.TrimRight(lead, " \t") + remark("added at %s", at(header(b))) + r.cut(f, start, b.CloseBraceRange.End.Byte, edits)
}
