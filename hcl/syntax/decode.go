package syntax

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Decode takes a playbook's file apart. tool is etcdplay's own version, which
// required_version is compared with; "" is not compared. Playbook is nil if
// the header is such that the rest means nothing.
func Decode(f *File, tool string) (*Playbook, engine.Diagnostics) {
	d := &decoder{file: f, tool: tool}
	p := &Playbook{File: f}
	if !d.header(f, p) {
		return nil, diag.Sort(d.found)
	}
	for _, a := range sorted(f.Body) {
		d.add(diag.New(diag.UnsupportedArgument, "Unsupported argument", a.NameRange, diag.Place{},
			"%q stands outside any block. A value with a name is written in locals { … }, an input as variable %q { … }.", a.Name, a.Name))
	}
	var loose *Phase // the phase without a name that is open
	for _, b := range f.Body.Blocks {
		switch b.Type {
		case "playbook":
		case "variable":
			d.variable(b, p)
		case "locals":
			d.locals(b, p)
		case "output":
			d.output(b, p)
		case "phase":
			loose = nil
			d.phase(b, p)
		case "task":
			if loose == nil {
				loose = &Phase{Range: header(b)}
				p.Phases = append(p.Phases, loose)
			}
			if t := d.task(b); t != nil {
				loose.Tasks = append(loose.Tasks, t)
			}
		default:
			d.unsupportedBlock(b, diag.Place{In: title(b)}, "A playbook", []string{"variable", "locals", "task", "phase", "output"})
		}
	}
	d.names(p)
	if len(d.found) == 0 && len(f.Body.Blocks) == 1 {
		d.add(diag.New(diag.EmptyPlaybook, "Empty playbook", p.Header.Range, diag.Place{In: title(f.Body.Blocks[0])},
			"This playbook has no task, so there is nothing to do. Write task \"TYPE\" \"NAME\" { … }."))
	}
	return p, diag.Sort(d.found)
}

// header finds the playbook block, and what kind of file it is if there is
// none. It reports whether the rest can be read.
func (d *decoder) header(f *File, p *Playbook) bool {
	var head *hclsyntax.Block
	for _, b := range f.Body.Blocks {
		switch b.Type {
		case "inventory":
			d.add(diag.New(diag.NotAPlaybook, "Not a playbook", header(b), diag.Place{In: title(b)},
				"This file is an inventory. Pass it with --inventory, and name a playbook to run."))
			return false
		case "playbook":
			if head != nil {
				d.add(diag.New(diag.DuplicateBlock, "Two playbooks in one file", header(b), diag.Place{In: title(b)},
					"The playbook block stands at line %d already. A file is one playbook.", head.TypeRange.Start.Line))
				return false
			}
			head = b
		}
	}
	if head == nil {
		at := hcl.Range{Filename: f.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
		in, advice := "", "A playbook begins with playbook \"NAME\" { language = 1 }."
		switch {
		case len(f.Body.Blocks) > 0:
			at, in = header(f.Body.Blocks[0]), title(f.Body.Blocks[0])
		case len(f.Body.Attributes) > 0:
			at = sorted(f.Body)[0].NameRange
			advice += " If this is a file of values, pass it with --vars-file."
		}
		summary := "Not a playbook"
		if len(f.Body.Blocks) == 0 && len(f.Body.Attributes) == 0 {
			summary, advice = "Empty file", "There is nothing in this file. "+advice
		}
		d.add(diag.New(diag.NotAPlaybook, summary, at, diag.Place{In: in}, "%s", advice))
		return false
	}
	return d.head(head, p)
}

// head reads the playbook block.
func (d *decoder) head(b *hclsyntax.Block, p *Playbook) bool {
	place := diag.Place{In: title(b)}
	o := d.open(b, place, "language", "required_version", "version", "description", "experiments")
	// The edition comes first: in another one, all the rest may mean something else.
	if !d.language(o) {
		return false
	}
	o.closed()
	h := &p.Header
	h.Range = header(b)
	h.Language = Language
	if labels, ok := o.labels("NAME"); ok {
		h.Name = labels[0]
		if !playbookName(h.Name) {
			d.add(diag.New(diag.BadName, "Bad name", b.LabelRanges[0], place,
				"%q cannot be the name of a playbook. It begins with a lower-case letter, and goes on with lower-case letters, digits, dashes and underscores.", h.Name))
		}
	}
	h.RequiredVersion, h.VersionRange = o.text("required_version")
	var at hcl.Range
	h.Version, at = o.text("version")
	if h.Version != "" {
		if _, err := version.NewSemver(h.Version); err != nil {
			d.add(diag.New(diag.BadVersion, "Not a version", at, place, "%q is not a version of a playbook. Write three numbers, for example \"1.0.0\".", h.Version))
		}
	}
	h.Description, _ = o.text("description")
	if e, ok := o.attrs["experiments"]; ok {
		d.add(diag.New(diag.UnsupportedArgument, "No experiments", e.NameRange, place, "This version of etcdplay has no experiments. Take the line out."))
	}
	return d.required(h, place)
}

func playbookName(s string) bool { return nameForm.MatchString(strings.ReplaceAll(s, "-", "_")) }

func (d *decoder) language(o *block) bool {
	e := o.require("language")
	if e == nil {
		return false
	}
	v, ok := o.literal(e, cty.Number, "the number 1")
	if !ok {
		return false
	}
	if n, accuracy := v.AsBigFloat().Int64(); n != Language || accuracy != big.Exact {
		tool := "This etcdplay"
		if d.tool != "" {
			tool = "etcdplay " + d.tool
		}
		d.add(diag.New(diag.UnsupportedLanguage, "Unsupported language version", e.Range(), o.place,
			"%s understands language %d. A playbook written in a later language needs a later etcdplay.", tool, Language))
		return false
	}
	return true
}

// required compares required_version with the tool's.
func (d *decoder) required(h *Header, place diag.Place) bool {
	if h.RequiredVersion == "" {
		return true
	}
	want, err := version.NewConstraint(h.RequiredVersion)
	if err != nil {
		d.add(diag.New(diag.BadVersion, "Not a version constraint", h.VersionRange, place,
			"%q cannot be read as versions of etcdplay. Write for example \">= 0.1.0, < 2.0.0\" or \"~> 1.0\".", h.RequiredVersion))
		return true
	}
	have, err := version.NewVersion(d.tool)
	if d.tool == "" || err != nil {
		return true
	}
	if !want.Check(have.Core()) {
		d.add(diag.New(diag.ToolVersion, "Wrong version of etcdplay", h.VersionRange, place,
			"This playbook is for etcdplay %s, and this is etcdplay %s. Install a version that fits.", h.RequiredVersion, d.tool))
		return false
	}
	return true
}

func (d *decoder) variable(b *hclsyntax.Block, p *Playbook) {
	place := diag.Place{In: title(b)}
	o := d.open(b, place, "type", "default", "description", "sensitive", "nullable", "deprecated")
	o.closed("validation")
	labels, ok := o.labels("NAME")
	if !ok {
		return
	}
	v := &Variable{Name: labels[0], Range: header(b), NameRange: b.LabelRanges[0], Place: place}
	o.named("variable", v.Name, v.NameRange)
	v.Type = o.require("type")
	v.Default = o.attrs["default"]
	v.Description, _ = o.text("description")
	v.Sensitive = o.flag("sensitive")
	v.Nullable = o.flag("nullable")
	v.Deprecated, _ = o.text("deprecated")
	for _, inner := range b.Body.Blocks {
		if inner.Type == "validation" {
			v.Validations = append(v.Validations, d.condition(inner, place))
		}
	}
	p.Variables = append(p.Variables, v)
}

func (d *decoder) locals(b *hclsyntax.Block, p *Playbook) {
	place := diag.Place{In: title(b)}
	o := d.open(b, place)
	o.closed()
	o.labels()
	for _, a := range sorted(b.Body) {
		o.named("local", a.Name, a.NameRange)
		p.Locals = append(p.Locals, &Local{Name: a.Name, Expr: d.expr(a, place)})
	}
}

func (d *decoder) output(b *hclsyntax.Block, p *Playbook) {
	place := diag.Place{In: title(b)}
	o := d.open(b, place, "value", "description", "sensitive")
	o.closed()
	labels, ok := o.labels("NAME")
	if !ok {
		return
	}
	out := &Output{Name: labels[0], Range: header(b), NameRange: b.LabelRanges[0], Place: place}
	o.named("output", out.Name, out.NameRange)
	out.Value = o.require("value")
	out.Description, _ = o.text("description")
	out.Sensitive = o.flag("sensitive")
	p.Outputs = append(p.Outputs, out)
}

func (d *decoder) phase(b *hclsyntax.Block, p *Playbook) {
	place := diag.Place{In: title(b)}
	o := d.open(b, place, "description", "when")
	o.closed("task", "rescue", "always")
	ph := &Phase{Range: header(b), Place: place}
	if labels, ok := o.labels("NAME"); ok {
		ph.Name, ph.NameRange = labels[0], b.LabelRanges[0]
		o.named("phase", ph.Name, ph.NameRange)
	}
	ph.Description, _ = o.text("description")
	ph.When = o.attrs["when"]
	seen := map[string]int{}
	for _, inner := range b.Body.Blocks {
		switch inner.Type {
		case "task":
			if line := max(seen["rescue"], seen["always"]); line > 0 {
				d.add(diag.New(diag.UnsupportedBlock, "Task after rescue or always", header(inner), diag.Place{In: title(inner)},
					"The tasks of a phase stand before its rescue and always blocks, since that is the order in which they run. Move it above line %d.", line))
			}
			if t := d.task(inner); t != nil {
				ph.Tasks = append(ph.Tasks, t)
			}
		case "rescue", "always":
			if line := seen[inner.Type]; line > 0 {
				d.add(diag.New(diag.DuplicateBlock, "Block given twice", header(inner), place, "%s stands at line %d already. Put all its tasks into one.", inner.Type, line))
			}
			if line := seen["always"]; line > 0 && inner.Type == "rescue" {
				d.add(diag.New(diag.UnsupportedBlock, "Rescue after always", header(inner), place, "The rescue block stands before always, since that is the order in which they run. Move it above line %d.", line))
			}
			seen[inner.Type] = inner.TypeRange.Start.Line
			tasks := d.tasks(inner, place)
			if inner.Type == "rescue" {
				ph.Rescue = append(ph.Rescue, tasks...)
			} else {
				ph.Always = append(ph.Always, tasks...)
			}
		}
	}
	if len(b.Body.Blocks) == 0 {
		d.add(diag.New(diag.EmptyPhase, "Empty phase", ph.Range, place, "This phase has no task. Write one, or take the phase out."))
	}
	p.Phases = append(p.Phases, ph)
}

func (d *decoder) tasks(b *hclsyntax.Block, place diag.Place) []*Task {
	o := d.open(b, place)
	for _, a := range sorted(b.Body) {
		d.add(diag.New(diag.UnsupportedArgument, "Unsupported argument", a.NameRange, place, "%s", unsupported(b.Type, "argument", a.Name, []string{})))
	}
	o.closed("task")
	o.labels()
	var tasks []*Task
	for _, inner := range b.Body.Blocks {
		if inner.Type == "task" {
			if t := d.task(inner); t != nil {
				tasks = append(tasks, t)
			}
		}
	}
	return tasks
}

func (d *decoder) condition(b *hclsyntax.Block, place diag.Place) *Condition {
	o := d.open(b, place, "condition", "error_message")
	o.closed()
	o.labels()
	return &Condition{Condition: o.require("condition"), Message: o.require("error_message"), Range: header(b)}
}

// names finds what is declared twice.
func (d *decoder) names(p *Playbook) {
	first := map[string]hcl.Range{}
	twice := func(kind, name string, at hcl.Range, place diag.Place) {
		key := kind + " " + name
		if at0, ok := first[key]; ok {
			d.add(diag.New(diag.DuplicateName, fmt.Sprintf("Duplicate %s name", kind), at, place,
				"There is %s %q at %s line %d already.", article(kind), name, at0.Filename, at0.Start.Line))
			return
		}
		first[key] = at
	}
	for _, v := range p.Variables {
		twice("variable", v.Name, v.NameRange, v.Place)
	}
	for _, l := range p.Locals {
		twice("local", l.Name, l.Expr.NameRange, l.Expr.Place)
	}
	for _, o := range p.Outputs {
		twice("output", o.Name, o.NameRange, o.Place)
	}
	tasks := map[string]hcl.Range{}
	for _, ph := range p.Phases {
		if ph.Name != "" {
			twice("phase", ph.Name, ph.NameRange, ph.Place)
		}
		for _, t := range ph.All() {
			if at, ok := tasks[t.Name]; ok {
				d.add(diag.New(diag.DuplicateTask, "Duplicate task name", t.NameRange, t.Place,
					"Task %q was already declared at %s line %d. Task names are unique in a playbook, across its phases too, because the journal of a run is kept by name.",
					t.Name, at.Filename, at.Start.Line))
				continue
			}
			tasks[t.Name] = t.NameRange
		}
	}
}
