package syntax

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Site is what a site playbook says about the playbook that it extends, its
// base.
type Site struct {
	Extends   *Extends
	Presets   []*Expr // other defaults, named for their variables
	Added     []*Task // each with its anchor
	Overrides []*Override
	Drops     []*Drop
}

// Extends is the extends block.
type Extends struct {
	Path       string              // of the base, as written; "" if it cannot be read, which has been found
	Version    string              // constraint on the base's version
	Constraint version.Constraints // the same; nil if it cannot be read, which has been found
	Range      hcl.Range           // of the header
	PathRange  hcl.Range
	Place      diag.Place
}

// Anchor is the task of the base that an added task is placed beside.
type Anchor struct {
	Before bool // else after
	Task   string
	Expr   *Expr
}

// Override is an override block: a task without a type, of which only what is
// written counts.
type Override struct {
	*Task
	Attrs []*Expr // every argument, in the order in which they are written
}

// What names all that an override changes: "timeout, retry, +precondition".
func (o *Override) What() string {
	var names []string
	for _, a := range o.Attrs {
		names = append(names, a.Name)
	}
	if o.Retry != nil {
		names = append(names, "retry")
	}
	for range o.Pre {
		names = append(names, "+precondition")
	}
	for range o.Post {
		names = append(names, "+postcondition")
	}
	return strings.Join(names, ", ")
}

// Drop is a drop block.
type Drop struct {
	Name      string
	Reason    string
	File      *File
	Task      *Task // of the base; nil until it is found there
	Range     hcl.Range
	NameRange hcl.Range
	Place     diag.Place
}

// extends reads the extends block of a header, which makes the playbook one of
// a site.
func (d *decoder) extends(head *hclsyntax.Block, p *Playbook) {
	for _, b := range head.Body.Blocks {
		if b.Type != "extends" {
			continue
		}
		place := diag.Place{In: title(b)}
		if p.Site != nil {
			d.add(diag.New(diag.DuplicateBlock, "Block given twice", header(b), place,
				"extends stands at line %d already. A site playbook has one base.", p.Site.Extends.Range.Start.Line))
			continue
		}
		e := &Extends{Range: header(b), Place: place}
		p.Site, d.extended = &Site{Extends: e}, true
		o := d.open(b, place, "version")
		o.closed()
		if labels, ok := o.labels("PLAYBOOK"); ok {
			e.Path, e.PathRange = labels[0], b.LabelRanges[0]
		}
		if o.require("version") == nil {
			continue
		}
		var at hcl.Range
		if e.Version, at = o.text("version"); e.Version == "" {
			continue
		}
		var err error
		if e.Constraint, err = version.NewConstraint(e.Version); err != nil {
			e.Constraint = nil
			d.add(diag.New(diag.BadVersion, "Not a version constraint", at, place,
				"%q cannot be read as versions of the base. Write for example \"~> 1.0\" or \">= 1.2.0, < 2.0.0\".", e.Version))
		}
	}
}

// site reads a block that only a site playbook has.
func (d *decoder) site(b *hclsyntax.Block, p *Playbook) {
	place := diag.Place{In: title(b)}
	if p.Site == nil {
		d.add(diag.New(diag.SitePlaybook, "Not a site playbook", header(b), place,
			"%s changes the playbook that this one extends, and it extends none. Write extends \"BASE.hcl\" { version = \"~> 1.0\" } in the playbook block.", b.Type))
		return
	}
	switch b.Type {
	case "presets":
		d.presets(b, p.Site)
	case "override":
		d.override(b, p.Site)
	case "drop":
		d.drop(b, p.Site)
	}
}

func (d *decoder) presets(b *hclsyntax.Block, s *Site) {
	o := d.open(b, diag.Place{In: title(b)})
	o.closed()
	o.labels()
next:
	for _, a := range sorted(b.Body) {
		for _, p := range s.Presets {
			if p.Name == a.Name {
				d.add(duplicateName("preset", a.Name, a.NameRange, o.place, p.NameRange))
				continue next
			}
		}
		s.Presets = append(s.Presets, o.attrs[a.Name])
	}
}

func (d *decoder) override(b *hclsyntax.Block, s *Site) {
	o := d.open(b, diag.Place{In: title(b)})
	labels, ok := o.labels("TASK")
	if !ok {
		return
	}
	o.place.Task = "task." + labels[0]
	for _, e := range o.attrs {
		e.Place = o.place
	}
	over := &Override{Task: &Task{Name: labels[0], File: d.file, Block: b, Range: header(b), NameRange: b.LabelRanges[0], Place: o.place}}
	d.taskBody(o, over.Task)
	for _, a := range sorted(b.Body) {
		over.Attrs = append(over.Attrs, o.attrs[a.Name])
	}
	if over.What() == "" && len(b.Body.Blocks) == 0 {
		d.add(diag.New(diag.NoChange, "Empty override", over.Range, over.Place, "This override changes nothing. Write what is to be other than in the base, or take it out."))
	}
	for _, earlier := range s.Overrides {
		if earlier.Name == over.Name {
			d.add(diag.New(diag.DuplicateBlock, "Task overridden twice", over.Range, over.Place, "override %q stands at line %d already. Put all its changes into one.", over.Name, earlier.Range.Start.Line))
			return
		}
	}
	s.Overrides = append(s.Overrides, over)
}

func (d *decoder) drop(b *hclsyntax.Block, s *Site) {
	o := d.open(b, diag.Place{In: title(b)}, "reason")
	o.closed()
	labels, ok := o.labels("TASK")
	if !ok {
		return
	}
	o.place.Task = "task." + labels[0]
	drop := &Drop{Name: labels[0], File: d.file, Range: header(b), NameRange: b.LabelRanges[0], Place: o.place}
	switch e, written := o.attrs["reason"]; {
	case !written:
		d.add(diag.New(diag.MissingArgument, "Missing required argument", drop.Range, o.place,
			"drop needs the argument \"reason\": why this site does without the task. It is shown in the plan and kept in the journal."))
	default:
		e.Place = o.place
		if drop.Reason, _ = o.text("reason"); strings.TrimSpace(drop.Reason) == "" {
			if x, ok := e.Expression.(*hclsyntax.TemplateExpr); ok && x.IsStringLiteral() {
				d.add(diag.New(diag.UnsuitableValue, "Unsuitable value", e.Range(), o.place, "reason is empty. Say why this site does without the task: it is shown in the plan and kept in the journal."))
			}
		}
	}
	for _, earlier := range s.Drops {
		if earlier.Name == drop.Name {
			d.add(diag.New(diag.DuplicateBlock, "Task dropped twice", drop.Range, o.place, "drop %q stands at line %d already.", drop.Name, earlier.Range.Start.Line))
			return
		}
	}
	s.Drops = append(s.Drops, drop)
}

// anchor reads the before or after of a task.
func (d *decoder) anchor(t *Task, e *Expr) {
	if t.Type == "" { // an override
		d.add(diag.New(diag.MisplacedTask, "Task cannot be moved", e.NameRange, e.Place, "An override leaves a task where it stands. To do the work elsewhere, drop this task and write one of your own there."))
		return
	}
	if t.Anchor != nil {
		d.add(diag.New(diag.MisplacedTask, "Both before and after", e.NameRange, e.Place, "A task has one place. Take one of the two out."))
		return
	}
	t.Anchor = &Anchor{Before: e.Name == "before", Expr: e}
	x, ok := e.Expression.(*hclsyntax.ScopeTraversalExpr)
	if ok && len(x.Traversal) == 2 && x.Traversal.RootName() == "task" {
		if step, ok := x.Traversal[1].(hcl.TraverseAttr); ok {
			t.Anchor.Task = step.Name
			return
		}
	}
	example := "NAME"
	if s, found := e.Value(nil); !found.HasErrors() && s.Type().FriendlyName() == "string" && s.IsKnown() && !s.IsNull() && nameForm.MatchString(s.AsString()) {
		example = s.AsString()
	}
	d.add(diag.New(diag.MisplacedTask, "Not a task", e.Range(), e.Place, "%s names a task of the base. Write %s = task.%s.", e.Name, e.Name, example))
}

// placed holds that a task says where it stands exactly if it is one of a site
// playbook.
func (d *decoder) placed(t *Task) {
	switch {
	case d.extended && t.Anchor == nil:
		d.add(diag.New(diag.MisplacedTask, "Task without a place", t.Range, t.Place,
			"A site playbook has no order of its own. Write before = task.NAME or after = task.NAME, with a task of the base."))
	case !d.extended && t.Anchor != nil:
		d.add(diag.New(diag.SitePlaybook, "Not a site playbook", t.Anchor.Expr.NameRange, t.Place,
			"%s places a task of a site playbook beside one of its base. Here tasks run in the order in which they are written; move it there.", t.Anchor.Expr.Name))
	}
}

// Kind says what a site playbook did.
type Kind string

const (
	Preset  Kind = "preset"
	Added   Kind = "added"
	Changed Kind = "changed"
	Gone    Kind = "dropped"
)

// Change is one thing in which a site playbook deviates from its base.
type Change struct {
	Kind  Kind
	Task  string // name; "" of a preset
	What  string // `exec "silence" before old`
	Why   string // of a dropped task
	Range hcl.Range
}

// title is how a task is called in a list of changes: `exec "silence"`.
func (t *Task) title() string { return fmt.Sprintf("%s %q", t.Type, t.Name) }

// lockedAt is the header of the task, or of the last override, that locks it.
func (t *Task) lockedAt() hcl.Range {
	for _, o := range slices.Backward(t.Overrides) {
		if o.Locked {
			return o.Range
		}
	}
	return t.Range
}
