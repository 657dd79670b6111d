package syntax

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// names finds what is declared twice.
func (d *decoder) names(p *Playbook) {
	first := map[string]hcl.Range{}
	twice := func(kind, name string, at hcl.Range, place diag.Place) {
		key := kind + " " + name
		if at0, ok := first[key]; ok {
			d.add(duplicateName(kind, name, at, place, at0))
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
	unique := func(t *Task) {
		if at, ok := tasks[t.Name]; ok {
			d.add(duplicateTask(t, at))
			return
		}
		tasks[t.Name] = t.NameRange
	}
	for _, ph := range p.Phases {
		if ph.Name != "" {
			twice("phase", ph.Name, ph.NameRange, ph.Place)
		}
		for _, t := range ph.All() {
			unique(t)
		}
	}
	if p.Site != nil {
		for _, t := range p.Site.Added {
			unique(t)
		}
	}
}

func duplicateName(kind, name string, at hcl.Range, place diag.Place, first hcl.Range) engine.Diagnostic {
	return diag.New(diag.DuplicateName, fmt.Sprintf("Duplicate %s name", kind), at, place,
		"There is %s %q at %s line %d already.", article(kind), name, first.Filename, first.Start.Line)
}

func duplicateTask(t *Task, first hcl.Range) engine.Diagnostic {
	return diag.New(diag.DuplicateTask, "Duplicate task name", t.NameRange, t.Place,
		"Task %q was already declared at %s line %d. Task names are unique in a playbook, across its phases too, because the journal of a run is kept by name.",
		t.Name, first.Filename, first.Start.Line)
}
