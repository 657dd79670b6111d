package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// site is where an expression stands, as far as that decides what it can see.
type site struct {
	task   *Task     // the task it belongs to; nil outside tasks
	before int       // tasks with a smaller index have run; -1: no task is known at all
	local  bool      // in a local, whose users decide the order
	each   cty.Value // cty.NilVal where there is no round
	target bool
	self   bool
	what   string // "a validation", for texts
}

// references checks every name of an expression and reports whether all are
// good.
func (c *checker) references(x *syntax.Expr, refs []scope.Reference, at site) bool {
	good := true
	for _, r := range refs {
		if !c.reference(x, r, at) {
			good = false
		}
	}
	return good
}

func (c *checker) reference(x *syntax.Expr, r scope.Reference, at site) bool {
	switch r.Root {
	case "var":
		return c.variableReference(x, r)
	case "local":
		return c.localReference(x, r, at)
	case "task":
		return c.taskReference(x, r, at)
	case "host", "group":
		if r.Name != "" {
			c.out.Inventory = append(c.out.Inventory, Mention{Kind: r.Root, Name: r.Name, Range: r.Range, Place: x.Place})
		}
		return c.steps(x, r.Traversal[1:], r.Root, inventoryType(r.Root))
	case "cluster":
		return c.steps(x, r.Traversal[1:], r.Root, eval.ClusterType)
	case "localhost":
		return c.steps(x, r.Traversal[1:], r.Root, eval.HostType)
	case "run":
		if r.Name == "dry_run" || r.Name == "check_mode" {
			c.add(diag.New(diag.UnknownAttribute, "Unknown attribute", r.Range, x.Place,
				"There is no run.%s: a playbook cannot behave differently in a dry run, else the dry run would not be true.", r.Name))
			return false
		}
		return c.steps(x, r.Traversal[1:], r.Root, eval.RunType)
	case "path":
		return c.steps(x, r.Traversal[1:], r.Root, pathType())
	case "each", "target", "self", "error":
		return c.placed(x, r, at)
	}
	c.unknownName(x, r)
	return false
}

func pathType() cty.Type { return cty.Object(map[string]cty.Type{"playbook": cty.String}) }

// inventoryType is the type of the name host or group.
func inventoryType(root string) cty.Type {
	if root == "host" {
		return cty.Map(eval.HostType)
	}
	return cty.Map(cty.List(eval.HostType))
}

// unknownName tells that there is no such root, with what was probably meant.
func (c *checker) unknownName(x *syntax.Expr, r scope.Reference) {
	whole := r.Traversal.SourceRange()
	src := x.File.Source
	text := string(src[whole.Start.Byte:whole.End.Byte])
	shell := interpolated(src, whole.Start.Byte) && len(r.Traversal) == 1
	detail := fmt.Sprintf("There is no %q.", r.Root)
	foreign := foreignName(r.Root)
	switch {
	case c.out.variables[r.Root] != nil:
		detail += fmt.Sprintf(" Did you mean var.%s?", r.Root)
	case c.out.locals[r.Root] != nil:
		detail += fmt.Sprintf(" Did you mean local.%s?", r.Root)
	case c.out.tasks[r.Root] != nil:
		detail += fmt.Sprintf(" Did you mean task.%s?", r.Root)
	case foreign != "" && !shell:
		detail += " " + foreign
	case x.Name == "on" || x.Name == "on_each" || x.Name == "via":
		detail += fmt.Sprintf(" If it is a host of the inventory, write host[%q].", text)
	case !(shell && strings.ToLower(r.Root) != r.Root) && closestRoot(r.Root) != "":
		detail += fmt.Sprintf(" Did you mean %s?", strings.Replace(text, r.Root, closestRoot(r.Root), 1))
	case shell:
		detail += fmt.Sprintf(" For a literal ${%s}, as a shell or a unit file has it, write $${%s}.", text, text)
	case len(r.Traversal) == 1:
		detail += " If it is a word and not a name, put it in quotes."
	default:
		detail += fmt.Sprintf(" If it is a text, put it in quotes. Names begin with one of %s.", strings.Join(scope.Roots(), ", "))
	}
	c.add(diag.New(diag.UnknownName, "Unknown name", whole, x.Place, "%s", detail))
}

// foreignName is the advice for a name of another tool, "" if it is none.
func foreignName(root string) string {
	switch strings.ToLower(root) {
	case "true", "yes":
		return "Write true."
	case "false", "no":
		return "Write false."
	case "none", "nil", "null", "undefined":
		return "Write null."
	case "module", "data", "resource", "terraform":
		return "The results of a task are task.NAME.RESULT."
	case "hostvars", "inventory_hostname", "ansible_host", "ansible_facts":
		return "A host is host[\"NAME\"], and the one being worked on is target."
	case "env":
		return "There is no way to the environment: declare a variable, and give it as ETCDPLAY_VAR_NAME."
	}
	return ""
}

func closestRoot(word string) string {
	switch word {
	case "vars", "variable", "variables":
		return "var"
	case "locals":
		return "local"
	case "tasks", "step", "steps":
		return "task"
	case "hosts", "inventory":
		return "host"
	case "groups":
		return "group"
	case "item":
		return "each.value"
	}
	return diag.Closest(word, scope.Roots())
}

// interpolated reports whether the text at this byte is the beginning of an
// interpolation.
func interpolated(src []byte, at int) bool {
	before := strings.TrimRight(string(src[max(0, at-16):at]), " ")
	return strings.HasSuffix(before, "${") || strings.HasSuffix(before, "${~")
}

func (c *checker) variableReference(x *syntax.Expr, r scope.Reference) bool {
	if r.Name == "" {
		return c.nameNeeded(x, r, "a variable")
	}
	if v := c.out.variables[r.Name]; v != nil {
		c.used["var."+r.Name] = true
		return c.steps(x, r.Rest, "var."+r.Name, v.Type.WithoutOptionalAttributesDeep())
	}
	detail := fmt.Sprintf("There is no variable %q.", r.Name)
	if left, right, ok := c.subtraction(r.Name); ok {
		detail += fmt.Sprintf(" A name may hold a dash, so a subtraction needs spaces: var.%s - %s.", left, right)
	} else if c.out.locals[r.Name] != nil {
		detail += fmt.Sprintf(" Did you mean local.%s?", r.Name)
	} else if near := diag.Closest(r.Name, c.variableNames()); near != "" {
		detail += fmt.Sprintf(" Did you mean var.%s?", near)
	} else {
		detail += fmt.Sprintf(" Declare it: variable %q { type = ... }.", r.Name)
	}
	c.add(diag.New(diag.UndeclaredVariable, "Undeclared variable", r.Range, x.Place, "%s", detail))
	return false
}

// subtraction takes apart a name with a dash whose left side is a variable.
func (c *checker) subtraction(name string) (left, right string, ok bool) {
	for i, r := range name {
		if r == '-' && c.out.variables[name[:i]] != nil {
			return name[:i], name[i+1:], true
		}
	}
	return "", "", false
}

func (c *checker) variableNames() []string {
	names := make([]string, 0, len(c.out.Variables))
	for _, v := range c.out.Variables {
		names = append(names, v.Name)
	}
	return names
}

func (c *checker) nameNeeded(x *syntax.Expr, r scope.Reference, what string) bool {
	c.add(diag.New(diag.UnknownName, "Incomplete reference", r.Traversal.SourceRange(), x.Place,
		"%s alone is no value. Write %s.NAME for %s, with the name written out.", r.Root, r.Root, what))
	return false
}

func (c *checker) localReference(x *syntax.Expr, r scope.Reference, at site) bool {
	if r.Name == "" {
		return c.nameNeeded(x, r, "a local")
	}
	l := c.out.locals[r.Name]
	if l == nil {
		detail := fmt.Sprintf("There is no local %q.", r.Name)
		if c.out.variables[r.Name] != nil {
			detail += fmt.Sprintf(" Did you mean var.%s?", r.Name)
		} else if near := diag.Closest(r.Name, c.localNames()); near != "" {
			detail += fmt.Sprintf(" Did you mean local.%s?", near)
		} else {
			detail += fmt.Sprintf(" Declare it: locals { %s = ... }.", r.Name)
		}
		c.add(diag.New(diag.UnknownLocal, "Unknown local", r.Range, x.Place, "%s", detail))
		return false
	}
	c.used["local."+r.Name] = true
	if l.state == cyclic {
		return false
	}
	if at.local || l.last == nil {
		return true
	}
	return c.order(*l.last, at, fmt.Sprintf(" (used through local.%s at %s line %d)", r.Name, r.Range.Filename, r.Range.Start.Line))
}

func (c *checker) localNames() []string {
	names := make([]string, 0, len(c.Playbook.Locals))
	for _, l := range c.Playbook.Locals {
		names = append(names, l.Name)
	}
	return names
}

// placed checks a name that exists only in some places.
func (c *checker) placed(x *syntax.Expr, r scope.Reference, at site) bool {
	refuse := func(format string, args ...any) bool {
		c.add(diag.New(diag.NameNotHere, "Name not known here", r.Range, x.Place, format, args...))
		return false
	}
	if at.local {
		return refuse("A local belongs to no task, so there is no %s in it. Write the expression in the task itself.", r.Root)
	}
	steps := r.Traversal[1:]
	switch r.Root {
	case "each":
		switch {
		case at.each != cty.NilVal:
			return c.steps(x, steps, "each", at.each.Type())
		case at.task != nil && at.task.OnEach != nil:
			return refuse("each exists in a task with for_each. In one with on_each, target is the host of the round.")
		}
		return refuse("each exists in the arguments of a task with for_each.")
	case "target":
		if !at.target {
			return refuse("target is the host being worked on. It exists in the arguments of a task with on or on_each, not in on itself.")
		}
		return c.steps(x, steps, "target", eval.HostType)
	case "self":
		if !at.self {
			return refuse("self is a task's own results. It exists in its postcondition blocks and in the until of its retry.")
		}
		if at.task.Type == nil {
			return true
		}
		return c.outputs(x, steps, "self", at.task)
	}
	if at.task == nil || at.task.In != "rescue" {
		return refuse("error tells what failed. It exists in the tasks of a rescue block.")
	}
	return c.steps(x, steps, "error", eval.ErrorType)
}

// steps follows the steps behind a value of this type as far as the type tells,
// and finds an attribute that does not exist.
func (c *checker) steps(x *syntax.Expr, steps hcl.Traversal, name string, ty cty.Type) bool {
	for _, s := range steps {
		key, named := scope.StepName(s)
		switch {
		case ty.IsObjectType() && named && !ty.HasAttribute(key):
			names := attributeNames(ty)
			d := diag.New(diag.UnknownAttribute, "Unknown attribute", s.SourceRange(), x.Place, "%s has no attribute %q.%s", name, key, diag.DidYouMean(key, names))
			d.Notes = noteLines("Attributes: ", names)
			c.add(d)
			return false
		case ty.IsObjectType() && named:
			ty = ty.AttributeType(key)
		case ty.IsMapType(), ty.IsListType() && !isAttr(s):
			ty = ty.ElementType()
		default:
			return true // the evaluation tells
		}
		switch {
		case isAttr(s):
			name += "." + key
		case named:
			name += fmt.Sprintf("[%q]", key)
		default:
			name += "[...]"
		}
	}
	return true
}

func isAttr(s hcl.Traverser) bool {
	_, ok := s.(hcl.TraverseAttr)
	return ok
}

func attributeNames(ty cty.Type) []string {
	names := make([]string, 0, len(ty.AttributeTypes()))
	for n := range ty.AttributeTypes() {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// noteLines is a list in lines that fit a terminal.
func noteLines(head string, names []string) []string {
	const width = 100
	var lines []string
	line := head
	for i, n := range names {
		if i < len(names)-1 {
			n += ","
		}
		if len(line)+len(n)+1 > width && strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimRight(line, " "))
			line = strings.Repeat(" ", len(head))
		}
		line += n + " "
	}
	return append(lines, strings.TrimRight(line, " "))
}
