package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/journal"
)

// fold is what the lines of a journal come to.
type fold struct {
	head      runLine
	n         int // incarnations
	done      map[string]doneLine
	order     []string // addresses of done, in the order in which they ended
	history   []any    // every doneLine and failLine
	open      map[string]intentLine
	args      map[string]journal.Value // of the last intent of each task
	phases    map[string]phaseLine
	gone      map[string]bool // tasks that were done, and whose effect was found gone
	loops     map[string][]string
	answers   map[string]answerLine
	overrides []string
	contacts  map[string]Contact // by host, or by address on the way to one
	members   *membersLine       // what the run expects; nil if nothing
	replaced  bool               // the cluster that the run began with is no more
	elsewhere []string           // where the other serves, beside the inventory's endpoints
	stop      *stopLine          // of the last incarnation; nil if it just ended
	end       *endLine
	exposed   time.Duration
	last      time.Time
	phase     string
}

func newFold() *fold {
	return &fold{
		done: map[string]doneLine{}, open: map[string]intentLine{}, phases: map[string]phaseLine{},
		args: map[string]journal.Value{}, loops: map[string][]string{}, answers: map[string]answerLine{},
		contacts: map[string]Contact{}, gone: map[string]bool{},
	}
}

// foldLines reads the payloads of a journal. Kinds of lines that it does not
// know are passed over.
func foldLines(payloads []json.RawMessage) (*fold, error) {
	f := newFold()
	for i, p := range payloads {
		if err := f.add(p); err != nil {
			return nil, fmt.Errorf("%w: journal line %d: %w", ErrState, i+1, err)
		}
	}
	return f, nil
}

func (f *fold) add(p json.RawMessage) error {
	var kind struct {
		T  string    `json:"t"`
		At time.Time `json:"at"`
	}
	if err := json.Unmarshal(p, &kind); err != nil {
		return err
	}
	if !kind.At.IsZero() {
		f.last = kind.At
	}
	switch kind.T {
	case "run":
		return json.Unmarshal(p, &f.head)
	case "incarnation":
		f.n, f.stop = f.n+1, nil
	case "phase":
		return fold1(p, f.addPhase)
	case "intent":
		return fold1(p, func(l intentLine) { f.open[l.Task], f.args[l.Task], f.phase = l, l.Args, l.Phase })
	case "done":
		return fold1(p, func(l doneLine) {
			f.history = append(f.history, l)
			f.expect(l.Members)
			f.addDone(l)
		})
	case "fail":
		return fold1(p, func(l failLine) {
			f.history = append(f.history, l)
			f.expect(l.Members)
			if l.Effect != effectUnknown {
				delete(f.open, l.Task)
			}
		})
	case "gone":
		return fold1(p, f.lose)
	case "cluster":
		return fold1(p, func(l clusterLine) { f.expect(&l.membersLine) })
	case "loop":
		return fold1(p, func(l loopLine) { f.loops[l.Task] = l.Keys })
	case "answer":
		return fold1(p, func(l answerLine) { f.answers[l.Task] = l })
	case "override":
		return fold1(p, func(l overrideLine) { f.overrides = append(f.overrides, l.Text+" ("+l.By+")") })
	case "contacts":
		return fold1(p, f.met)
	case "stop":
		return fold1(p, func(l stopLine) { f.stop, f.exposed = &l, f.exposed+l.Exposed })
	case "end":
		return fold1(p, func(l endLine) { f.end, f.exposed = &l, f.exposed+l.Exposed })
	}
	return nil
}

// fold1 hands the payload to f as the line that it is.
func fold1[L any](p json.RawMessage, f func(L)) error {
	var l L
	if err := json.Unmarshal(p, &l); err != nil {
		return err
	}
	f(l)
	return nil
}

func (f *fold) addDone(l doneLine) {
	delete(f.open, l.Task)
	if _, ok := f.done[l.Task]; !ok {
		f.order = append(f.order, l.Task)
	}
	f.done[l.Task], f.phase = l, l.Phase
}

func (f *fold) addPhase(l phaseLine) {
	f.phases[l.Key], f.phase = l, l.Name
	if l.State != phaseFailed {
		return
	}
	// The phase begins anew: what its tasks came to is history.
	forget(f.done, l.Tasks)
	forget(f.loops, l.Tasks)
	forget(f.answers, l.Tasks)
	forget(f.phases, l.Tasks)
	var order []string
	for _, address := range f.order {
		if !within(address, l.Tasks) {
			order = append(order, address)
		}
	}
	f.order = order
}

func forget[V any](m map[string]V, tasks []string) {
	for address := range m {
		if within(address, tasks) {
			delete(m, address)
		}
	}
}

// within reports whether address is one of the tasks, a round of one, or stands
// in a playbook that one calls.
func within(address string, tasks []string) bool {
	for _, t := range tasks {
		if rest, ok := strings.CutPrefix(address, t); ok && (rest == "" || rest[0] == '[' || rest[0] == '/') {
			return true
		}
	}
	return false
}

// begun reports whether anything is recorded of the task or of what it calls.
func (f *fold) begun(address string) bool {
	for a := range f.done {
		if within(a, []string{address}) {
			return true
		}
	}
	for a := range f.open {
		if within(a, []string{address}) {
			return true
		}
	}
	return false
}

// finished reports whether the task, or round of one, is recorded as done.
func (f *fold) finished(address string) bool {
	_, ok := f.done[address]
	return ok
}
