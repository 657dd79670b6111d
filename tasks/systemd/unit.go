package systemd

import (
	"context"
	"fmt"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Unit brings a unit into a state.
func Unit() *engine.Type {
	return engine.Define(engine.Spec[unitArgs, unitState, unitResults]{
		Name: "systemd_unit",
		Doc: "Brings a unit into a state: started, stopped or restarted; masked, which is stopped and kept from being " +
			"started by anything, the next boot included, until it is unmasked. A unit that systemd keeps restarting after " +
			"failures is neither started nor stopped. Stopping or restarting a healthy member of the cluster is " +
			"refused where the quorum needs it, and starting one whose settings force a new cluster always.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true, Timeout: 2 * time.Minute, Surveyed: true,
		Sets: []string{"unit"}, Gone: goneUnit,
		Observe: observeStart, Plan: planUnit, Guard: guardUnit, Apply: applyUnit,
		Settle: settleUnit, Verify: verifyUnit, Advance: advanceUnit,
	})
}

type unitArgs struct {
	Unit          string `play:"unit,required,unit,nosecret" doc:"The unit, with its suffix."`
	State         string `play:"state,required" enum:"started stopped restarted masked unmasked" doc:"What it shall be. With restarted it is always stopped and started; unmasked starts nothing."`
	Wait          *bool  `play:"wait" doc:"Wait until it is active. A first member of a new cluster becomes active only with a quorum, so all have to be started with wait = false." default:"true"`
	AllowDowntime bool   `play:"allow_downtime" doc:"Allow a stop or restart that costs the cluster its quorum." default:"false"`
}

// stops reports whether nothing of the unit shall run after the task.
func (a unitArgs) stops() bool { return a.State == "stopped" || a.State == "masked" }

// starts reports whether the task starts something.
func (a unitArgs) starts() bool { return a.State == "started" || a.State == "restarted" }

func (a unitArgs) wait() bool { return a.Wait == nil || *a.Wait }

type unitResults struct {
	ActiveState  string `play:"active_state" doc:"What systemd calls its state: active, inactive, failed, activating, and so on."`
	Changed      bool   `play:"changed" doc:"Whether anything had to be done."`
	InvocationID string `play:"invocation_id" doc:"Identifies this start of the unit; empty if it was never started."`
	SubState     string `play:"sub_state" doc:"The state within that: running, dead, auto-restart, and so on."`
}

type unitState struct {
	Active     string `json:"active"` // ActiveState; "" if not looked at
	Sub        string `json:"sub"`
	Invocation string `json:"invocation"`
	PID        int    `json:"pid"`
	NeedReload bool   `json:"need_reload"`
	Tells      bool   `json:"tells"`  // it is active only once its process has said that it is ready
	Member     bool   `json:"member"` // it is the unit that the cluster's members run as
	Forces     string `json:"forces"` // what in its settings would force a new cluster; "" for nothing
	Masked     bool   `json:"masked,omitempty"`
	Result     string `json:"result,omitempty"` // how its last process ended; success while it runs

	Data world.Data `json:"data"` // what its member would start with; looked at only where one is to be started
}

// phase sorts what systemd says of a unit by what it means for a task.
type phase int

const (
	stopped  phase = iota // at rest, no process; a failed unit is that too
	running               // active
	starting              // has a process that has not said yet that it is ready
	looping               // has failed, and waits to be started again
	stopping
)

func (s unitState) phase() phase {
	switch s.Active {
	case "active", "reloading", "refreshing":
		return running
	case "activating":
		if s.Sub == "auto-restart" || s.Sub == "auto-restart-queued" {
			return looping
		}
		return starting
	case "inactive", "failed", "maintenance":
		if s.PID == 0 {
			return stopped
		}
	}
	return stopping
}

// words is the state as a plan shows it.
func (s unitState) words() string {
	switch {
	case s.phase() == running:
		return "started"
	case s.Active == "inactive" && s.Masked:
		return "masked"
	case s.Active == "inactive":
		return "stopped"
	case s.Active == "failed":
		return "failed"
	}
	return s.Active + " (" + s.Sub + ")"
}

// is reports whether the unit is as the arguments want it.
func (s unitState) is(a unitArgs) bool {
	switch a.State {
	case "started":
		return s.phase() == running || s.phase() == starting && !a.wait()
	case "stopped":
		return s.phase() == stopped
	case "masked":
		return s.phase() == stopped && s.Masked
	case "unmasked":
		return !s.Masked
	}
	return false // restarted: always once more
}

func (s unitState) results(changed bool) unitResults {
	return unitResults{ActiveState: s.Active, Changed: changed, InvocationID: s.Invocation, SubState: s.Sub}
}

func stateOf(u conn.Unit) unitState {
	return unitState{
		Active: u.ActiveState, Sub: u.SubState, Invocation: u.InvocationID, PID: u.MainPID, NeedReload: u.NeedDaemonReload,
		Result: u.Result,
		Tells:  u.Type == "notify" || u.Type == "notify-reload",
		Forces: world.ForcesNewCluster(u.Environment, u.ExecStart),
	}
}

func observeUnit(ctx context.Context, l engine.Look, a unitArgs) (unitState, error) {
	u, err := describe(ctx, l.Host, a.Unit)
	s := stateOf(u)
	s.Member = a.Unit == l.Cluster.Unit
	s.Masked = masked(u, a.Unit)
	return s, err
}

// observeStart also looks at what a member would start with, at the same time.
func observeStart(ctx context.Context, l engine.Look, a unitArgs) (unitState, error) {
	if a.Unit != l.Cluster.Unit || !a.starts() {
		return observeUnit(ctx, l, a)
	}
	var data world.Data
	looked := make(chan error, 1)
	go func() {
		var err error
		data, err = dataOf(ctx, l)
		looked <- err
	}()
	s, err := observeUnit(ctx, l, a)
	if dataErr := <-looked; err != nil || s.is(a) {
		return s, err
	} else if dataErr != nil {
		return s, dataErr
	}
	s.Data = data
	return s, nil
}

func planUnit(p engine.Planning, a unitArgs, s unitState) (engine.Planned, unitResults) {
	const later = "(known during the run)"
	name, target := a.Unit, a.State
	if p.Unknown["unit"] {
		name = later
	}
	if p.Unknown["state"] {
		target = later
	}
	unknown := []string{"active_state", "invocation_id", "sub_state"}
	if !p.Observed || p.Unknown["unit"] || p.Unknown["state"] {
		return engine.Planned{
			Needed: true, Summary: fmt.Sprintf("%s -> %s", name, target), Unknown: append(unknown, "changed"),
		}, unitResults{}
	}
	switch {
	case s.is(a) && a.State == "masked":
		return engine.Planned{Summary: a.Unit + ": stopped and masked already"}, s.results(false)
	case s.is(a) && a.State == "unmasked":
		return engine.Planned{Summary: a.Unit + ": not masked"}, s.results(false)
	case a.State == "masked" && s.phase() == stopped, a.State == "unmasked":
		return engine.Planned{Needed: true, Summary: fmt.Sprintf("%s: %s -> %s", a.Unit, s.words(), a.State), Unknown: unknown}, unitResults{Changed: true}
	case s.is(a) && s.Active == "failed":
		return engine.Planned{Summary: a.Unit + ": stopped already, it has failed"}, s.results(false)
	case s.is(a):
		return engine.Planned{Summary: fmt.Sprintf("%s: %s already", a.Unit, s.words())}, s.results(false)
	}
	planned := engine.Planned{Needed: true, Summary: fmt.Sprintf("%s: %s -> %s", a.Unit, s.words(), target), Unknown: unknown}
	if s.NeedReload && !a.stops() {
		planned.Details = append(planned.Details, engine.Detail{Name: "note", Value: "unit files have changed and systemd was not told; it will start with the old ones"})
	}
	if a.State != "restarted" {
		// It may get there by itself: a member that was removed from its cluster
		// exits, and a unit that fails is started again.
		planned.Unknown = append(planned.Unknown, "changed")
	}
	return planned, unitResults{Changed: true}
}

func guardUnit(host string, a unitArgs, s unitState, w *world.World) world.Verdict {
	var v world.Verdict
	switch {
	case !s.Member, a.State == "unmasked", s.is(a), a.stops() && s.phase() == stopped:
		return v
	case a.State != "started":
		v = w.Cluster.MayStop(host, a.Unit, a.AllowDowntime)
	}
	if a.stops() {
		return v
	}
	if a.State != "started" || s.phase() != starting { // else it has a process, and is only waited for
		v.Checks = append(v.Checks, w.Cluster.MayStart(host, a.Unit, s.Data).Checks...)
	}
	if s.Forces != "" {
		v.Checks = append(v.Checks, world.Unforced(a.Unit, s.Forces))
	}
	return v
}

func applyUnit(ctx context.Context, h engine.Hands, a unitArgs, s unitState) (unitResults, error) {
	if s.is(a) {
		return s.results(false), nil
	}
	begun := time.Now()
	if a.starts() && s.Masked {
		return unitResults{}, s.errMasked(a.Unit)
	}
	if a.State == "started" && s.phase() == starting {
		if err := comesUp(ctx, h.Look, a, s.Invocation); err != nil {
			return unitResults{}, err
		}
		now, err := observeUnit(ctx, h.Look, a)
		return now.results(true), err
	}
	var err error
	switch a.State {
	case "started":
		if a.wait() {
			h.Say("waiting until %s is active", a.Unit)
		}
		err = h.Host.Units().Start(ctx, a.Unit, a.wait())
	case "stopped":
		h.Say("waiting until %s has stopped", a.Unit)
		err = h.Host.Units().Stop(ctx, a.Unit)
	case "restarted":
		err = h.Host.Units().Restart(ctx, a.Unit, a.wait())
	case "masked":
		err = mask(ctx, h, a, s)
	case "unmasked":
		err = unmask(ctx, h, a)
	}
	if err == nil && a.starts() && !a.wait() {
		err = lasts(ctx, h.Look, a, s.Invocation)
	}
	if err != nil && a.starts() {
		return unitResults{}, notActive(ctx, h.Look, a.Unit, begun, s.Invocation, err)
	}
	if err != nil {
		return unitResults{}, err
	}
	now, err := observeUnit(ctx, h.Look, a)
	return now.results(true), err
}

func settleUnit(ctx context.Context, l engine.Look, a unitArgs, before unitState) (engine.Settlement, unitResults, error) {
	var now unitState
	err := engine.Poll(ctx, time.Second, func(ctx context.Context) (bool, error) {
		var err error
		if now, err = observeUnit(ctx, l, a); err != nil {
			return false, err
		}
		return now.phase() != stopping && (now.phase() != starting || !a.wait() || !a.starts()), nil
	})
	if now.Active == "" {
		return "", unitResults{}, err
	}
	// A start that is still under way when the time is over is as good as none:
	// starting it once more only waits for the same job.
	switch {
	case a.State == "restarted" && now.Invocation == before.Invocation:
		if now.phase() == stopped && before.phase() != stopped {
			return engine.Partial, unitResults{}, nil
		}
		return engine.NotDone, unitResults{}, nil
	case a.State == "restarted" && now.phase() != running && (now.phase() != starting || a.wait()):
		return engine.Partial, unitResults{}, nil
	case a.State == "restarted", now.is(a):
		return engine.Done, now.results(true), nil
	}
	return engine.NotDone, unitResults{}, nil
}

func verifyUnit(ctx context.Context, l engine.Look, a unitArgs, r unitResults) error {
	begun := time.Now()
	var invocation string
	var from time.Time
	err := engine.Poll(ctx, steady/2, func(ctx context.Context) (bool, error) {
		s, err := observeUnit(ctx, l, a)
		switch {
		case err != nil:
			return false, err
		case a.stops() && s.phase() == stopping:
			return false, fmt.Errorf("%s is still %s", a.Unit, s.words())
		case a.stops() && s.phase() != stopped:
			return false, fmt.Errorf("%s is %s: %w", a.Unit, s.words(), engine.ErrStop)
		case a.State == "masked" && !s.Masked:
			return false, fmt.Errorf("%s is not masked: %w", a.Unit, engine.ErrStop)
		case a.State == "unmasked" && s.Masked:
			return false, fmt.Errorf("%s is still masked: %w", a.Unit, engine.ErrStop)
		case !a.starts():
			return true, nil
		case a.State == "restarted" && r.InvocationID != "" && s.phase() == running && s.Invocation != r.InvocationID:
			invocation, from, r.InvocationID = s.Invocation, time.Now(), ""
			return false, nil
		case s.phase() == stopped && !a.wait() && s.Active == r.ActiveState && s.Invocation == r.InvocationID && time.Since(begun) < queued:
			return false, fmt.Errorf("%s is %s", a.Unit, s.words())
		case s.phase() == stopped:
			return false, fmt.Errorf("%s is %s: %w", a.Unit, s.words(), engine.ErrStop)
		case s.phase() == starting && !a.wait():
			return true, nil
		case s.phase() == looping && !a.wait():
			return false, fmt.Errorf("%s is %s: %w", a.Unit, s.words(), engine.ErrStop)
		case s.phase() != running:
			invocation = ""
			return false, fmt.Errorf("%s is %s", a.Unit, s.words())
		case s.Tells:
			return true, nil
		case s.Invocation != invocation || invocation == "":
			invocation, from = s.Invocation, time.Now()
			return false, nil
		}
		return time.Since(from) >= steady, nil
	})
	if err != nil && a.starts() {
		return notActive(ctx, l, a.Unit, begun, "", err)
	}
	return err
}

// goneUnit finds a unit that was brought to rest and is not any more, as an enabled
// one is after a boot. One that was started and has ended since has a reason for
// that, which starting it again would hide.
func goneUnit(ctx context.Context, l engine.Look, a unitArgs) (string, error) {
	if !a.stops() {
		return "", nil
	}
	s, err := observeUnit(ctx, l, a)
	switch {
	case err != nil:
		return "", err
	case s.phase() != stopped && s.phase() != stopping:
		return fmt.Sprintf("%s is %s again", a.Unit, s.words()), nil
	case a.State == "masked" && !s.Masked:
		return a.Unit + " is not masked any more", nil
	}
	return "", nil
}

func advanceUnit(host, _ string, a unitArgs, _ unitResults, w *world.World) {
	switch state := a.State; {
	case state == "masked":
		w.MaskUnit(host, a.Unit, true)
		w.SetUnit(host, a.Unit, "stopped")
	case state == "unmasked":
		w.MaskUnit(host, a.Unit, false)
	case a.starts() && !a.wait():
		w.SetUnit(host, a.Unit, "starting")
	default:
		w.SetUnit(host, a.Unit, state)
	}
}
