package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// remember keeps what the end of the run has to tell of a failure.
func (r *Reporter) remember(e *engine.Entry, ev engine.Event) {
	if e.Kind == engine.CallEntry && len(ev.Diagnostics) == 0 {
		return // the task in the called playbook has told why
	}
	if ev.Status != engine.OK && ev.Status != engine.Skipped && ev.Place == engine.InPhase {
		r.failed = append(r.failed, ev)
		r.phase = ev.Phase
	}
}

// summary is the end of a run for whoever asked for it: outputs, duration, and
// how long the cluster stood without a member to spare.
func (r *Reporter) summary(ev engine.Event) string {
	var b strings.Builder
	if len(r.outputs) > 0 {
		b.WriteString("\n")
		for _, o := range r.outputs {
			b.WriteString(Output(o) + "\n")
		}
	}
	b.WriteString("\n")
	p := r.Screen.Paint
	if ev.Status == engine.OK {
		fmt.Fprintf(&b, "%s in %s.", p.green("Done"), Span(ev.Elapsed))
	} else {
		fmt.Fprintf(&b, "%s after %s.", p.red("Stopped"), Span(ev.Elapsed))
	}
	switch {
	case ev.Status == engine.OK && ev.After != nil:
		b.WriteString(" " + made(*ev.After, ev.Exposed))
	case ev.Exposed > 0:
		fmt.Fprintf(&b, " The cluster could not have lost a member for %s.", Span(ev.Exposed))
	case ev.Status == engine.OK && ev.Blind:
		b.WriteString(" The cluster could not be asked all the time, so whether it could have lost a member is not known.")
	case ev.Status == engine.OK:
		b.WriteString(" At no time was the cluster unable to lose a member.")
	}
	b.WriteString("\n")
	if ev.Message != "" {
		b.WriteString(ev.Message + "\n")
	}
	return b.String()
}

// made tells of the cluster of a run that found none that answered.
func made(now world.Budget, exposed time.Duration) string {
	text := "No cluster answered when it began; the one there is now "
	switch n := now.Tolerance(); {
	case n < 0:
		return text + "has no quorum."
	case n == 0:
		return text + "cannot lose a member."
	case n == 1:
		text += "can lose a member"
	default:
		text += fmt.Sprintf("can lose %d members", n)
	}
	if exposed > 0 {
		return text + ", and could not for " + Span(exposed) + "."
	}
	return text + "."
}

// failure is what went wrong, where, what was done about it, and how to go on.
func (r *Reporter) failure(ev engine.Event) string {
	f := ev.Failure
	if f == nil {
		return ""
	}
	var b strings.Builder
	for _, end := range r.failed {
		b.WriteString("\n" + r.Failure(end))
	}
	switch {
	case len(ev.Diagnostics) > 0:
		b.WriteString("\n" + r.Findings(ev.Diagnostics))
	case len(r.failed) == 0:
		b.WriteString("\n" + r.Findings(engine.Diagnostics{{
			Severity: engine.Error, Summary: "Run " + string(ev.Status), Detail: f.Cause, Subject: f.Subject, Task: f.Address,
		}}))
	}
	if len(f.Undone) > 0 {
		fmt.Fprintf(&b, "\n  Phase %q was rescued: %s.\n", r.phase, strings.Join(f.Undone, ", "))
	}
	if f.GoOn != "" {
		how := "Nothing further was done. After mending the cause:"
		if ev.Status == engine.Interrupted {
			how = "Nothing further was done. To go on:"
		}
		fmt.Fprintf(&b, "\n  %s\n\n    %s", how, f.GoOn)
		if len(f.Undone) > 0 {
			fmt.Fprintf(&b, "      begins again with phase %q", r.phase)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Failure is one failed task: its findings, and beneath their first line which
// task it was, where, at which attempt and after how long.
func (r *Reporter) Failure(ev engine.Event) string {
	where := ev.Address + "  " + ev.Type
	if ev.Host != "" {
		where += " on " + ev.Host
	}
	if ev.Attempt > 0 {
		where += fmt.Sprintf(", attempt %d", ev.Attempt)
	}
	where += ", " + seconds(ev.Elapsed)
	ds := ev.Diagnostics
	if len(ds) == 0 {
		ds = engine.Diagnostics{{Severity: engine.Error, Summary: "Task " + string(ev.Status), Detail: ev.Message}}
	}
	ds = slices.Clone(ds)
	for i, d := range ds {
		// The line below the first says it already.
		ds[i].Notes = slices.DeleteFunc(slices.Clone(d.Notes), func(n string) bool { return n == "on host "+ev.Host })
	}
	first, rest, _ := strings.Cut(r.Findings(ds), "\n")
	return first + "\n\n  " + where + "\n" + rest
}

// seconds is a duration in the words of a failure: "60 s", "1.3 s", "31 ms".
func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
