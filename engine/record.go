package engine

import (
	"time"

	"github.com/zclconf/go-cty/cty"
)

// Record is a run as its journal tells it. It is read without a lock, and so
// may be of a run that is still going on.
type Record struct {
	Identity   Identity
	Dir        string // the run's folder
	Invocation Invocation
	Playbook   RecordedPlaybook
	Cluster    string
	Inventory  string            // digest
	Templates  map[string]string // path to digest
	Inputs     []RecordedInput
	State      RunState
	Tasks      []RecordedTask // finished ones, in the order in which they ended
	Open       *OpenTask      // begun and not ended; nil if none
	Failure    *RecordedFailure
	Phase      string // where the run stands or stood last
	Started    time.Time
	Ended      time.Time // of the last record
	Exposed    time.Duration
	Outputs    map[string]cty.Value // of a run that succeeded
	Overrides  []string             // what was overridden, and by whom
}

// RecordedPlaybook is the playbook of a run.
type RecordedPlaybook struct {
	Name, Version, File, Digest string
	Language                    int
}

// RecordedInput is the value of a variable. Of a sensitive one only a keyed
// hash is kept; Value is then null.
type RecordedInput struct {
	Name      string
	Value     cty.Value
	Source    string
	Sensitive bool
}

// RecordedTask is one finished task.
type RecordedTask struct {
	Address string
	Type    string
	Effect  Effect
	Host    string
	Status  Status
	How     How
	Changed bool
	Results cty.Value // sensitive parts null
	At      time.Time
	Elapsed time.Duration
	Phase   string
	Place   Place
}

// OpenTask is a task whose effect was begun and of which no end is recorded.
type OpenTask struct {
	Address string
	Type    string
	Host    string
	Attempt int
	At      time.Time
}

// RecordedFailure is why a run stopped last.
type RecordedFailure struct {
	Address string
	Host    string
	Message string
	Status  Status
}

// RunState says where a run stands.
type RunState string

const (
	RunGoing      RunState = "running"     // an engine holds it
	RunOK         RunState = "ok"          // ended well
	RunFailed     RunState = "failed"      // stopped by a failure; can be resumed
	RunStopped    RunState = "interrupted" // stopped by the operator, or its engine died; can be resumed
	RunUnknown    RunState = "unknown"     // a task's effect is not known; resume looks
	RunAborted    RunState = "aborted"     // closed for good
	RunRefused    RunState = "refused"     // stopped by a predicate or by drift; can be resumed
	RunUnreadable RunState = "unreadable"  // its journal is damaged
)
