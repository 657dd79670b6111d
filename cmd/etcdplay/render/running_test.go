package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// findings writes diagnostics in the barest form; the real writer, with source
// lines, belongs to the language.
func findings(ds engine.Diagnostics) string {
	var b strings.Builder
	for _, d := range ds {
		b.WriteString("Error: " + d.Summary + "\n\n  " + d.Detail + "\n")
	}
	return b.String()
}

// story is the events of a run in which task.start fails and is rescued.
func story() []engine.Event {
	at := time.Date(2026, 11, 22, 9, 55, 0, 0, time.UTC)
	var evs []engine.Event
	add := func(after time.Duration, ev engine.Event) {
		at = at.Add(after)
		ev.Time, ev.RunID = at, runID
		evs = append(evs, ev)
	}
	number := 0
	run := func(e engine.Entry, place engine.Place, took time.Duration, end engine.Event, progress ...engine.Event) {
		number++
		e.Number, e.Address, e.Kind, e.Place = number, e.Name, engine.TaskEntry, place
		add(0, engine.Event{Kind: engine.TaskStart, Address: e.Address, Entry: &e, Place: place})
		for _, pr := range progress {
			pr.Kind, pr.Address = engine.TaskProgress, e.Address
			add(took/time.Duration(len(progress)+1), pr)
		}
		end.Kind, end.Address, end.Type, end.Host, end.Effect = engine.TaskEnd, e.Address, e.Type, e.Host, e.Effect
		end.Place, end.Elapsed, end.Phase = place, took, "join"
		add(took/time.Duration(len(progress)+1), end)
	}
	ok := engine.Event{Status: engine.OK, How: engine.Executed, Changed: true}
	already := engine.Event{Status: engine.OK, How: engine.Already}

	add(0, engine.Event{Kind: engine.RunStart, Message: "Playbook replace-member 1.0.0 on cluster demo"})
	add(0, engine.Event{Kind: engine.PhaseStart, Phase: "join"})
	run(check("is_member"), engine.InPhase, 0, ok)
	moved := ok
	moved.Before, moved.After = budgetOf(3, 2, 0), budgetOf(2, 2, 0)
	run(task(engine.Destroy, "old", "etcd_member_remove", "", "demo-etcd-2 leaves"), engine.InPhase, 312*time.Millisecond, moved)
	stopped := task(engine.Change, "stop", "systemd_unit", "demo-etcd-2", "etcd-member.service: stopped already")
	stopped.Needed = false
	run(stopped, engine.InPhase, 4*time.Millisecond, already)
	reconciled := ok
	reconciled.How, reconciled.Attempt = engine.Reconciled, 2
	run(task(engine.Change, "add", "etcd_member_add", "", "members 2 -> 3"), engine.InPhase, 7200*time.Millisecond, reconciled)
	run(task(engine.Read, "recorded", "stat", "demo-etcd-2", "exists"), engine.InPhase, 0, engine.Event{Status: engine.OK, How: engine.Recorded})
	failed := engine.Event{Status: engine.Failed, Attempt: 1, Diagnostics: engine.Diagnostics{{
		Severity: engine.Error, Summary: "Task failed", Detail: "etcd-member.service did not become active within 1m.",
	}}}
	waiting := []engine.Event{{Message: "waiting for READY"}, {Done: 5 << 20, Total: 10 << 20}, {Message: "auto-restart"}}
	run(task(engine.Change, "start", "systemd_unit", "demo-etcd-2", "stopped -> started"), engine.InPhase, time.Minute, failed, waiting...)
	run(task(engine.Change, "stop_new", "systemd_unit", "demo-etcd-2", "started -> stopped"), engine.InRescue, time.Second, ok)
	add(0, engine.Event{Kind: engine.PhaseEnd, Phase: "join", Status: engine.Rescued})
	add(0, engine.Event{Kind: engine.OutputsKnown, Outputs: []engine.PlannedOutput{{Name: "old_data", Value: cty.StringVal("/x")}}})
	add(0, engine.Event{Kind: engine.Summary, Status: engine.Failed, Elapsed: 69 * time.Second, Exposed: 1200 * time.Millisecond, Failure: &engine.Failure{
		Address: "task.start", Host: "demo-etcd-2", Cause: "did not become active", Undone: []string{"task.stop_new"}, GoOn: "etcdplay resume " + runID,
	}})
	return evs
}

func tell(evs []engine.Event, live bool) (stdout, stderr string) {
	var out, err bytes.Buffer
	r := &Reporter{
		Screen:   &Screen{Out: &out, Err: &err, Live: live, Width: 90},
		Numbers:  map[string]int{"task.is_member": 1, "task.old": 12},
		Role:     func(string) engine.Role { return engine.Plain },
		Findings: findings,
	}
	for _, ev := range evs {
		r.Event(ev)
	}
	return out.String(), err.String()
}

func TestRun(t *testing.T) {
	stdout, stderr := tell(story(), false)
	golden(t, "run.stdout", stdout)
	golden(t, "run.stderr", stderr)
}

func TestRunOnATerminal(t *testing.T) {
	plain, _ := tell(story(), false)
	stdout, stderr := tell(story(), true)
	if stdout != plain {
		t.Error("what is printed depends on the live line")
	}
	for _, want := range []string{"task.start  on demo-etcd-2  15s  waiting for READY", "50%", "auto-restart"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("live line never showed %q:\n%q", want, stderr)
		}
	}
	for _, part := range strings.Split(stderr, "\r\x1b[2K") {
		line, _, _ := strings.Cut(part, "\n")
		if len([]rune(line)) > 89 && strings.Contains(line, "task.start  on") {
			t.Errorf("live line is as wide as the terminal: %q", line)
		}
	}
}

func TestScreenScrubsAndSurvives(t *testing.T) {
	var err bytes.Buffer
	s := &Screen{Out: brokenPipe{}, Err: &err}
	s.Scrub(func(text string) string { return strings.ReplaceAll(text, "hunter2", "(sensitive)") })
	s.Print("hunter2\n")
	s.Tell("the password is hunter2\n")
	if got, want := err.String(), "the password is (sensitive)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestEventRecords(t *testing.T) {
	types := map[string]int{}
	for _, ev := range story() {
		line := EventRecord(ev, func(ds engine.Diagnostics) json.RawMessage { return json.RawMessage(`[]`) }).Line()
		if strings.Count(line, "\n") != 1 {
			t.Fatalf("not one line: %q", line)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"@level", "@message", "@timestamp", "type"} {
			if m[key] == nil || m[key] == "" {
				t.Errorf("no %s in %s", key, line)
			}
		}
		types[m["type"].(string)]++
	}
	if types["task_start"] != 7 || types["task_end"] != 7 || types["task_progress"] != 3 || types["summary"] != 1 {
		t.Errorf("got %v", types)
	}
}

func TestPlanRecordsHideSecrets(t *testing.T) {
	p := replacePlan()
	p.Outputs[2].Value = cty.StringVal("hunter2").Mark("sensitive")
	var all strings.Builder
	for _, r := range PlanRecords(p, time.Time{}) {
		all.WriteString(r.Line())
	}
	for _, want := range []string{`"type":"task_planned"`, `"known_after":["task.add"]`, `"reads":3`, `"tolerates":0`, `"value":"1609b5a3a078c227"`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %s in\n%s", want, all.String())
		}
	}
	if strings.Contains(all.String(), "hunter2") {
		t.Error("a sensitive output is shown")
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", 12 * time.Millisecond: "12ms", 3420 * time.Millisecond: "3.4s",
		125 * time.Second: "2m05s", 2*time.Hour + 3*time.Second: "2h00m03s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// A run that stops before any task has failed still says why.
func TestFailureWithoutTask(t *testing.T) {
	_, stderr := tell([]engine.Event{{Kind: engine.Summary, Status: engine.Refused, RunID: runID, Failure: &engine.Failure{
		Cause: "The plan said 3 members, and now there are 2.", GoOn: "etcdplay resume " + runID,
	}}}, false)
	for _, want := range []string{"Error: Run refused", "The plan said 3 members", "Nothing further was done", "etcdplay resume " + runID} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in:\n%s", want, stderr)
		}
	}
}

// A run that found no cluster tells what there is now, and not that it could not
// look all the time.
func TestSummaryOfAClusterThatWasMade(t *testing.T) {
	const found = "Done in 2s. No cluster answered when it began; the one there is now "
	for _, tc := range []struct {
		now     *world.Budget
		exposed time.Duration
		want    string
	}{
		{budgetOf(3, 3, 0), 0, found + "can lose a member."},
		{budgetOf(5, 5, 0), 0, found + "can lose 2 members."},
		{budgetOf(3, 3, 0), 3 * time.Second, found + "can lose a member, and could not for 3s."},
		{budgetOf(1, 1, 0), time.Second, found + "cannot lose a member."},
		{budgetOf(3, 1, 0), time.Second, found + "has no quorum."},
		{nil, 0, "Done in 2s. The cluster could not be asked all the time, so whether it could have lost a member is not known."},
	} {
		r := &Reporter{Screen: &Screen{Paint: Paint{}}}
		got := r.summary(engine.Event{Status: engine.OK, Elapsed: 2 * time.Second, Blind: true, Exposed: tc.exposed, After: tc.now})
		if got != "\n"+tc.want+"\n" {
			t.Errorf("%+v: got %q", tc.now, got)
		}
	}
}
