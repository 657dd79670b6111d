package systemd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// Bounds of what an error quotes of a unit's journal.
const (
	lastWords    = 3
	longestWords = 300 // bytes of one line
	searched     = 60  // lines looked through for complaints
)

// later is the entries that belong to the start that is now the unit's, or to
// those that led to it: what an earlier process of the unit said is not the cause
// of what comes after it. before is the InvocationID when the start was asked
// for; systemd forgets that of a unit that has come to rest.
func later(entries []conn.JournalEntry, before, now string) []conn.JournalEntry {
	if before == now {
		return entries // it is what was under way already
	}
	for i, e := range slices.Backward(entries) {
		if before != "" && e.Invocation == before {
			return entries[i+1:]
		}
	}
	if before != "" {
		return entries
	}
	if i := first(entries, now); i >= 0 {
		return entries[i:]
	}
	// The journal does not know whose the words of a process are that was over
	// before it looked: those of a start that failed at once.
	unknown := len(entries)
	for unknown > 0 && entries[unknown-1].Invocation == "" {
		unknown--
	}
	if unknown < len(entries) {
		return entries[unknown:]
	}
	return entries
}

// from is the entries from the invocation's first on; all where it has none.
func from(entries []conn.JournalEntry, invocation string) []conn.JournalEntry {
	return entries[max(0, first(entries, invocation)):]
}

// first is where the invocation's first entry is; -1 if it has none.
func first(entries []conn.JournalEntry, invocation string) int {
	return slices.IndexFunc(entries, func(e conn.JournalEntry) bool { return e.Invocation == invocation && invocation != "" })
}

// notActive adds to err, of a start, what systemd and the unit itself have to
// say: the state it is in, and the last lines of its journal, without those of
// the start before, if there was one.
func notActive(ctx context.Context, l engine.Look, unit string, begun time.Time, before string, err error) error {
	pick := func(entries []conn.JournalEntry, now string) []conn.JournalEntry { return later(entries, before, now) }
	return withWords(ctx, l, unit, begun, pick, err)
}

// withWords is notActive with the lines of the last minute that pick leaves, given
// the unit's InvocationID.
func withWords(ctx context.Context, l engine.Look, unit string, begun time.Time, pick func([]conn.JournalEntry, string) []conn.JournalEntry, err error) error {
	late := ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)
	// The task's time may be over; a look at the cause gets a little of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	u, uerr := l.Host.Unit(ctx, unit)
	if uerr != nil {
		return fmt.Errorf("%s: %w", unit, err)
	}
	text := unit + " did not become active"
	if late {
		text += fmt.Sprintf(" within %s", since(begun))
	}
	text += fmt.Sprintf("; it is %q", u.ActiveState+" ("+u.SubState+")")
	entries, jerr := l.Host.Journal(ctx, conn.JournalQuery{Unit: unit, Since: begun.Add(-time.Minute), Lines: searched})
	entries = pick(entries, u.InvocationID)
	if jerr != nil || len(entries) == 0 {
		return fmt.Errorf("%s: %w", text, err)
	}
	return because{text + ". Its last words:\n\n  " + strings.Join(last(entries), "\n  ") + "\n", err}
}

// because is an error whose text says more than its cause, and whose cause can
// still be told.
type because struct {
	text  string
	cause error
}

func (e because) Error() string { return e.text }
func (e because) Unwrap() error { return e.cause }

// last is what to quote: the newest complaints, or the newest lines where there
// are none.
func last(entries []conn.JournalEntry) []string {
	var lines, complaints []string
	for _, e := range entries {
		text := plain(e.Message)
		if len(text) > longestWords { // the cause mostly stands at the end
			text = strings.ToValidUTF8(text[:longestWords/2], "") + " … " + strings.ToValidUTF8(text[len(text)-longestWords/2:], "")
		}
		lines = append(lines, text)
		if complains(e, 3) {
			complaints = append(complaints, text)
		}
	}
	if len(complaints) > 0 {
		lines = complaints
	}
	return lines[max(0, len(lines)-lastWords):]
}

// zapLine is what etcd logs, one JSON object a line, at whatever priority.
type zapLine struct {
	Level string `json:"level"`
	Msg   string `json:"msg"`
	Error string `json:"error"`
}

func zapped(message string) (z zapLine, ok bool) {
	if !strings.HasPrefix(message, "{") {
		return z, false
	}
	return z, json.Unmarshal([]byte(message), &z) == nil && z.Level != ""
}

// plain is a line as a person wants to read it.
func plain(message string) string {
	z, ok := zapped(message)
	switch {
	case !ok:
		return message
	case z.Error != "" && z.Error != z.Msg:
		return z.Msg + ": " + z.Error
	}
	return z.Msg
}

// complains reports whether a line is an error: by its priority, at most worst,
// or by the level that etcd gives its own lines.
func complains(e conn.JournalEntry, worst int) bool {
	if e.Priority <= worst {
		return true
	}
	z, ok := zapped(e.Message)
	return ok && (z.Level == "error" || z.Level == "fatal" || z.Level == "panic" || z.Level == "dpanic")
}
