package render

import (
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Plan is the text of a plan, from its title to its outputs and counts. last is
// what the title ends with: that this is a dry run, or which run it would be.
// What would stop the run is not in it; the findings are printed after it, with
// their source.
func (p Paint) Plan(plan *engine.Plan, last string) string {
	w := planWriter{Paint: p}
	w.line("", p.bold(Title(plan.Program))+strings.Repeat(" ", 32)+last)
	for _, c := range plan.Program.Changes {
		w.line("  ", Change(c))
	}
	for i := 0; i < len(plan.Entries); i++ {
		e := &plan.Entries[i]
		if n := finished(plan.Entries[i:]); n > 0 {
			w.phase(strings.Repeat("    ", e.Depth), e)
			i += n
			continue
		}
		w.entry(e)
	}
	if len(plan.Failed) > 0 {
		return w.text.String()
	}
	w.outputs(plan.Outputs)
	w.line("", "")
	w.line("", p.bold(Counts(plan.Counts)))
	return w.text.String()
}

// Change is one thing that a site playbook changes, on one line.
func Change(c engine.SiteChange) string {
	what := c.What
	if c.Why != "" {
		what += ": " + strings.Join(strings.Fields(c.Why), " ")
	}
	return fmt.Sprintf("%-8s %s  (%s line %d)", c.Kind, diag.Clean(what), diag.Clean(c.File), c.Line)
}

// Title names a program and what it works on.
func Title(pr *engine.Program) string {
	words := []string{"Playbook", pr.Name}
	if pr.Version != "" {
		words = append(words, pr.Version)
	}
	if pr.Cluster.Name != "" {
		words = append(words, "on cluster", pr.Cluster.Name)
	}
	return strings.Join(words, " ")
}

// Counts sums up a plan in one sentence.
func Counts(c engine.Counts) string {
	before := ""
	switch {
	case c.Done+c.Open == 0:
	case c.Open > 0:
		before = fmt.Sprintf("%s done, %d begun. Left: ", count(c.Done, "task"), c.Open)
	default:
		before = count(c.Done, "task") + " done. Left: "
	}
	return before + fmt.Sprintf("%s, %s, %s, %d destructive, %s.",
		count(c.Reads, "read"), count(c.Checks, "check"), count(c.Changes, "change"),
		c.Destructive, count(c.Questions, "question"))
}

// maxDepth is more than playbooks may call each other.
const maxDepth = 16

// planWriter remembers just enough of what stands above to set the headings.
type planWriter struct {
	Paint
	text   strings.Builder
	depth  int
	places [maxDepth]engine.Place // by depth: the part of its phase that the last task stood in
	begun  bool                   // something stands above that a task may follow directly
}

// finished is the number of entries that follow a phase's and need no line of
// their own, since all of its tasks are done; zero if that is not so.
func finished(entries []engine.Entry) int {
	if e := entries[0]; e.Kind != engine.PhaseEntry || e.Skipped || e.Owed {
		return 0
	}
	n := 0
	for _, e := range entries[1:] {
		if e.Depth < entries[0].Depth || e.Kind == engine.PhaseEntry && e.Depth == entries[0].Depth {
			break
		}
		if !e.Recorded {
			return 0
		}
		n++
	}
	if n > 0 {
		entries[0].Recorded = true
	}
	return n
}

func (w *planWriter) line(indent, s string) {
	w.text.WriteString(strings.TrimRight(indent+s, " "))
	w.text.WriteByte('\n')
}

func (w *planWriter) entry(e *engine.Entry) {
	indent := strings.Repeat("    ", e.Depth)
	if e.Kind == engine.PhaseEntry {
		w.phase(indent, e)
		return
	}
	if e.Depth < w.depth || !w.begun {
		w.line("", "")
	}
	if e.Place != w.places[e.Depth] {
		switch e.Place {
		case engine.InRescue:
			w.line(indent, "  if this phase fails:")
		case engine.InAlways:
			w.line(indent, "  in any case, at the end:")
		}
	}
	w.depth, w.places[e.Depth], w.begun = e.Depth, e.Place, true
	w.line(indent, w.head(e, subject(e)))
	for _, s := range w.below(e) {
		w.line(indent+beneath, s)
	}
}

func (w *planWriter) phase(indent string, e *engine.Entry) {
	w.depth, w.places[e.Depth], w.begun = e.Depth, engine.InPhase, true
	w.line("", "")
	if e.Name == "" {
		return
	}
	name := "Phase " + e.Name
	switch {
	case e.Skipped:
		name += " (skipped)"
	case e.Recorded:
		name += " (done)"
	case e.Owed:
		name += " (its cleaning up is finished first; then it begins anew)"
	case e.Perhaps:
		name += " (perhaps)"
	}
	w.line(indent, w.bold(name))
}

func (w *planWriter) outputs(outs []engine.PlannedOutput) {
	if len(outs) == 0 {
		return
	}
	w.line("", "")
	for _, o := range outs {
		w.line("", Output(o))
	}
}

// Output is one output on one line.
func Output(o engine.PlannedOutput) string {
	value := "(sensitive)"
	if !o.Sensitive {
		value = Value(o.Value, o.Waits)
	}
	return "Output " + o.Name + " = " + value
}
