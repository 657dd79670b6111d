package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// plain plans a task of a type with a Spec.
func (w *planWalk) plain(ctx context.Context, t *Task, e *Entry, s *Scope, hostKnown bool) (cty.Value, error) {
	args, _ := e.Args.UnmarkDeep()
	before := w.world.Cluster.Budget()
	state, err := w.observe(ctx, t, e, s, args, hostKnown)
	if err != nil {
		return cty.NilVal, err
	}
	planned, results := t.Type.Plan(Planning{
		World: w.world, Host: e.Host, Cluster: w.program.Cluster, RunID: w.env.Identity.ID, Address: e.Address,
	}, args, state)
	e.Summary, e.Details, e.Diff, e.Needed = planned.Summary, planned.Details, planned.Diff, planned.Needed
	if e.Effect == Read {
		e.Needed = false
		results = w.readResults(t, e, args, state)
	} else if e.Needed {
		if err := w.guard(t, e, args, state); err != nil {
			return cty.NilVal, err
		}
		t.Type.Advance(e.Host, e.Address, args, results, w.world)
		w.changed = true
		if after := w.world.Cluster.Budget(); after != before {
			e.Before, e.After = &before, &after
		}
	}
	results = withStatus(results, OK)
	if err := w.postconditions(t, e, s, results); err != nil {
		return cty.NilVal, err
	}
	e.Results = results
	w.plan.Entries = append(w.plan.Entries, *e)
	return results, nil
}

// observe looks at what is, for real as long as no change is planned and through
// the plan's imagination of the host after. A state that was not observed says
// that only the run can.
func (w *planWalk) observe(ctx context.Context, t *Task, e *Entry, s *Scope, args cty.Value, hostKnown bool) (State, error) {
	imagined := w.changed && (e.Host == "" || e.Effect == Read)
	if !args.IsWhollyKnown() || !hostKnown || imagined {
		return State{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, planPatience)
	defer cancel()
	var reader conn.Reader
	if e.Host != "" {
		spec, ds := hostSpec(w.program, t, e.Host, s)
		if err := w.failOn(ds); err != nil {
			return State{}, err
		}
		var err error
		if reader, err = w.host(ctx, spec); err != nil {
			return State{}, w.lookFailed(t, e, err)
		}
	}
	l := lookAt(w.program, w.env, reader)
	l.At = func(ctx context.Context, name string) (conn.Reader, error) {
		spec, ok := w.program.host(name)
		if !ok {
			return nil, fmt.Errorf("the inventory has no host %q", name)
		}
		return w.host(ctx, spec)
	}
	if e.Host == "" {
		if err := w.silent(""); err != nil {
			return State{}, w.lookFailed(t, e, err)
		}
	}
	state, err := t.Type.Observe(ctx, l, args)
	if e.Host == "" && errors.Is(err, conn.ErrUnreachable) {
		w.silence("", err)
	}
	switch {
	case err == nil:
		return state, nil
	case errors.Is(err, ErrImagined):
		return State{}, nil
	}
	return State{}, w.lookFailed(t, e, err)
}

// unreachable is the summary of a host that cannot be connected to.
const unreachable = "Host does not answer"

// lookFailed turns an error of looking into what would stop the run. In a part
// that only perhaps runs, it stops nothing.
func (w *planWalk) lookFailed(t *Task, e *Entry, err error) error {
	if e.Perhaps {
		e.Later = true
		e.Checks = append(e.Checks, "cannot be looked at now: "+oneLine(err.Error()))
		return nil
	}
	switch {
	case errors.Is(err, conn.ErrRefused) && e.Host != "":
		return w.fail(err, t.finding(codeUnreachable, "Connection not made", fmt.Sprintf("No connection to host %s: %s.", e.Host, oneLine(err.Error())), e.Address, t.On))
	case errors.Is(err, conn.ErrRefused):
		return w.fail(err, t.finding(codeUnreachable, "Connection not made", sentence(err.Error()), e.Address, nil))
	case !errors.Is(err, conn.ErrUnreachable):
	case e.Host == "":
		return w.fail(err, t.finding(codeUnreachable, "Cluster does not answer", sentence(err.Error()), e.Address, nil))
	default:
		return w.fail(err, t.finding(codeUnreachable, unreachable,
			fmt.Sprintf("Host %s does not answer: %s.%s", e.Host, oneLine(err.Error()), t.purpose()), e.Address, t.On))
	}
	return w.fail(err, t.finding(codeTask, "Task failed", sentence(err.Error()), e.Address, nil))
}

// readResults is what a read yields in a plan.
func (w *planWalk) readResults(t *Task, e *Entry, args cty.Value, state State) cty.Value {
	if state.known {
		return t.Type.Report(args, state)
	}
	if w.changed {
		if v, ok := t.Type.Model(e.Host, args, w.world); ok {
			e.ByModel = true
			return v
		}
	}
	e.Later = true
	return predictable(t)
}

// guard asks the predicates, on the model. A refusal stops the plan, except in a
// part that only perhaps runs.
func (w *planWalk) guard(t *Task, e *Entry, args cty.Value, state State) error {
	if !args.IsWhollyKnown() {
		if t.Type.guarded() {
			e.Checks = append(e.Checks, "its safety is checked during the run")
		}
		return nil
	}
	e.Verdict = t.Type.Guard(e.Host, args, state, w.world)
	refusal := e.Verdict.Err()
	if refusal == nil || e.Perhaps {
		return nil
	}
	w.plan.Entries = append(w.plan.Entries, *e)
	return w.fail(refusal, t.refused(e.Verdict, e.Address))
}

// refused is the finding about a change that the predicates do not allow.
func (t *Task) refused(v world.Verdict, address string) Diagnostic {
	text := ""
	var help []string
	for _, c := range v.Checks {
		if c.Holds {
			continue
		}
		if text != "" {
			text += "\n\n"
		}
		text += c.ID + ": " + c.Text
		if c.Help != "" && !slices.Contains(help, c.Help) {
			help = append(help, c.Help)
		}
	}
	for _, h := range help {
		text += "\n\n" + h
	}
	return t.finding(codeRefused, "Refused", text, address, nil)
}

// postconditions are certain only about what was really read.
func (w *planWalk) postconditions(t *Task, e *Entry, s *Scope, results cty.Value) error {
	if len(t.Post) == 0 {
		return nil
	}
	later, ds := t.conditions(t.Post, "Postcondition failed", e.Address, s.With(func(s *Scope) { s.Self = results }))
	waits := t.Retry != nil || e.ByModel || e.Later || e.Perhaps || e.Effect != Read
	if ds.HasErrors() && !waits {
		return w.fail(nil, ds...)
	}
	if later || ds.HasErrors() {
		e.Checks = append(e.Checks, "postcondition is checked during the run")
	}
	return nil
}
