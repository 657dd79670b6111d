package hcl

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/check"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
)

// rehearse evaluates a bound playbook once with every result unknown. What is
// wrong because of the values of variables, a time-out without a unit, a null
// where none may be, is found so before any host is asked anything. A task that
// would not run, or of which that is not known, is left alone: its arguments may
// be wrong for the very reason for which it is skipped.
func (w *world) rehearse(prog *engine.Program) engine.Diagnostics {
	r := rehearsal{w: w, scope: &engine.Scope{Tasks: map[string]cty.Value{}}}
	for _, t := range w.p.Tasks {
		r.scope.Tasks[t.Name] = w.p.Pending(t)
	}
	for _, ph := range prog.Phases {
		if !r.holds(ph.When, r.scope) {
			continue
		}
		for _, list := range [][]*engine.Task{ph.Tasks, ph.Rescue, ph.Always} {
			for _, t := range list {
				r.task(t)
			}
		}
	}
	for _, o := range prog.Outputs {
		r.eval(o.Value, r.scope)
	}
	return diag.Sort(r.found)
}

type rehearsal struct {
	w     *world
	scope *engine.Scope
	found engine.Diagnostics
}

// eval is the value of an expression; cty.NilVal if there is none or it is wrong.
func (r *rehearsal) eval(x engine.Expr, s *engine.Scope) cty.Value {
	if x == nil {
		return cty.NilVal
	}
	v, found := x.Eval(s)
	r.found = append(r.found, found...)
	if found.HasErrors() {
		return cty.NilVal
	}
	return v
}

// holds reports whether a condition is absent or surely true.
func (r *rehearsal) holds(x engine.Expr, s *engine.Scope) bool {
	if x == nil {
		return true
	}
	v := r.eval(x, s)
	if v == cty.NilVal {
		return false
	}
	v, _ = v.Unmark()
	return v.IsKnown() && v.True()
}

// idle reports whether a loop surely has no round, or could not be evaluated.
func idle(x engine.Expr, v cty.Value) bool {
	if x == nil {
		return false
	}
	if v == cty.NilVal {
		return true
	}
	v, _ = v.Unmark()
	return v.IsKnown() && !v.IsNull() && v.LengthInt() == 0
}

func (r *rehearsal) task(t *engine.Task) {
	rounds, hosts := r.eval(t.ForEach, r.scope), r.eval(t.OnEach, r.scope)
	if idle(t.ForEach, rounds) || idle(t.OnEach, hosts) {
		return
	}
	checked := r.w.p.Task(t.Name)
	s := r.scope.With(func(s *engine.Scope) {
		if t.ForEach != nil {
			s.Each = check.Each(rounds)
		}
		s.Target = cty.UnknownVal(eval.HostType).RefineNotNull()
		s.Error = cty.UnknownVal(eval.ErrorType).RefineNotNull()
	})
	if !r.holds(t.When, s) {
		return
	}
	for _, x := range []engine.Expr{t.On, t.Parallel, t.Become, t.Timeout} {
		r.eval(x, s)
	}
	args, found := t.Args.Bind(s)
	r.found = append(r.found, found...)
	for _, c := range t.Pre {
		r.eval(c.Condition, s)
	}
	after := s.With(func(s *engine.Scope) { s.Self = r.w.p.Result(checked) })
	for _, c := range t.Post {
		r.eval(c.Condition, after)
	}
	if y := t.Retry; y != nil {
		for _, x := range []engine.Expr{y.Attempts, y.Interval, y.Backoff, y.MaxInterval} {
			r.eval(x, s)
		}
		r.eval(y.Until, after)
	}
	if t.Call == nil || found.HasErrors() {
		return
	}
	_, found = t.Call.Bind(args.GetAttr("with"), s)
	r.found = append(r.found, found...)
}
