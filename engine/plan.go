package engine

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

// Plan is what a run would do, as far as it can be known before.
type Plan struct {
	Program *Program
	RunID   string
	Entries []Entry // in the order in which they would run
	Outputs []PlannedOutput
	Counts  Counts
	// Failed is the first thing that would stop the run: a condition that does
	// not hold, a refusal, a host that does not answer. What comes after it is
	// not in Entries.
	Failed Diagnostics
	Notes  Diagnostics // warnings

	cause error // why Failed is set, for the exit code; nil if it is not
}

// Entry is one line of a plan, with what stands beneath it.
type Entry struct {
	Kind    EntryKind
	Depth   int    // 0, or one more for each playbook called
	Number  int    // of a task, counted within its playbook
	Address string // `task.join["b"]/task.add`
	Name    string // what to show: `task.stop["demo-etcd-1"]`; of a phase its name
	Type    string
	Effect  Effect
	Role    Role
	Host    string // "" if none
	Place   Place
	Perhaps bool // whether it runs is only known in the run
	Skipped bool // its when is false
	Needed  bool // of a change: false if it is so already
	ByModel bool // a read answered by the model
	Later   bool // a read that only the run can carry out
	// These are of the plan of a resume.
	Recorded bool   // done, by the journal
	Open     bool   // begun, and its end is not recorded
	Owed     bool   // a phase whose cleaning up is finished first
	Doubt    string // why it would fail as things are now
	Summary  string // one line
	Details  []Detail
	Diff     *Diff
	Waits    []string // addresses of the tasks whose results its arguments wait for
	Checks   []string // "postcondition is checked during the run"
	Verdict  world.Verdict
	// Before and After are the quorum arithmetic around a change of membership,
	// or a stop or start of a member; nil where the task touches neither.
	Before, After *world.Budget

	Args    cty.Value // as planned; unknown where not known. For the agreement of plan and run
	Results cty.Value // as predicted
}

// EntryKind tells headings from tasks.
type EntryKind string

const (
	PhaseEntry EntryKind = "phase"
	TaskEntry  EntryKind = "task"
	CallEntry  EntryKind = "call" // a task of type playbook; its own tasks follow, one deeper
)

// Place is the part of a phase that a task stands in.
type Place string

const (
	InPhase  Place = "phase"
	InRescue Place = "rescue"
	InAlways Place = "always"
)

// PlannedOutput is one output of the playbook, unknown where only the run tells.
type PlannedOutput struct {
	Name      string
	Value     cty.Value
	Sensitive bool
	Waits     []string // addresses of the tasks it waits for
}

// Counts sums up a plan.
type Counts struct {
	Reads, Checks, Changes, Destructive, Questions int
	// Done is the tasks that a resume finds done, Open those that it finds begun.
	// An open one is also counted as what it is.
	Done, Open int
}
