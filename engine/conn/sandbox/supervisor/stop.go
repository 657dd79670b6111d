package supervisor

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/internal/program"
)

// linger is how often a process group that should be ending is looked at, and
// killGrace how long a killed one may still be seen, as a zombie that nobody
// fetched.
const (
	linger    = 20 * time.Millisecond
	killGrace = 2 * time.Second
)

// fail records the first thing that went wrong since the start.
func (s *service) fail(result string) {
	if s.result == "success" {
		s.result = result
	}
}

// enterStop begins an orderly stop: ExecStop, then the signals.
func (s *service) enterStop(result string) {
	s.fail(result)
	s.set(stopping)
	s.arm(s.unit.svc.TimeoutStop, func() { s.timedOut("stop") })
	s.runQueue(s.unit.svc.ExecStop, func(result string) { s.enterSignal(stopSigterm, result) })
}

// enterSignal ends what is left of the service by signals, and then the
// service. It may be called in any state.
func (s *service) enterSignal(to state, result string) {
	s.fail(result)
	s.queue, s.queueDone = nil, nil
	s.set(to)
	u := s.unit.svc
	sig := u.KillSignal
	if to == stopSigkill {
		sig = syscall.SIGKILL
	}
	switch {
	case u.KillMode == "control-group", u.KillMode == "mixed" && to == stopSigkill:
		for group := range s.groups {
			s.signal(-group, sig)
		}
	case s.main != nil:
		s.signal(s.main.pid, sig)
	}
	if s.control != nil {
		s.signal(-s.control.pid, sig)
	}
	if to == stopSigterm {
		s.arm(u.TimeoutStop, func() {
			s.say(4, "%s: State 'stop-sigterm' timed out. Killing.", s.name)
			s.enterSignal(stopSigkill, "timeout")
		})
	} else {
		s.arm(killGrace, func() { s.groups = map[int]bool{}; s.settle() })
	}
	s.settle()
}

// signal signals a process or group; one that is gone already is as wanted.
func (s *service) signal(pid int, sig syscall.Signal) { _ = syscall.Kill(pid, sig) }

// settle goes on from a signal state once nothing of the service is left.
func (s *service) settle() {
	if s.state != stopSigterm && s.state != stopSigkill {
		return
	}
	if s.main != nil || s.control != nil {
		return // their end calls this again
	}
	if s.unit.svc.KillMode != "process" && s.groupsLeft() {
		time.AfterFunc(linger, func() { s.post(s.settle) })
		return
	}
	s.groups = map[int]bool{}
	s.set(stopPost)
	s.arm(s.unit.svc.TimeoutStop, func() {
		s.fail("timeout")
		if s.control != nil {
			s.signal(-s.control.pid, syscall.SIGKILL)
		}
	})
	s.runQueue(s.unit.svc.ExecStopPost, func(result string) {
		s.fail(result)
		s.enterDead()
	})
}

// groupsLeft says whether a process group of the service has a process, and
// forgets those that have none.
func (s *service) groupsLeft() bool {
	for group := range s.groups {
		if errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
			delete(s.groups, group)
		}
	}
	return len(s.groups) > 0
}

// mainGone goes on when the main process has ended by itself.
func (s *service) mainGone() {
	switch s.state {
	case startPre, stopPost:
	case starting: // of Type=notify: READY never came
		s.fail("protocol")
		s.enterSignal(stopSigterm, s.result)
	case startPost:
		// started looks at it when ExecStartPost is done.
	case running:
		if s.unit.svc.RemainAfterExit && s.result == "success" {
			s.set(exited)
			return
		}
		s.enterStop(s.result)
	default:
		s.settle()
	}
}

// exited takes the end of a process.
func (s *service) exited(p *process, ws syscall.WaitStatus) {
	result := outcome(ws)
	s.groupsLeft() // forgets its group if it was the last, before the number is used again
	if p == s.main {
		s.main, s.mainPID, s.exitStatus = nil, 0, status(ws)
		s.say(5, "%s: Main process exited, code=%s", s.name, explain(ws))
		if !s.stopAsked || result != "success" {
			s.fail(result)
		}
		s.mainGone()
		return
	}
	if p != s.control {
		return
	}
	s.control = nil
	if p.isMain { // of Type=oneshot
		s.mainPID, s.exitStatus = 0, status(ws)
	}
	if result != "success" {
		s.say(5, "%s: Control process exited, code=%s", s.name, explain(ws))
		if p.command.IgnoreFailure {
			result = "success"
		}
	}
	if s.queueDone == nil {
		s.settle()
		return
	}
	s.nextInQueue(result)
}

// status is what systemd calls ExecMainStatus: the exit code, or the signal.
func status(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return int(ws.Signal())
	}
	return ws.ExitStatus()
}

// outcome is the Result of a process that ended so; the signals that ask a
// process to end are no failure.
func outcome(ws syscall.WaitStatus) string {
	switch {
	case ws.CoreDump():
		return "core-dump"
	case ws.Signaled():
		switch ws.Signal() {
		case syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE:
			return "success"
		}
		return "signal"
	case ws.ExitStatus() != 0:
		return "exit-code"
	}
	return "success"
}

func explain(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return fmt.Sprintf("killed, status=%d/%s (as a shell says it: %d)", int(ws.Signal()), ws.Signal(), program.Code(ws))
	}
	return fmt.Sprintf("exited, status=%d", ws.ExitStatus())
}

// enterDead ends the service, or arms its restart.
func (s *service) enterDead() {
	s.disarm()
	s.groups = map[int]bool{}
	if s.notify != nil {
		s.notify.close()
		s.notify = nil
	}
	s.removeRuntimeDirs()
	if s.result == "success" {
		s.set(dead)
	} else {
		s.set(failed)
		s.say(4, "%s: Failed with result '%s'.", s.name, s.result)
	}
	for _, t := range s.stopTicket {
		t.finished <- nil
	}
	if len(s.stopTicket) > 0 {
		s.say(6, "Stopped %s.", s.title())
	}
	s.stopTicket = nil
	if s.startAfter {
		s.nRestarts = 0
		s.begin()
		return
	}
	if len(s.startTicket) > 0 {
		s.say(3, "Failed to start %s.", s.title())
		s.failStart(fmt.Errorf("the start failed: result %s, status %d; its journal says more", s.result, s.exitStatus))
	}
	if s.stopAsked || !s.restarts() {
		return
	}
	s.set(autoRestart)
	s.arm(s.unit.svc.RestartDelay, func() {
		s.nRestarts++
		s.say(6, "%s: Scheduled restart job, restart counter is at %d.", s.name, s.nRestarts)
		s.begin()
	})
}

// restarts says whether Restart= covers the result.
func (s *service) restarts() bool {
	clean := s.result == "success"
	switch s.unit.svc.Restart {
	case "always":
		return true
	case "on-success":
		return clean
	case "on-failure":
		return !clean
	case "on-abnormal":
		return s.result == "signal" || s.result == "core-dump" || s.result == "timeout"
	case "on-abort":
		return s.result == "signal" || s.result == "core-dump"
	}
	return false
}

// powerCut kills everything at once, and tells those who wait.
func (s *service) powerCut() {
	s.disarm()
	for group := range s.groups {
		s.signal(-group, syscall.SIGKILL)
	}
	for _, p := range []*process{s.main, s.control} {
		if p != nil {
			<-p.ended
		}
	}
	if s.notify != nil {
		s.notify.close()
	}
	err := fmt.Errorf("%w: the host was switched off", conn.ErrOutcomeUnknown)
	s.finishStart(err)
	for _, t := range s.stopTicket {
		t.finished <- err
	}
}
