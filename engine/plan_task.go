package engine

import (
	"context"
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// task plans one task with all its rounds and puts its results into s.
func (w *planWalk) task(ctx context.Context, t *Task, s *Scope, place Place, perhaps bool) error {
	address := w.prefix + "task." + t.Name
	rs, known, ds := rounds(t, address, s)
	if err := w.failOn(ds); err != nil {
		return err
	}
	if !known {
		w.unknownRounds(t, s, place, perhaps)
		s.Tasks[t.Name] = unknownLoop(t)
		return nil
	}
	if len(rs) == 0 {
		d := t.finding(codeLoop, "Nothing to do", "The list is empty, so the task never runs.", address, loopOf(t))
		d.Severity = Warning
		w.plan.Notes = append(w.plan.Notes, d)
	}
	results := map[string]cty.Value{}
	var keys []string
	for _, r := range rs {
		v, err := w.round(ctx, t, r, place, perhaps)
		if err != nil {
			return err
		}
		if !t.Looping() {
			s.Tasks[t.Name] = v
			return nil
		}
		keys, results[r.key] = append(keys, r.key), v
	}
	s.Tasks[t.Name] = byKey(t, keys, results)
	return nil
}

func loopOf(t *Task) Expr {
	if t.OnEach != nil {
		return t.OnEach
	}
	return t.ForEach
}

// unknownRounds is the one line of a loop whose rounds only the run knows. Its
// changes are not in the model, and so nothing read later is certain.
func (w *planWalk) unknownRounds(t *Task, s *Scope, place Place, perhaps bool) {
	e := w.entry(t, w.prefix+"task."+t.Name+"[*]", place)
	e.Perhaps, e.Later, e.Waits = perhaps, true, w.waits(loopOf(t), s)
	e.Summary = "for each of a list that only the run can tell"
	if e.Effect != Read && e.Effect != Control {
		e.Needed, w.changed = true, true
	}
	if t.Call != nil {
		e.Kind, w.changed = CallEntry, true
	}
	w.plan.Entries = append(w.plan.Entries, *e)
}

func (w *planWalk) entry(t *Task, address string, place Place) *Entry {
	w.number++
	return &Entry{
		Kind: TaskEntry, Depth: w.depth, Number: w.number, Address: address, Name: address[len(w.prefix):],
		Type: t.Type.Name, Effect: t.Type.Effect, Role: t.Type.Role, Place: place,
	}
}

// round plans one round, appends its entry, and returns the results, status
// included.
func (w *planWalk) round(ctx context.Context, t *Task, r round, place Place, perhaps bool) (cty.Value, error) {
	if w.left != nil {
		return w.leftRound(ctx, t, r, place, perhaps)
	}
	return w.freshRound(ctx, t, r, place, perhaps)
}

func (w *planWalk) freshRound(ctx context.Context, t *Task, r round, place Place, perhaps bool) (cty.Value, error) {
	e := w.entry(t, r.address, place)
	host, s, hostKnown, hds := target(t, r.scope)
	e.Host, e.Perhaps = host, perhaps
	if t.When != nil {
		v, ds := t.When.Eval(s)
		if err := w.failOn(ds); err != nil {
			return cty.NilVal, err
		}
		switch b, known := boolOf(v); {
		case !known:
			e.Perhaps = true
		case !b:
			e.Skipped, e.Perhaps = true, false
			e.Results = absent(t, Skipped)
			w.plan.Entries = append(w.plan.Entries, *e)
			return e.Results, nil
		}
	}
	if err := w.failOn(hds); err != nil {
		return cty.NilVal, err
	}
	args, ds := t.Args.Bind(s)
	if err := w.failOn(ds); err != nil {
		return cty.NilVal, err
	}
	if err := w.failOn(t.wrongArgument(t.Type.Check(args), r.address)); err != nil {
		return cty.NilVal, err
	}
	e.Args, e.Effect = args, t.Type.EffectOf(args)
	w.waiting(t, e, s)
	later, ds := t.conditions(t.Pre, "Precondition failed", r.address, s)
	if err := w.failOn(ds); err != nil {
		return cty.NilVal, err
	}
	if later {
		e.Checks = append(e.Checks, "precondition is checked during the run")
	}
	v, err := w.byRole(ctx, t, e, s, hostKnown)
	if err != nil {
		return cty.NilVal, err
	}
	if e.Perhaps && place == InPhase {
		v = loosened(v)
	}
	return v, nil
}

// waiting notes which tasks the entry's arguments wait for.
func (w *planWalk) waiting(t *Task, e *Entry, s *Scope) {
	if e.Args.IsWhollyKnown() {
		return
	}
	for _, a := range t.Type.Args {
		for _, address := range w.waits(t.Args.Expr(a.Name), s) {
			if !slices.Contains(e.Waits, address) {
				e.Waits = append(e.Waits, address)
			}
		}
	}
}

// loosened is the results of a task that may be skipped: what is known of them
// holds only if it runs.
func loosened(v cty.Value) cty.Value {
	attrs := map[string]cty.Value{}
	for name, ty := range v.Type().AttributeTypes() {
		attrs[name] = cty.UnknownVal(ty)
	}
	return cty.ObjectVal(attrs)
}

func (w *planWalk) byRole(ctx context.Context, t *Task, e *Entry, s *Scope, hostKnown bool) (cty.Value, error) {
	switch t.Type.Role {
	case Assert:
		return w.assert(t, e, s)
	case Confirm:
		e.Summary = "asks the operator"
		if msg, _ := e.Args.GetAttr("message").Unmark(); msg.IsKnown() && !msg.IsNull() {
			e.Summary = oneLine(msg.AsString())
		}
		if typed, _ := e.Args.GetAttr("typed").Unmark(); !typed.IsKnown() {
			e.Details = append(e.Details, Detail{Name: "to be typed", Value: "known during the run"})
		} else if !typed.IsNull() {
			e.Details = append(e.Details, Detail{Name: "to be typed", Value: typed.AsString()})
		}
		w.plan.Entries = append(w.plan.Entries, *e)
		return withStatus(predictable(t), OK), nil
	case Calls:
		return w.call(ctx, t, e, s)
	}
	return w.plain(ctx, t, e, s, hostKnown)
}

func (w *planWalk) assert(t *Task, e *Entry, s *Scope) (cty.Value, error) {
	holds, known := boolOf(e.Args.GetAttr("condition"))
	switch {
	case !known:
		e.Summary, e.Later = "checked during the run", true
	case !holds:
		return cty.NilVal, w.fail(nil, t.failedAssert(e.Args, e.Address, s))
	default:
		e.Summary = "holds"
	}
	w.plan.Entries = append(w.plan.Entries, *e)
	return withStatus(cty.EmptyObjectVal, OK), nil
}

// failedAssert is the finding about an assertion that does not hold.
func (t *Task) failedAssert(args cty.Value, address string, s *Scope) Diagnostic {
	at := t.Args.Expr("condition")
	text := "The condition does not hold."
	if m, _ := args.GetAttr("error_message").Unmark(); m.IsKnown() && !m.IsNull() {
		text = m.AsString()
	}
	d := t.finding(codeAssert, "Assertion failed", text, address, at)
	if at != nil {
		d.Values = at.Values(s)
	}
	return d
}

func (w *planWalk) call(ctx context.Context, t *Task, e *Entry, s *Scope) (cty.Value, error) {
	program, ds := t.Call.Bind(withOf(e.Args), s)
	if err := w.failOn(ds); err != nil {
		return cty.NilVal, err
	}
	e.Kind, e.Summary = CallEntry, t.Call.Source
	w.plan.Entries = append(w.plan.Entries, *e)
	inner := planWalk{
		planner: w.planner, program: program, prefix: e.Address + "/", depth: w.depth + 1, perhaps: e.Perhaps,
	}
	is := newScope(w.env.Identity)
	if err := inner.phases(ctx, is); err != nil {
		return cty.NilVal, err
	}
	outs, err := inner.outputs(is)
	if err != nil {
		return cty.NilVal, err
	}
	return withStatus(outputsValue(outs), OK), nil
}

// outputsValue is the outputs of a called playbook as results of the call.
func outputsValue(outs []PlannedOutput) cty.Value {
	attrs := map[string]cty.Value{}
	for _, o := range outs {
		attrs[o.Name] = o.Value
		if o.Sensitive {
			attrs[o.Name] = o.Value.Mark(Sensitive)
		}
	}
	return cty.ObjectVal(attrs)
}
