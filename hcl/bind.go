package hcl

import (
	"path/filepath"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/check"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/inventory"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

func directory(file string) string { return filepath.ToSlash(filepath.Dir(file)) }

// Bind gives a checked playbook its hosts and the values of its variables. id is
// the identity of the run, which expressions can name. The program is nil
// exactly if there are errors; those of Load make it nil too, without being
// told again.
func (p *Playbook) Bind(inv *inventory.Inventory, v Values, id engine.Identity) (*engine.Program, engine.Diagnostics) {
	if inv == nil {
		return nil, engine.Diagnostics{diag.Bare(diag.WhichCluster, "No inventory", "A playbook runs on the hosts of an inventory. Name one with --inventory.")}
	}
	found := p.mentions(inv, map[*Playbook]bool{})
	if !p.valid {
		return nil, found
	}
	b, more := newBinder(inv, v.Cluster)
	if found = append(found, more...); more.HasErrors() {
		return nil, found
	}
	b.names["run"] = runValue(id)
	inputs, more := b.inputs(p, v)
	found = append(found, more...)
	if found.HasErrors() {
		return nil, diag.Sort(found)
	}
	prog, more := b.bind(p, b.names, inputs)
	if found = append(found, more...); found.HasErrors() {
		return nil, found
	}
	return prog, found
}

// bind gives a playbook the values of its variables. Findings of validations
// about a called playbook say through notes who called it.
func (b binder) bind(p *Playbook, names map[string]cty.Value, inputs []engine.Input, notes ...string) (*engine.Program, engine.Diagnostics) {
	vars := make(map[string]cty.Value, len(inputs))
	for _, i := range inputs {
		vars[i.Name] = i.Value
	}
	w := p.world(names, vars)
	found := w.validate()
	for i := range found {
		found[i].Notes = append(found[i].Notes, notes...)
	}
	if found.HasErrors() {
		return nil, found
	}
	prog := b.program(w)
	prog.Inputs = inputs
	if found = append(found, w.rehearse(prog)...); found.HasErrors() {
		return nil, found
	}
	return prog, found
}

// binder is what a playbook and those it calls are bound to.
type binder struct {
	inv     *inventory.Inventory
	names   map[string]cty.Value
	hosts   []engine.HostSpec
	cluster engine.Cluster
}

// newBinder knows the hosts of an inventory and the cluster of that name in it, ""
// for its only one.
func newBinder(inv *inventory.Inventory, name string) (binder, engine.Diagnostics) {
	cluster, err := inv.Choose(name)
	if err != nil {
		return binder{}, engine.Diagnostics{diag.Bare(diag.WhichCluster, "No cluster chosen", "%s", eval.Sentence(err.Error()))}
	}
	hosts := inv.Hosts(cluster)
	return binder{inv: inv, hosts: hosts, cluster: cluster, names: map[string]cty.Value{
		"host":      eval.HostsValue(append([]engine.HostSpec{inventory.LocalhostSpec()}, hosts...)),
		"group":     eval.GroupsValue(inv.GroupHosts(), hosts),
		"cluster":   eval.ClusterValue(cluster, hosts),
		"localhost": eval.HostValue(inventory.LocalhostSpec()),
	}}, nil
}

// mentions looks up the hosts and groups that expressions name.
func (p *Playbook) mentions(inv *inventory.Inventory, seen map[*Playbook]bool) engine.Diagnostics {
	if seen[p] {
		return nil
	}
	seen[p] = true
	hosts, groups := map[string]bool{}, map[string]bool{}
	for _, h := range inv.HostNames() {
		hosts[h] = true
	}
	var groupNames []string
	for _, g := range inv.Groups {
		groups[g.Name] = true
		groupNames = append(groupNames, g.Name)
	}
	var found engine.Diagnostics
	for _, m := range p.Inventory {
		switch {
		case m.Kind == "host" && !hosts[m.Name]:
			found = append(found, diag.New(diag.UnknownHost, "Unknown host", m.Range, m.Place,
				"The inventory %s has no host %q.%s", inv.File, m.Name, diag.DidYouMean(m.Name, inv.HostNames())))
		case m.Kind == "group" && !groups[m.Name]:
			found = append(found, diag.New(diag.UnknownGroup, "Unknown group", m.Range, m.Place,
				"The inventory %s has no group %q.%s", inv.File, m.Name, diag.DidYouMean(m.Name, groupNames)))
		}
	}
	found = diag.Sort(found)
	for _, t := range p.Tasks {
		if c := p.callees[t.Task]; c != nil {
			found = append(found, c.mentions(inv, seen)...)
		}
	}
	return found
}

// validate evaluates the validations of all variables. What is unknown, in the
// plan of a called playbook, is left to the run.
func (w *world) validate() engine.Diagnostics {
	var found engine.Diagnostics
	for _, v := range w.p.Playbook.Variables {
		for _, val := range v.Validations {
			c := w.expr(val.Condition, check.Condition)
			holds, ds := c.Eval(nil)
			found = append(found, ds...)
			holds, _ = holds.Unmark()
			if ds.HasErrors() || !holds.IsKnown() || holds.True() {
				continue
			}
			text := "This condition does not hold."
			if msg, ds := w.expr(val.Message, check.Message).Eval(nil); ds.HasErrors() {
				found = append(found, ds...)
			} else if msg.IsKnown() {
				text = msg.AsString()
			}
			d := diag.New(diag.ValidationFailed, "Value not allowed", val.Condition.Range(), v.Place, "%s", text)
			d.Values = c.Values(nil)
			found = append(found, d)
		}
	}
	return diag.Sort(found)
}

// program is the engine's form of a playbook. Inputs are left to the caller.
func (b binder) program(w *world) *engine.Program {
	p := w.p
	prog := &engine.Program{
		Name:      p.Header.Name,
		Version:   p.Header.Version,
		Language:  p.Header.Language,
		File:      p.File.Name,
		Digest:    p.digest,
		Inventory: b.inv.Digest,
		Templates: p.shared.templates.Digests(),
		Changes:   p.Changes(),
		Cluster:   b.cluster,
		Hosts:     b.hosts,
	}
	for _, ph := range p.Phases {
		prog.Phases = append(prog.Phases, &engine.Phase{
			Name:        ph.Name,
			Description: ph.Description,
			When:        w.expression(ph.When, check.Condition),
			Tasks:       b.tasks(w, ph.Tasks),
			Rescue:      b.tasks(w, ph.Rescue),
			Always:      b.tasks(w, ph.Always),
			Range:       *diag.Range(ph.Range),
		})
	}
	for _, o := range p.Playbook.Playbook.Outputs {
		prog.Outputs = append(prog.Outputs, &engine.Output{
			Name: o.Name, Description: o.Description, Value: w.expression(o.Value, check.Anything),
			Sensitive: o.Sensitive, Range: *diag.Range(o.Range),
		})
	}
	return prog
}

func (b binder) tasks(w *world, list []*syntax.Task) []*engine.Task {
	var tasks []*engine.Task
	for _, st := range list {
		t := w.p.Task(st.Name)
		task := &engine.Task{
			Name: t.Name, Type: t.Type, Description: t.Description, Locked: t.Locked,
			On:       w.expression(t.On, check.OneHost),
			OnEach:   w.expression(t.OnEach, check.Hosts),
			Parallel: w.expression(t.Parallel, check.Whole),
			ForEach:  w.expression(t.ForEach, check.Rounds),
			When:     w.expression(t.When, check.Condition),
			Become:   w.expression(t.Become, check.Flag),
			Timeout:  w.expression(t.Timeout, check.Span),
			Args:     &arguments{w: w, t: t},
			Pre:      conditions(w, t.Pre),
			Post:     conditions(w, t.Post),
			Range:    *diag.Range(t.Range),
		}
		if r := t.Retry; r != nil {
			task.Retry = &engine.Retry{
				Attempts:    w.expression(r.Attempts, check.Whole),
				Interval:    w.expression(r.Interval, check.Span),
				Backoff:     w.expression(r.Backoff, check.Factor),
				MaxInterval: w.expression(r.MaxInterval, check.Span),
				Until:       w.expression(r.Until, check.Condition),
			}
		}
		if callee := w.p.callees[st]; callee != nil {
			task.Call = b.call(callee, t)
		}
		tasks = append(tasks, task)
	}
	return tasks
}

func conditions(w *world, list []*syntax.Condition) []engine.Condition {
	var out []engine.Condition
	for _, c := range list {
		out = append(out, engine.Condition{Condition: w.expression(c.Condition, check.Condition), Message: w.expression(c.Message, check.Message)})
	}
	return out
}

// call is the playbook that a task calls, bound anew for each round.
func (b binder) call(callee *Playbook, t *check.Task) *engine.Call {
	source, _ := literal(t.Arg("source").Expression)
	outputs := make(map[string]cty.Type, len(callee.Outputs))
	for name, v := range callee.Outputs {
		outputs[name] = v.Type()
	}
	return &engine.Call{
		Source:  source,
		Outputs: outputs,
		Bind: func(with cty.Value, s *engine.Scope) (*engine.Program, engine.Diagnostics) {
			names := b.names
			if s != nil && s.Run != cty.NilVal {
				names = make(map[string]cty.Value, len(b.names))
				for n, v := range b.names {
					names[n] = v
				}
				names["run"] = s.Run
			}
			return b.bind(callee, names, calledInputs(callee, with, t.Place), "called by "+t.Place.Task+" at "+t.Range.Filename)
		},
	}
}

// calledInputs are the values of a called playbook's variables: those given, and
// defaults.
func calledInputs(callee *Playbook, with cty.Value, p diag.Place) []engine.Input {
	var inputs []engine.Input
	plain, marks := cty.NilVal, cty.ValueMarks(nil)
	if with != cty.NilVal {
		plain, marks = with.Unmark()
	}
	for _, v := range callee.Playbook.Variables {
		in := engine.Input{Name: v.Name, Value: v.Default, Source: defaultSource(v), Sensitive: v.Sensitive}
		switch {
		case plain == cty.NilVal || plain.IsNull():
		case !plain.IsKnown() && !plain.Type().IsObjectType():
			in.Value, in.Source = v.Unknown(), p.Task
		case plain.Type().IsObjectType() && plain.Type().HasAttribute(v.Name):
			in.Value, in.Source = plain.GetAttr(v.Name).WithMarks(marks), p.Task
		}
		if in.Value == cty.NilVal {
			in.Value = v.Unknown()
		}
		in.Sensitive = in.Sensitive || eval.IsSensitive(in.Value)
		inputs = append(inputs, in)
	}
	return inputs
}
