package engine

import (
	"encoding/json"
	"time"

	"github.com/etcdplay/etcdplay/engine/journal"
	"github.com/etcdplay/etcdplay/engine/world"
)

// The lines of a run's journal. "t" tells them apart. What is added later must
// be something that an older reader may pass over.

// runLine is the first one.
type runLine struct {
	V          int               `json:"v"`
	T          string            `json:"t"` // "run"
	ID         string            `json:"id"`
	StartedAt  time.Time         `json:"started_at"`
	User       string            `json:"user"`
	Invocation Invocation        `json:"invocation"`
	Playbook   playbookLine      `json:"playbook"`
	Cluster    string            `json:"cluster"`
	Inventory  string            `json:"inventory"`
	Templates  map[string]string `json:"templates,omitempty"`
	Inputs     []inputLine       `json:"inputs,omitempty"`
	Changes    []SiteChange      `json:"changes,omitempty"` // by site playbooks
	Key        []byte            `json:"key"`               // of the hashes of sensitive inputs
}

type playbookLine struct {
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	Language int    `json:"language"`
	File     string `json:"file"`
	Digest   string `json:"digest"`
}

type inputLine struct {
	Name      string        `json:"name"`
	Value     journal.Value `json:"value"`
	Source    string        `json:"source"`
	Sensitive bool          `json:"sensitive,omitempty"`
	HMAC      []byte        `json:"hmac,omitempty"`
}

// incarnationLine begins what one process does for the run.
type incarnationLine struct {
	T         string    `json:"t"` // "incarnation"
	N         int       `json:"n"`
	Operation string    `json:"operation"` // run, resume, abort
	PID       int       `json:"pid"`
	User      string    `json:"user"`
	At        time.Time `json:"at"`
}

// phaseLine says where a phase stands. "failed" is written once its rescue and
// always have run: the tasks it names count as not run from then on.
type phaseLine struct {
	T       string     `json:"t"` // "phase"
	Key     string     `json:"key"`
	Name    string     `json:"name,omitempty"`
	State   phaseState `json:"state"`
	Task    string     `json:"task,omitempty"`    // which failed
	Message string     `json:"message,omitempty"` // why
	Tasks   []string   `json:"tasks,omitempty"`   // addresses without keys
	At      time.Time  `json:"at"`
}

type phaseState string

const (
	phaseBegun    phaseState = "begun"
	phaseRescuing phaseState = "rescuing"
	phaseFailed   phaseState = "failed"
	phaseOK       phaseState = "ok"
	phaseSkipped  phaseState = "skipped"
)

// intentLine is on disk before the first byte of an effect is sent.
type intentLine struct {
	T       string          `json:"t"` // "intent"
	Task    string          `json:"task"`
	Type    string          `json:"type"`
	Effect  Effect          `json:"effect"`
	Host    string          `json:"host,omitempty"`
	Phase   string          `json:"phase,omitempty"`
	Place   Place           `json:"place"`
	Attempt int             `json:"attempt"`
	Args    journal.Value   `json:"args"`
	State   json.RawMessage `json:"state"`
	Verdict world.Verdict   `json:"verdict"`
	Budget  world.Budget    `json:"budget"`
	At      time.Time       `json:"at"`
}

// doneLine is on disk before anybody is told that the task is done.
type doneLine struct {
	T       string        `json:"t"` // "done"
	Task    string        `json:"task"`
	Type    string        `json:"type"`
	Effect  Effect        `json:"effect"`
	Host    string        `json:"host,omitempty"`
	Phase   string        `json:"phase,omitempty"`
	Place   Place         `json:"place"`
	Status  Status        `json:"status"`
	How     How           `json:"how,omitempty"`
	Changed bool          `json:"changed"`
	Attempt int           `json:"attempt,omitempty"`
	Results journal.Value `json:"results"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Budget  *world.Budget `json:"budget,omitempty"`  // after, where it moved
	Members *membersLine  `json:"members,omitempty"` // expected after, where they changed
	At      time.Time     `json:"at"`
}

// failLine ends an attempt that failed. With effect unknown the intent before it
// stays open.
type failLine struct {
	T       string       `json:"t"` // "fail"
	Task    string       `json:"task"`
	Host    string       `json:"host,omitempty"`
	Effect  failEffect   `json:"effect"`
	Message string       `json:"message"`
	Members *membersLine `json:"members,omitempty"` // expected after, where they changed
	At      time.Time    `json:"at"`
}

type failEffect string

const (
	effectNone    failEffect = "none"
	effectPartial failEffect = "partial"
	effectThere   failEffect = "there" // done, and found wanting
	effectUnknown failEffect = "unknown"
)

// loopLine is the keys of a loop, as it began.
type loopLine struct {
	T    string   `json:"t"` // "loop"
	Task string   `json:"task"`
	Keys []string `json:"keys"`
}

// answerLine is what the operator said.
type answerLine struct {
	T        string    `json:"t"` // "answer"
	Task     string    `json:"task"`
	Question string    `json:"question"`
	Answer   string    `json:"answer"`
	Yes      bool      `json:"yes"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
}

// overrideLine is something that the operator went on in spite of.
type overrideLine struct {
	T    string    `json:"t"` // "override"
	Text string    `json:"text"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// stopLine ends what one process did; the run can be resumed.
type stopLine struct {
	T       string        `json:"t"` // "stop"
	Status  Status        `json:"status"`
	Task    string        `json:"task,omitempty"`
	Host    string        `json:"host,omitempty"`
	Message string        `json:"message"`
	Exposed time.Duration `json:"exposed_ns"`
	At      time.Time     `json:"at"`
}

// endLine closes the run for good.
type endLine struct {
	T       string         `json:"t"` // "end"
	State   RunState       `json:"state"`
	Outputs *journal.Value `json:"outputs,omitempty"`
	Exposed time.Duration  `json:"exposed_ns"`
	At      time.Time      `json:"at"`
}
