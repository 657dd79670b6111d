package hcl

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/check"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// world is what the names of one bound playbook are, as far as no task has to
// run for it. It may be used by several goroutines.
type world struct {
	p     *Playbook
	vars  map[string]cty.Value
	whole map[string]cty.Value // host, group, cluster, localhost, run

	mu     sync.Mutex
	locals map[string]cty.Value // of locals that depend on no task and not on the run
	still  map[string]bool      // whether a local is such a one
}

func (p *Playbook) world(names map[string]cty.Value, vars map[string]cty.Value) *world {
	w := &world{
		p:      p,
		vars:   vars,
		whole:  map[string]cty.Value{},
		locals: map[string]cty.Value{},
		still:  map[string]bool{},
	}
	for n, v := range names {
		w.whole[n] = v
	}
	return w
}

func runValue(id engine.Identity) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"id":         cty.StringVal(id.ID),
		"started_at": cty.StringVal(id.StartedAt.UTC().Format(time.RFC3339)),
		"user":       cty.StringVal(id.User),
	})
}

// view is a world together with what has come of the tasks so far, seen from one
// file.
type view struct {
	*world
	file *syntax.File
	s    *engine.Scope
}

// context is what an expression with these references is evaluated in.
func (v view) context(refs []scope.Reference) (*hcl.EvalContext, hcl.Diagnostics) {
	return scope.Context(v.p.folders[v.file].Functions, refs, v)
}

func (v view) Named(root, name string) (cty.Value, hcl.Diagnostics) {
	switch root {
	case "var":
		if val, ok := v.vars[name]; ok {
			return val, nil
		}
	case "local":
		return v.local(name)
	case "task":
		if v.s != nil {
			if val, ok := v.s.Tasks[name]; ok {
				return val, nil
			}
		}
		if t := v.p.Task(name); t != nil {
			return v.p.NotRun(t), nil
		}
	}
	return cty.DynamicVal, nil
}

// local is the value of a local at this moment.
func (v view) local(name string) (cty.Value, hcl.Diagnostics) {
	x := v.p.Local(name)
	if x == nil {
		return cty.DynamicVal, nil
	}
	still := v.isStill(name)
	if still {
		v.mu.Lock()
		val, ok := v.locals[name]
		v.mu.Unlock()
		if ok {
			return val, nil
		}
	}
	ctx, found := view{world: v.world, file: x.File, s: v.s}.context(scope.References(x.Expression))
	val, more := eval.Evaluate(x.Expression, ctx)
	found = append(found, more...)
	if found.HasErrors() {
		return cty.DynamicVal, found
	}
	if still {
		v.mu.Lock()
		v.world.locals[name] = val
		v.mu.Unlock()
	}
	return val, nil
}

// isStill reports whether a local has the same value during the whole run.
func (w *world) isStill(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stillLocked(name)
}

func (w *world) stillLocked(name string) bool {
	if s, ok := w.still[name]; ok {
		return s
	}
	w.still[name] = false // until the walk says otherwise
	x := w.p.Local(name)
	still := x != nil
	for _, r := range scope.References(x.Expression) {
		switch r.Root {
		case "task", "run":
			still = false
		case "local":
			still = w.stillLocked(r.Name) && still
		}
	}
	w.still[name] = still
	return still
}

func (v view) Whole(root string) cty.Value {
	if v.s != nil {
		var val cty.Value
		switch root {
		case "each":
			val = v.s.Each
		case "target":
			val = v.s.Target
		case "self":
			val = v.s.Self
		case "error":
			val = v.s.Error
		case "run":
			val = v.s.Run
		}
		if val != cty.NilVal {
			return val
		}
	}
	if root == "path" {
		return cty.ObjectVal(map[string]cty.Value{"playbook": cty.StringVal(directory(v.file.Name))})
	}
	if val, ok := v.whole[root]; ok {
		return val
	}
	return cty.DynamicVal
}

// expr is one expression of a bound playbook.
type expr struct {
	w    *world
	x    *syntax.Expr
	refs []scope.Reference
	want check.Want
}

// expression is an engine's expression of x; nil for nil.
func (w *world) expression(x *syntax.Expr, form check.Form) engine.Expr {
	if x == nil {
		return nil
	}
	return w.expr(x, form)
}

func (w *world) expr(x *syntax.Expr, form check.Form) *expr {
	return &expr{w: w, x: x, refs: scope.References(x.Expression), want: check.Want{Form: form}}
}

func (e *expr) Range() engine.Range { return *diag.Range(e.x.Range()) }

func (e *expr) Eval(s *engine.Scope) (cty.Value, engine.Diagnostics) {
	v, found := e.value(s)
	if found.HasErrors() {
		return cty.DynamicVal, found
	}
	v, found = e.want.Convert(e.x, v)
	e.explain(found, s)
	if found.HasErrors() {
		return cty.DynamicVal, found
	}
	return v, found
}

// value is what the expression yields, before its place has its say.
func (e *expr) value(s *engine.Scope) (cty.Value, engine.Diagnostics) {
	ctx, found := view{world: e.w, file: e.x.File, s: s}.context(e.refs)
	if found.HasErrors() {
		return cty.DynamicVal, check.Findings(found, e.x.Place)
	}
	v, found := eval.Evaluate(e.x.Expression, ctx)
	if found.HasErrors() {
		ds := check.Findings(found, e.x.Place)
		e.explain(ds, s)
		return cty.DynamicVal, ds
	}
	return v, nil
}

// explain adds to findings of a null where the null comes from.
func (e *expr) explain(found engine.Diagnostics, s *engine.Scope) {
	if s == nil || len(found) == 0 {
		return
	}
	for _, name := range e.Tasks() {
		if statusOf(s.Tasks[name]) != "skipped" {
			continue
		}
		for i := range found {
			if found[i].Code == string(diag.NullValue) || found[i].Code == string(diag.Evaluation) {
				found[i].Detail += " Task \"" + name + "\" was skipped by its when, and the results of a skipped task are null. Give this task the same when, or use coalesce()."
			}
		}
		return
	}
}

// statusOf is a task's status, "" if it loops or has not run.
func statusOf(v cty.Value) string {
	if v == cty.NilVal {
		return ""
	}
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() || !v.Type().IsObjectType() || !v.Type().HasAttribute("status") {
		return ""
	}
	st, _ := v.GetAttr("status").Unmark()
	if st.Type() != cty.String || !st.IsKnown() || st.IsNull() {
		return ""
	}
	return st.AsString()
}

func (e *expr) Tasks() []string {
	f := finder{p: e.w.p, locals: map[string]bool{}}
	f.follow(e.refs)
	return f.tasks
}

// finder gathers the tasks that expressions depend on.
type finder struct {
	p      *Playbook
	locals map[string]bool
	tasks  []string
}

func (f *finder) follow(refs []scope.Reference) {
	for _, r := range refs {
		switch {
		case r.Root == "task" && !slices.Contains(f.tasks, r.Name):
			f.tasks = append(f.tasks, r.Name)
		case r.Root == "local" && !f.locals[r.Name]:
			f.locals[r.Name] = true
			if x := f.p.Local(r.Name); x != nil {
				f.follow(scope.References(x.Expression))
			}
		}
	}
}

func (e *expr) Values(s *engine.Scope) []engine.NamedValue {
	ctx, _ := view{world: e.w, file: e.x.File, s: s}.context(e.refs)
	src := e.x.File.Source
	var values []engine.NamedValue
	seen := map[string]bool{}
	for _, x := range scope.Mentions(e.x.Expression) {
		at := x.Range()
		name := string(src[at.Start.Byte:at.End.Byte])
		if seen[name] {
			continue
		}
		seen[name] = true
		v, found := x.Value(ctx)
		if found.HasErrors() || eval.IsSensitive(v) {
			continue
		}
		values = append(values, engine.NamedValue{Name: name, Value: v})
	}
	slices.SortFunc(values, func(a, b engine.NamedValue) int { return strings.Compare(a.Name, b.Name) })
	return values
}
