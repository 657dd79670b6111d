package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// runWalk is the walk through one program: the playbook itself, or one that it
// calls.
type runWalk struct {
	*runner
	program *Program
	prefix  string // of addresses
}

func (w *runWalk) phases(ctx context.Context, s *Scope) error {
	for i, ph := range w.program.Phases {
		p := &runPhase{runWalk: w, ph: ph, key: fmt.Sprintf("%sphase[%d]", w.prefix, i)}
		if err := p.run(ctx, s); err != nil {
			return err
		}
	}
	if w.aborting {
		return errAborted
	}
	return nil
}

func (w *runWalk) outputs(s *Scope) ([]PlannedOutput, error) {
	var outs []PlannedOutput
	for _, o := range w.program.Outputs {
		v, ds := o.Value.Eval(s)
		if ds.HasErrors() {
			return nil, ds
		}
		if o.Sensitive {
			v = v.Mark(Sensitive)
			w.scrub.AddValue(v)
		}
		outs = append(outs, PlannedOutput{Name: o.Name, Value: v, Sensitive: o.Sensitive})
	}
	return outs, nil
}

// runPhase is the walk through one phase.
type runPhase struct {
	*runWalk
	ph    *Phase
	key   string
	shown bool

	standing standing
}

// grain reports whether the phase begins anew once it has failed.
func (p *runPhase) grain() bool { return len(p.ph.Rescue)+len(p.ph.Always) > 0 }

func (p *runPhase) everyTask() []*Task { return slices.Concat(p.ph.Tasks, p.ph.Rescue, p.ph.Always) }

func (p *runPhase) run(ctx context.Context, s *Scope) error {
	state := p.fold.phases[p.key].State
	if p.aborting && (state == "" || state == phaseFailed) {
		return errAborted
	}
	if skip, err := p.skipped(s); err != nil || skip {
		return err
	}
	if state == phaseRescuing {
		// The process died while it cleaned up. That is finished first; then the
		// phase begins anew.
		if err := p.owed(ctx, s); err != nil {
			return err
		}
		if p.aborting {
			return errAborted
		}
	}
	if state != phaseOK && state != phaseBegun {
		if err := p.state(phaseBegun, nil); err != nil {
			return err
		}
	}
	err := p.tasks(ctx, s)
	if err == nil {
		err = p.always(ctx, s)
		if err == nil && state != phaseOK {
			err = p.state(phaseOK, nil)
		}
		p.end(statusOf(err))
		return err
	}
	if !p.cleansUp(ctx, err) {
		p.end(statusOf(err))
		return err
	}
	if serr := p.state(phaseRescuing, err); serr != nil {
		return serr
	}
	if cerr := p.cleanUp(ctx, s, err); cerr != nil {
		return cerr
	}
	p.end(Rescued)
	return err
}

// cleansUp reports whether rescue and always follow on err. They do not where
// the journal is lost, where the operator said to stop at once, and where it is
// not known what the last task did: cleaning up on a guess could harm.
func (p *runPhase) cleansUp(ctx context.Context, err error) bool {
	return p.grain() && ctx.Err() == nil && !errors.Is(err, ErrState) &&
		!errors.Is(err, ErrUnknownEffect) && !errors.Is(err, errConflict) && !errors.Is(err, errOtherPlaybook) && ofDrift(err) == nil
}

// skipped decides on the phase's when. What was decided before holds.
func (p *runPhase) skipped(s *Scope) (bool, error) {
	if p.ph.When == nil {
		return false, nil
	}
	state := p.fold.phases[p.key].State
	skip := state == phaseSkipped
	if state == "" || state == phaseFailed {
		v, ds := p.ph.When.Eval(s)
		if ds.HasErrors() {
			return false, ds
		}
		b, known := boolOf(v)
		if !known {
			return false, fmt.Errorf("the condition of phase %q is null", p.ph.Name)
		}
		if skip = !b; skip {
			if err := p.state(phaseSkipped, nil); err != nil {
				return false, err
			}
		}
	}
	if skip {
		for _, t := range p.everyTask() {
			s.Tasks[t.Name] = notRun(t)
		}
		p.begin()
		p.end(Skipped)
	}
	return skip, nil
}

// begin tells of the phase, once.
func (p *runPhase) begin() {
	if p.shown || p.ph.Name == "" {
		return
	}
	p.shown = true
	p.emit(Event{Kind: PhaseStart, Phase: p.ph.Name, Address: p.prefix + "phase." + p.ph.Name, Message: p.ph.Description})
}

func (p *runPhase) end(status Status) {
	if p.ph.Name == "" || !p.shown {
		return
	}
	p.shown = false
	p.emit(Event{Kind: PhaseEnd, Phase: p.ph.Name, Address: p.prefix + "phase." + p.ph.Name, Status: status})
}

// state records where the phase stands.
func (p *runPhase) state(state phaseState, err error) error {
	l := phaseLine{T: "phase", Key: p.key, Name: p.ph.Name, State: state, At: p.env.now()}
	if te := (*taskError)(nil); errors.As(err, &te) {
		l.Task, l.Message = te.address, p.scrub.String(te.cause())
	} else if err != nil {
		l.Message = p.scrub.String(oneLine(err.Error()))
	}
	if state == phaseFailed {
		for _, t := range p.everyTask() {
			l.Tasks = append(l.Tasks, p.prefix+"task."+t.Name)
		}
	}
	if err := p.record(l); err != nil {
		return err
	}
	p.fold.addPhase(l)
	return nil
}

func (p *runPhase) tasks(ctx context.Context, s *Scope) error {
	for i := 0; i < len(p.ph.Tasks); i++ {
		t := p.ph.Tasks[i]
		address := p.prefix + "task." + t.Name
		if p.aborting && !p.hasBegun(address) {
			return errAborted
		}
		if p.stopping() && !p.fold.finished(address) {
			return ErrInterrupted
		}
		p.begin()
		err := p.task(ctx, t, InPhase, s)
		if errors.Is(err, errGone) {
			if i, err = p.back(); err != nil {
				return err
			}
			i--
			continue
		}
		if err != nil {
			return err
		}
	}
	for _, t := range p.ph.Rescue {
		s.Tasks[t.Name] = notRun(t)
	}
	if p.aborting && p.fold.phases[p.key].State != phaseOK {
		return errAborted
	}
	return nil
}

// always runs the phase's last part after success.
func (p *runPhase) always(ctx context.Context, s *Scope) error {
	for _, t := range p.ph.Always {
		if err := p.task(ctx, t, InAlways, s); err != nil {
			return err
		}
	}
	return nil
}

// cleanUp runs rescue and always after cause, best effort: a task that fails
// does not keep the others from running. Only a lost journal, or the operator,
// ends it.
func (p *runPhase) cleanUp(ctx context.Context, s *Scope, cause error) error {
	task, text := "", oneLine(cause.Error())
	if te := (*taskError)(nil); errors.As(cause, &te) {
		task, text = te.address, te.cause()
	}
	inner := s.With(func(s *Scope) {
		s.Error = cty.ObjectVal(map[string]cty.Value{
			"task": cty.StringVal(task), "message": cty.StringVal(p.scrub.String(text)),
		})
	})
	for _, t := range p.everyTask() {
		if _, ok := s.Tasks[t.Name]; !ok {
			s.Tasks[t.Name] = notRun(t)
		}
	}
	for i, t := range slices.Concat(p.ph.Rescue, p.ph.Always) {
		place := InRescue
		if i >= len(p.ph.Rescue) {
			place = InAlways
		}
		if err := p.task(ctx, t, place, inner); errors.Is(err, ErrState) || ofDrift(err) != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrInterrupted, ctx.Err())
		}
	}
	return p.state(phaseFailed, cause)
}

// owed finishes the rescue of a phase whose process died in it.
func (p *runPhase) owed(ctx context.Context, s *Scope) error {
	p.begin()
	l := p.fold.phases[p.key]
	for _, t := range p.ph.Tasks {
		if err := p.recall(t, s); err != nil {
			return err
		}
	}
	cause := &taskError{address: l.Task, err: errors.New(l.Message)}
	if err := p.cleanUp(ctx, s, cause); err != nil {
		return err
	}
	for _, t := range p.everyTask() {
		delete(s.Tasks, t.Name)
	}
	p.end(Rescued)
	return nil
}
