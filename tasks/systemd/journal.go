package systemd

import (
	"context"
	"fmt"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Journal reads a unit's journal.
func Journal() *engine.Type {
	return engine.Define(engine.Spec[journalArgs, journalState, journalResults]{
		Name: "systemd_journal",
		Doc: "Reads the newest lines of a unit's journal, and picks out those that complain: of priority error or " +
			"worse, or logged by etcd at level error or worse.",
		Effect: engine.Read, Where: engine.OnHost, Retryable: true, Volatile: true,
		Check: checkJournal, Observe: observeJournal, Report: reportJournal, Plan: planJournal, Model: modelJournal,
	})
}

const (
	defaultLines = 100
	mostLines    = 10_000
)

type journalArgs struct {
	Unit  string  `play:"unit,required,unit,nosecret" doc:"The unit, with its suffix."`
	Lines *int    `play:"lines" doc:"How many of the newest lines, at most 10,000." default:"100"`
	PID1  bool    `play:"pid1" doc:"What systemd itself says of the unit, instead of the unit's own words; warnings count as complaints then." default:"false"`
	Since *string `play:"since" doc:"Only lines from this moment on: \"2026-11-22T09:55:00Z\" (RFC 3339)." default:"from the beginning"`
}

type journalResults struct {
	Errors []string `play:"errors" doc:"The lines that complain."`
	Lines  []string `play:"lines" doc:"The lines, oldest first."`
}

type journalState struct {
	Entries []conn.JournalEntry `json:"entries"`
}

func checkJournal(a journalArgs) error {
	if a.Lines != nil && (*a.Lines < 1 || *a.Lines > mostLines) {
		return &engine.ArgError{Arg: "lines", Text: fmt.Sprintf("%d is not a number of lines from 1 to %d.", *a.Lines, mostLines)}
	}
	if a.Since != nil {
		if _, err := time.Parse(time.RFC3339, *a.Since); err != nil {
			return &engine.ArgError{Arg: "since", Text: fmt.Sprintf("%q is not a moment such as \"2026-11-22T09:55:00Z\".", *a.Since)}
		}
	}
	return nil
}

func observeJournal(ctx context.Context, l engine.Look, a journalArgs) (journalState, error) {
	q := conn.JournalQuery{Unit: a.Unit, PID1: a.PID1, Lines: defaultLines}
	if a.Lines != nil {
		q.Lines = *a.Lines
	}
	if a.Since != nil {
		var err error
		if q.Since, err = time.Parse(time.RFC3339, *a.Since); err != nil {
			return journalState{}, err
		}
	}
	entries, err := l.Host.Journal(ctx, q)
	return journalState{Entries: entries}, err
}

func reportJournal(a journalArgs, s journalState) journalResults {
	worst := 3 // error
	if a.PID1 {
		worst = 4 // systemd warns of settings it ignores
	}
	r := journalResults{}
	for _, e := range s.Entries {
		r.Lines = append(r.Lines, e.Message)
		if complains(e, worst) {
			r.Errors = append(r.Errors, plain(e.Message))
		}
	}
	return r
}

func planJournal(p engine.Planning, a journalArgs, s journalState) (engine.Planned, journalResults) {
	if p.Unknown["unit"] {
		return engine.Planned{Summary: "told during the run: lines of a unit that is known then"}, journalResults{}
	}
	if !p.Observed {
		return engine.Planned{Summary: "told during the run: lines of " + a.Unit}, journalResults{}
	}
	r := reportJournal(a, s)
	return engine.Planned{Summary: fmt.Sprintf("%s: %d lines, %d of them complaints", a.Unit, len(r.Lines), len(r.Errors))}, r
}

// modelJournal says that nobody can foretell what a unit will log.
func modelJournal(string, journalArgs, *world.World) (journalResults, []string, bool) {
	return journalResults{}, nil, false
}
