package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// stopped is a run that failed in its second phase, as its journal tells it.
func stopped() *engine.Record {
	at := func(seconds int) time.Time { return time.Date(2026, 11, 22, 9, 55, seconds, 0, time.UTC) }
	r := &engine.Record{
		Identity:   engine.Identity{ID: "20261122T095500Z-7f3a", StartedAt: at(0), User: "ada"},
		Dir:        "/state/etcdplay/runs/20261122T095500Z-7f3a",
		Invocation: engine.Invocation{Tool: "0.1.0", Dir: "/home/ada", Playbook: "replace-member", Inventory: "inventory.hcl"},
		Playbook:   engine.RecordedPlaybook{Name: "replace-member", Version: "1.0.0", File: "playbooks/replace-member.hcl", Digest: "sha256:aa", Language: 1},
		Cluster:    "demo",
		Inventory:  "sha256:bb",
		Templates:  map[string]string{"playbooks/templates/etcd-member.conf.tmpl": "sha256:cc"},
		Changes:    []engine.SiteChange{{Kind: "dropped", Task: "task.why", What: `systemd_journal "why"`, Why: "The journal\nis read elsewhere.", File: "site/replace.hcl", Line: 30}},
		Inputs: []engine.RecordedInput{
			{Name: "health_timeout", Value: cty.StringVal("3m"), Source: "default"},
			{Name: "token", Value: cty.NullVal(cty.String), Source: "--var", Sensitive: true},
		},
		State: engine.RunFailed,
		Tasks: []engine.RecordedTask{
			{Address: "task.before", Type: "etcd_members", Effect: engine.Read, Status: engine.OK, How: engine.Executed, Phase: "survey", Place: engine.InPhase, At: at(1), Elapsed: 12 * time.Millisecond, Results: cty.ObjectVal(map[string]cty.Value{"count": cty.NumberIntVal(3)})},
			{Address: "task.stop", Type: "systemd_unit", Effect: engine.Change, Host: "demo-etcd-2", Status: engine.OK, How: engine.Already, Phase: "remove", Place: engine.InPhase, At: at(2), Elapsed: 4 * time.Millisecond},
			{Address: "task.old_data", Type: "move", Effect: engine.Change, Host: "demo-etcd-2", Status: engine.OK, How: engine.Executed, Changed: true, Phase: "remove", Place: engine.InPhase, At: at(3), Elapsed: 90 * time.Millisecond},
			{Address: "task.stop_new", Type: "systemd_unit", Effect: engine.Change, Host: "demo-etcd-2", Status: engine.OK, How: engine.Executed, Changed: true, Phase: "join", Place: engine.InRescue, At: at(40), Elapsed: 2 * time.Second},
		},
		Open:      &engine.OpenTask{Address: "task.add", Type: "etcd_member_add", Attempt: 1, At: at(4)},
		Failure:   &engine.RecordedFailure{Address: "task.start", Host: "demo-etcd-2", Message: "did not become active", Status: engine.Failed},
		Phase:     "join",
		Started:   at(0),
		Ended:     at(41),
		Exposed:   1200 * time.Millisecond,
		Outputs:   map[string]cty.Value{"old_data": cty.StringVal("/var/lib/etcd.replaced")},
		Overrides: []string{"--accept-drift by ada"},
	}
	r.History = r.Tasks
	return r
}

func TestReport(t *testing.T) {
	path := filepath.Join("testdata", "report.txt")
	got := reportText(stopped())
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestWhatNext(t *testing.T) {
	for state, want := range map[engine.RunState]string{
		engine.RunOK: "", engine.RunAborted: "", engine.RunGoing: "going on now", engine.RunUnreadable: "damaged",
		engine.RunFailed: "etcdplay resume", engine.RunStopped: "etcdplay abort", engine.RunUnknown: "etcdplay resume", engine.RunRefused: "etcdplay resume",
	} {
		r := stopped()
		r.State = state
		if got := whatNext(r); !strings.Contains(got, want) || (want == "" && got != "") {
			t.Errorf("%s: got %q, want %q in it", state, got, want)
		}
	}
}

func TestReportRecords(t *testing.T) {
	var out, err bytes.Buffer
	a := newApp([]string{"--json"}, strings.NewReader(""), &out, &err, nil)
	a.reportRecords(stopped())
	types := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		types[m["type"].(string)]++
	}
	if d := cmp.Diff(map[string]int{"run": 1, "task_end": 4, "outputs": 1}, types); d != "" {
		t.Error(d)
	}
}
