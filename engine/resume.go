package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/zclconf/go-cty/cty"
)

// Why resuming is safe. A task without a line in the journal was not begun, since
// its intent is on disk before its first byte is sent. A task with done is over,
// since done follows the proof. Between the two the journal cannot know, so the
// world is asked: Settle, with the state that was observed before, decides
// whether the effect is there. Everything that is begun after that observes,
// guards and proves anew. What a process writes, the next one reads in the same
// way; so it does not matter where, or how often, one of them dies.

var (
	// errAborted ends the walk of an Abort where the run stood.
	errAborted = errors.New("aborted")

	// errLeft ends the walk of an Abort at a task whose effect nobody knows. What
	// the phase owes is not run then: cleaning up on a guess could harm.
	errLeft = fmt.Errorf("%w: %w", errAborted, ErrUnknownEffect)

	// errOtherPlaybook says that what is recorded is not what the playbook says
	// now. Rescue does not follow: it, too, may be another one.
	errOtherPlaybook = fmt.Errorf("%w since the run was begun", ErrDrift)

	// errConflict says that somebody else changed what an open task was changing.
	errConflict = fmt.Errorf("%w: somebody else changed the same thing", ErrDrift)
)

// recorded takes the task's results from the journal. again is true if they have
// to be read anew, because they are volatile, or were not kept, and a task that
// is still to run needs them.
func (x *taskRun) recorded(l doneLine) (v cty.Value, again bool, err error) {
	if l.Type != x.t.Type.Name {
		return cty.NilVal, false, fmt.Errorf("%w: the journal has it as a task of type %s", errOtherPlaybook, l.Type)
	}
	if err := x.sameArguments(); err != nil {
		return cty.NilVal, false, err
	}
	v, err = l.Results.Decode()
	if err != nil {
		return cty.NilVal, false, fmt.Errorf("%w: results of %s: %w", ErrState, x.address, err)
	}
	if l.Status != OK {
		return absent(x.t, l.Status), false, nil
	}
	if v, err = x.t.converted(v); err != nil {
		return cty.NilVal, false, err
	}
	withheld := len(l.Results.Sensitive) > 0
	if (x.t.Type.Volatile || withheld) && x.runWalk.stillNeeded(x.t, x.fold) {
		if x.t.Type.Effect == Read {
			return cty.NilVal, true, nil
		}
		if withheld {
			return cty.NilVal, false, fmt.Errorf("%w: it yielded a sensitive value, which the journal does not keep and a later task needs", ErrDrift)
		}
	}
	x.how, x.host, x.effect = Recorded, l.Host, l.Effect
	if !x.tellsOnce() {
		return v, false, nil
	}
	x.emit(x.event(TaskEnd, func(e *Event) {
		e.Status, e.How, e.Changed, e.Elapsed = OK, Recorded, l.Changed, l.Elapsed
	}))
	return v, false, nil
}

// sameArguments holds the arguments with which the task made its change against
// those of a playbook that was changed since. A change that is done cannot become
// another one.
func (x *taskRun) sameArguments() error {
	l, ok := x.fold.args[x.address]
	if !x.changesAccepted || !ok || len(l.Sensitive) > 0 {
		return nil
	}
	before, err := l.Decode()
	if err != nil {
		return fmt.Errorf("%w: arguments of %s: %w", ErrState, x.address, err)
	}
	_, s, _, ds := target(x.t, x.scope)
	if ds.HasErrors() {
		return fmt.Errorf("%w: %w", errOtherPlaybook, ds)
	}
	now, ds := x.t.Args.Bind(s)
	if ds.HasErrors() {
		return fmt.Errorf("%w: %w", errOtherPlaybook, ds)
	}
	names := differing(before, now)
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it was done with %s = %s and now it is %s", errOtherPlaybook, names[0],
		x.scrub.brief(before.GetAttr(names[0])), x.scrub.brief(now.GetAttr(names[0])))
}

// converted is recorded results as the type yields them now. A result that the
// journal lacks, or has as another type, is an error.
func (t *Task) converted(v cty.Value) (cty.Value, error) {
	if t.Call != nil {
		return v, nil
	}
	attrs := map[string]cty.Value{}
	for name, ty := range t.Type.ResultType().AttributeTypes() {
		if !v.Type().HasAttribute(name) || !v.GetAttr(name).Type().Equals(ty) {
			return cty.NilVal, fmt.Errorf("%w: the journal has no result %q of type %s", ErrDrift, name, ty.FriendlyName())
		}
		attrs[name] = v.GetAttr(name)
	}
	return cty.ObjectVal(attrs), nil
}

// stillNeeded reports whether a task that is not finished, or an output, refers
// to t.
func (w *runWalk) stillNeeded(t *Task, f *fold) bool {
	for i, ph := range w.program.Phases {
		state := f.phases[fmt.Sprintf("%sphase[%d]", w.prefix, i)].State
		if state == phaseSkipped || state == phaseOK {
			continue
		}
		for _, part := range [][]*Task{ph.Tasks, ph.Rescue, ph.Always} {
			for _, other := range part {
				if !f.finished(w.prefix+"task."+other.Name) && other.refersTo(t.Name) {
					return true
				}
			}
		}
		if state == "" && refersTo(ph.When, t.Name) {
			return true
		}
	}
	for _, o := range w.program.Outputs {
		if refersTo(o.Value, t.Name) {
			return true
		}
	}
	return false
}

// refersTo reports whether any expression of the task refers to the other.
func (t *Task) refersTo(name string) bool {
	es := []Expr{t.On, t.OnEach, t.Parallel, t.ForEach, t.When, t.Become, t.Timeout}
	if t.Retry != nil {
		es = append(es, t.Retry.Attempts, t.Retry.Interval, t.Retry.Backoff, t.Retry.MaxInterval, t.Retry.Until)
	}
	for _, c := range append(append([]Condition{}, t.Pre...), t.Post...) {
		es = append(es, c.Condition, c.Message)
	}
	if t.Args != nil {
		for _, a := range t.Type.Args {
			es = append(es, t.Args.Expr(a.Name))
		}
	}
	for _, e := range es {
		if refersTo(e, name) {
			return true
		}
	}
	return false
}

func refersTo(e Expr, name string) bool {
	if e == nil {
		return false
	}
	for _, n := range e.Tasks() {
		if n == name {
			return true
		}
	}
	return false
}

// reread carries out a finished read once more.
func (x *taskRun) reread(ctx context.Context) (cty.Value, error) {
	host, s, known, ds := target(x.t, x.scope)
	x.host, x.scope = host, s
	if ds.HasErrors() {
		return cty.NilVal, ds
	}
	if !known {
		return cty.NilVal, errors.New("the host to run on is null")
	}
	if err := x.bind(); err != nil {
		return cty.NilVal, err
	}
	limit, ds := duration(x.t.Timeout, x.scope, x.t.Type.Timeout)
	if ds.HasErrors() {
		return cty.NilVal, ds
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	h, err := x.connect(ctx)
	if err != nil {
		return cty.NilVal, err
	}
	x.start(Planned{})
	state, err := x.t.Type.Observe(ctx, x.eyes(h), x.plain)
	if err != nil {
		return cty.NilVal, fmt.Errorf("reading it again, since a later task needs it: %w", err)
	}
	v := x.t.Type.Report(x.plain, state)
	x.scrub.AddValue(v)
	x.tellOK(nil, nil)
	return withStatus(v, OK), nil
}

// recall puts what the journal has of a task into s, without running anything.
func (p *runPhase) recall(t *Task, s *Scope) error {
	base := p.prefix + "task." + t.Name
	one := func(address string) (cty.Value, error) {
		l, ok := p.fold.done[address]
		if !ok || l.Status != OK {
			return absent(t, Failed), nil
		}
		v, err := l.Results.Decode()
		if err != nil {
			return cty.NilVal, fmt.Errorf("%w: results of %s: %w", ErrState, address, err)
		}
		return t.converted(v)
	}
	if !t.Looping() {
		v, err := one(base)
		s.Tasks[t.Name] = v
		return err
	}
	results := map[string]cty.Value{}
	keys := p.fold.loops[base]
	for _, k := range keys {
		v, err := one(fmt.Sprintf("%s[%q]", base, k))
		if err != nil {
			return err
		}
		results[k] = v
	}
	s.Tasks[t.Name] = byKey(t, keys, results)
	return nil
}

// reconcile finds out what became of an effect that was begun by a process that
// did not live to tell. settled is true if the effect is there; v is then its
// results. Not there, or half: the task runs as if for the first time.
func (x *taskRun) reconcile(ctx context.Context, look Look, l intentLine) (v cty.Value, settled bool, err error) {
	x.start(Planned{Needed: true, Summary: "looks whether the interrupted run has done it"})
	args, err := x.intended(l)
	if err != nil {
		return cty.NilVal, false, err
	}
	state, err := x.t.Type.State(l.State)
	if err != nil {
		return cty.NilVal, false, fmt.Errorf("%w: %w", ErrState, err)
	}
	if !x.t.Type.Settles() {
		return cty.NilVal, false, x.inDoubt(ctx)
	}
	sctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	found, results, err := x.t.Type.Settle(sctx, look, args, state)
	if errors.Is(err, ErrBlind) {
		return cty.NilVal, false, x.inDoubt(ctx)
	}
	if err != nil {
		return cty.NilVal, false, fmt.Errorf("%w: looking did not tell: %w", ErrUnknownEffect, err)
	}
	switch found {
	case Conflict:
		if x.aborting && x.place == InPhase {
			return cty.NilVal, false, errLeft
		}
		return cty.NilVal, false, errConflict
	case Done:
		x.settled()
		x.how, x.changed = Reconciled, true
		plain, _ := results.UnmarkDeep()
		if err := x.t.Type.Verify(ctx, look, args, plain); err != nil {
			return cty.NilVal, false, fmt.Errorf("done by the interrupted run, but not proved: %w", err)
		}
		return results, true, nil
	}
	effect := effectNone
	if found == Partial {
		effect = effectPartial
	}
	if err := x.failed(effect, errors.New("interrupted"), nil); err != nil {
		return cty.NilVal, false, err
	}
	x.settled()
	return cty.NilVal, false, nil
}

// hasBegun reports whether an earlier process began the task or what it calls.
func (r *runner) hasBegun(address string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fold.begun(address)
}

// begun is what the journal has of a task that was begun by an earlier process and
// is not settled yet.
func (x *taskRun) begun() (intentLine, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	l, ok := x.fold.open[x.address]
	return l, ok
}

// settled says that what became of it is known.
func (x *taskRun) settled() {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.fold.open, x.address)
}

// intended is the arguments of the intent. They must be those of the task now;
// sensitive ones, which the journal does not keep, are taken from there.
func (x *taskRun) intended(l intentLine) (cty.Value, error) {
	if l.Type != x.t.Type.Name || l.Host != x.host {
		return cty.NilVal, fmt.Errorf("%w: it was begun as a %s on %q", ErrDrift, l.Type, l.Host)
	}
	args, err := l.Args.Decode()
	if err != nil {
		return cty.NilVal, fmt.Errorf("%w: arguments of %s: %w", ErrState, x.address, err)
	}
	if len(l.Args.Sensitive) > 0 {
		return x.plain, nil
	}
	if names := differing(args, x.plain); len(names) > 0 {
		return cty.NilVal, fmt.Errorf("%w: it was begun with %s = %s and now it is %s", ErrDrift, names[0],
			x.scrub.brief(args.GetAttr(names[0])), x.scrub.brief(x.args.GetAttr(names[0])))
	}
	return args, nil
}

// inDoubt decides on a task of which nobody can see whether it took effect. An
// abort leaves it as it is; else a person has to know.
func (x *taskRun) inDoubt(ctx context.Context) error {
	if x.aborting && x.place == InPhase {
		return errLeft
	}
	return x.askAgain(ctx)
}

// askAgain asks the operator whether a task whose effect cannot be seen is to be
// run once more.
func (x *taskRun) askAgain(ctx context.Context) error {
	question := fmt.Sprintf("%s was begun and its end is not recorded. Whether it took effect cannot be seen. Run it once more?", x.address)
	a, err := x.ask(ctx, x.address+" again", Question{Address: x.address, Text: question})
	if errors.Is(err, ErrState) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: whether it took effect cannot be seen: %w", ErrUnknownEffect, err)
	}
	if !a.Yes {
		return fmt.Errorf("%w: whether it took effect cannot be seen, and it is not to be run again", ErrUnknownEffect)
	}
	return nil
}
