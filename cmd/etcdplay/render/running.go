package render

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/etcdplay/etcdplay/engine"
)

// A plain output (a file, a pipe, a CI log) hears of a waiting task this often.
const plainEvery = 5 * time.Second

// messageWidth is how much of a long message stands beneath a task's line; of a
// failure, the end of the run tells all.
const messageWidth = 160

// Reporter shows a run as it happens: one line for each task that ends, and
// until then what it waits for. Its Event wants the events in order, one at a
// time; Tick may come from another goroutine. A task that is done before the
// next Tick never has a live line, so that a fast run does not flicker.
type Reporter struct {
	Screen *Screen
	// Numbers is the number of each task in the plan that was shown, by address; a
	// task without one gets none.
	Numbers map[string]int
	// Role tells the role of a task type, for tasks of which only the name of their
	// type is known.
	Role func(typeName string) engine.Role
	// Findings writes diagnostics with their source.
	Findings func(engine.Diagnostics) string

	mu      sync.Mutex
	entries map[string]*engine.Entry // by address, of the tasks that run
	running []*live                  // in the order of their start
	place   engine.Place
	part    string // calls and phase that the last line belongs to
	outputs []engine.PlannedOutput
	failed  []engine.Event // ends of tasks that failed outside rescue and always
	phase   string         // that the failure happened in
}

// Event shows one event.
func (r *Reporter) Event(ev engine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.Screen
	switch ev.Kind {
	case engine.RunStart:
		r.part = "/" // no phase is called so
		s.Print(r.begin(ev))
	case engine.PhaseStart:
		r.place = engine.InPhase
		s.Print(r.heading(ev))
	case engine.TaskStart:
		r.start(ev)
	case engine.TaskProgress:
		r.progress(ev)
		r.draw(ev.Time)
	case engine.TaskEnd:
		r.end(ev)
	case engine.PhaseEnd:
		if ev.Status == engine.Rescued {
			r.phase = ev.Phase // also where the operator stopped it, and no task failed
		}
		if ev.Status != engine.OK && ev.Status != engine.Skipped {
			s.Print(fmt.Sprintf("%sPhase %s: %s\n", indent(ev.Address), ev.Phase, phaseStatus(ev)))
		}
	case engine.Finding:
		s.Tell(r.finding(ev))
	case engine.OutputsKnown:
		r.outputs = ev.Outputs
	case engine.Summary:
		s.Show("")
		s.Print(r.summary(ev))
		s.Tell(r.failure(ev))
	}
}

// Tick redraws the live line, for its clock.
func (r *Reporter) Tick(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draw(now)
}

func (r *Reporter) begin(ev engine.Event) string {
	text := r.Screen.Paint.bold("Run " + ev.RunID)
	if ev.Message != "" {
		text += ": " + ev.Message
	}
	return "\n" + text + "\n"
}

func (r *Reporter) heading(ev engine.Event) string {
	r.part = way(ev.Address) + ev.Phase
	return "\n" + indent(ev.Address) + r.Screen.Paint.bold("Phase "+ev.Phase) + "\n"
}

func (r *Reporter) finding(ev engine.Event) string {
	if len(ev.Diagnostics) == 0 {
		return ev.Message + "\n"
	}
	return r.Findings(ev.Diagnostics)
}

func phaseStatus(ev engine.Event) string {
	word := map[engine.Status]string{
		engine.Failed:      "failed",
		engine.Rescued:     "failed, and was rescued",
		engine.UnknownEnd:  "left open: the effect of its last task is not known",
		engine.Interrupted: "interrupted",
		engine.Refused:     "refused",
	}[ev.Status]
	if word == "" {
		word = string(ev.Status)
	}
	if ev.Message != "" {
		word += " (" + ev.Message + ")"
	}
	return word
}

func (r *Reporter) start(ev engine.Event) {
	if r.entries == nil {
		r.entries = map[string]*engine.Entry{}
	}
	e := ev.Entry
	if e == nil {
		e = &engine.Entry{
			Kind: engine.TaskEntry, Address: ev.Address, Name: ev.Address[len(way(ev.Address)):],
			Type: ev.Type, Effect: ev.Effect, Host: ev.Host, Role: r.Role(ev.Type),
		}
		if e.Role == engine.Calls {
			e.Kind = engine.CallEntry
		}
	}
	r.entries[ev.Address] = e
	if e.Kind != engine.CallEntry {
		r.running = append(r.running, &live{entry: e, since: ev.Time, told: ev.Time})
		return
	}
	// The playbook's own tasks follow, so its line is a heading above them.
	shown := *e
	shown.Number = r.Numbers[ev.Address]
	r.Screen.Print(r.divide(ev) + indent(ev.Address) + r.Screen.Paint.head(&shown, "") + "\n")
	if e.Summary != "" {
		r.Screen.Print(indent(ev.Address) + beneath + e.Summary + "\n")
	}
}

// divide is what stands between a task and the one before it: a blank line, the
// heading of a part of their phase, or nothing.
func (r *Reporter) divide(ev engine.Event) string {
	gap := ""
	if part := way(ev.Address) + ev.Phase; part != r.part {
		// Back from a called playbook, or a task outside any phase.
		r.part, gap = part, "\n"
	}
	if ev.Place == r.place {
		return gap
	}
	r.place = ev.Place
	switch ev.Place {
	case engine.InRescue:
		return gap + indent(ev.Address) + "  since this phase failed:\n"
	case engine.InAlways:
		return gap + indent(ev.Address) + "  in any case, at the end:\n"
	}
	return gap
}

func (r *Reporter) progress(ev engine.Event) {
	for _, l := range r.running {
		if l.entry != r.entries[ev.Address] {
			continue
		}
		if ev.Message != "" {
			l.waiting = ev.Message
		}
		if ev.Total > 0 || ev.Done > 0 {
			l.done, l.total = ev.Done, ev.Total
		}
		if !r.Screen.Live && ev.Time.Sub(l.told) >= plainEvery {
			l.told = ev.Time
			r.Screen.Tell(beneath + l.text(ev.Time) + "\n")
		}
	}
}

func (r *Reporter) end(ev engine.Event) {
	e := r.entries[ev.Address]
	if e == nil {
		r.start(ev)
		e = r.entries[ev.Address]
	}
	r.running = deleteLive(r.running, e)
	r.Screen.Show("")
	delete(r.entries, ev.Address)

	r.remember(e, ev)
	if e.Kind == engine.CallEntry && ev.Status == engine.OK {
		return
	}
	shown := *e
	shown.Number = r.Numbers[ev.Address]
	shown.Perhaps, shown.Needed = false, ev.How != engine.Already
	shown.Skipped, shown.Recorded = ev.Status == engine.Skipped, ev.How == engine.Recorded
	margin := indent(ev.Address)
	var b strings.Builder
	b.WriteString(r.divide(ev))
	b.WriteString(margin + r.Screen.Paint.head(&shown, r.ending(&shown, ev)) + "\n")
	for _, line := range r.endLines(&shown, ev) {
		b.WriteString(margin + beneath + line + "\n")
	}
	r.Screen.Print(b.String())
}

// ending is what ends a finished task's line: what it was, and how it went.
func (r *Reporter) ending(e *engine.Entry, ev engine.Event) string {
	if e.Skipped {
		return ""
	}
	p := r.Screen.Paint
	what := subject(e)
	switch {
	case e.Role != engine.Assert:
	case ev.Status == engine.OK:
		what = "holds"
	case what == "holds":
		what = "does not hold"
	}
	var how string
	switch {
	case ev.Status == engine.Failed || ev.Status == engine.Refused:
		how = p.red(strings.ToUpper(string(ev.Status)) + " after " + Span(ev.Elapsed))
	case ev.Status == engine.UnknownEnd:
		how = p.red("UNKNOWN after " + Span(ev.Elapsed))
	case ev.Status == engine.Interrupted:
		how = p.yellow("interrupted after " + Span(ev.Elapsed))
	case ev.How == engine.Recorded:
		return fmt.Sprintf("%-34s %s", what, p.faint("done before"))
	case ev.How == engine.Already:
		how = p.faint("already so, " + Span(ev.Elapsed))
	case ev.How == engine.Reconciled:
		how = p.green("settled by looking, " + Span(ev.Elapsed))
	default:
		how = p.faint(Span(ev.Elapsed))
	}
	if ev.Attempt > 1 {
		how += p.faint(fmt.Sprintf(", attempt %d", ev.Attempt))
	}
	return fmt.Sprintf("%-34s %s", what, how)
}

// endLines is what stands beneath a finished task's line.
func (r *Reporter) endLines(e *engine.Entry, ev engine.Event) []string {
	if e.Skipped || ev.How == engine.Recorded {
		return nil
	}
	var lines []string
	switch {
	case e.Role == engine.Assert && ev.Status != engine.OK && ev.Place != engine.InPhase:
		// The end of the run tells of what failed first; this is told here or nowhere.
		lines = append(lines, ev.Message)
	case e.Role == engine.Assert || e.Kind == engine.CallEntry:
	case ev.Message != "":
		lines = append(lines, runewidth.Truncate(ev.Message, messageWidth, "…"))
	case e.Summary != "" && !e.ByModel && !e.Later:
		lines = append(lines, e.Summary)
	}
	if q := Quorum(ev.Before, ev.After); q != "" {
		lines = append(lines, q)
	}
	return lines
}
