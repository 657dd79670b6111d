package syntax

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Extend puts a site playbook and its base together: a playbook like any other,
// whose parts know the files that they come from. Neither of the two is changed.
// The findings are about what the site asks of its base; what they make of each
// other is left to those who check playbooks.
func Extend(site, base *Playbook) (*Playbook, engine.Diagnostics) {
	x := &extension{site: site, base: base, out: &Playbook{
		File:      site.File,
		Header:    site.Header,
		Variables: slices.Clone(base.Variables),
		Locals:    append(slices.Clone(base.Locals), site.Locals...),
		Outputs:   append(slices.Clone(base.Outputs), site.Outputs...),
		Site:      site.Site,
		Base:      base,
		Dropped:   slices.Clone(base.Dropped),
	}}
	if x.out.Header.Description == "" {
		x.out.Header.Description = base.Header.Description
	}
	if theirs := base.Header.RequiredVersion; theirs != "" && x.out.Header.RequiredVersion != "" {
		x.out.Header.RequiredVersion = theirs + ", " + x.out.Header.RequiredVersion
	} else if theirs != "" {
		x.out.Header.RequiredVersion = theirs
	}
	for _, p := range base.Phases {
		c := *p
		c.Tasks, c.Rescue, c.Always = slices.Clone(p.Tasks), slices.Clone(p.Rescue), slices.Clone(p.Always)
		x.out.Phases = append(x.out.Phases, &c)
	}
	x.names()
	x.presets()
	x.out.Variables = append(x.out.Variables, site.Variables...)
	for _, t := range site.Site.Added {
		x.place(t)
	}
	for _, o := range site.Site.Overrides {
		x.override(o)
	}
	for _, d := range site.Site.Drops {
		x.drop(d)
	}
	x.out.Phases = slices.DeleteFunc(x.out.Phases, func(p *Phase) bool { return len(p.All()) == 0 })
	slices.SortStableFunc(x.out.Changes, func(a, b Change) int { return a.Range.Start.Byte - b.Range.Start.Byte })
	x.out.Changes = append(slices.Clone(base.Changes), x.out.Changes...)
	return x.out, diag.Sort(x.found)
}

type extension struct {
	site, base, out *Playbook
	found           engine.Diagnostics
}

func (x *extension) add(d engine.Diagnostic) { x.found = append(x.found, d) }

func (x *extension) change(c Change) { x.out.Changes = append(x.out.Changes, c) }

// names finds what the site declares and its base has.
func (x *extension) names() {
	for _, v := range x.site.Variables {
		if i := slices.IndexFunc(x.base.Variables, func(b *Variable) bool { return b.Name == v.Name }); i >= 0 {
			d := duplicateName("variable", v.Name, v.NameRange, v.Place, x.base.Variables[i].NameRange)
			d.Detail += fmt.Sprintf(" For another default write presets { %s = ... }.", v.Name)
			x.add(d)
		}
	}
	for _, l := range x.site.Locals {
		if i := slices.IndexFunc(x.base.Locals, func(b *Local) bool { return b.Name == l.Name }); i >= 0 {
			x.add(duplicateName("local", l.Name, l.Expr.NameRange, l.Expr.Place, x.base.Locals[i].Expr.NameRange))
		}
	}
	for _, o := range x.site.Outputs {
		if i := slices.IndexFunc(x.base.Outputs, func(b *Output) bool { return b.Name == o.Name }); i >= 0 {
			x.add(duplicateName("output", o.Name, o.NameRange, o.Place, x.base.Outputs[i].NameRange))
		}
	}
}

// presets puts the defaults of the site in the place of the base's.
func (x *extension) presets() {
	for _, p := range x.site.Site.Presets {
		i := slices.IndexFunc(x.out.Variables, func(v *Variable) bool { return v.Name == p.Name })
		if i < 0 {
			var names []string
			for _, v := range x.base.Variables {
				names = append(names, v.Name)
			}
			detail := fmt.Sprintf("%s declares no variable %q.%s", x.base.File.Name, p.Name, diag.DidYouMean(p.Name, names))
			if slices.ContainsFunc(x.site.Variables, func(v *Variable) bool { return v.Name == p.Name }) {
				detail = fmt.Sprintf("The variable %q is declared in this file, and presets is for those of the base. Write default in its block.", p.Name)
			}
			x.add(diag.New(diag.UndeclaredValue, "Undeclared variable", p.NameRange, p.Place, "%s", detail))
			continue
		}
		v := *x.out.Variables[i]
		v.Default, v.Preset = p, true
		x.out.Variables[i] = &v
		what := p.Name
		if text := p.Text(); !v.Sensitive && !strings.Contains(text, "\n") {
			what += " = " + text
		}
		x.change(Change{Kind: Preset, What: what, Range: p.NameRange})
	}
}

// Text is the expression as it is written.
func (e *Expr) Text() string {
	r := e.Range()
	return string(e.File.Source[r.Start.Byte:r.End.Byte])
}

// list is the tasks among which the one of that name stands, and where; nil if
// there is none.
func (x *extension) list(name string) (*[]*Task, int) {
	for _, p := range x.out.Phases {
		for _, list := range []*[]*Task{&p.Tasks, &p.Rescue, &p.Always} {
			if i := slices.IndexFunc(*list, func(t *Task) bool { return t.Name == name }); i >= 0 {
				return list, i
			}
		}
	}
	return nil, 0
}

// place puts an added task beside its anchor. Those with one anchor keep the
// order in which they are written.
func (x *extension) place(t *Task) {
	if t.Anchor == nil || t.Anchor.Task == "" {
		return // which has been found
	}
	if list, i := x.list(t.Name); list != nil {
		if (*list)[i].File != t.File {
			x.add(duplicateTask(t, (*list)[i].NameRange))
		}
		return
	}
	e := t.Anchor.Expr
	list, i := x.list(t.Anchor.Task)
	if list == nil {
		detail := x.missing(t.Anchor.Task)
		if own := x.own(t.Anchor.Task); own != nil {
			detail = fmt.Sprintf("Task %q is placed itself, at line %d below. Write it above this one.", own.Name, own.Range.Start.Line)
		}
		x.add(diag.New(diag.NoBaseTask, "No such task in the base", e.Range(), e.Place, "%s", detail))
		return
	}
	if !t.Anchor.Before {
		for i++; i < len(*list) && x.follows((*list)[i], t.Anchor.Task); i++ {
		}
	}
	*list = slices.Insert(*list, i, t)
	x.change(Change{Kind: Added, Task: t.Name, What: fmt.Sprintf("%s %s %s", t.title(), e.Name, t.Anchor.Task), Range: t.Range})
}

// follows reports whether this site placed t after the task of that name, be it
// by way of others.
func (x *extension) follows(t *Task, name string) bool {
	for t != nil && t.File == x.site.File && t.Anchor != nil && !t.Anchor.Before {
		if t.Anchor.Task == name {
			return true
		}
		if t.Anchor.Task == t.Name {
			return false
		}
		t = x.own(t.Anchor.Task)
	}
	return false
}

// own is a task that the site itself adds, or nil.
func (x *extension) own(name string) *Task {
	if i := slices.IndexFunc(x.site.Site.Added, func(t *Task) bool { return t.Name == name }); i >= 0 {
		return x.site.Site.Added[i]
	}
	return nil
}

// missing says that the base has no task of that name, and why.
func (x *extension) missing(name string) string {
	for _, d := range x.out.Dropped {
		if d.Name == name {
			return fmt.Sprintf("Task %q has been dropped at %s line %d.", name, d.Range.Filename, d.Range.Start.Line)
		}
	}
	var names []string
	for _, p := range x.base.Phases {
		for _, t := range p.All() {
			names = append(names, t.Name)
		}
	}
	for _, ph := range x.base.Phases {
		if ph.Name == name {
			return fmt.Sprintf("%q is a phase of %s, and a site changes single tasks. Name one of its tasks.", name, x.base.File.Name)
		}
	}
	return fmt.Sprintf("%s has no task %q.%s", x.base.File.Name, name, diag.DidYouMean(name, names))
}

// override puts what the site writes in the place of what the base has.
func (x *extension) override(o *Override) {
	list, i := x.target(o.Name, "Override", o.Task)
	if list == nil {
		return
	}
	t := *(*list)[i]
	t.Overrides = append(slices.Clone(t.Overrides), o)
	for _, a := range o.Attrs {
		t.set(o, a)
	}
	t.Pre = append(slices.Clone(t.Pre), o.Pre...)
	t.Post = append(slices.Clone(t.Post), o.Post...)
	if o.Retry != nil {
		t.Retry = o.Retry
	}
	(*list)[i] = &t
	x.change(Change{Kind: Changed, Task: t.Name, What: t.title() + ": " + o.What(), Range: o.Range})
}

// set replaces one argument.
func (t *Task) set(o *Override, a *Expr) {
	switch a.Name {
	case "description":
		t.Description = o.Description
	case "locked":
		t.Locked = o.Locked
	case "on":
		t.On = a
	case "on_each":
		t.OnEach = a
	case "parallel":
		t.Parallel = a
	case "become":
		t.Become = a
	case "for_each":
		t.ForEach = a
	case "when":
		t.When = a
	case "timeout":
		t.Timeout = a
	case "before", "after": // which has been found
	default:
		if i := slices.IndexFunc(t.Args, func(e *Expr) bool { return e.Name == a.Name }); i >= 0 {
			t.Args = slices.Clone(t.Args)
			t.Args[i] = a
			return
		}
		t.Args = append(slices.Clone(t.Args), a)
	}
}

// drop takes a task out.
func (x *extension) drop(d *Drop) {
	list, i := x.target(d.Name, "Drop", &Task{Range: d.Range, NameRange: d.NameRange, Place: d.Place})
	if list == nil {
		return
	}
	for _, o := range x.site.Site.Overrides {
		if o.Name == d.Name {
			x.add(diag.New(diag.NoChange, "Both override and drop", d.Range, d.Place, "override %q at line %d changes the task, and this takes it out. Keep one of the two.", d.Name, o.Range.Start.Line))
			return
		}
	}
	c := *d
	c.Task = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	x.out.Dropped = append(x.out.Dropped, &c)
	x.change(Change{Kind: Gone, Task: d.Name, What: c.Task.title(), Why: d.Reason, Range: d.Range})
}

// target is the task that is to be overridden or dropped; nil, with a finding,
// if it cannot be. at is where that is written.
func (x *extension) target(name, verb string, at *Task) (*[]*Task, int) {
	list, i := x.list(name)
	switch own := x.own(name); {
	case list == nil && own != nil: // it could not be placed, which has been found
	case list == nil:
		x.add(diag.New(diag.NoBaseTask, verb+" of a task that does not exist", at.NameRange, at.Place, "%s", x.missing(name)))
	case own == (*list)[i]:
		x.add(diag.New(diag.NoBaseTask, verb+" of a task of this file", at.NameRange, at.Place, "Task %q is written in this file, at line %d, so there is no need to change it from here.", name, own.Range.Start.Line))
	case (*list)[i].Locked:
		locked := (*list)[i].lockedAt()
		x.add(diag.New(diag.TaskLocked, "Task is locked", at.Range, at.Place,
			"Task %q is locked at %s line %d: it guards the cluster, and a site playbook may neither change nor drop it.",
			name, locked.Filename, locked.Start.Line))
	default:
		return list, i
	}
	return nil, 0
}
