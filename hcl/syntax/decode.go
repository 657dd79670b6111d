package syntax

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

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
		if contains([]string{"variable", "locals", "task", "phase", "output", "presets", "override", "drop"}, a.Name) {
			d.add(diag.New(diag.UnsupportedArgument, "Unsupported argument", a.NameRange, diag.Place{},
				"%s is a block, and has no equals sign. Write %s { … }.", a.Name, a.Name))
			continue
		}
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
		case "presets", "override", "drop":
			d.site(b, p)
		case "task":
			t := d.task(b)
			switch {
			case t == nil:
			case p.Site != nil:
				p.Site.Added = append(p.Site.Added, t)
			default:
				if loose == nil {
					loose = &Phase{Range: t.Range}
					p.Phases = append(p.Phases, loose)
				}
				loose.Tasks = append(loose.Tasks, t)
			}
		default:
			d.unsupportedBlock(b, diag.Place{In: title(b)}, "A playbook", []string{"variable", "locals", "task", "phase", "output"})
		}
	}
	d.names(p)
	if len(d.found) == 0 && len(f.Body.Blocks) == 1 && p.Site == nil {
		d.add(diag.New(diag.EmptyPlaybook, "Empty playbook", p.Header.Range, diag.Place{In: title(f.Body.Blocks[0])},
			"This playbook has no task, so there is nothing to do. Write task \"TYPE\" \"NAME\" { … }."))
	}
	for _, r := range f.split {
		d.add(diag.Warn(diag.New(diag.SplitSequence, "Line break in a template", r, diag.Place{In: around(f.Body, r.Start.Byte)},
			"What stands between the braces goes over more than one line, which nobody reads easily, and which formatters of HCL are known to spoil. Write it in one line. If that is too long, give a part of it a name in locals.")))
	}
	return p, diag.Sort(d.found)
}

func (d *decoder) variable(b *hclsyntax.Block, p *Playbook) {
	place := diag.Place{In: title(b)}
	o := d.open(b, place, "type", "default", "description", "sensitive", "nullable", "deprecated")
	o.closed("validation")
	labels, ok := o.labels("NAME")
	if !ok {
		return
	}
	v := &Variable{Name: labels[0], File: d.file, Block: b, Range: header(b), NameRange: b.LabelRanges[0], Place: place}
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
	out := &Output{Name: labels[0], File: d.file, Block: b, Range: header(b), NameRange: b.LabelRanges[0], Place: place}
	o.named("output", out.Name, out.NameRange)
	out.Value = o.require("value")
	out.Description, _ = o.text("description")
	out.Sensitive = o.flag("sensitive")
	p.Outputs = append(p.Outputs, out)
}

func (d *decoder) phase(b *hclsyntax.Block, p *Playbook) {
	place := diag.Place{In: title(b)}
	if p.Site != nil {
		d.add(diag.New(diag.SitePhase, "Phase in a site playbook", header(b), place,
			"A site playbook adds tasks to the phases of its base, and no phases. Place each task with before or after; several that belong together are a playbook of their own, called by task \"playbook\"."))
		return
	}
	o := d.open(b, place, "description", "when")
	o.closed("task", "rescue", "always")
	ph := &Phase{Block: b, Range: header(b), Place: place}
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
	if len(ph.Tasks) == 0 && len(ph.Rescue) > 0 && len(ph.Always) == 0 {
		d.add(diag.Warn(diag.New(diag.EmptyPhase, "Nothing to rescue", ph.Range, place, "This phase has no task that could fail, so its rescue never runs. Write its tasks before the rescue block.")))
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
