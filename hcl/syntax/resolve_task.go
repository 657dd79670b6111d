package syntax

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// phase edits the tasks of one phase of the root.
func (r *resolver) phase(ph *Phase) {
	i := slices.IndexFunc(r.p.Phases, func(p *Phase) bool { return p.Range == ph.Range })
	if i < 0 {
		r.gone(ph)
		return
	}
	now := r.p.Phases[i]
	r.list(ph.Tasks, now.Tasks)
	r.list(ph.Rescue, now.Rescue)
	r.list(ph.Always, now.Always)
}

// gone takes out a phase of which no task is left.
func (r *resolver) gone(ph *Phase) {
	var text strings.Builder
	for _, t := range ph.All() {
		text.WriteString(r.dropped(t.Name))
	}
	if ph.Block != nil {
		r.edit(ph.Block.TypeRange.Start.Byte, ph.Block.CloseBraceRange.End.Byte, strings.TrimSuffix(text.String(), "\n"))
		return
	}
	for _, t := range ph.Tasks {
		r.edit(t.Block.TypeRange.Start.Byte, t.Block.CloseBraceRange.End.Byte, strings.TrimSuffix(r.dropped(t.Name), "\n"))
	}
}

// list edits the tasks of one list of the root, and puts those in that sites add:
// before the next one of the root, or behind its last.
func (r *resolver) list(were, are []*Task) {
	f := r.root.File
	for _, t := range were {
		b := t.Block
		i := slices.IndexFunc(are, func(n *Task) bool { return n.Block == b })
		if i < 0 {
			r.edit(b.TypeRange.Start.Byte, b.CloseBraceRange.End.Byte, strings.TrimSuffix(r.dropped(t.Name), "\n"))
			continue
		}
		r.edits = append(r.edits, r.task(are[i])...)
	}
	var waiting strings.Builder
	for _, t := range are {
		if t.File != f {
			waiting.WriteString(r.whole(t.File, t.Block, r.task(t)) + "\n\n")
			continue
		}
		if waiting.Len() > 0 {
			at := leading(f, t.Block.TypeRange.Start.Byte)
			r.edit(at, at, waiting.String())
			waiting.Reset()
		}
	}
	if waiting.Len() > 0 {
		end := were[len(were)-1].Block.CloseBraceRange.End.Byte
		end += len(trailing(f, end))
		r.edit(end, end, "\n\n"+strings.TrimRight(waiting.String(), "\n"))
	}
}

// dropped is the comment in the place of a task.
func (r *resolver) dropped(name string) string {
	for _, d := range r.p.Dropped {
		if d.Name == name {
			return remark("dropped at %s: %s: %s", at(d.Range), d.Task.title(), d.Reason)
		}
	}
	return ""
}

// task is the edits of a task's block.
func (r *resolver) task(t *Task) []Edit {
	var edits []Edit
	var end strings.Builder
	if t.Anchor != nil {
		edits = append(edits, unanchored(t))
	}
	if len(t.Overrides) == 0 {
		return edits
	}
	seen := map[string]bool{}
	retry := false
	for _, o := range slices.Backward(t.Overrides) {
		for _, a := range o.Attrs {
			if seen[a.Name] {
				continue
			}
			seen[a.Name] = true
			text := a.Name + " = " + r.value(a) + trailing(a.File, a.Range().End.Byte)
			if old := t.Block.Body.Attributes[a.Name]; old != nil {
				edits = append(edits, r.replaced(t.File, old, "overridden", a.NameRange, text))
			} else {
				end.WriteString(remark("overridden at %s", at(a.NameRange)) + text + "\n")
			}
		}
		if o.Retry == nil || retry {
			continue
		}
		retry = true
		text := remark("overridden at %s", at(o.Retry.TypeRange)) + r.inner(o, o.Retry.TypeRange)
		if old := child(t.Block, "retry"); old != nil {
			edits = append(edits, Edit{old.TypeRange.Start.Byte, old.CloseBraceRange.End.Byte, text})
		} else {
			end.WriteString("\n" + text + "\n")
		}
	}
	for _, o := range t.Overrides {
		for _, c := range slices.Concat(o.Pre, o.Post) {
			end.WriteString("\n" + remark("added at %s", at(c.Range)) + r.inner(o, c.Range) + "\n")
		}
	}
	text := end.String()
	if len(t.Block.Body.Attributes)+len(t.Block.Body.Blocks) == 0 {
		text = strings.TrimLeft(text, "\n")
	}
	edits = append(edits, edges(t.Block)...)
	return append(edits, tail(t.Block, text))
}

// inner is the block of an override whose header begins where this range does.
func (r *resolver) inner(o *Override, at hcl.Range) string {
	for _, b := range o.Block.Body.Blocks {
		if b.TypeRange.Start == at.Start {
			return r.cut(o.File, b.TypeRange.Start.Byte, b.CloseBraceRange.End.Byte, nil)
		}
	}
	return ""
}

func child(b *hclsyntax.Block, name string) *hclsyntax.Block {
	for _, inner := range b.Body.Blocks {
		if inner.Type == name {
			return inner
		}
	}
	return nil
}

// unanchored takes the before or after out of an added task, with its line.
func unanchored(t *Task) Edit {
	a := t.Block.Body.Attributes[t.Anchor.Expr.Name]
	src := t.File.Source
	start, end := a.SrcRange.Start.Byte, a.SrcRange.End.Byte
	end += len(trailing(t.File, end))
	from := bytes.LastIndexByte(src[:start], '\n') + 1
	if len(bytes.TrimSpace(src[from:start])) == 0 && end < len(src) && src[end] == '\n' {
		return Edit{from, end + 1, ""}
	}
	return Edit{start, end, ""}
}
