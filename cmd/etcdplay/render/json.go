package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Record is one line of --json. Level, Message, Timestamp and Type are on every
// line; what else there is depends on Type.
type Record struct {
	Level     string    `json:"@level"` // info, warn, error
	Message   string    `json:"@message"`
	Timestamp time.Time `json:"@timestamp"`
	Type      string    `json:"type"`

	Run      string `json:"run,omitempty"`
	Phase    string `json:"phase,omitempty"`
	Place    string `json:"place,omitempty"`
	Task     string `json:"task,omitempty"`
	TaskType string `json:"task_type,omitempty"`
	Effect   string `json:"effect,omitempty"`
	Host     string `json:"host,omitempty"`
	Attempt  int    `json:"attempt,omitempty"`
	Status   string `json:"status,omitempty"`
	How      string `json:"how,omitempty"`
	Changed  *bool  `json:"changed,omitempty"`
	// Seconds has passed since the task, the phase or the run began.
	Seconds float64 `json:"seconds,omitempty"`
	// Done and Total are bytes.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Exposed is for how many seconds the cluster could not have lost a member; it
	// is left out where that is not known.
	Exposed *float64 `json:"exposed_seconds,omitempty"`

	Plan          *EntryRecord            `json:"plan,omitempty"`
	Before        *BudgetRecord           `json:"quorum_before,omitempty"`
	After         *BudgetRecord           `json:"quorum_after,omitempty"`
	Outputs       map[string]OutputRecord `json:"outputs,omitempty"`
	Counts        map[string]int          `json:"counts,omitempty"`
	Failure       *FailureRecord          `json:"failure,omitempty"`
	Diagnostic    json.RawMessage         `json:"diagnostic,omitempty"`
	Diagnostics   json.RawMessage         `json:"diagnostics,omitempty"`
	Data          any                     `json:"data,omitempty"` // of commands that print something of their own
	SchemaVersion string                  `json:"ui,omitempty"`   // of type version: the edition of these records
	Tool          string                  `json:"etcdplay,omitempty"`
}

// EntryRecord is a task of a plan.
type EntryRecord struct {
	Number  int               `json:"number,omitempty"`
	Depth   int               `json:"depth,omitempty"`
	Name    string            `json:"name"`
	Needed  bool              `json:"needed"`
	Skipped bool              `json:"skipped,omitempty"`
	Perhaps bool              `json:"perhaps,omitempty"`
	ByModel bool              `json:"by_model,omitempty"`
	Later   bool              `json:"told_during_run,omitempty"`
	Done    bool              `json:"done,omitempty"`
	Open    bool              `json:"open,omitempty"`
	Doubt   string            `json:"would_fail,omitempty"`
	Summary string            `json:"summary,omitempty"`
	Details map[string]string `json:"details,omitempty"`
	Diff    *DiffRecord       `json:"diff,omitempty"`
	Waits   []string          `json:"waits_for,omitempty"`
	Checks  []string          `json:"checks,omitempty"`
	Verdict []world.Check     `json:"verdict,omitempty"`
}

// DiffRecord is a file that a task would write or remove.
type DiffRecord struct {
	Path    string `json:"path"`
	Action  string `json:"action"`
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
	Exists  bool   `json:"exists"`
	Removed bool   `json:"removed,omitempty"`
}

// FailureRecord is why a run stopped, and how to go on.
type FailureRecord struct {
	Task   string        `json:"task,omitempty"`
	Host   string        `json:"host,omitempty"`
	Range  *engine.Range `json:"range,omitempty"`
	Cause  string        `json:"cause"`
	Undone []string      `json:"undone,omitempty"`
	GoOn   string        `json:"go_on,omitempty"`
}

// BudgetRecord is the quorum arithmetic of one moment.
type BudgetRecord struct {
	world.Budget
	Tolerates int `json:"tolerates"`
}

// OutputRecord is one output; Value is absent where it is sensitive or not yet
// known.
type OutputRecord struct {
	Value      json.RawMessage `json:"value,omitempty"`
	Sensitive  bool            `json:"sensitive,omitempty"`
	KnownAfter []string        `json:"known_after,omitempty"`
}

// Line is the record as its line, with the line break.
func (r Record) Line() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		// Every field is a plain value of ours, but Data is a command's.
		panic(fmt.Sprintf("render: record of type %s: %v", r.Type, err))
	}
	return b.String()
}

// EventRecord is an event as a record. findings encodes diagnostics.
func EventRecord(ev engine.Event, findings func(engine.Diagnostics) json.RawMessage) Record {
	r := Record{
		Level: "info", Message: eventMessage(ev), Timestamp: ev.Time, Type: string(ev.Kind),
		Run: ev.RunID, Phase: ev.Phase, Place: string(ev.Place), Task: ev.Address, TaskType: ev.Type,
		Effect: string(ev.Effect), Host: ev.Host, Attempt: ev.Attempt, Status: string(ev.Status), How: string(ev.How),
		Seconds: ev.Elapsed.Seconds(), Done: ev.Done, Total: ev.Total,
		Before: budgetRecord(ev.Before), After: budgetRecord(ev.After),
	}
	switch ev.Status {
	case engine.Failed, engine.UnknownEnd, engine.Interrupted, engine.Refused:
		r.Level = "error"
	}
	switch ev.Kind {
	case engine.TaskEnd:
		r.Changed = &ev.Changed
	case engine.Summary:
		if exposed := ev.Exposed.Seconds(); exposed > 0 || !ev.Blind {
			r.Exposed = &exposed
		}
	case engine.Finding:
		r.Level = "warn"
		if ev.Diagnostics.HasErrors() {
			r.Level = "error"
		}
	}
	if f := ev.Failure; f != nil {
		r.Failure = &FailureRecord{Task: f.Address, Host: f.Host, Range: f.Subject, Cause: f.Cause, Undone: f.Undone, GoOn: f.GoOn}
	}
	if ev.Entry != nil {
		r.Plan = entryRecord(ev.Entry)
	}
	if len(ev.Outputs) > 0 {
		r.Outputs = Outputs(ev.Outputs)
	}
	if len(ev.Diagnostics) > 0 {
		r.Diagnostics = findings(ev.Diagnostics)
	}
	return r
}

func eventMessage(ev engine.Event) string {
	if ev.Message != "" {
		return ev.Message
	}
	switch ev.Kind {
	case engine.PhaseStart:
		return "phase " + ev.Phase
	case engine.PhaseEnd:
		return fmt.Sprintf("phase %s: %s", ev.Phase, ev.Status)
	case engine.TaskEnd:
		return fmt.Sprintf("%s: %s", ev.Address, ev.Status)
	case engine.Summary:
		return fmt.Sprintf("run %s: %s", ev.RunID, ev.Status)
	case engine.OutputsKnown:
		return "outputs"
	case engine.RunStart:
		return "run " + ev.RunID
	}
	if ev.Address != "" {
		return ev.Address
	}
	return string(ev.Kind)
}

// PlanRecords is a plan: its tasks, its outputs, its counts.
func PlanRecords(p *engine.Plan, now time.Time) []Record {
	var rs []Record
	for _, c := range p.Program.Changes {
		rs = append(rs, Record{Level: "info", Message: Change(c), Timestamp: now, Type: "site_change", Run: p.RunID, Task: c.Task, Data: c})
	}
	phase := ""
	for i := range p.Entries {
		e := &p.Entries[i]
		if e.Kind == engine.PhaseEntry {
			phase = e.Name
			continue
		}
		rs = append(rs, Record{
			Level: "info", Message: plannedMessage(e), Timestamp: now, Type: "task_planned",
			Run: p.RunID, Phase: phase, Place: string(e.Place), Task: e.Address, TaskType: e.Type,
			Effect: string(e.Effect), Host: e.Host, Plan: entryRecord(e),
			Before: budgetRecord(e.Before), After: budgetRecord(e.After),
		})
	}
	if len(p.Failed) == 0 {
		rs = append(
			rs,
			Record{Level: "info", Message: "outputs", Timestamp: now, Type: "outputs", Run: p.RunID, Outputs: Outputs(p.Outputs)},
			Record{Level: "info", Message: Counts(p.Counts), Timestamp: now, Type: "summary", Run: p.RunID, Status: "planned", Counts: counts(p.Counts)},
		)
	}
	return rs
}

func counts(c engine.Counts) map[string]int {
	m := map[string]int{
		"reads": c.Reads, "checks": c.Checks, "changes": c.Changes,
		"destructive": c.Destructive, "questions": c.Questions,
	}
	if c.Done+c.Open > 0 {
		m["done"], m["open"] = c.Done, c.Open
	}
	return m
}

func plannedMessage(e *engine.Entry) string {
	s := effectWord(e) + " " + e.Address
	if e.Host != "" {
		s += " on " + e.Host
	}
	if e.Summary != "" {
		s += ": " + source(e) + e.Summary
	}
	return s
}

func entryRecord(e *engine.Entry) *EntryRecord {
	r := &EntryRecord{
		Number: e.Number, Depth: e.Depth, Name: e.Name, Needed: e.Needed, Skipped: e.Skipped, Perhaps: e.Perhaps,
		ByModel: e.ByModel, Done: e.Recorded, Open: e.Open, Doubt: e.Doubt, Later: e.Later, Summary: e.Summary, Waits: e.Waits, Checks: e.Checks, Verdict: e.Verdict.Checks,
	}
	for _, d := range e.Details {
		if r.Details == nil {
			r.Details = map[string]string{}
		}
		r.Details[d.Name] = d.Value
	}
	if d := e.Diff; d != nil {
		r.Diff = &DiffRecord{Path: d.Path, Action: d.Action, Before: d.Before, After: d.After, Exists: d.Exists, Removed: d.Removed}
	}
	return r
}

func budgetRecord(b *world.Budget) *BudgetRecord {
	if b == nil {
		return nil
	}
	return &BudgetRecord{Budget: *b, Tolerates: b.Tolerance()}
}

// Outputs is the outputs of a plan or a run, by name.
func Outputs(outs []engine.PlannedOutput) map[string]OutputRecord {
	m := map[string]OutputRecord{}
	for _, o := range outs {
		r := OutputRecord{Sensitive: o.Sensitive, KnownAfter: o.Waits}
		if !o.Sensitive {
			r.Value = valueJSON(o.Value)
		}
		m[o.Name] = r
	}
	return m
}

// valueJSON is nil where any part of v is sensitive or not known.
func valueJSON(v cty.Value) json.RawMessage {
	if v == cty.NilVal || v.ContainsMarked() || !v.IsWhollyKnown() {
		return nil
	}
	raw, err := ctyjson.SimpleJSONValue{Value: v}.MarshalJSON()
	if err != nil {
		return nil
	}
	return raw
}
