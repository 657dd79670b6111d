package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// task runs all rounds of a task and puts their results into s.
func (p *runPhase) task(ctx context.Context, t *Task, place Place, s *Scope) error {
	address := p.prefix + "task." + t.Name
	rs, known, ds := rounds(t, address, s)
	switch {
	case ds.HasErrors():
		return p.broken(t, place, ds)
	case !known:
		return p.broken(t, place, errors.New("what the task loops over is null or not known"))
	case !t.Looping():
		v, err := p.round(ctx, t, rs[0], place, nil)
		s.Tasks[t.Name] = v
		return err
	}
	var keys []string
	for _, r := range rs {
		keys = append(keys, r.key)
	}
	if before, ok := p.fold.loops[address]; !ok {
		if err := p.record(loopLine{T: "loop", Task: address, Keys: keys}); err != nil {
			return err
		}
	} else if !slices.Equal(before, keys) {
		return p.broken(t, place, fmt.Errorf("%w: the task looped over %q and would now loop over %q", errOtherPlaybook, before, keys))
	}
	width := 1
	if t.Parallel != nil && t.OnEach != nil {
		n, ds := number(t.Parallel, s, 1)
		if ds.HasErrors() {
			return p.broken(t, place, ds)
		}
		width = max(1, int(n))
	}
	results, err := p.rounds(ctx, t, rs, place, width)
	s.Tasks[t.Name] = byKey(t, keys, results)
	return err
}

// rounds runs the rounds, width at a time. After a failure no further one is
// begun; those under way are told, and waited for. The error is that of the first
// round in order that failed by itself.
func (p *runPhase) rounds(ctx context.Context, t *Task, rs []round, place Place, width int) (map[string]cty.Value, error) {
	values, errs := make([]cty.Value, len(rs)), make([]error, len(rs))
	var wg sync.WaitGroup
	others := make(chan struct{})
	failed := sync.OnceFunc(func() { close(others) })
	slots := make(chan struct{}, width)
	for i, r := range rs {
		slots <- struct{}{}
		quit := false
		select {
		case <-others:
			quit = true
		default:
		}
		if !quit && place == InPhase && !p.fold.finished(r.address) {
			switch {
			case p.aborting && !p.hasBegun(r.address):
				errs[i] = errAborted
			case p.stopping():
				errs[i] = ErrInterrupted
			}
			quit = errs[i] != nil
		}
		if quit {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			values[i], errs[i] = p.round(ctx, t, r, place, others)
			if errs[i] != nil {
				failed()
			}
		})
	}
	wg.Wait()
	results := map[string]cty.Value{}
	var first error
	for i, r := range rs {
		if values[i] == cty.NilVal {
			values[i] = absent(t, Skipped)
		}
		results[r.key] = values[i]
		if first == nil || errs[i] != nil && lesser(first) && !lesser(errs[i]) {
			first = errs[i]
		}
	}
	return results, first
}

// lesser reports whether another round's error says more of why the task failed.
func lesser(err error) bool { return errors.Is(err, errGone) || errors.Is(err, ErrOthers) }

// broken is the error of a task whose rounds could not be told.
func (p *runPhase) broken(t *Task, place Place, err error) error {
	x := p.taskRun(t, p.prefix+"task."+t.Name, place, nil)
	return x.failure(err)
}

// round runs one round, or takes its results from the journal; others is closed
// once another has failed. The results, with
// status, are never cty.NilVal.
func (p *runPhase) round(ctx context.Context, t *Task, r round, place Place, others <-chan struct{}) (cty.Value, error) {
	x := p.taskRun(t, r.address, place, r.scope)
	x.others = others
	v, err := x.all(ctx)
	if err == nil {
		return v, nil
	}
	if !errors.Is(err, errAborted) && !errors.Is(err, errGone) && ofDrift(err) == nil {
		err = x.failure(err)
	}
	return absent(t, Failed), err
}

// failure makes err the error of the task and tells of it. The error of a called
// playbook's task stays that task's.
func (x *taskRun) failure(err error) error {
	te := (*taskError)(nil)
	if !errors.As(err, &te) || x.t.Call == nil {
		te = &taskError{task: x.t, address: x.address, host: x.host, err: err}
		errors.As(err, &te.ds)
		te.ds = x.explained(te)
	}
	x.tellFailed(te)
	return te
}

// taskRun is one round of a task being run.
type taskRun struct {
	*runPhase
	t       *Task
	address string
	place   Place
	host    string
	spec    HostSpec
	scope   *Scope
	args    cty.Value // with marks
	plain   cty.Value // without
	effect  Effect
	began   time.Time
	shown   bool
	attempt int
	others  <-chan struct{} // see Look.Failed
	changed bool
	how     How
}

func (p *runPhase) taskRun(t *Task, address string, place Place, s *Scope) *taskRun {
	return &taskRun{
		runPhase: p, t: t, address: address, place: place, scope: s, effect: t.Type.Effect,
		began: p.env.now(), how: Executed,
	}
}

// all is the way of one round: recorded, or when, arguments, preconditions, and
// what its type does.
func (x *taskRun) all(ctx context.Context) (cty.Value, error) {
	if l, ok := x.fold.done[x.address]; ok {
		v, again, err := x.recorded(l)
		if err != nil || !again {
			return v, err
		}
		return x.reread(ctx)
	}
	_, open := x.begun()
	if !open && x.t.Call == nil { // a call's own tasks may be open
		if err := x.sameMembers(ctx); err != nil {
			return cty.NilVal, err
		}
	}
	host, s, known, hds := target(x.t, x.scope)
	x.host, x.scope = host, s
	if skip, err := x.skipped(); err != nil || skip {
		return absent(x.t, Skipped), err
	}
	if hds.HasErrors() {
		return cty.NilVal, hds
	}
	if !known {
		return cty.NilVal, errors.New("the host to run on is null")
	}
	if err := x.bind(); err != nil {
		return cty.NilVal, err
	}
	if !open {
		if err := x.preconditions(); err != nil {
			return cty.NilVal, err
		}
	}
	if err := x.agrees(nil); err != nil {
		return cty.NilVal, err
	}
	return x.timed(ctx)
}

func (x *taskRun) preconditions() error {
	open, ds := x.t.conditions(x.t.Pre, "Precondition failed", x.address, x.scope)
	if ds.HasErrors() {
		return ds
	}
	if open {
		return errors.New("its precondition is null")
	}
	return nil
}

// skipped decides on the task's when, and records that it is skipped.
func (x *taskRun) skipped() (bool, error) {
	if _, begun := x.begun(); x.t.When == nil || begun {
		return false, nil // what was begun is seen through
	}
	v, ds := x.t.When.Eval(x.scope)
	if ds.HasErrors() {
		return false, ds
	}
	b, known := boolOf(v)
	if !known {
		return false, errors.New("its condition when is null")
	}
	if b {
		return false, nil
	}
	x.how, x.effect = "", Control
	if err := x.done(absent(x.t, Skipped), Skipped, nil, nil); err != nil {
		return false, err
	}
	x.effect = x.t.Type.Effect
	x.emit(x.event(TaskEnd, func(e *Event) { e.Status = Skipped }))
	return true, nil
}

// bind evaluates the arguments and checks all that can be checked without
// looking.
func (x *taskRun) bind() error {
	args, ds := x.t.Args.Bind(x.scope)
	if ds.HasErrors() {
		return ds
	}
	if !args.IsWhollyKnown() {
		return errors.New("an argument is not known, which in a run must not be")
	}
	x.scrub.AddValue(args)
	x.args = args
	x.plain, _ = args.UnmarkDeep()
	x.effect = x.t.Type.EffectOf(x.plain)
	if ds := x.t.wrongArgument(x.t.Type.Check(x.plain), x.address); ds.HasErrors() {
		return ds
	}
	if x.host != "" {
		if x.spec, ds = hostSpec(x.runWalk.program, x.t, x.host, x.scope); ds.HasErrors() {
			return ds
		}
	}
	return nil
}

// agrees holds what the shown plan had as known against what is so now: the
// arguments, and the results that the type predicts now where they are given.
func (x *taskRun) agrees(predicted *cty.Value) error {
	e := x.planned[x.address]
	if e == nil || x.acceptDrift || e.Perhaps || x.place != InPhase {
		return nil
	}
	planned, now, what := e.Args, x.args, "argument"
	names := differing(planned, now)
	if len(names) == 0 && predicted != nil {
		if !e.Needed {
			return fmt.Errorf("%w: the plan said that nothing had to be changed, and now something has; nothing was done", ErrDrift)
		}
		planned, now, what = e.Results, *predicted, "result"
		names = differing(planned, now)
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: the plan said %s %s = %s and now it is %s; nothing was done", ErrDrift, what, names[0],
		x.scrub.brief(planned.GetAttr(names[0])), x.scrub.brief(now.GetAttr(names[0])))
}
