package supervisor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/unitfile"
)

// state is where a service stands, by systemd's names of sub-states.
type state string

const (
	dead        state = "dead"
	startPre    state = "start-pre"
	starting    state = "start"
	startPost   state = "start-post"
	running     state = "running"
	exited      state = "exited"
	stopping    state = "stop"
	stopSigterm state = "stop-sigterm"
	stopSigkill state = "stop-sigkill"
	stopPost    state = "stop-post"
	failed      state = "failed"
	autoRestart state = "auto-restart"
)

func (s state) active() string {
	switch s {
	case dead:
		return "inactive"
	case failed:
		return "failed"
	case running, exited:
		return "active"
	case startPre, starting, startPost, autoRestart:
		return "activating"
	}
	return "deactivating"
}

type job int

const (
	jobStart job = iota
	jobStop
	jobRestart
)

// ticket tells what became of a job: queued at once, finished later. A refused
// job says so on both.
type ticket struct{ queued, finished chan error }

func newTicket() ticket { return ticket{make(chan error, 1), make(chan error, 1)} }

func (t ticket) refuse(err error) { t.queued <- err; t.finished <- err }

// service is one unit. Everything below inbox belongs to the goroutine of loop,
// which takes one thing after the other from there: jobs, ended processes,
// notifications, timers. So nothing here needs a lock.
type service struct {
	name    string
	machine *machine
	inbox   chan func()
	gone    chan struct{} // closed when the power is off and all processes have ended

	unit   loaded
	state  state
	result string

	main       *process
	control    *process
	queue      []unitfile.Command // commands to run one after the other
	queueDone  func(result string)
	groups     map[int]bool // process groups that were started
	notify     *notifier
	timer      *time.Timer
	generation int // of the timer; an older one that fires late is ignored

	invocation  string
	mainPID     int
	exitStatus  int
	nRestarts   int
	stopAsked   bool
	startAfter  bool // a start waits for the stop to end
	startTicket []ticket
	stopTicket  []ticket
	starts      []time.Time // within the start limit's interval
}

func newService(on context.Context, m *machine, name string) *service {
	s := &service{
		name: name, machine: m, inbox: make(chan func(), 64), gone: make(chan struct{}),
		state: dead, result: "success", groups: map[int]bool{},
	}
	s.unit = m.load(name)
	go s.loop(on)
	return s
}

func (s *service) loop(on context.Context) {
	defer close(s.gone)
	for {
		select {
		case f := <-s.inbox:
			f()
		case <-on.Done():
			s.powerCut()
			return
		}
	}
}

// post hands f to the loop; it is dropped if the power is off.
func (s *service) post(f func()) {
	select {
	case s.inbox <- f:
	case <-s.gone:
	}
}

// ask runs f in the loop and waits for it; false if the power is off.
func (s *service) ask(f func()) bool {
	done := make(chan struct{})
	s.post(func() { f(); close(done) })
	select {
	case <-done:
		return true
	case <-s.gone:
		return false
	}
}

// request asks for a job.
func (s *service) request(j job) ticket {
	t := newTicket()
	go func() {
		if !s.ask(func() { s.accept(j, t) }) {
			t.refuse(errOff)
		}
	}()
	return t
}

func (s *service) accept(j job, t ticket) {
	if j != jobStop {
		if s.unit.state == "not-found" {
			s.unit = s.machine.load(s.name) // as systemd does, without a reload
		}
		if err := s.unit.startable(); err != nil {
			t.refuse(err)
			return
		}
		// A start that somebody asked for is never refused by the start limit.
		s.starts = nil
	} else if s.unit.state == "not-found" && s.state == dead {
		t.refuse(s.unit.err)
		return
	}
	t.queued <- nil
	switch j {
	case jobStart:
		s.jobStart(t)
	case jobStop:
		s.startAfter = false
		s.failStart(errors.New("the start was cancelled by a stop"))
		s.jobStop(t)
	case jobRestart:
		if s.state.active() == "inactive" || s.state == failed || s.state == autoRestart {
			s.jobStart(t)
			return
		}
		s.startAfter = true
		s.startTicket = append(s.startTicket, t)
		s.jobStop(newTicket())
	}
}

func (s *service) jobStart(t ticket) {
	switch s.state {
	case running, exited:
		t.finished <- nil
	case dead, failed, autoRestart:
		s.disarm()
		s.nRestarts = 0
		s.startTicket = append(s.startTicket, t)
		s.begin()
	case startPre, starting, startPost:
		s.startTicket = append(s.startTicket, t)
	default:
		s.startAfter = true
		s.startTicket = append(s.startTicket, t)
	}
}

func (s *service) jobStop(t ticket) {
	switch s.state {
	case dead, failed:
		t.finished <- nil
		return
	case autoRestart:
		s.disarm()
		s.set(dead)
		t.finished <- nil
		return
	}
	s.stopTicket = append(s.stopTicket, t)
	s.stopAsked = true
	switch s.state {
	case running, exited:
		s.say(6, "Stopping %s...", s.title())
		s.enterStop("success")
	case startPre, starting, startPost:
		s.say(6, "Stopping %s...", s.title())
		s.enterSignal(stopSigterm, "success")
	}
}

// begin starts the service with the files as they were last read.
func (s *service) begin() {
	u := s.unit.svc
	s.stopAsked, s.startAfter = false, false
	if err := s.unit.startable(); err != nil {
		s.result = "resources"
		s.stopAsked = true // so that it is not tried for ever
		s.enterDead()
		return
	}
	for _, c := range u.Conditions {
		if _, err := s.machine.root.Resolve(c.Path); (err == nil) == c.Negate {
			s.say(6, "%s was skipped because of an unmet condition check (ConditionPathExists=%s).", s.title(), c.Path)
			s.set(dead)
			s.finishStart(nil)
			return
		}
	}
	if s.limited(u) {
		s.say(4, "%s: Start request repeated too quickly.", s.name)
		if s.result == "success" {
			s.result = "start-limit-hit"
		}
		s.stopAsked = true // so that it is not started once more
		s.enterDead()
		return
	}
	var id [16]byte
	rand.Read(id[:])
	s.invocation = hex.EncodeToString(id[:])
	s.result, s.exitStatus = "success", 0
	s.say(6, "Starting %s...", s.title())
	for _, dir := range u.RuntimeDirectory {
		if err := s.machine.root.Mkdir(context.Background(), path.Join("/run", dir), conn.Attr{Mode: 0o755}); err != nil {
			s.say(3, "%s: Failed to set up its runtime directory: %v", s.name, err)
			s.enterSignal(stopSigterm, "resources")
			return
		}
	}
	s.arm(u.TimeoutStart, func() { s.timedOut("start") })
	s.set(startPre)
	s.runQueue(u.ExecStartPre, func(result string) {
		if result != "success" {
			s.enterSignal(stopSigterm, result)
			return
		}
		s.startMain()
	})
}

// limited counts this start and says whether it is one too many.
func (s *service) limited(u *unitfile.Service) bool {
	if u.StartLimitInterval <= 0 || u.StartLimitBurst <= 0 {
		return false
	}
	now := time.Now()
	s.starts = slices.DeleteFunc(s.starts, func(t time.Time) bool { return now.Sub(t) > u.StartLimitInterval })
	if len(s.starts) >= u.StartLimitBurst {
		return true
	}
	s.starts = append(s.starts, now)
	return false
}

func (s *service) startMain() {
	u := s.unit.svc
	s.set(starting)
	if u.Type == "oneshot" {
		s.runQueue(u.ExecStart, func(result string) {
			if result != "success" {
				s.enterSignal(stopSigterm, result)
				return
			}
			s.started()
		})
		return
	}
	p, err := s.launch(u.ExecStart[0], true)
	if err != nil {
		s.say(3, "%s: Failed to execute %s: %v", s.name, u.ExecStart[0].Path, err)
		s.exitStatus = 203
		s.enterSignal(stopSigterm, "exit-code")
		return
	}
	s.main, s.mainPID = p, p.pid
	if u.Type != "notify" {
		s.started()
	}
}

// started goes on when the main process is up: ExecStartPost, then active.
func (s *service) started() {
	s.set(startPost)
	s.runQueue(s.unit.svc.ExecStartPost, func(result string) {
		if result != "success" {
			s.enterSignal(stopSigterm, result)
			return
		}
		s.disarm()
		u := s.unit.svc
		if u.Type == "oneshot" && !u.RemainAfterExit {
			s.say(6, "Finished %s.", s.title())
			s.finishStart(nil)
			s.enterSignal(stopSigterm, "success")
			return
		}
		s.say(6, "Started %s.", s.title())
		s.set(running)
		s.finishStart(nil)
		switch {
		case s.main != nil:
		case u.Type == "oneshot":
			s.set(exited)
		default: // it ended while ExecStartPost ran
			s.mainGone()
		}
	})
}

func (s *service) timedOut(what string) {
	s.say(4, "%s: %s operation timed out. Terminating.", s.name, what)
	s.enterSignal(stopSigterm, "timeout")
}

// finishStart tells all who wait for the start.
func (s *service) finishStart(err error) {
	for _, t := range s.startTicket {
		t.finished <- err
	}
	s.startTicket = nil
}

func (s *service) failStart(err error) {
	s.finishStart(fmt.Errorf("%s: %w", s.name, err))
}

func (s *service) set(to state) { s.state = to }

func (s *service) title() string {
	if s.unit.svc != nil && s.unit.svc.Description != "" {
		return s.unit.svc.Description
	}
	return s.name
}

// say writes to the journal what systemd would say of the unit.
func (s *service) say(priority int, format string, args ...any) {
	s.machine.journal.add(s.name, record{
		Time: time.Now(), Priority: priority, PID: 1, PID1: true, Message: fmt.Sprintf(format, args...),
	})
}

// arm runs f after d unless disarm or arm comes first.
func (s *service) arm(d time.Duration, f func()) {
	s.disarm()
	if d == unitfile.Infinity {
		return
	}
	generation := s.generation
	s.timer = time.AfterFunc(d, func() {
		s.post(func() {
			if generation == s.generation {
				f()
			}
		})
	})
}

func (s *service) disarm() {
	s.generation++
	if s.timer != nil {
		s.timer.Stop()
	}
}

// removeRuntimeDirs does what RuntimeDirectory= asks for at the end.
func (s *service) removeRuntimeDirs() {
	if s.unit.svc == nil {
		return
	}
	for _, dir := range s.unit.svc.RuntimeDirectory {
		err := s.machine.root.Remove(context.Background(), path.Join("/run", dir), true)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			s.say(4, "%s: runtime directory %s: %v", s.name, dir, err)
		}
	}
}
