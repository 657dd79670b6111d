package engine

import (
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

// Event is one thing that happened in a run. One stream of them feeds the
// terminal, --json and the report.
type Event struct {
	Time    time.Time
	Kind    EventKind
	RunID   string
	Phase   string
	Place   Place
	Address string // of the task
	Type    string
	Effect  Effect
	Host    string
	Attempt int
	Message string // one line
	Status  Status // of task_end, phase_end and summary
	How     How    // of task_end
	Changed bool
	Elapsed time.Duration // of task_end, phase_end and summary

	Done, Total   int64         // of task_progress: bytes; Total 0 if unknown
	Before, After *world.Budget // of task_end: the quorum arithmetic, where it moved; After also of the summary of a run that made a cluster answer
	Entry         *Entry        // of task_start: how the task looks now that its values are known
	Diagnostics   Diagnostics   // of diagnostic, of a failed task_end, and of a summary where no task says why
	Outputs       []PlannedOutput
	Exposed       time.Duration // of summary: for how long, while an engine was at work, the cluster could not have lost a member
	Blind         bool          // of summary: at some time nobody could be asked, so that Exposed may be too little
	Failure       *Failure      // of summary; nil if the run was OK
}

// Failure is why a run stopped, and how to go on.
type Failure struct {
	Address string   // of the task; "" if none was at work
	Host    string   // "" if none
	Subject *Range   // in the playbook; nil if none
	Cause   string   // one line
	Undone  []string // addresses of the rescue and always tasks that changed something after
	GoOn    string   // the command that goes on; "" if there is none
}

// EventKind says what an Event is about.
type EventKind string

const (
	RunStart     EventKind = "run_start"
	PhaseStart   EventKind = "phase_start"
	TaskStart    EventKind = "task_start"
	TaskProgress EventKind = "task_progress"
	TaskEnd      EventKind = "task_end"
	PhaseEnd     EventKind = "phase_end"
	Finding      EventKind = "diagnostic"
	OutputsKnown EventKind = "outputs"
	Summary      EventKind = "summary"
)

// Status is how a task, a phase or a run ended.
type Status string

const (
	OK          Status = "ok"
	Skipped     Status = "skipped"
	Failed      Status = "failed"
	Rescued     Status = "rescued" // a phase: it failed, and its rescue has run
	UnknownEnd  Status = "unknown" // the effect of the last task is not known; resume looks
	Interrupted Status = "interrupted"
	Refused     Status = "refused" // by a predicate, or because the plan no longer holds
)

// How says where a task's results come from.
type How string

const (
	Executed   How = "executed"
	Already    How = "already"    // it was so before
	Reconciled How = "reconciled" // a lost answer was settled from the live state
	Recorded   How = "recorded"   // from the journal of the interrupted run
)

// Outcome is what a run came to.
type Outcome struct {
	RunID   string
	Status  Status
	Outputs map[string]cty.Value
	Exposed time.Duration
	Failure *Failure // nil exactly if Status is OK
	Err     error    // nil exactly if Status is OK

	sent bool // an effect was begun
}
