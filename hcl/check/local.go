package check

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// local is one local, with what is known of it.
type local struct {
	*syntax.Local
	refs   []scope.Reference
	state  localState
	value  cty.Value
	valued bool
	// last is, of all tasks whose results the local depends on, also through
	// other locals, the one that runs last; nil if there is none. A use of the
	// local is in order exactly if that task is before it.
	last *mention
}

type localState int

const (
	fresh localState = iota
	open             // being followed
	followed
	cyclic // depends on itself; its value cannot be told
)

// mention is one mention of a task in an expression.
type mention struct {
	task *Task
	at   hcl.Range // of the whole reference
	in   diag.Place
}

func (c *checker) declareLocals() {
	for _, l := range c.Playbook.Locals {
		if c.out.locals[l.Name] == nil {
			c.out.locals[l.Name] = &local{Local: l, refs: scope.References(l.Expr.Expression)}
		}
	}
	for _, l := range c.Playbook.Locals {
		if n := c.out.locals[l.Name]; n.Local == l {
			c.follow(n, nil)
		}
	}
}

// follow walks through the locals that l depends on, finds circles, and
// gathers the last task.
func (c *checker) follow(l *local, path []*local) {
	switch l.state {
	case followed, cyclic:
		return
	case open:
		c.circle(l, path)
		return
	}
	l.state = open
	path = append(path, l)
	for _, r := range l.refs {
		switch r.Root {
		case "local":
			dep := c.out.locals[r.Name]
			if dep == nil {
				continue
			}
			c.follow(dep, path)
			if dep.last != nil {
				l.consider(*dep.last)
			}
		case "task":
			if t := c.out.tasks[r.Name]; t != nil {
				l.consider(mention{task: t, at: r.Traversal.SourceRange(), in: l.Expr.Place})
			}
		}
	}
	if l.state == open {
		l.state = followed
	}
}

func (l *local) consider(m mention) {
	if l.last == nil || m.task.Index > l.last.task.Index {
		l.last = &m
	}
}

// circle tells a circle that closes at l, at the one of its locals that stands
// first.
func (c *checker) circle(l *local, path []*local) {
	from := 0
	for i, p := range path {
		if p == l {
			from = i
		}
	}
	ring := path[from:]
	first := 0
	for i, p := range ring {
		p.state = cyclic
		if p.Expr.NameRange.Start.Byte < ring[first].Expr.NameRange.Start.Byte {
			first = i
		}
	}
	var names []string
	for i := range ring {
		names = append(names, "local."+ring[(first+i)%len(ring)].Name)
	}
	if len(names) > 8 {
		names = append(append(names[:4:4], "…"), names[len(names)-3:]...)
	}
	head := ring[first]
	names = append(names, "local."+head.Name)
	c.add(diag.New(diag.LocalCycle, "Locals in a circle", head.Expr.NameRange, head.Expr.Place,
		"local.%s depends on itself: %s. Write one of them without the others.", head.Name, strings.Join(names, " -> ")))
}

// localValue is the value of a local with unknowns, checked when it is first
// asked for; cty.DynamicVal if it is wrong.
func (c *checker) localValue(name string) cty.Value {
	l := c.out.locals[name]
	if l == nil || l.state == cyclic {
		return cty.DynamicVal
	}
	if !l.valued {
		l.valued, l.value = true, cty.DynamicVal
		l.value, _ = c.evaluate(l.Expr, l.refs, site{before: len(c.out.Tasks), local: true, what: "a local"})
	}
	return l.value
}
