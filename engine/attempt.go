package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/journal"
	"github.com/etcdplay/etcdplay/engine/world"
)

// settlePatience bounds how long Settle may wait for an effect that may still
// arrive: etcd answers a membership call within its request timeout, 7 s by
// default, and hosts within their connection's.
const settlePatience = 30 * time.Second

// attempts is a task's retry block, evaluated.
type attempts struct {
	most                  int
	interval, maxInterval time.Duration
	backoff               float64
	until                 Expr
}

func (x *taskRun) attempts() (attempts, Diagnostics) {
	a := attempts{most: 1}
	b := x.t.Retry
	if b == nil {
		return a, nil
	}
	n, all := number(b.Attempts, x.scope, 1)
	a.most, a.until = max(1, int(n)), b.Until
	var ds Diagnostics
	a.interval, ds = duration(b.Interval, x.scope, time.Second)
	all = append(all, ds...)
	a.maxInterval, ds = duration(b.MaxInterval, x.scope, 24*time.Hour)
	all = append(all, ds...)
	a.backoff, ds = number(b.Backoff, x.scope, 1)
	return a, append(all, ds...)
}

// errNotYet says that until does not hold yet.
var errNotYet = errors.New("what it waits for does not hold yet")

// retried makes attempts until one succeeds, none is left, or trying again would
// be wrong. When the operator wants the run to end, no further one is made.
func (x *taskRun) retried(ctx context.Context) (cty.Value, error) {
	a, ds := x.attempts()
	if ds.HasErrors() {
		return cty.NilVal, ds
	}
	wait := a.interval
	var moved func(*world.World) // by an attempt that until was not content with
	var last error               // of the attempt before
	for x.attempt = 1; ; x.attempt++ {
		v, advance, err := x.once(ctx)
		if err == nil && a.until != nil {
			err = x.until(a.until, v)
		}
		if advance != nil {
			moved = advance
		}
		switch {
		case err == nil:
			x.changed = x.changed || moved != nil
			return x.finish(v, moved)
		case last != nil && x.effect == Read && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return cty.NilVal, last // this attempt was only cut short
		case !again(ctx, err) || x.attempt >= a.most:
			return cty.NilVal, err
		case x.stopping():
			return cty.NilVal, fmt.Errorf("%w: %w", ErrInterrupted, err)
		}
		x.emit(x.event(TaskProgress, func(e *Event) {
			e.Message = fmt.Sprintf("attempt %d of %d: %s; again in %s", x.attempt, a.most, oneLine(err.Error()), wait)
		}))
		if werr := x.wait(ctx, wait); werr != nil {
			return cty.NilVal, tagged{err, werr}
		}
		last = err
		wait = min(time.Duration(float64(wait)*a.backoff), a.maxInterval)
	}
}

func (x *taskRun) until(e Expr, results cty.Value) error {
	self := withStatus(results, OK)
	v, ds := e.Eval(x.scope.With(func(s *Scope) { s.Self = self }))
	if ds.HasErrors() {
		return ds
	}
	if b, known := boolOf(v); !known || !b {
		return errNotYet
	}
	return nil
}

// wait waits, unless the operator wants the run to end.
func (x *taskRun) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-x.stop:
		return ErrInterrupted
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again reports whether a further attempt may help and cannot harm.
func again(ctx context.Context, err error) bool {
	var ds Diagnostics
	return ctx.Err() == nil && statusOf(err) == Failed &&
		!errors.Is(err, ErrState) && !errors.Is(err, errAborted) && !errors.Is(err, errGone) && !errors.Is(err, ErrOthers) && !errors.As(err, &ds)
}

// once makes one attempt. The function it returns moves the world on; nil where
// there is nothing to move.
func (x *taskRun) once(ctx context.Context) (cty.Value, func(*world.World), error) {
	host, err := x.connect(ctx)
	if err != nil {
		x.start(Planned{})
		return cty.NilVal, nil, err
	}
	look := x.eyes(host)
	if l, ok := x.begun(); ok && x.mutating() && x.attempt == 1 {
		v, settled, err := x.reconcile(ctx, look, l)
		if err != nil || settled {
			return v, x.advancing(v), err
		}
		if err := x.preconditions(); err != nil {
			return cty.NilVal, nil, err
		}
	}
	if x.aborting && x.place == InPhase {
		return cty.NilVal, nil, errAborted
	}
	if err := x.stands(ctx, look); err != nil {
		return cty.NilVal, nil, err
	}
	if x.effect == Read {
		x.start(Planned{})
		state, err := x.t.Type.Observe(ctx, look, x.plain)
		if err != nil {
			return cty.NilVal, nil, err
		}
		return x.t.Type.Report(x.plain, state), nil, nil
	}
	v, err := x.change(ctx, host, look)
	return v, x.advancing(v), err
}

func (x *taskRun) advancing(results cty.Value) func(*world.World) {
	if results == cty.NilVal || !x.changed {
		return nil
	}
	plain, _ := results.UnmarkDeep()
	return func(w *world.World) { x.t.Type.Advance(x.host, x.address, x.plain, plain, w) }
}

// change is observe, guard, intent, apply, verify.
func (x *taskRun) change(ctx context.Context, host conn.Host, look Look) (cty.Value, error) {
	if err := x.sameMembers(ctx); err != nil {
		return cty.NilVal, err
	}
	surveyed := make(chan struct{})
	go func() { // beside the look at the host: the guard has both
		defer close(surveyed)
		if x.t.Type.Surveyed {
			x.look(ctx)
		}
	}()
	state, err := x.t.Type.Observe(ctx, look, x.plain)
	<-surveyed
	if err != nil {
		x.start(Planned{})
		return cty.NilVal, err
	}
	planned, predicted := x.planning(state)
	x.start(planned)
	x.how, x.changed = Executed, true
	if !planned.Needed && predicted.IsWhollyKnown() {
		x.how, x.changed = Already, false
		plain, _ := predicted.UnmarkDeep()
		return predicted, x.t.Type.Verify(ctx, look, x.plain, plain)
	}
	if x.attempt == 1 {
		if err := x.agrees(&predicted); err != nil {
			return cty.NilVal, err
		}
	}
	verdict, budget, err := x.allowed(ctx, state)
	if err != nil {
		return cty.NilVal, err
	}
	if err := x.intend(state, verdict, budget); err != nil {
		return cty.NilVal, err
	}
	results, err := x.t.Type.Apply(ctx, Hands{Look: look, Host: host}, x.plain, state)
	killPoint("P4 " + x.address)
	if err != nil {
		if results, err = x.afterError(ctx, look, state, err); err != nil {
			return cty.NilVal, err
		}
	}
	plain, _ := results.UnmarkDeep()
	if err := x.t.Type.Verify(ctx, look, x.plain, plain); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return cty.NilVal, err // stopped at once; resume looks
		}
		err = fmt.Errorf("done, but not proved: %w", err)
		if ferr := x.failed(effectThere, err, x.leaves(x.advancing(results))); ferr != nil {
			return cty.NilVal, ferr
		}
		return cty.NilVal, err
	}
	killPoint("P5 " + x.address)
	return results, nil
}

// planning is the type's Plan with what is so now.
func (x *taskRun) planning(state State) (Planned, cty.Value) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.t.Type.Plan(Planning{
		World: x.world, Host: x.host, Cluster: x.runWalk.program.Cluster, RunID: x.env.Identity.ID, Address: x.address,
	}, x.plain, state)
}

// intend puts on disk what is about to be done, with all that is needed to find
// out later whether it was.
func (x *taskRun) intend(state State, verdict world.Verdict, budget world.Budget) error {
	args, err := journal.Encode(x.scrub.marked(x.args))
	if err != nil {
		return fmt.Errorf("its arguments cannot be recorded: %w", err)
	}
	raw, err := state.MarshalJSON()
	if err != nil {
		return fmt.Errorf("its state cannot be recorded: %w", err)
	}
	line := intentLine{
		T: "intent", Task: x.address, Type: x.t.Type.Name, Effect: x.effect, Host: x.host, Phase: x.ph.Name,
		Place: x.place, Attempt: x.attempt, Args: args,
		State: json.RawMessage(x.scrub.String(string(raw))), Verdict: verdict, Budget: budget, At: x.env.now(),
	}
	killPoint("P1 " + x.address)
	tearPoint("P2 "+x.address, func() { _ = x.journal.Tear(line) })
	x.mu.Lock()
	x.sent = true
	err = x.recordLocked(line)
	x.mu.Unlock()
	if err != nil {
		return err
	}
	killPoint("P3 " + x.address)
	return nil
}

// afterError finds out what became of an Apply that did not say that it
// succeeded: results if it did after all, else the error that the task ends with.
func (x *taskRun) afterError(ctx context.Context, look Look, state State, cause error) (cty.Value, error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return cty.NilVal, cause // stopped at once; the open intent tells resume to look
	}
	definite := errors.Is(cause, ErrDefinite)
	if !x.t.Type.Settles() {
		// It cannot be looked at. Only an answer that was lost leaves a doubt.
		definite = definite || !errors.Is(cause, conn.ErrOutcomeUnknown) && ctx.Err() == nil
	}
	if definite {
		return cty.NilVal, x.failedWith(effectNone, cause)
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	found, results, err := x.t.Type.Settle(sctx, look, x.plain, state)
	if err != nil {
		return cty.NilVal, x.failedWith(effectUnknown,
			fmt.Errorf("%w: %w; looking did not tell: %w", ErrUnknownEffect, cause, err))
	}
	switch found {
	case Done:
		x.how = Reconciled
		return results, nil
	case Conflict:
		return cty.NilVal, x.failedWith(effectUnknown, fmt.Errorf("%w: %w", errConflict, cause))
	case Partial:
		return cty.NilVal, x.failedWith(effectPartial, cause)
	}
	return cty.NilVal, x.failedWith(effectNone, cause)
}

// failedWith records the failure and returns it, or the journal's.
func (x *taskRun) failedWith(effect failEffect, err error) error {
	if ferr := x.failed(effect, err, nil); ferr != nil {
		return ferr
	}
	return err
}
