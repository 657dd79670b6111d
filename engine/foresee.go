package engine

import (
	"context"
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// foresee has the connections made that a plan or a new run is going to need, and
// in a run the hosts taken over, while the cluster is surveyed. Only hosts are
// touched that a task is certain to look at if the plan comes to it: what depends on
// the result of a task is left out. And only those that the survey reaches too: no
// other is to be contacted before it is known that none of these shows a wrong host
// key.
func foresee(ctx context.Context, p *Program, env Env) {
	if env.Prepare == nil {
		return
	}
	f := foresight{hosts: map[string]bool{}}
	f.program(p, newScope(env.Identity))
	for _, spec := range f.order {
		if !slices.Contains(p.Cluster.Members, spec.Name) {
			continue
		}
		env.Prepare(ctx, spec, f.hosts[spec.Name])
	}
}

// foresight is the hosts found so far, and whether units of theirs are looked at.
type foresight struct {
	hosts map[string]bool
	order []HostSpec
}

func (f *foresight) program(p *Program, s *Scope) {
	for _, ph := range p.Phases {
		if !certain(ph.When, s) {
			continue
		}
		for _, t := range ph.Tasks {
			f.task(p, t, s)
		}
	}
}

func (f *foresight) task(p *Program, t *Task, s *Scope) {
	for _, e := range []Expr{t.When, t.On, t.OnEach, t.ForEach, t.Become} {
		if !independent(e) {
			return
		}
	}
	for _, a := range t.Type.Args {
		if !independent(t.Args.Expr(a.Name)) {
			return
		}
	}
	rs, known, ds := rounds(t, "", s)
	if !known || ds.HasErrors() {
		return // the plan says what is wrong
	}
	for _, r := range rs {
		host, in, known, ds := target(t, r.scope)
		if !known || ds.HasErrors() || !certain(t.When, in) {
			continue
		}
		if t.Type.Role == Calls {
			if args, ds := t.Args.Bind(in); !ds.HasErrors() {
				if called, ds := t.Call.Bind(withOf(args), in); !ds.HasErrors() {
					f.program(called, &Scope{Run: s.Run, Tasks: map[string]cty.Value{}})
				}
			}
			continue
		}
		if host == "" {
			continue
		}
		spec, ds := hostSpec(p, t, host, in)
		if ds.HasErrors() {
			continue
		}
		units, found := f.hosts[host]
		f.hosts[host] = units || slices.ContainsFunc(t.Type.Args, func(a Arg) bool { return a.Kind == UnitName })
		if !found {
			f.order = append(f.order, spec)
		}
	}
}

// independent reports whether e needs no task's result.
func independent(e Expr) bool { return e == nil || len(e.Tasks()) == 0 }

// certain reports whether the condition is sure to hold.
func certain(when Expr, s *Scope) bool {
	if when == nil {
		return true
	}
	if !independent(when) {
		return false
	}
	v, ds := when.Eval(s)
	holds, known := boolOf(v)
	return !ds.HasErrors() && known && holds
}
