package engine

import (
	"context"
	"errors"
	"fmt"
)

// Abort runs what is owed of rescue and always for the open phase, then closes
// the run for good. Diagnostics of the events say what remains to be done by
// hand.
func Abort(ctx context.Context, p *Program, env Env, r *Record, opts ResumeOptions) Outcome {
	m, release, o := takeUp(p, env, r, opts, "abort")
	defer release()
	if o != nil {
		return *o
	}
	m.aborting = true
	m.emit(Event{Kind: RunStart, Message: p.Name})
	w := runWalk{runner: m, program: p}
	err := m.survey(ctx)
	if err == nil {
		err = w.phases(ctx, newScope(r.Identity))
	}
	if !errors.Is(err, errAborted) {
		return m.finish(nil, err)
	}
	now := m.env.now()
	exposed := m.exposure.end(now)
	out := Outcome{RunID: r.Identity.ID, Status: OK, Exposed: m.fold.exposed + exposed, sent: m.sent}
	if err := m.end(RunAborted, nil, exposed, now); err != nil {
		out.Status, out.Err, out.Failure = statusOf(err), err, m.failed(err)
	}
	if d := m.remains(); len(d.Notes) > 0 {
		m.emit(Event{Kind: Finding, Message: d.Summary, Diagnostics: Diagnostics{d}})
	}
	m.emit(Event{Kind: Summary, Status: out.Status, Elapsed: now.Sub(m.began), Exposed: out.Exposed, Blind: m.exposure.blind, Failure: out.Failure})
	return out
}

// remains says what the run has changed and nothing has taken back.
func (r *runner) remains() Diagnostic {
	d := Diagnostic{
		Severity: Warning, Code: codeRemains, Summary: "Changes remain",
		Detail: "The run is closed. What it has changed stays as it is; begin a new run to go on from there.",
	}
	for _, address := range r.fold.order {
		if l := r.fold.done[address]; l.Changed {
			d.Notes = append(d.Notes, l.words())
		}
	}
	told := map[string]bool{}
	for _, h := range r.fold.history {
		l, ok := h.(doneLine)
		if _, kept := r.fold.done[l.Task]; ok && !kept && l.Changed && l.Place == InPhase && !told[l.Task] {
			told[l.Task] = true
			d.Notes = append(d.Notes, l.words()+", unless the cleaning up of its phase took it back")
		}
	}
	for _, address := range sortedNames(r.fold.open) {
		d.Notes = append(d.Notes, address+": it is not known whether it took effect")
	}
	for _, address := range r.undone {
		d.Notes = append(d.Notes, address+": run now, to clean up")
	}
	return d
}

func (l doneLine) words() string {
	text := fmt.Sprintf("%s (%s)", l.Task, l.Type)
	if l.Host != "" {
		text += " on " + l.Host
	}
	return text
}
