package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A state that a task has brought about can go away by itself while nobody works
// on the run: a boot empties /run and starts what was stopped. So before a process
// begins anything of its own on a host, in a phase that an earlier one has begun,
// it looks whether what the phase did there still stands. What does not counts as
// not run from then on, and is run again, guarded and proved like any task.
//
// Only what came last on the host is looked at, back to the first task whose effect
// is an event and not a state (a move, a start of a new cluster): what came before
// that was there when it was needed, and may have to be another now.

// errGone sends the walk through a phase back to tasks whose effect is gone.
var errGone = errors.New("what was done before is gone")

// goneLine says that the effects of tasks that were done are there no more: they
// count as not run from then on.
type goneLine struct {
	T     string    `json:"t"` // "gone"
	Tasks []string  `json:"tasks"`
	At    time.Time `json:"at"`
}

// standing is what the walk through one phase knows of the effects in it. It is
// shared by the rounds of a parallel task.
type standing struct {
	looked map[string]bool     // hosts
	gone   []string            // addresses
	ended  map[string]doneLine // by this process, by address
	told   map[string]bool     // tasks of whose end was told
}

// stands looks once in this walk at what the phase has done on the task's host.
// errGone means that some of it is to be done again first.
func (x *taskRun) stands(ctx context.Context, look Look) error {
	if x.fold.n == 0 || x.host == "" || x.place != InPhase {
		return nil
	}
	x.mu.Lock()
	looked := x.standing.looked[x.host]
	x.mu.Unlock()
	if looked {
		return nil
	}
	gone, err := x.missing(ctx, look)
	if err != nil {
		return fmt.Errorf("whether what was done before still stands: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.standing.looked == nil {
		x.standing.looked = map[string]bool{}
	}
	x.standing.looked[x.host] = true
	x.standing.gone = append(x.standing.gone, gone...)
	if len(gone) > 0 {
		return errGone
	}
	return nil
}

// missing is the tasks before x on its host whose effect is gone, by address.
func (x *taskRun) missing(ctx context.Context, look Look) ([]string, error) {
	tasks := x.ph.Tasks[:slices.Index(x.ph.Tasks, x.t)+1]
	covered := map[string]bool{} // by a later task that sets the same
	var gone []string
	for _, t := range slices.Backward(tasks) {
		rs, known, ds := rounds(t, x.prefix+"task."+t.Name, x.scope)
		if ds.HasErrors() || !known {
			return gone, nil // its rounds cannot be told from here
		}
		for _, r := range slices.Backward(rs) {
			l, ended := x.endOf(r.address)
			switch {
			case r.address == x.address, !ended, l.Status != OK, t.Call == nil && l.Host != x.host:
				continue
			case t.Call != nil:
				return gone, nil // it may have done anything
			case l.Effect != Change && l.Effect != Destroy:
				continue
			case !t.Type.Lasting():
				return gone, nil
			}
			y, key, ok := x.earlier(t, r)
			if !ok {
				return gone, nil
			}
			if covered[key] {
				continue
			}
			covered[key] = true
			why, err := t.Type.Gone(ctx, look, y.plain)
			if err != nil {
				return nil, err
			}
			if why != "" {
				gone = append(gone, r.address)
				y.emit(y.event(Finding, func(e *Event) {
					e.Message = fmt.Sprintf("%s on %s is done again: %s", r.address, y.host, why)
				}))
			}
		}
	}
	return gone, nil
}

// earlier is a round that has ended, with its arguments as they are now, and a key
// of what it sets; false if its arguments cannot be told from here.
func (x *taskRun) earlier(t *Task, r round) (y *taskRun, key string, ok bool) {
	y = x.taskRun(t, r.address, InPhase, r.scope)
	host, s, known, ds := target(t, r.scope)
	y.host, y.scope = host, s
	if ds.HasErrors() || !known || y.bind() != nil {
		return nil, "", false
	}
	key = t.Type.Name
	for _, name := range t.Type.Sets {
		key += fmt.Sprintf("\x00%#v", y.plain.GetAttr(name))
	}
	return y, key, true
}

// endOf is how a task ended, by this process or by the journal.
func (x *taskRun) endOf(address string) (doneLine, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l, ok := x.standing.ended[address]; ok {
		return l, true
	}
	l, ok := x.fold.done[address]
	return l, ok
}

// tellsOnce reports whether the end of a recorded task is still to be told: a walk
// that goes back comes by again.
func (x *taskRun) tellsOnce() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.standing.told[x.address] {
		return false
	}
	x.standing.tell(x.address)
	return true
}

func (s *standing) tell(address string) {
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[address] = true
}

// ends remembers how a task ended, for a walk that goes back.
func (s *standing) ends(l doneLine) {
	if s.ended == nil {
		s.ended = map[string]doneLine{}
	}
	s.ended[l.Task] = l
	s.tell(l.Task)
}

// back records what is gone, and returns the first task of the phase to go on
// with. No round runs meanwhile.
func (p *runPhase) back() (int, error) {
	for _, l := range p.standing.ended {
		p.fold.addDone(l)
	}
	line := goneLine{T: "gone", Tasks: p.standing.gone, At: p.env.now()}
	if err := p.record(line); err != nil {
		return 0, err
	}
	p.fold.lose(line)
	p.standing.gone, p.standing.ended = nil, nil
	return slices.IndexFunc(p.ph.Tasks, func(t *Task) bool {
		return slices.ContainsFunc(line.Tasks, func(a string) bool { return within(a, []string{p.prefix + "task." + t.Name}) })
	}), nil
}

// lost reports whether a round of the task was found gone.
func (f *fold) lost(task string) bool {
	for address := range f.gone {
		if within(address, []string{task}) {
			return true
		}
	}
	return false
}

// lose takes what is gone out of what is done.
func (f *fold) lose(l goneLine) {
	for _, address := range l.Tasks {
		delete(f.done, address)
		f.gone[address] = true
	}
	f.order = slices.DeleteFunc(f.order, func(address string) bool { return slices.Contains(l.Tasks, address) })
}
