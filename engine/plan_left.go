package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/journal"
)

// PlanResume works out what taking up r would still do: what the journal has as
// done is shown so, what was begun and not ended is marked open, and the rest is
// planned from what is there now. It changes nothing and holds no lock. What
// would fail as things are now does not end such a plan: a resumed run may wait
// for what a look finds missing, and looks better, so it only stands with its task.
// The error wraps ErrDrift where the run cannot be taken up with this program.
func PlanResume(ctx context.Context, p *Program, env Env, r *Record, accept bool) (*Plan, error) {
	payloads, err := journal.Read(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: run %s: %w", ErrState, r.Identity.ID, err)
	}
	left := newRunner(p, env, nil, nil)
	if left.fold, err = foldLines(payloads); err != nil {
		return nil, err
	}
	if _, err := left.changes(accept); err != nil {
		return nil, err
	}
	env.Identity = r.Identity
	m := newPlanner(p, env)
	m.left = &leftover{fold: left.fold, dead: map[string]error{}}
	return m.make(ctx, p)
}

// leftover is what a run has left behind, for the plan of its resume.
type leftover struct {
	fold *fold
	dead map[string]error // hosts that did not answer, by name; "" is the cluster
}

// leftRound plans one round of a run that is to be taken up.
func (w *planWalk) leftRound(ctx context.Context, t *Task, r round, place Place, perhaps bool) (cty.Value, error) {
	f := w.left.fold
	if l, ok := f.done[r.address]; ok && place == l.Place {
		if v, ok := w.recordedRound(t, r, l, place); ok {
			return v, nil
		}
	}
	_, isOpen := f.open[r.address]
	begun, before := len(w.plan.Entries), w.changed
	v, err := w.freshRound(ctx, t, r, place, perhaps)
	if err != nil && !errors.Is(err, errPlanned) {
		return cty.NilVal, err
	}
	if err != nil {
		v = w.doubtful(t, r, place, begun, before)
	}
	e := &w.plan.Entries[begun]
	if t.Type.Role == Confirm && f.answers[r.address].Yes {
		e.Recorded = true
	}
	if !isOpen || t.Call != nil {
		return v, nil
	}
	e.Open = true
	if e.Needed {
		v = loosened(v)
	}
	return v, nil
}

// doubtful makes an entry of a task that would fail as things are now. What it
// yields, and what comes after it, only the run can tell.
func (w *planWalk) doubtful(t *Task, r round, place Place, begun int, before bool) cty.Value {
	why := "it would fail"
	if len(w.plan.Failed) > 0 {
		d := w.plan.Failed[0]
		why = oneLine(d.Detail)
		if d.Summary == "Refused" {
			why = "" // the verdict stands with the entry
		}
	}
	w.plan.Failed, w.plan.cause = nil, nil
	if len(w.plan.Entries) == begun {
		e := w.entry(t, r.address, place)
		w.number-- // it was counted when it was planned
		e.Number = w.number
		e.Host, _, _, _ = target(t, r.scope) // "" where it cannot be told
		w.plan.Entries = append(w.plan.Entries, *e)
	}
	e := &w.plan.Entries[begun]
	e.Later, e.Doubt = true, why
	e.Needed = e.Effect == Change || e.Effect == Destroy
	w.changed = before || e.Needed
	return open(t)
}

// recordedRound is a round that the journal has as done; false where its results
// have to be read again.
func (w *planWalk) recordedRound(t *Task, r round, l doneLine, place Place) (cty.Value, bool) {
	v, err := l.Results.Decode()
	if err != nil || l.Type != t.Type.Name {
		return cty.NilVal, false
	}
	walk := runWalk{program: w.program, prefix: w.prefix}
	withheld := len(l.Results.Sensitive) > 0
	if (t.Type.Volatile || withheld) && l.Status == OK && walk.stillNeeded(t, w.left.fold) && t.Type.Effect == Read {
		return cty.NilVal, false
	}
	e := w.entry(t, r.address, place)
	e.Host, e.Recorded, e.Skipped = l.Host, true, l.Status != OK
	if t.Call != nil {
		e.Kind = CallEntry
	}
	if e.Skipped {
		e.Results = absent(t, Skipped)
	} else if e.Results, err = t.converted(v); err != nil {
		return cty.NilVal, false
	} else if withheld {
		e.Results = open(t)
	}
	w.plan.Entries = append(w.plan.Entries, *e)
	return e.Results, true
}

// owed plans what a phase still owes whose process died while it was cleaned up;
// after that the phase begins anew, on what it leaves.
func (w *planWalk) owed(ctx context.Context, ph *Phase, key string, s *Scope) error {
	f := w.left.fold
	l := f.phases[key]
	if l.State != phaseRescuing {
		return nil
	}
	w.plan.Entries = append(w.plan.Entries, Entry{
		Kind: PhaseEntry, Depth: w.depth, Name: ph.Name, Address: w.prefix + "phase." + ph.Name,
		Summary: ph.Description, Owed: true,
	})
	number := w.number
	inner := afterFailure(ph, s.With(func(c *Scope) {
		c.Tasks = map[string]cty.Value{}
		for name, v := range s.Tasks {
			c.Tasks[name] = v
		}
		for _, t := range ph.Tasks {
			c.Tasks[t.Name] = notRun(t)
		}
	}))
	w.number += len(ph.Tasks)
	for i, t := range slices.Concat(ph.Rescue, ph.Always) {
		place := InRescue
		if i >= len(ph.Rescue) {
			place = InAlways
		}
		if err := w.task(ctx, t, inner, place, false); err != nil {
			return err
		}
	}
	w.number = number
	again := phaseLine{Key: key, Name: ph.Name, State: phaseFailed}
	for _, t := range slices.Concat(ph.Tasks, ph.Rescue, ph.Always) {
		again.Tasks = append(again.Tasks, w.prefix+"task."+t.Name)
	}
	f.addPhase(again)
	for _, name := range again.Tasks {
		forget(f.open, []string{name})
	}
	return nil
}

// silent is why the host, or with "" the cluster, is not asked again.
func (m *planner) silent(host string) error {
	if m.left == nil {
		return nil
	}
	return m.left.dead[host]
}

// silence remembers who did not answer, so that a plan of many tasks does not
// wait for the same host many times.
func (m *planner) silence(host string, err error) {
	if m.left != nil {
		m.left.dead[host] = err
	}
}
