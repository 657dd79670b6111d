package render

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/etcdplay/etcdplay/engine"
)

// The columns of a task's line: marker, number, effect, name. What is said of
// the task stands beneath, below its effect's second letter or so: see beneath.
const (
	nameWidth = 28
	beneath   = "                 "
)

// marker is the sign a reader runs down the margin with.
func marker(e *engine.Entry) string {
	switch {
	case e.Kind == engine.CallEntry:
		return ">"
	case e.Skipped || e.Recorded:
		return "."
	case e.Open:
		return "!"
	case e.Role == engine.Confirm:
		return "?"
	case idle(e):
		return "="
	}
	switch e.Effect {
	case engine.Change:
		return "~"
	case engine.Destroy:
		return "-"
	}
	return "="
}

// idle reports whether a change has nothing to do, since it is so already. That
// is only said where the run is held to it: of what stands in rescue and always,
// and of what perhaps comes, nobody knows what will be found then.
func idle(e *engine.Entry) bool {
	return e.Kind == engine.TaskEntry && (e.Effect == engine.Change || e.Effect == engine.Destroy) &&
		!e.Needed && !e.Perhaps && e.Place == engine.InPhase && e.Role == engine.Plain
}

// effectWord is the effect as the plan and the run call it.
func effectWord(e *engine.Entry) string {
	switch {
	case e.Kind == engine.CallEntry:
		return "playbook"
	case e.Skipped:
		return "skip"
	case e.Recorded:
		return "done"
	case e.Role == engine.Confirm:
		return "ask"
	case e.Role == engine.Assert:
		return "check"
	case e.Effect == engine.Destroy && !idle(e):
		return "DESTROY"
	case e.Effect == engine.Control:
		return "control"
	}
	return string(e.Effect)
}

// subject is what the task's line says last: its type and its host, or of a
// check whether it holds.
func subject(e *engine.Entry) string {
	switch {
	case e.Kind == engine.CallEntry || e.Skipped:
		return ""
	case e.Role == engine.Assert:
		switch {
		case e.Recorded:
			return "held"
		case e.Doubt != "":
			return "does not hold now"
		case e.Summary != "":
			return e.Summary
		}
		return "holds"
	case e.Host != "":
		return e.Type + " on " + e.Host
	}
	return e.Type
}

// head is the task's line. last is what ends it.
func (p Paint) head(e *engine.Entry, last string) string {
	name := e.Name
	if e.Perhaps {
		name += " (perhaps)"
	}
	number := "  "
	if e.Number > 0 {
		number = fmt.Sprintf("%2d", e.Number)
	}
	colour := func(text string) string { return p.effect(e.Effect, text) }
	switch {
	case e.Skipped || e.Recorded:
		colour = p.faint
	case idle(e):
		colour = func(text string) string { return text }
	}
	line := fmt.Sprintf("  %s %s  %s %s %s", colour(marker(e)), number, colour(fmt.Sprintf("%-8s", effectWord(e))),
		fmt.Sprintf("%-*s", nameWidth, name), last)
	return strings.TrimRight(line, " ")
}

// below is what stands beneath the task's line, without indentation.
func (p Paint) below(e *engine.Entry) []string {
	if e.Skipped || e.Recorded {
		return nil
	}
	var lines []string
	if e.Open {
		lines = append(lines, "was begun, and its end is not recorded: looks first whether it took effect,", "and asks where that cannot be seen")
	}
	if e.Doubt != "" {
		lines = append(lines, "as things are now this would fail: "+e.Doubt)
	}
	if e.Summary != "" && e.Role != engine.Assert {
		lines = append(lines, source(e)+e.Summary)
	}
	if e.Diff != nil {
		if e.Diff.Action != "" && e.Diff.Action != e.Summary {
			lines = append(lines, e.Diff.Action)
		}
		if e.Diff.Path != "" {
			lines = append(lines, "  path = "+e.Diff.Path)
		}
	}
	lines = append(lines, details(e.Details)...)
	if e.Diff != nil {
		lines = append(lines, p.diff(e.Diff)...)
	}
	if q := Quorum(e.Before, e.After); q != "" {
		lines = append(lines, q)
	}
	for _, c := range e.Verdict.Checks {
		if !c.Holds {
			lines = append(lines, p.red("refused by "+c.ID+": "+c.Text))
		}
	}
	if len(e.Waits) > 0 {
		lines = append(lines, "waits for "+strings.Join(nearby(e), ", "))
	}
	return append(lines, e.Checks...)
}

// source says where a read's answer is from, where it is not from the cluster.
func source(e *engine.Entry) string {
	switch {
	case e.ByModel && !strings.HasPrefix(e.Summary, "by the model"):
		return "by the model: "
	case e.Later && !strings.HasPrefix(e.Summary, "told during the run"):
		return "told during the run: "
	}
	return ""
}

func details(ds []engine.Detail) []string {
	width := 0
	for _, d := range ds {
		width = max(width, len(d.Name))
	}
	var lines []string
	for _, d := range ds {
		lines = append(lines, fmt.Sprintf("  %-*s = %s", width, d.Name, d.Value))
	}
	return lines
}

// diff is the lines of the file that change, and no others.
func (p Paint) diff(d *engine.Diff) []string {
	before, after := d.Before, d.After
	if !d.Exists {
		before = ""
	}
	if d.Removed {
		after = ""
	}
	var lines []string
	text := string(diff.Diff("before", []byte(before), "after", []byte(after)))
	_, text, _ = strings.Cut(text, "\n+++ after\n")
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "-"):
			lines = append(lines, "  "+p.red("- "+line[1:]))
		case strings.HasPrefix(line, "+"):
			lines = append(lines, "  "+p.green("+ "+line[1:]))
		}
	}
	return lines
}

// nearby is what the task waits for, as its own playbook calls it: the addresses
// without the calls that lead to the task itself.
func nearby(e *engine.Entry) []string {
	to := way(e.Address)
	waits := make([]string, len(e.Waits))
	for i, w := range e.Waits {
		waits[i] = strings.TrimPrefix(w, to)
	}
	return waits
}

// way is the calls that lead to an address: of `task.join["b"]/task.add`,
// `task.join["b"]/`. A slash may also stand in a key, between quotes.
func way(address string) string {
	end, quoted := 0, false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '/' && !quoted:
			end = i + 1
		}
	}
	return address[:end]
}

// indent is the margin of what a called playbook does: one step for each call.
func indent(address string) string {
	depth := 0
	for to := way(address); to != ""; to = way(strings.TrimSuffix(to, "/")) {
		depth++
	}
	return strings.Repeat("    ", depth)
}
