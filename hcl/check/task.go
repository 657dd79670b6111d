package check

import (
	"errors"
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

func (c *checker) task(t *Task) {
	base := site{task: t, before: t.Index, what: "a task"}
	if t.Type == nil {
		c.unknownType(t)
	}
	c.place(t)
	at := base
	if t.ForEach != nil {
		v, _ := c.value(t.ForEach, base, Want{Form: Rounds})
		at.each = Each(v)
	}
	c.optional(t.OnEach, base, Hosts)
	c.optional(t.On, at, OneHost)
	at.target = t.On != nil || t.OnEach != nil
	c.optional(t.Parallel, base, Whole)
	c.optional(t.Become, at, Flag)
	c.optional(t.When, at, Condition)
	c.optional(t.Timeout, at, Span)
	if t.Type != nil {
		c.arguments(t, at)
	}
	for _, p := range t.Pre {
		c.condition(p, at)
	}
	after := at
	after.self = true
	for _, p := range t.Post {
		c.condition(p, after)
	}
	c.retry(t, at, after)
	c.resultValue(t)
}

func (c *checker) optional(x *syntax.Expr, at site, f Form) {
	if x != nil {
		c.value(x, at, Want{Form: f})
	}
}

func (c *checker) unknownType(t *Task) {
	name := t.Task.Type
	detail := fmt.Sprintf("There is no task type %q.%s", name, diag.DidYouMean(name, c.Types.names))
	switch {
	case name == "shell" || name == "command" || name == "script":
		detail = fmt.Sprintf("There is no task type %q. Write exec, with argv = [...] or shell = \"...\".", name)
	case name == "service" || name == "systemd":
		detail = fmt.Sprintf("There is no task type %q. Write systemd_unit.", name)
	}
	d := diag.New(diag.UnknownTaskType, "Unknown task type", t.TypeRange, t.Place, "%s", detail)
	if detail == fmt.Sprintf("There is no task type %q.", name) {
		d.Notes = noteLines("Types: ", c.Types.names)
	}
	c.add(d)
}

// place checks on, on_each and for_each against each other and against where
// the type runs.
func (c *checker) place(t *Task) {
	c.exclusive(t, t.On, t.OnEach, "A task runs on one host (on) or on several (on_each). Take one of the two out.")
	c.exclusive(t, t.ForEach, t.OnEach, "A task loops over values (for_each) or over hosts (on_each). For both, call a playbook with for_each, and write on_each in it.")
	for _, x := range []*syntax.Expr{t.OnEach, t.ForEach} {
		if x == nil {
			continue
		}
		if list, ok := x.Expression.(*hclsyntax.TupleConsExpr); ok && len(list.Exprs) == 0 {
			c.add(diag.Warn(diag.New(diag.EmptyLoop, "Empty loop", x.Range(), x.Place,
				"%s goes over nothing, so this task never does anything. Name what it goes over, or take the task out.", x.Name)))
		}
	}
	if t.Parallel != nil && t.OnEach == nil {
		c.add(diag.New(diag.NoConnection, "Nothing to run in parallel", t.Parallel.NameRange, t.Parallel.Place,
			"parallel says on how many hosts on_each works at a time, and this task has no on_each."))
	}
	if t.Type == nil {
		return
	}
	targeted := t.On != nil || t.OnEach != nil
	switch {
	case t.Type.Where == engine.OnHost && !targeted:
		c.add(diag.New(diag.NeedsHost, "No host", t.Range, t.Place,
			"%s works on a host. Write on = host[\"NAME\"], or on_each = [...] for several.", t.Task.Type))
	case t.Type.Where == engine.Controller && targeted:
		x := t.On
		if x == nil {
			x = t.OnEach
		}
		detail := fmt.Sprintf("%s works on no host, so it takes no %s. Take it out.", t.Task.Type, x.Name)
		if _, ok := c.Types.args[t.Type]["via"]; ok {
			detail = fmt.Sprintf("%s speaks to the cluster and works on no host, so it takes no %s. To speak through a host write via.", t.Task.Type, x.Name)
		}
		c.add(diag.New(diag.TakesNoHost, "No host here", x.NameRange, x.Place, "%s", detail))
	case t.Become != nil && !targeted:
		c.add(diag.New(diag.NoConnection, "No host to become root on", t.Become.NameRange, t.Become.Place,
			"become is about the host that a task works on, and this task has neither on nor on_each."))
	}
}

// exclusive finds the later of two arguments that exclude each other.
func (c *checker) exclusive(t *Task, a, b *syntax.Expr, detail string) {
	if a == nil || b == nil {
		return
	}
	if a.File == b.File && a.NameRange.Start.Byte > b.NameRange.Start.Byte || a.File != b.File && a.File == c.Playbook.File {
		a, b = b, a
	}
	c.add(diag.New(diag.TwoTargets, fmt.Sprintf("Both %s and %s", a.Name, b.Name), b.NameRange, b.Place, "%s", detail))
}

func (c *checker) arguments(t *Task, at site) {
	args := c.Types.args[t.Type]
	given := make(map[string]cty.Value, len(t.Type.Args))
	for _, a := range t.Type.Args {
		given[a.Name] = cty.NullVal(a.Type)
	}
	good := true
	for _, x := range t.Args {
		a, ok := args[x.Name]
		if !ok {
			c.unsupported(t, x)
			good = false
			continue
		}
		if a.Deprecated != "" {
			c.add(diag.Warn(diag.New(diag.DeprecatedArgument, "Deprecated argument", x.NameRange, x.Place, "%s", a.Deprecated)))
		}
		if t.Type.Role == engine.Calls {
			continue
		}
		v, ok := c.value(x, at, Want{})
		if !ok {
			good = false
			continue
		}
		v, found := Argument(t.Type, a, x, v)
		c.found = append(c.found, found...)
		if found.HasErrors() {
			good = false
			continue
		}
		given[x.Name] = v
		if x.Name == "shell" && a.Type == cty.String {
			c.shell(x, at)
		}
	}
	for _, a := range t.Type.Args {
		if a.Required && t.Arg(a.Name) == nil {
			good = false
			c.add(diag.New(diag.MissingArgument, "Missing required argument", t.Range, t.Place, "%s needs the argument %q.", t.Task.Type, a.Name))
		}
	}
	if t.Type.Role == engine.Calls {
		c.call(t, at)
	} else if good {
		c.together(t, cty.ObjectVal(given))
	}
}

// together asks the type what is wrong with the arguments as a whole. It says
// nothing as long as any of them is unknown.
func (c *checker) together(t *Task, args cty.Value) {
	wrong := (*engine.ArgError)(nil)
	switch err := t.Type.Check(args); {
	case errors.As(err, &wrong):
		at, place := t.Range, t.Place
		if x := t.Arg(wrong.Arg); x != nil {
			at, place = x.Range(), x.Place
		}
		c.add(diag.New(diag.UnsuitableValue, "Unsuitable value", at, place, "%s", wrong.Text))
	case err != nil:
		c.add(diag.New(diag.UnsuitableValue, "Unsuitable value", t.Range, t.Place, "%s", eval.Sentence(err.Error())))
	}
}

func (c *checker) unsupported(t *Task, x *syntax.Expr) {
	detail := syntax.Foreign(x.Name)
	if detail == "" {
		names := syntax.Reserved()
		for _, a := range t.Type.Args {
			names = append(names, a.Name)
		}
		detail = fmt.Sprintf("%s has no argument %q.%s", t.Task.Type, x.Name, diag.DidYouMean(x.Name, names))
	}
	c.add(diag.New(diag.UnsupportedArgument, "Unsupported argument", x.NameRange, x.Place, "%s", detail))
}

func (c *checker) retry(t *Task, at, after site) {
	r := t.Retry
	if r == nil {
		return
	}
	if t.Type != nil && !t.Type.Retryable {
		detail := fmt.Sprintf("%s is not safe to repeat blindly: an attempt whose answer was lost may have succeeded. etcdplay reads the state back and adopts such a change by itself; remove the retry block.", t.Task.Type)
		switch {
		case t.Type.Role == engine.Calls:
			detail = "A called playbook is not repeated as a whole. Remove the retry block, and write one for the task in it that needs it."
		case t.Task.Type == "exec":
			detail = "A command is not repeated blindly: one whose end was not seen may have done its work. Remove the retry block; to wait for something write a task that reads it."
		case t.Type.Role != engine.Plain, t.Type.Effect == engine.Control:
			detail = fmt.Sprintf("%s would come to the same again; remove the retry block.", t.Task.Type)
		}
		c.add(diag.New(diag.NotRetryable, "This task cannot be retried", r.TypeRange, r.Place, "%s", detail))
		return
	}
	c.optional(r.Attempts, at, Whole)
	c.optional(r.Interval, at, Span)
	c.optional(r.Backoff, at, Factor)
	c.optional(r.MaxInterval, at, Span)
	c.optional(r.Until, after, Condition)
}
