package check

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// taskReference checks that a task exists, that its results are there where
// they are used, and what is asked of them.
func (c *checker) taskReference(x *syntax.Expr, r scope.Reference, at site) bool {
	if r.Name == "" {
		return c.nameNeeded(x, r, "the results of a task")
	}
	t := c.out.tasks[r.Name]
	if t == nil && c.dropped(x, r) {
		return false
	}
	if t == nil {
		hint := " A task is named by its second label."
		if near := diag.Closest(r.Name, c.taskNames()); near != "" {
			hint = fmt.Sprintf(" Did you mean task.%s?", near)
		}
		c.add(diag.New(diag.UnknownTask, "Unknown task", r.Range, x.Place, "There is no task %q.%s", r.Name, hint))
		return false
	}
	if !at.local && !c.order(mention{task: t, at: r.Traversal.SourceRange(), in: x.Place}, at, "") {
		return false
	}
	if t.Type == nil || len(r.Rest) == 0 {
		return true
	}
	rest := r.Rest
	results := c.results(t)
	if !results.IsObjectType() {
		return true
	}
	first, named := scope.StepName(rest[0])
	switch {
	case !t.Looping() && !isAttr(rest[0]) && !(named && results.HasAttribute(first)):
		c.add(diag.New(diag.NotLooping, "This task does not loop", rest[0].SourceRange(), x.Place,
			"%q runs once, so its results have no key. Write task.%s.OUTPUT.", t.Name, t.Name))
		return false
	case !t.Looping():
		return c.outputs(x, rest, "task."+t.Name, t)
	case isAttr(rest[0]) && results.HasAttribute(first):
		c.add(diag.New(diag.LoopingTask, "This task loops", rest[0].SourceRange(), x.Place,
			"%q runs once for each value, so its results are a map. Write task.%s[KEY].%s, or go through all with [for k, r in task.%s : r.%s].",
			t.Name, t.Name, first, t.Name, first))
		return false
	}
	return c.outputs(x, rest[1:], "task."+t.Name+"[...]", t)
}

func (c *checker) taskNames() []string {
	names := make([]string, 0, len(c.out.Tasks))
	for _, t := range c.out.Tasks {
		names = append(names, t.Name)
	}
	return names
}

// order checks that the results of a task exist where they are used. through
// is a remark on the way, in parentheses, or "".
func (c *checker) order(m mention, at site, through string) bool {
	t := m.task
	switch {
	case at.before < 0:
		if c.once(diag.NameNotHere, m.at, at.what) {
			c.add(diag.New(diag.NameNotHere, "No results here", m.at, m.in,
				"%s is evaluated before the first task runs, so it can use no results.%s", capital(at.what), through))
		}
		return false
	case at.task == t:
		advice := "Its results exist only after it has run."
		if at.self {
			advice = "Write self in place of task." + t.Name + "."
		}
		if c.once(diag.OwnResults, m.at, t.Name) {
			c.add(diag.New(diag.OwnResults, "Reference to its own task", m.at, m.in, "Task %q is the one in which this stands. %s%s", t.Name, advice, through))
		}
		return false
	case t.Index >= at.before:
		if c.once(diag.LaterTask, m.at, "") {
			where := fmt.Sprintf("at line %d", t.Range.Start.Line)
			if t.Range.Filename != m.at.Filename {
				where = fmt.Sprintf("at %s line %d and stands behind this", t.Range.Filename, t.Range.Start.Line)
			}
			c.add(diag.New(diag.LaterTask, "Reference to a later task", m.at, m.in,
				"Task %q is %s, and tasks run in the order in which they are written, so its results do not exist yet. Move it up, or move this task down.%s",
				t.Name, where, through))
		}
		return false
	case t.In == engine.InRescue && (at.task == nil || at.task.Phase != t.Phase):
		if c.once(diag.NameNotHere, m.at, "rescue") {
			c.add(diag.New(diag.NameNotHere, "Results of a rescue", m.at, m.in,
				"Task %q stands in a rescue, and after a rescue the run ends, so nothing behind its phase can use its results.%s", t.Name, through))
		}
		return false
	}
	return true
}

// outputs checks the steps behind the results of one round of a task.
func (c *checker) outputs(x *syntax.Expr, steps hcl.Traversal, name string, t *Task) bool {
	results := c.results(t)
	if len(steps) == 0 || !results.IsObjectType() {
		return true
	}
	output, ok := scope.StepName(steps[0])
	if !ok {
		return true // the evaluation tells
	}
	if !results.HasAttribute(output) {
		names := attributeNames(results)
		d := diag.New(diag.UnknownOutput, "Unknown output", steps[0].SourceRange(), x.Place,
			"%s has no output %q.%s", t.Task.Type, output, diag.DidYouMean(output, names))
		d.Notes = noteLines("Outputs: ", names)
		c.add(d)
		return false
	}
	return c.steps(x, steps[1:], name+"."+output, results.AttributeType(output))
}

// resultValue is what one round of a task yields, unknown. Its parts may turn
// out null, where the task is skipped.
func (c *checker) resultValue(t *Task) cty.Value {
	if t.results != cty.NilVal {
		return t.results
	}
	if t.Type == nil || t.Type.Role == engine.Calls && t.Callee == nil {
		t.results = cty.DynamicVal
		return t.results
	}
	attrs := map[string]cty.Value{"status": cty.UnknownVal(cty.String).RefineNotNull()}
	for _, r := range t.Type.Results {
		v := cty.UnknownVal(r.Type)
		if r.Sensitive {
			v = secret(v)
		}
		attrs[r.Name] = v
	}
	if t.Callee != nil {
		for name, v := range t.Callee.Outputs {
			u := cty.UnknownVal(v.Type())
			if sensitive(v) {
				u = secret(u)
			}
			attrs[name] = u
		}
	}
	t.results = cty.ObjectVal(attrs)
	return t.results
}

// results is the type of what one round of a task yields.
func (c *checker) results(t *Task) cty.Type { return c.resultValue(t).Type() }

// taskValue is the name task.X in an expression with these references: the
// results, or the map of them. An unknown map cannot say which part of its
// elements is sensitive, so where all keys are written out they are given; what
// is missed here is found when the task is bound.
func (c *checker) taskValue(t *Task, refs []scope.Reference) cty.Value {
	v := c.resultValue(t)
	if !t.Looping() || v.Type() == cty.DynamicPseudoType {
		return v
	}
	rounds := map[string]cty.Value{}
	for _, r := range refs {
		if r.Root != "task" || r.Name != t.Name {
			continue
		}
		key, named := "", false
		if len(r.Rest) > 0 {
			key, named = scope.StepName(r.Rest[0])
		}
		if !named {
			return cty.UnknownVal(cty.Map(v.Type())).RefineNotNull()
		}
		rounds[key] = v
	}
	return cty.ObjectVal(rounds)
}

// Result is what one round of a task will yield, as far as it is known before:
// its type, and which parts are sensitive.
func (p *Playbook) Result(t *Task) cty.Value {
	if t.results == cty.NilVal {
		return cty.DynamicVal
	}
	return t.results
}

// Pending is the name task.X before the task has run.
func (p *Playbook) Pending(t *Task) cty.Value {
	v := p.Result(t)
	if !t.Looping() || !v.Type().IsObjectType() {
		return v
	}
	return cty.UnknownVal(cty.Map(v.Type())).RefineNotNull()
}

// NotRun is the value of a task that did not run: nulls of the types of its
// results, for a looping task no round at all.
func (p *Playbook) NotRun(t *Task) cty.Value {
	if t.results == cty.NilVal || !t.results.Type().IsObjectType() {
		return cty.DynamicVal
	}
	ty := t.results.Type()
	if t.Looping() {
		return cty.MapValEmpty(ty)
	}
	attrs := map[string]cty.Value{}
	for name, a := range ty.AttributeTypes() {
		attrs[name] = cty.NullVal(a)
	}
	return cty.ObjectVal(attrs)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
