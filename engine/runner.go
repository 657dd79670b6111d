package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/journal"
	"github.com/etcdplay/etcdplay/engine/world"
)

// runner is one process's part of a run. What stands below mu is shared by the
// rounds of a parallel task.
type runner struct {
	env         Env
	program     *Program
	planned     map[string]*Entry // the plan that was shown; nil if none was
	acceptDrift bool
	aborting    bool
	// changesAccepted: the playbook is not that of the run, and the operator goes on.
	changesAccepted bool
	stop            <-chan struct{}
	scrub           *Scrubber
	by              string // who runs this process
	began           time.Time
	fold            *fold // of what earlier processes wrote

	mu       sync.Mutex
	journal  *journal.Journal
	world    *world.World
	exposure exposure
	sent     bool     // an intent was written by this process
	undone   []string // tasks of rescue and always that changed something

	compared sync.Once
	settling bool  // an earlier process left something open
	drift    error // what sameMembers found
}

// taskError is a task that did not come to its end.
type taskError struct {
	task    *Task // nil if only its address is known
	address string
	host    string
	err     error
	ds      Diagnostics
}

func (e *taskError) Error() string {
	if e.host != "" {
		return fmt.Sprintf("%s on %s: %v", e.address, e.host, e.err)
	}
	return fmt.Sprintf("%s: %v", e.address, e.err)
}

func (e *taskError) Unwrap() error { return e.err }

// statusOf is how a run or a task ended that ended with err.
func statusOf(err error) Status {
	switch ExitCode(err) {
	case ExitOK:
		return OK
	case ExitRefused:
		return Refused
	case ExitUnknown:
		return UnknownEnd
	case ExitInterrupted:
		return Interrupted
	}
	return Failed
}

// exposure sums up the time in which the cluster could not have lost a member.
type exposure struct {
	total time.Duration
	since time.Time    // zero while it could
	blind bool         // at some time nobody could be asked
	seen  bool         // at some time somebody could
	lost  bool         // nobody could be asked after somebody could
	last  world.Budget // what was seen last
}

func (x *exposure) see(b world.Budget, now time.Time) {
	x.last = b
	x.blind = x.blind || !b.Known
	x.lost = x.lost || x.seen && !b.Known
	x.seen = x.seen || b.Known
	exposed := b.Known && b.Voters > 0 && b.Tolerance() <= 0
	switch {
	case exposed && x.since.IsZero():
		x.since = now
	case !exposed && !x.since.IsZero():
		x.total, x.since = x.total+now.Sub(x.since), time.Time{}
	}
}

// made is what was seen last where nobody could be asked at first and somebody
// ever since, else nil.
func (x *exposure) made() *world.Budget {
	if !x.blind || x.lost || !x.last.Known {
		return nil
	}
	return &x.last
}

func (x *exposure) end(now time.Time) time.Duration {
	if !x.since.IsZero() {
		x.total, x.since = x.total+now.Sub(x.since), now
	}
	return x.total
}

// stopping reports whether the operator wants the run to end.
func (r *runner) stopping() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// record writes a line, on disk when it returns. Its error ends the run.
func (r *runner) record(line any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recordLocked(line)
}

func (r *runner) recordLocked(line any) error {
	if err := r.journal.Append(line); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// emit sends an event, scrubbed.
func (r *runner) emit(e Event) {
	if r.env.Emit == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Time, e.RunID = r.env.now(), r.env.Identity.ID
	e.Message = r.scrub.String(e.Message)
	e.Diagnostics = r.scrub.diagnostics(e.Diagnostics)
	r.env.Emit(e)
}

func (env Env) now() time.Time {
	if env.Now == nil {
		return time.Now()
	}
	return env.Now()
}

// diagnostics returns ds without secrets in their texts.
func (s *Scrubber) diagnostics(ds Diagnostics) Diagnostics {
	var out Diagnostics
	for _, d := range ds {
		d.Summary, d.Detail = s.String(d.Summary), s.String(d.Detail)
		var notes []string
		for _, n := range d.Notes {
			notes = append(notes, s.String(n))
		}
		d.Notes = notes
		out = append(out, d)
	}
	return out
}

// look reads the cluster anew and makes the result what the predicates see.
func (r *runner) look(ctx context.Context) {
	c := survey(ctx, r.program, r.env, r.replaced(), r.elsewhere())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.world.Cluster = c
	r.exposure.see(c.Budget(), r.env.now())
}

// replaced reports whether the run has put another cluster in the place of the
// one that it began with.
func (r *runner) replaced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fold != nil && r.fold.replaced
}

// elsewhere is where that cluster serves, beside the inventory's endpoints.
func (r *runner) elsewhere() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fold == nil {
		return nil
	}
	return r.fold.elsewhere
}

// survey looks at the cluster before the walk, and holds it against what the
// journal expects unless something open has to be settled first.
func (r *runner) survey(ctx context.Context) error {
	r.look(ctx)
	if err := r.meet(); err != nil {
		return err
	}
	if err := r.expectMembers(); err != nil {
		return err
	}
	if r.settling = len(r.fold.open) > 0; r.settling {
		return nil
	}
	return r.sameMembers(ctx)
}

// advance moves the world on and returns the budgets around it, nil where it did
// not move.
func (r *runner) advance(f func(w *world.World)) (before, after *world.Budget) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.world.Cluster.Budget()
	f(r.world)
	a := r.world.Cluster.Budget()
	r.exposure.see(a, r.env.now())
	if a == b {
		return nil, nil
	}
	return &b, &a
}

// incarnate writes down that this process works on the run from now on.
func (r *runner) incarnate(operation string) error {
	return r.record(incarnationLine{
		T: "incarnation", N: r.fold.n + 1, Operation: operation, PID: os.Getpid(),
		User: r.by, At: r.env.now(),
	})
}

// run walks the program, ends the journal's part of this process, and tells.
func (r *runner) run(ctx context.Context) Outcome {
	r.emit(Event{Kind: RunStart, Message: r.program.Name})
	w := runWalk{runner: r, program: r.program}
	s := newScope(r.env.Identity)
	if r.fold.n == 0 { // else what was open is looked at before any host is taken over
		foresee(ctx, r.program, r.env)
	}
	err := r.survey(ctx)
	if err == nil {
		err = w.phases(ctx, s)
	}
	var outs []PlannedOutput
	if err == nil {
		err = r.sameMembers(ctx)
	}
	if err == nil {
		outs, err = w.outputs(s)
	}
	if ctx.Err() == nil && err == nil {
		r.look(ctx)
	}
	return r.finish(outs, err)
}

// finish records the end of the run, or that it stopped.
func (r *runner) finish(outs []PlannedOutput, err error) Outcome {
	if merr := r.meet(); err == nil || errors.Is(merr, ErrState) {
		err = merr
	}
	now := r.env.now()
	exposed := r.exposure.end(now)
	o := Outcome{RunID: r.env.Identity.ID, Exposed: r.fold.exposed + exposed, sent: r.sent}
	if err == nil {
		o.Outputs = map[string]cty.Value{}
		for _, out := range outs {
			o.Outputs[out.Name] = out.Value
		}
		err = r.end(RunOK, o.Outputs, exposed, now)
	} else if !errors.Is(err, ErrState) {
		if serr := r.stopped(err, exposed, now); serr != nil {
			err = serr
		}
	}
	o.Status, o.Err = statusOf(err), err
	if err != nil {
		o.Failure = r.failed(err)
	} else if len(outs) > 0 {
		r.emit(Event{Kind: OutputsKnown, Outputs: outs})
	}
	r.emit(Event{
		Kind: Summary, Status: o.Status, Elapsed: now.Sub(r.began), Exposed: o.Exposed, Blind: r.exposure.blind, Outputs: outs,
		After: r.exposure.made(), Failure: o.Failure, Diagnostics: ofDrift(err),
	})
	return o
}

// end closes the run for good.
func (r *runner) end(state RunState, outputs map[string]cty.Value, exposed time.Duration, now time.Time) error {
	line := endLine{T: "end", State: state, Exposed: exposed, At: now}
	if outputs != nil {
		v, err := journal.Encode(r.scrub.marked(cty.ObjectVal(outputs)))
		if err != nil {
			return err
		}
		line.Outputs = &v
	}
	killPoint("end before")
	tearPoint("end torn", func() { _ = r.journal.Tear(line) })
	if err := r.record(line); err != nil {
		return err
	}
	killPoint("end after")
	return nil
}

func (r *runner) stopped(err error, exposed time.Duration, now time.Time) error {
	line := stopLine{
		T: "stop", Status: statusOf(err), Message: r.scrub.String(oneLine(err.Error())), Exposed: exposed, At: now,
	}
	if te := (*taskError)(nil); errors.As(err, &te) {
		line.Task, line.Host, line.Message = te.address, te.host, r.scrub.String(te.cause())
	}
	return r.record(line)
}

// cause is why the task failed, in one line.
func (e *taskError) cause() string {
	var ds Diagnostics
	if errors.As(e.err, &ds) {
		for _, d := range ds {
			if d.Severity == Error {
				return oneLine(d.Detail)
			}
		}
	}
	return oneLine(e.err.Error())
}

// failed says why the run stopped, and how to go on.
func (r *runner) failed(err error) *Failure {
	f := &Failure{Cause: oneLine(err.Error()), Undone: r.undone, GoOn: "etcdplay resume " + r.env.Identity.ID}
	if te := (*taskError)(nil); errors.As(err, &te) {
		f.Address, f.Host, f.Cause = te.address, te.host, te.cause()
		if te.task != nil {
			f.Subject = &te.task.Range
		}
		if len(te.ds) > 0 && te.ds[0].Subject != nil {
			f.Subject = te.ds[0].Subject
		}
	}
	if drift := (*driftError)(nil); errors.As(err, &drift) && drift.final {
		f.GoOn = ""
	}
	f.Cause = r.scrub.String(f.Cause)
	return f
}
