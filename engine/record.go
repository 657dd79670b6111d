package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/journal"
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
	Changes    []SiteChange // by site playbooks, as the run began
	State      RunState
	Tasks      []RecordedTask // finished ones, in the order in which they ended
	// History is all that ended, failed attempts too, and what a failed phase has
	// made count as not run: the evidence.
	History   []RecordedTask
	Open      *OpenTask // begun and not ended; nil if none
	Failure   *RecordedFailure
	Phase     string // where the run stands or stood last
	Started   time.Time
	Ended     time.Time // of the last record
	Exposed   time.Duration
	Outputs   map[string]cty.Value // of a run that succeeded
	Overrides []string             // what was overridden, and by whom
	Contacts  []Contact            // the machines that were connected to, by name
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
	Message string // of a failed attempt, why
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
	RunNotBegun   RunState = "not begun"   // its engine died before it did anything; nothing to resume
)

// Runs lists the runs in the state folder, newest first. A run whose journal
// cannot be read is listed as RunUnreadable.
func Runs(stateDir string) ([]*Record, error) {
	ids, err := runIDs(stateDir)
	if err != nil {
		return nil, err
	}
	var records []*Record
	for _, id := range ids {
		r, err := readRun(stateDir, id)
		if err != nil {
			r = &Record{
				Identity: Identity{ID: id}, Dir: runDir(stateDir, id), State: RunUnreadable,
				Failure: &RecordedFailure{Message: oneLine(err.Error())},
			}
		}
		records = append(records, r)
	}
	return records, nil
}

// OpenRun reads one run: by its ID, by a prefix of it that fits only one, or,
// with "", the last one, also if it is RunNotBegun: an older run that ended well
// must not be taken for the one that was just killed. The error wraps ErrInput if there is no such run
// and ErrState if its journal cannot be read.
func OpenRun(stateDir, id string) (*Record, error) {
	ids, err := runIDs(stateDir)
	if err != nil {
		return nil, err
	}
	var fits []string
	for _, have := range ids {
		if have == id {
			return readRun(stateDir, have)
		}
		if strings.HasPrefix(have, id) {
			fits = append(fits, have)
		}
	}
	switch {
	case len(fits) == 0 && id == "":
		return nil, fmt.Errorf("%w: there is no run yet", ErrInput)
	case len(fits) == 0:
		return nil, fmt.Errorf("%w: there is no run %s; etcdplay runs lists them", ErrInput, id)
	case len(fits) > 1 && id != "":
		return nil, fmt.Errorf("%w: %s is the beginning of several runs: %s", ErrInput, id, strings.Join(fits, ", "))
	}
	return readRun(stateDir, fits[0])
}

// runIDs is the IDs of all runs, newest first. A folder of that name may be of a
// run that died before its first record.
func runIDs(stateDir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	born := map[string]time.Time{}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if info, err := e.Info(); err == nil {
			born[e.Name()] = info.ModTime()
		}
		// The reserve is written when the run's folder is made, and never after.
		if info, err := os.Lstat(filepath.Join(stateDir, "runs", e.Name(), "reserve")); err == nil {
			born[e.Name()] = info.ModTime()
		}
	}
	ids := sortedNames(born)
	second := func(id string) string { s, _, _ := strings.Cut(id, "-"); return s }
	slices.SortStableFunc(ids, func(a, b string) int {
		if c := strings.Compare(second(b), second(a)); c != 0 {
			return c
		}
		return born[b].Compare(born[a])
	})
	return ids, nil
}

func readRun(stateDir, id string) (*Record, error) {
	dir := runDir(stateDir, id)
	payloads, err := journal.Read(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: run %s: %w", ErrState, id, err)
	}
	f, err := foldLines(payloads)
	if err != nil {
		return nil, err
	}
	if f.head.ID == "" {
		// It died before its first record, and so before it did anything.
		return &Record{Identity: Identity{ID: id}, Dir: dir, State: RunNotBegun}, nil
	}
	return f.record(dir)
}

// record is the fold as others see it.
func (f *fold) record(dir string) (*Record, error) {
	h := f.head
	r := &Record{
		Identity: Identity{ID: h.ID, StartedAt: h.StartedAt, User: h.User}, Dir: dir, Invocation: h.Invocation,
		Playbook: RecordedPlaybook{
			Name: h.Playbook.Name, Version: h.Playbook.Version, File: h.Playbook.File,
			Digest: h.Playbook.Digest, Language: h.Playbook.Language,
		},
		Cluster: h.Cluster, Inventory: h.Inventory, Templates: h.Templates, Changes: h.Changes, Phase: f.phase,
		Started: h.StartedAt, Ended: f.last, Exposed: f.exposed, Overrides: f.overrides, Contacts: f.known(),
	}
	for _, in := range h.Inputs {
		v, err := in.Value.Decode()
		if err != nil {
			return nil, fmt.Errorf("%w: variable %s: %w", ErrState, in.Name, err)
		}
		r.Inputs = append(r.Inputs, RecordedInput{Name: in.Name, Value: v, Source: in.Source, Sensitive: in.Sensitive})
	}
	for _, address := range f.order {
		t, err := f.done[address].task()
		if err != nil {
			return nil, err
		}
		r.Tasks = append(r.Tasks, t)
	}
	for _, l := range f.history {
		switch l := l.(type) {
		case doneLine:
			t, err := l.task()
			if err != nil {
				return nil, err
			}
			r.History = append(r.History, t)
		case failLine:
			r.History = append(r.History, RecordedTask{
				Address: l.Task, Host: l.Host, Status: l.status(), Message: l.Message, At: l.At,
				Results: cty.NullVal(cty.EmptyObject),
			})
		}
	}
	for _, address := range sortedNames(f.open) {
		l := f.open[address]
		if r.Open == nil || l.At.After(r.Open.At) {
			r.Open = &OpenTask{Address: address, Type: l.Type, Host: l.Host, Attempt: l.Attempt, At: l.At}
		}
	}
	if err := f.outputs(r); err != nil {
		return nil, err
	}
	r.State = f.state(dir, r)
	return r, nil
}

func (l doneLine) task() (RecordedTask, error) {
	v, err := l.Results.Decode()
	if err != nil {
		return RecordedTask{}, fmt.Errorf("%w: results of %s: %w", ErrState, l.Task, err)
	}
	return RecordedTask{
		Address: l.Task, Type: l.Type, Effect: l.Effect, Host: l.Host, Status: l.Status, How: l.How,
		Changed: l.Changed, Results: v, At: l.At, Elapsed: l.Elapsed, Phase: l.Phase, Place: l.Place,
	}, nil
}

func (l failLine) status() Status {
	if l.Effect == effectUnknown {
		return UnknownEnd
	}
	return Failed
}

func (f *fold) outputs(r *Record) error {
	if f.end == nil || f.end.Outputs == nil {
		return nil
	}
	v, err := f.end.Outputs.Decode()
	if err != nil {
		return fmt.Errorf("%w: outputs: %w", ErrState, err)
	}
	r.Outputs = map[string]cty.Value{}
	for name := range v.Type().AttributeTypes() {
		r.Outputs[name] = v.GetAttr(name)
	}
	return nil
}

// state says where the run stands, and fills in why it stopped.
func (f *fold) state(dir string, r *Record) RunState {
	if f.end != nil {
		r.Open = nil
		return f.end.State
	}
	if journal.InUse(dir) {
		return RunGoing
	}
	if f.stop == nil {
		if r.Open != nil {
			r.Failure = &RecordedFailure{
				Address: r.Open.Address, Host: r.Open.Host, Status: UnknownEnd,
				Message: "the process that ran it died; resume looks what became of the task",
			}
			return RunUnknown
		}
		r.Failure = &RecordedFailure{Status: Interrupted, Message: "the process that ran it died"}
		return RunStopped
	}
	r.Failure = &RecordedFailure{
		Address: f.stop.Task, Host: f.stop.Host, Message: f.stop.Message, Status: f.stop.Status,
	}
	switch f.stop.Status {
	case Interrupted:
		return RunStopped
	case UnknownEnd:
		return RunUnknown
	case Refused:
		return RunRefused
	}
	return RunFailed
}
