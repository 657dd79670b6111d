package render

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
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
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

const (
	runID  = "20261122T095500Z-7f3a"
	dropin = "/etc/systemd/system/etcd-member.service.d/20-clct-etcd-member.conf"
)

func budgetOf(voters, healthy, learners int) *world.Budget {
	return &world.Budget{Known: true, Voters: voters, Healthy: healthy, Learners: learners, Quorum: world.Quorum(voters)}
}

func unit(content ...string) string {
	return "[Service]\nExecStart=\nExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS \\\n  " + strings.Join(content, " \\\n  ") + "\n"
}

// plan builds a plan from tasks in a short form, and numbers them.
func plan(entries ...engine.Entry) *engine.Plan {
	p := &engine.Plan{
		Program: &engine.Program{Name: "replace-member", Version: "1.0.0", Cluster: engine.Cluster{Name: "demo"}},
		RunID:   runID,
	}
	numbers := [4]int{}
	for _, e := range entries {
		if e.Kind == "" {
			e.Kind = engine.TaskEntry
		}
		if e.Kind != engine.PhaseEntry {
			numbers[e.Depth]++
			e.Number = numbers[e.Depth]
			e.Address = e.Name
		}
		if e.Place == "" {
			e.Place = engine.InPhase
		}
		if e.Kind == engine.CallEntry {
			numbers[e.Depth+1] = 0
		}
		p.Entries = append(p.Entries, e)
	}
	return p
}

func phase(name string) engine.Entry { return engine.Entry{Kind: engine.PhaseEntry, Name: name} }

func task(effect engine.Effect, name, typ, host, summary string) engine.Entry {
	return engine.Entry{Effect: effect, Name: "task." + name, Type: typ, Host: host, Summary: summary, Needed: true}
}

func check(name string) engine.Entry {
	return engine.Entry{Effect: engine.Control, Role: engine.Assert, Name: "task." + name, Type: "assert", Summary: "holds"}
}

func replacePlan() *engine.Plan {
	const host = "demo-etcd-2"
	old := task(engine.Destroy, "old", "etcd_member_remove", "", "demo-etcd-2 leaves; members 3 -> 2, quorum 2 -> 2")
	old.Before, old.After = budgetOf(3, 2, 0), budgetOf(2, 2, 0)
	add := task(engine.Change, "add", "etcd_member_add", "", "members 2, and a learner without a vote; quorum stays 2")
	add.Before, add.After = budgetOf(2, 2, 0), budgetOf(2, 2, 1)
	config := task(engine.Change, "config", "systemd_dropin", host, "")
	config.Diff = &engine.Diff{
		Path: dropin, Action: "update, then daemon-reload", Exists: true,
		Before: unit(`--name="demo-etcd-2"`, `--initial-cluster="ddemo-etcd-1=http://10.240.0.1:2380"`, `--initial-cluster-state="new"`, `--initial-cluster-token="t"`),
		After:  unit(`--name="demo-etcd-2"`, `--initial-cluster="demo-etcd-1=http://10.240.0.1:2380"`, `--initial-cluster-state="existing"`, `--initial-cluster-token="t"`),
	}
	masked := task(engine.Change, "mask", "systemd_unit", host, "etcd-member.service: masked already")
	masked.Needed = false
	gone := task(engine.Destroy, "gone", "remove", host, `"/var/lib/etcd.old": there is nothing`)
	gone.Needed = false
	joined := task(engine.Read, "joined", "etcd_health", "", "3 of 3 healthy")
	joined.ByModel = true
	joined.Checks = []string{"postcondition is checked during the run"}
	skipped := task(engine.Change, "set_aside", "move", host, "")
	skipped.Skipped = true
	why := task(engine.Read, "why", "systemd_journal", host, "lines of etcd-member.service")
	why.Later, why.Perhaps, why.Place = true, true, engine.InRescue
	undo := task(engine.Destroy, "undo_add", "etcd_member_remove", "", "")
	undo.Perhaps, undo.Place, undo.Waits = true, engine.InRescue, []string{"task.add"}
	forget := task(engine.Change, "force_off", "systemd_dropin", host, "")
	forget.Place = engine.InAlways
	forget.Diff = &engine.Diff{Path: "/run/x.conf", Action: "remove, then daemon-reload", Before: "[Service]\n", Exists: true, Removed: true}

	p := plan(
		phase("survey"),
		task(engine.Read, "before", "etcd_members", "", "3 members: demo-etcd-1, demo-etcd-2, demo-etcd-3"),
		check("is_member"),
		engine.Entry{Effect: engine.Control, Role: engine.Confirm, Name: "task.sure", Type: "confirm", Summary: "Replace it?"},
		phase("remove"),
		old,
		task(engine.Change, `stop["demo-etcd-2"]`, "systemd_unit", host, "etcd-member.service: failed -> stopped"),
		phase("join"),
		masked, gone, add, config, skipped, joined, why, undo, forget,
	)
	p.Outputs = []engine.PlannedOutput{
		{Name: "old_member_id", Value: cty.StringVal("1609b5a3a078c227")},
		{Name: "new_member_id", Value: cty.UnknownVal(cty.String), Waits: []string{"task.add"}},
		{Name: "token", Value: cty.StringVal("x"), Sensitive: true},
	}
	p.Counts = engine.Counts{Reads: 3, Checks: 1, Changes: 4, Destructive: 2, Questions: 1}
	return p
}

func TestPlan(t *testing.T) {
	golden(t, "plan.txt", Paint{}.Plan(replacePlan(), "DRY RUN: nothing is changed"))
}

func TestPlanOfCalledPlaybooks(t *testing.T) {
	call := engine.Entry{Kind: engine.CallEntry, Effect: engine.Control, Role: engine.Calls, Name: `task.join["demo-etcd-2"]`, Summary: "playbooks/scale.hcl"}
	inner := func(e engine.Entry) engine.Entry { e.Depth = 1; return e }
	why := task(engine.Read, "why", "systemd_journal", "node4", "lines of etcd-member.service")
	why.Later, why.Perhaps, why.Place = true, true, engine.InRescue
	restore := task(engine.Change, "restore", "etcd_snapshot_restore", "demo-etcd-1", `"/a" -> "/b"`)
	restore.Details = []engine.Detail{{Name: "name", Value: `"new-demo-etcd-1"`}, {Name: "initial_cluster", Value: `"a=b"`}}
	p := plan(
		phase("swap"), restore,
		phase("grow"), call,
		inner(phase("survey")), inner(check("all_healthy")),
		inner(phase("join")), inner(task(engine.Change, "start", "systemd_unit", "node4", "stopped -> started")), inner(why),
		func() engine.Entry { w := why; w.Name = "task.outer"; return w }(),
	)
	golden(t, "called.txt", Paint{}.Plan(p, runID))
}

func TestPlanThatFails(t *testing.T) {
	p := plan(phase("survey"), check("is_member"))
	p.Failed = engine.Diagnostics{{Severity: engine.Error, Summary: "Assertion failed"}}
	got := Paint{}.Plan(p, "DRY RUN: nothing is changed")
	if strings.Contains(got, "reads") || !strings.HasSuffix(got, "task.is_member               holds\n") {
		t.Errorf("got a count line or no last task:\n%s", got)
	}
}

func TestPaintColours(t *testing.T) {
	plain, painted := Paint{}.Plan(replacePlan(), ""), Paint{On: true}.Plan(replacePlan(), "")
	if strings.Contains(plain, "\x1b") {
		t.Error("plain text has escape codes")
	}
	if !strings.Contains(painted, "\x1b[") {
		t.Error("painted text has no escape codes")
	}
}

func TestQuorum(t *testing.T) {
	for _, c := range []struct {
		before, after *world.Budget
		want          string
	}{
		{nil, nil, ""},
		{budgetOf(3, 2, 0), budgetOf(2, 2, 0), "quorum 2 of 3, 2 healthy, tolerates 0 -> quorum 2 of 2, 2 healthy, tolerates 0"},
		{budgetOf(3, 3, 0), budgetOf(3, 3, 1), "quorum 2 of 3, 3 healthy, tolerates 1 -> quorum 2 of 3, 3 healthy, 1 learner, tolerates 1"},
		{budgetOf(3, 1, 0), nil, "quorum 2 of 3, 1 healthy, lost, 1 short"},
		{&world.Budget{}, budgetOf(1, 1, 0), "quorum not known -> quorum 1 of 1, 1 healthy, tolerates 0"},
	} {
		if got := Quorum(c.before, c.after); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestValue(t *testing.T) {
	for _, c := range []struct {
		v     cty.Value
		waits []string
		want  string
	}{
		{cty.StringVal("a"), []string{"task.add"}, `"a"`},
		{cty.ListVal([]cty.Value{cty.StringVal("a"), cty.UnknownVal(cty.String)}), []string{"task.add", "task.b"}, `["a", (known after task.add, task.b)]`},
		{cty.UnknownVal(cty.List(cty.String)), nil, "(known during the run)"},
	} {
		if got := Value(c.v, c.waits); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestWay(t *testing.T) {
	for address, want := range map[string]string{
		"task.add":                      "",
		`task.join["b"]/task.add`:       `task.join["b"]/`,
		`task.x["a/b"]`:                 "",
		`task.x["a\"/b"]/task.y/task.z`: `task.x["a\"/b"]/task.y/`,
		`task.join["b"]/phase.survey`:   `task.join["b"]/`,
	} {
		if got := way(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	if got, want := indent(`task.x["a/b"]/task.y/task.z`), "        "; got != want {
		t.Errorf("indent: got %q, want %q", got, want)
	}
}
