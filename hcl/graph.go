package hcl

import (
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/check"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Node is one task in the order of the run.
type Node struct {
	Name  string       `json:"name"`
	Type  string       `json:"type"`
	Phase string       `json:"phase,omitempty"`
	Place engine.Place `json:"place"`
	Uses  []string     `json:"uses,omitempty"` // tasks whose results it uses, also through locals
	Calls string       `json:"calls,omitempty"`
}

// Graph lists the tasks of a playbook in their order, with what each uses of
// those before it.
func (p *Playbook) Graph() []Node {
	nodes := make([]Node, 0, len(p.Tasks))
	for _, t := range p.Tasks {
		n := Node{Name: t.Name, Type: t.Task.Type, Phase: t.Phase.Name, Place: t.In}
		f := finder{p: p, locals: map[string]bool{}}
		for _, x := range expressions(t) {
			if x != nil {
				f.follow(scope.References(x.Expression))
			}
		}
		for _, name := range f.tasks {
			if name != t.Name {
				n.Uses = append(n.Uses, name)
			}
		}
		if c := p.callees[t.Task]; c != nil {
			n.Calls = c.File.Name
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// expressions is all that a task says, the when of its phase included; some are nil.
func expressions(t *check.Task) []*syntax.Expr {
	list := append([]*syntax.Expr{t.Phase.When, t.On, t.OnEach, t.Parallel, t.Become, t.ForEach, t.When, t.Timeout}, t.Args...)
	for _, conditions := range [][]*syntax.Condition{t.Pre, t.Post} {
		for _, c := range conditions {
			list = append(list, c.Condition, c.Message)
		}
	}
	if r := t.Retry; r != nil {
		list = append(list, r.Attempts, r.Interval, r.Backoff, r.MaxInterval, r.Until)
	}
	return list
}
