package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/journal"
	"github.com/etcdplay/etcdplay/engine/world"
)

// event begins an event about the task.
func (x *taskRun) event(kind EventKind, f func(*Event)) Event {
	e := Event{
		Kind: kind, Phase: x.ph.Name, Place: x.place, Address: x.address, Type: x.t.Type.Name,
		Effect: x.effect, Host: x.host, Attempt: x.attempt,
	}
	f(&e)
	return e
}

// start tells that the task begins, once.
func (x *taskRun) start(planned Planned) {
	if x.shown {
		return
	}
	x.shown = true
	kind := TaskEntry
	if x.t.Call != nil {
		kind = CallEntry
	}
	x.emit(x.event(TaskStart, func(e *Event) {
		e.Message = planned.Summary
		e.Entry = &Entry{
			Kind: kind, Address: x.address, Name: x.address[len(x.prefix):], Type: x.t.Type.Name,
			Effect: x.effect, Role: x.t.Type.Role, Host: x.host, Place: x.place, Needed: planned.Needed,
			Summary: planned.Summary, Details: planned.Details, Diff: planned.Diff, Args: x.args,
		}
	}))
}

// tellFailed tells how the task failed. Of a call, the task in the called
// playbook has told why.
func (x *taskRun) tellFailed(te *taskError) {
	x.emit(x.event(TaskEnd, func(e *Event) {
		e.Status, e.Elapsed, e.Message = statusOf(te.err), x.env.now().Sub(x.began), te.cause()
		if te.address == x.address {
			e.Diagnostics = te.ds
		}
	}))
}

// explained is the findings of a task's error, with its place in the playbook.
func (x *taskRun) explained(te *taskError) Diagnostics {
	ds := te.ds
	var refusal *world.Refusal
	switch {
	case ds.HasErrors():
	case errors.As(te.err, &refusal):
		ds = Diagnostics{x.t.refused(world.Verdict{Checks: refusal.Failed}, x.address)}
	default:
		code, summary := codeTask, "Task failed"
		switch statusOf(te.err) {
		case Refused:
			code, summary = codeDrift, "No longer as planned"
		case UnknownEnd:
			code, summary = codeEffect, "Effect not known"
		case Interrupted:
			summary = "Interrupted"
		}
		if ExitCode(te.err) == ExitUnreachable {
			code, summary = codeUnreachable, unreachable
			if errors.Is(te.err, conn.ErrRefused) {
				summary = "Connection not made"
			}
		}
		cause, words, _ := strings.Cut(strings.TrimSpace(te.err.Error()), "\n")
		text := sentence(cause)
		if summary == unreachable {
			text += x.t.purpose()
		}
		d := x.t.finding(code, summary, text, x.address, nil)
		for line := range strings.Lines(strings.TrimSpace(words)) {
			d.Notes = append(d.Notes, strings.TrimSpace(line))
		}
		ds = Diagnostics{d}
	}
	if x.host != "" {
		d := ds[0]
		d.Notes = append([]string{"on host " + x.host}, d.Notes...)
		ds = append(Diagnostics{d}, ds[1:]...)
	}
	return ds
}

// done records the task's end. Nobody is told before it returns.
func (x *taskRun) done(results cty.Value, status Status, after *world.Budget, members *membersLine) error {
	v, err := journal.Encode(x.scrub.marked(results))
	if err != nil {
		return fmt.Errorf("its results cannot be recorded: %w", err)
	}
	line := doneLine{
		T: "done", Task: x.address, Type: x.t.Type.Name, Effect: x.effect, Host: x.host, Phase: x.ph.Name,
		Place: x.place, Status: status, How: x.how, Changed: x.changed, Attempt: x.attempt, Results: v,
		Elapsed: x.env.now().Sub(x.began), Budget: after, Members: members, At: x.env.now(),
	}
	if x.mutating() {
		tearPoint("P6 "+x.address, func() { _ = x.journal.Tear(line) })
	}
	if err := x.record(line); err != nil {
		x.emit(x.event(Finding, func(e *Event) {
			e.Message = "the task is done, and the journal could not record it"
			e.Diagnostics = Diagnostics{x.t.finding(codeJournal, "Journal not written",
				"The task is done, and the journal could not record it: "+oneLine(err.Error())+". Once there is room, resume finds that out by looking.",
				x.address, nil)}
		}))
		return err
	}
	x.mu.Lock()
	x.standing.ends(line)
	x.mu.Unlock()
	if x.mutating() {
		killPoint("P7 " + x.address)
	}
	return nil
}

// finish takes the task from its results to its end: postconditions, the journal,
// the event. advance moves the world on; nil where there is nothing to move.
func (x *taskRun) finish(results cty.Value, advance func(*world.World)) (cty.Value, error) {
	x.scrub.AddValue(results)
	results = withStatus(results, OK)
	if !results.IsWhollyKnown() {
		return cty.NilVal, fmt.Errorf("a task of type %s yielded a result that is not known", x.t.Type.Name)
	}
	var before, after *world.Budget
	if advance != nil {
		before, after = x.advance(advance)
	}
	members := x.leaves(advance)
	open, ds := x.t.conditions(x.t.Post, "Postcondition failed", x.address, x.scope.With(func(s *Scope) { s.Self = results }))
	if !ds.HasErrors() && open {
		ds = Diagnostics{x.t.finding(codeCondition, "Postcondition failed", "The condition is null.", x.address, nil)}
	}
	if ds.HasErrors() {
		if err := x.failed(effectThere, ds, members); err != nil {
			return cty.NilVal, err
		}
		return cty.NilVal, ds
	}
	if err := x.done(results, OK, after, members); err != nil {
		return cty.NilVal, err
	}
	if x.changed && x.place != InPhase && x.scope.Error != cty.NilVal {
		x.mu.Lock()
		x.undone = append(x.undone, x.address)
		x.mu.Unlock()
	}
	x.tellOK(before, after)
	return results, nil
}

func (x *taskRun) tellOK(before, after *world.Budget) {
	x.emit(x.event(TaskEnd, func(e *Event) {
		e.Status, e.How, e.Changed, e.Elapsed = OK, x.how, x.changed, x.env.now().Sub(x.began)
		e.Before, e.After = before, after
	}))
}

// failed records that an attempt failed, what is known of its effect, and the
// members it leaves, nil where it left them as they were.
func (x *taskRun) failed(effect failEffect, cause error, members *membersLine) error {
	return x.record(failLine{
		T: "fail", Task: x.address, Host: x.host, Effect: effect,
		Message: x.scrub.String(oneLine(cause.Error())), Members: members, At: x.env.now(),
	})
}

// mutating reports whether the task may change anything outside the run.
func (x *taskRun) mutating() bool { return x.effect == Change || x.effect == Destroy }
