// Package check finds what is wrong with a playbook before there is an
// inventory or a value: names that do not exist, results that are not there
// yet, arguments of the wrong type, secrets where they would be seen. It does so
// by following every name and then evaluating every expression once with
// unknown values of the right types. It reads no file and contacts nothing.
package check

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Input is what a playbook is checked with.
type Input struct {
	Playbook *syntax.Playbook
	Types    *Types
	// Folders has, for every file that an expression of the playbook stands in,
	// what is relative to the folder of that file.
	Folders map[*syntax.File]*Folder
	// Callees are the playbooks called by tasks, checked before. A task that is
	// absent could not be followed, which has been found elsewhere.
	Callees map[*syntax.Task]*Playbook
	// Faulty tells that there are errors already.
	Faulty bool
}

// Folder is what depends on where a file lies.
type Folder struct {
	// Functions holds the functions that expressions can call; it has no variables.
	Functions *hcl.EvalContext
	// Template reads and checks a template file by the path that an author
	// writes. Nil leaves templates unchecked.
	Template func(name string) error
}

// Playbook is a checked playbook: all is known of it but values.
type Playbook struct {
	*syntax.Playbook
	Variables []*Variable
	Tasks     []*Task // in the order in which they would run
	// Outputs are the values of the outputs as far as they are known, which is
	// mostly their type and whether they are sensitive.
	Outputs map[string]cty.Value
	// Inventory lists the hosts and groups that are named, to be looked up once
	// there is an inventory.
	Inventory []Mention

	variables map[string]*Variable
	locals    map[string]*local
	tasks     map[string]*Task
}

// Variable is a variable with its type.
type Variable struct {
	*syntax.Variable
	Type     cty.Type // optional attributes included
	Defaults *typeexpr.Defaults
	Default  cty.Value // cty.NilVal if a value must be given
}

// Task is a task with its type.
type Task struct {
	*syntax.Task
	Type   *engine.Type // nil if there is no such type
	Index  int
	Phase  *syntax.Phase
	In     engine.Place
	Callee *Playbook // for a task that calls a playbook; else nil

	results cty.Value // of one round, unknown; cty.NilVal until asked for
}

// Looping reports whether the task's results are a map by key.
func (t *Task) Looping() bool { return t.OnEach != nil || t.ForEach != nil }

// Mention is a host or a group named in an expression.
type Mention struct {
	Kind  string // "host" or "group"
	Name  string
	Range hcl.Range
	Place diag.Place
}

// Variable returns the variable of that name, or nil.
func (p *Playbook) Variable(name string) *Variable { return p.variables[name] }

// Task returns the task of that name, or nil.
func (p *Playbook) Task(name string) *Task { return p.tasks[name] }

// Local returns the expression of the local of that name, or nil.
func (p *Playbook) Local(name string) *syntax.Expr {
	if l := p.locals[name]; l != nil {
		return l.Expr
	}
	return nil
}

// Check checks a playbook. The result is never nil and can be asked for what
// it declares even where there are findings.
func Check(in Input) (*Playbook, engine.Diagnostics) {
	c := &checker{
		Input: in,
		out: &Playbook{
			Playbook:  in.Playbook,
			Outputs:   map[string]cty.Value{},
			variables: map[string]*Variable{},
			locals:    map[string]*local{},
			tasks:     map[string]*Task{},
		},
		reported: map[report]bool{},
		missed:   map[*syntax.Drop][]string{},
		used:     map[string]bool{},
	}
	c.declareVariables()
	c.declareTasks()
	c.declareLocals()
	for _, v := range c.out.Variables {
		for _, val := range v.Validations {
			c.condition(val, site{before: -1, what: "a validation"})
		}
	}
	for _, l := range in.Playbook.Locals {
		if c.out.locals[l.Name].Local == l {
			c.localValue(l.Name)
		}
	}
	for _, p := range in.Playbook.Phases {
		c.phase(p)
	}
	for _, o := range in.Playbook.Outputs {
		c.output(o)
	}
	c.drops()
	c.unused()
	c.writtenTwice()
	return c.out, diag.Sort(c.found)
}

type checker struct {
	Input
	out      *Playbook
	found    engine.Diagnostics
	reported map[report]bool
	missed   map[*syntax.Drop][]string // where results of dropped tasks are used
	used     map[string]bool           // "var.x", "local.y"
}

// report is the key of a finding that could be made in several ways.
type report struct {
	code  diag.Code
	at    hcl.Range
	about string
}

func (c *checker) add(d engine.Diagnostic) { c.found = append(c.found, d) }

// addAll takes findings over that do not know their block.
func (c *checker) addAll(found engine.Diagnostics, p diag.Place) {
	for _, f := range found {
		f.In, f.Task = p.In, p.Task
		c.add(f)
	}
}

// once reports whether this is the first finding of its kind about something.
func (c *checker) once(code diag.Code, at hcl.Range, about string) bool {
	key := report{code, at, about}
	if c.reported[key] {
		return false
	}
	c.reported[key] = true
	return true
}

func (c *checker) declareTasks() {
	for _, p := range c.Playbook.Phases {
		for i, list := range [][]*syntax.Task{p.Tasks, p.Rescue, p.Always} {
			in := []engine.Place{engine.InPhase, engine.InRescue, engine.InAlways}[i]
			for _, t := range list {
				task := &Task{Task: t, Type: c.Types.byName[t.Type], Index: len(c.out.Tasks), Phase: p, In: in, Callee: c.Callees[t]}
				c.out.Tasks = append(c.out.Tasks, task)
				if c.out.tasks[t.Name] == nil {
					c.out.tasks[t.Name] = task
				}
			}
		}
	}
}

func (c *checker) phase(p *syntax.Phase) {
	all := p.All()
	if p.When != nil {
		first := len(c.out.Tasks)
		if len(all) > 0 {
			first = c.index(all[0])
		}
		c.value(p.When, site{before: first, what: "the when of a phase"}, Want{Form: Condition})
	}
	for _, t := range all {
		c.task(c.out.Tasks[c.index(t)])
	}
}

// index is the place of a task in the order of the run. Tasks of one name are
// told apart by their place in the text.
func (c *checker) index(t *syntax.Task) int {
	if first := c.out.tasks[t.Name]; first != nil && first.Task == t {
		return first.Index
	}
	return slices.IndexFunc(c.out.Tasks, func(o *Task) bool { return o.Task == t })
}

func (c *checker) output(o *syntax.Output) {
	c.out.Outputs[o.Name] = cty.DynamicVal
	if o.Value == nil {
		return
	}
	v, ok := c.value(o.Value, site{before: len(c.out.Tasks), what: "an output"}, Want{})
	if !ok {
		return
	}
	if sensitive(v) && !o.Sensitive {
		c.add(diag.New(diag.SecretShown, "Sensitive output", o.Value.Range(), o.Value.Place,
			"The value of output %q is sensitive, and outputs are shown. Write sensitive = true in the output block, or leave the secret out.", o.Name))
	}
	if o.Sensitive {
		v = secret(v)
	}
	c.out.Outputs[o.Name] = v
}

// unused warns of what nothing refers to, unless there are errors: they may be
// why.
func (c *checker) unused() {
	if c.Faulty || c.found.HasErrors() {
		return
	}
	for _, v := range c.out.Variables {
		switch {
		case c.used["var."+v.Name]:
		case v.Preset && v.Variable.Default.File == c.Playbook.File:
			x := v.Variable.Default
			c.add(diag.Warn(diag.New(diag.UnusedDeclaration, "Unused preset", x.NameRange, x.Place,
				"With the changes of this file nothing refers to var.%s, so its value makes no difference. Take it out.", v.Name)))
		case v.File == c.Playbook.File:
			c.add(diag.Warn(diag.New(diag.UnusedDeclaration, "Unused variable", v.NameRange, v.Place,
				"Nothing refers to var.%s, so its value makes no difference. Take it out.", v.Name)))
		}
	}
	for _, l := range c.Playbook.Locals {
		if !c.used["local."+l.Name] && l.Expr.File == c.Playbook.File {
			c.add(diag.Warn(diag.New(diag.UnusedDeclaration, "Unused local", l.Expr.NameRange, l.Expr.Place,
				"Nothing refers to local.%s. Take it out.", l.Name)))
		}
	}
}

// Types is the registry of task types, by name.
type Types struct {
	byName map[string]*engine.Type
	names  []string
	args   map[*engine.Type]map[string]engine.Arg
}

// NewTypes indexes a registry.
func NewTypes(list []*engine.Type) *Types {
	t := &Types{byName: map[string]*engine.Type{}, args: map[*engine.Type]map[string]engine.Arg{}}
	for _, ty := range list {
		t.byName[ty.Name] = ty
		t.names = append(t.names, ty.Name)
		args := make(map[string]engine.Arg, len(ty.Args))
		for _, a := range ty.Args {
			args[a.Name] = a
		}
		t.args[ty] = args
	}
	slices.Sort(t.names)
	return t
}

// Type returns the type of that name, or nil.
func (t *Types) Type(name string) *engine.Type { return t.byName[name] }
