package systemd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

const etcd = "etcd-member.service"

func planning(w *world.World) engine.Planning {
	return engine.Planning{World: w, Host: "demo-etcd-2", Observed: true}
}

func TestUnitPlan(t *testing.T) {
	no := false
	tests := []struct {
		state string
		wait  *bool
		was   unitState
		want  string // the summary; one that begins with = is of a unit that needs nothing
	}{
		{"started", nil, unitState{Active: "active", Sub: "running"}, "=started already"},
		{"started", nil, unitState{Active: "reloading", Sub: "reload"}, "=started already"},
		{"started", nil, unitState{Active: "inactive", Sub: "dead"}, "stopped -> started"},
		{"started", nil, unitState{Active: "failed", Sub: "failed"}, "failed -> started"},
		{"started", nil, unitState{Active: "activating", Sub: "auto-restart"}, "activating (auto-restart) -> started"},
		{"started", nil, unitState{Active: "activating", Sub: "start", PID: 7}, "activating (start) -> started"},
		{"started", &no, unitState{Active: "activating", Sub: "start", PID: 7}, "=activating (start) already"},
		{"started", &no, unitState{Active: "activating", Sub: "auto-restart"}, "activating (auto-restart) -> started"},
		{"started", nil, unitState{Active: "deactivating", Sub: "stop-sigterm", PID: 7}, "deactivating (stop-sigterm) -> started"},
		{"stopped", nil, unitState{Active: "active", Sub: "running", PID: 7}, "started -> stopped"},
		{"stopped", nil, unitState{Active: "inactive", Sub: "dead"}, "=stopped already"},
		{"stopped", nil, unitState{Active: "failed", Sub: "failed"}, "=stopped already, it has failed"},
		{"stopped", nil, unitState{Active: "failed", Sub: "failed", PID: 7}, "failed -> stopped"},
		{"stopped", nil, unitState{Active: "activating", Sub: "auto-restart"}, "activating (auto-restart) -> stopped"},
		{"stopped", nil, unitState{Active: "deactivating", Sub: "stop-sigterm", PID: 7}, "deactivating (stop-sigterm) -> stopped"},
		{"restarted", nil, unitState{Active: "active", Sub: "running", PID: 7}, "started -> restarted"},
		{"restarted", nil, unitState{Active: "inactive", Sub: "dead"}, "stopped -> restarted"},
	}
	for _, test := range tests {
		// A model that says something else than what was seen is not heard: in a
		// run it may be behind, and in a plan what is seen has gone through it.
		w := &world.World{}
		w.Host("demo-etcd-2").Units[etcd] = "stopped"
		planned, r := planUnit(planning(w), unitArgs{Unit: etcd, State: test.state, Wait: test.wait}, test.was)
		want, already := strings.CutPrefix(test.want, "=")
		if want = etcd + ": " + want; planned.Summary != want || planned.Needed == already {
			t.Errorf("%s, was %v: got %q, needed %t; want %q", test.state, test.was, planned.Summary, planned.Needed, want)
		}
		if already && (len(planned.Unknown) > 0 || r.Changed) {
			t.Errorf("%s: got unknown %v, changed %t, want all known and nothing changed", planned.Summary, planned.Unknown, r.Changed)
		}
	}
}

func TestUnitPlanWithoutKnowledge(t *testing.T) {
	p := engine.Planning{World: &world.World{}, Unknown: map[string]bool{"unit": true}}
	planned, _ := planUnit(p, unitArgs{State: "stopped"}, unitState{})
	if !planned.Needed || len(planned.Unknown) != 4 {
		t.Errorf("got needed %t, unknown %v; want all four results unknown", planned.Needed, planned.Unknown)
	}
}

func cluster(healthy ...bool) *world.World {
	w := &world.World{Cluster: world.Cluster{Known: true, ID: "cdf818194e3a8c32", Unit: etcd}}
	for i, h := range healthy {
		name := "demo-etcd-" + string(rune('1'+i))
		m := world.Member{ID: string(rune('a' + i)), Name: name, Host: name, PeerURLs: []string{"http://10.240.0." + string(rune('1'+i)) + ":2380"}}
		if h {
			m.Health = world.Healthy
		}
		w.Cluster.Members = append(w.Cluster.Members, m)
	}
	return w
}

func failed(v world.Verdict) (ids []string) {
	var r *world.Refusal
	if errors.As(v.Err(), &r) {
		for _, c := range r.Failed {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func TestUnitGuard(t *testing.T) {
	up := unitState{Active: "active", Sub: "running", PID: 7, Member: true}
	other := up
	other.Member = false
	forces := unitState{Active: "inactive", Member: true, Forces: "ETCD_FORCE_NEW_CLUSTER=true"}
	forcesAndRuns := up
	forcesAndRuns.Forces = forces.Forces
	lost := unitState{Active: "inactive", Member: true, Data: world.Data{Known: true}}
	begun := lost
	begun.Active, begun.Sub, begun.PID = "activating", "start", 7
	published := cluster(true, true, true)
	published.Cluster.OnHost("demo-etcd-2").ClientURLs = []string{"http://10.240.0.2:2379"}
	tests := []struct {
		name string
		args unitArgs
		was  unitState
		w    *world.World
		want []string
	}{
		{"start without its data", unitArgs{Unit: etcd, State: "started"}, lost, published, []string{"Q20"}},
		{"wait for one that had none when it was looked at", unitArgs{Unit: etcd, State: "started"}, begun, published, nil},
		{"stop one of three healthy", unitArgs{Unit: etcd, State: "stopped"}, up, cluster(true, true, true), nil},
		{"stop a healthy one when another is down", unitArgs{Unit: etcd, State: "stopped"}, up, cluster(true, true, false), []string{"Q8"}},
		{"restart it then", unitArgs{Unit: etcd, State: "restarted"}, up, cluster(true, true, false), []string{"Q8"}},
		{"by consent", unitArgs{Unit: etcd, State: "stopped", AllowDowntime: true}, up, cluster(true, true, false), nil},
		{"stop the one that is down", unitArgs{Unit: etcd, State: "stopped"}, up, cluster(true, false, true), nil},
		{"start", unitArgs{Unit: etcd, State: "started"}, up, cluster(true, true, false), nil},
		{"stop another unit", unitArgs{Unit: "nginx.service", State: "stopped"}, other, cluster(true, true, false), nil},
		{"stop another unit, of nobody knows whom", unitArgs{Unit: "nginx.service", State: "stopped"}, other, &world.World{}, nil},
		{"stop what is stopped", unitArgs{Unit: etcd, State: "stopped"}, unitState{Active: "inactive", Member: true}, cluster(true, true, false), nil},
		{"start what forces a new cluster", unitArgs{Unit: etcd, State: "started"}, forces, cluster(true, true, false), []string{"Q11"}},
		{"restart it", unitArgs{Unit: etcd, State: "restarted", AllowDowntime: true}, forcesAndRuns, cluster(true, true, true), []string{"Q11"}},
		{"stop it", unitArgs{Unit: etcd, State: "stopped"}, forcesAndRuns, cluster(true, true, true), nil},
		{"stop one of nobody knows how many", unitArgs{Unit: etcd, State: "stopped"}, up, &world.World{}, []string{"Q0"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := failed(guardUnit("demo-etcd-2", test.args, test.was, test.w)); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func content(name, initialCluster, state string) *string {
	c := "[Service]\nExecStart=\nExecStart=/usr/bin/etcd --name=\"" + name + "\" --initial-cluster=\"" + initialCluster +
		"\" --initial-cluster-state=" + state + "\n"
	return &c
}

const three = "demo-etcd-1=http://10.240.0.1:2380,demo-etcd-2=http://10.240.0.2:2380,demo-etcd-3=http://10.240.0.3:2380"

func TestDropinGuard(t *testing.T) {
	known := dropinState{Load: "loaded", Configures: true}
	tests := []struct {
		name  string
		args  dropinArgs
		state dropinState
		w     *world.World
		want  []string
	}{
		{"joins as the member list says", dropinArgs{Content: content("demo-etcd-2", three, "existing")}, known, cluster(true, true, true), nil},
		{
			"the typo of an old guide",
			dropinArgs{Content: content("demo-etcd-2", "d"+three, "existing")},
			known, cluster(true, true, true),
			[]string{"Q16"},
		},
		{"its own name is missing", dropinArgs{Content: content("demo-etcd-9", three, "existing")}, known, cluster(true, true, true), []string{"Q16"}},
		{"a member too few", dropinArgs{Content: content("demo-etcd-2", three, "existing")}, known, cluster(true, true), []string{"Q16"}},
		{"says new beside a running cluster", dropinArgs{Content: content("demo-etcd-2", three, "new")}, known, cluster(true, true, true), []string{"Q17"}},
		{"says new where no cluster answers", dropinArgs{Content: content("demo-etcd-2", three, "new")}, known, &world.World{}, nil},
		{"the wrong name, where no cluster answers", dropinArgs{Content: content("demo-etcd-9", three, "new")}, known, &world.World{}, []string{"Q16"}},
		{"of another unit", dropinArgs{Content: content("demo-etcd-9", three, "new")}, dropinState{Load: "loaded"}, cluster(true, true, true), nil},
		{"of no unit", dropinArgs{Content: content("demo-etcd-2", three, "existing")}, dropinState{Load: "not-found"}, cluster(true, true, true), []string{"unit-exists"}},
		{"not observed", dropinArgs{Content: content("demo-etcd-9", three, "new")}, dropinState{}, cluster(true, true, true), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := failed(guardDropin("demo-etcd-2", test.args, test.state, test.w)); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestDropinPlan(t *testing.T) {
	old, now := "[Service]\nType=simple\n", "[Service]\nType=notify\n"
	absent := "absent"
	loaded := func(content string) dropinState {
		return dropinState{Exists: true, SHA256: hash(content), Before: content, Mode: 0o644, Load: "loaded", Loaded: true}
	}
	imagined := func(content string) dropinState {
		return dropinState{Exists: true, SHA256: hash(content), Before: content, Mode: 0o600, Load: "loaded", Imagined: true}
	}
	stale := loaded(now)
	stale.NeedReload = true
	open := loaded(now)
	open.Mode = 0o600
	tests := []struct {
		name  string
		args  dropinArgs
		state dropinState
		want  string
	}{
		{"create", dropinArgs{Content: &now}, dropinState{Load: "loaded"}, "create, then daemon-reload"},
		{"update", dropinArgs{Content: &now}, loaded(old), "update, then daemon-reload"},
		{"there", dropinArgs{Content: &now}, loaded(now), "=there already"},
		{"there, and not told", dropinArgs{Content: &now}, stale, "daemon-reload"},
		{"there, with another mode", dropinArgs{Content: &now}, open, "mode 0600 -> 0644, then daemon-reload"},
		{"remove", dropinArgs{State: &absent}, loaded(old), "remove, then daemon-reload"},
		{"absent", dropinArgs{State: &absent}, dropinState{Load: "loaded"}, "=absent already"},
		{"there by the plan", dropinArgs{Content: &now}, imagined(now), "=there already"},
		{"updated after the plan has written", dropinArgs{Content: &now}, imagined(old), "update, then daemon-reload"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.args.Unit, test.args.Name = etcd, "20-clct-etcd-member.conf"
			planned, r := planDropin(planning(&world.World{}), test.args, test.state)
			want, already := strings.CutPrefix(test.want, "=")
			if planned.Summary != want || planned.Needed == already || r.Changed == already {
				t.Errorf("got %q, needed %t, changed %t; want %q", planned.Summary, planned.Needed, r.Changed, want)
			}
			if d := planned.Diff; planned.Needed && (d.Action != want || d.Path != test.args.path() || d.After != test.args.content()) {
				t.Errorf("got diff %+v", d)
			}
		})
	}
}

func TestDropinPlanOfUnknownContent(t *testing.T) {
	p := planning(&world.World{})
	p.Observed, p.Unknown = false, map[string]bool{"content": true}
	planned, r := planDropin(p, dropinArgs{Unit: etcd, Name: "a.conf"}, dropinState{})
	if !planned.Needed || planned.Diff != nil || !slices.Equal(planned.Unknown, []string{"changed", "sha256"}) {
		t.Errorf("got %+v, want a change whose content only the run knows", planned)
	}
	if want := "/etc/systemd/system/etcd-member.service.d/a.conf"; r.Path != want {
		t.Errorf("got path %q, want %q", r.Path, want)
	}
}

func TestLastWords(t *testing.T) {
	entries := []conn.JournalEntry{
		{Priority: 6, Message: `{"level":"info","msg":"starting"}`},
		{Priority: 6, Message: `{"level":"fatal","msg":"discovery failed","error":"member count is unequal"}`},
		{Priority: 6, Message: "plain"},
		{Priority: 3, Message: "broken " + strings.Repeat("x", 400) + " for a reason"},
		{Priority: 6, Message: `{"level":"info","msg":"closing"}`},
	}
	got := last(entries)
	if len(got) != 2 || got[0] != "discovery failed: member count is unequal" || !strings.Contains(got[1], " … ") || !strings.HasSuffix(got[1], " for a reason") || len(got[1]) > longestWords+10 {
		t.Errorf("got %q, want the two complaints, the long one cut", got)
	}
	if got := last(entries[:1]); !slices.Equal(got, []string{"starting"}) {
		t.Errorf("got %q, want the last line where nothing complains", got)
	}
}

func TestJournalReport(t *testing.T) {
	s := journalState{Entries: []conn.JournalEntry{
		{Priority: 4, Message: "warning"},
		{Priority: 3, Message: "error"},
		{Priority: 6, Message: `{"level":"error","msg":"by etcd"}`},
		{Priority: 6, Message: "{not json"},
	}}
	for pid1, want := range map[bool][]string{false: {"error", "by etcd"}, true: {"warning", "error", "by etcd"}} {
		r := reportJournal(journalArgs{PID1: pid1}, s)
		if !slices.Equal(r.Errors, want) || len(r.Lines) != 4 {
			t.Errorf("pid1 %t: got errors %q of %d lines, want %q of 4", pid1, r.Errors, len(r.Lines), want)
		}
	}
}

func TestJournalCheck(t *testing.T) {
	zero, many, when := 0, 10_001, "yesterday"
	for name, a := range map[string]journalArgs{"lines": {Lines: &zero}, " lines": {Lines: &many}, "since": {Since: &when}} {
		var wrong *engine.ArgError
		if err := checkJournal(a); !errors.As(err, &wrong) || wrong.Arg != strings.TrimSpace(name) {
			t.Errorf("got %v, want an ArgError about %s", err, name)
		}
	}
}

func TestDropinCheck(t *testing.T) {
	absent, present, text := "absent", "present", "[Service]\nType=notify\n"
	tests := []struct {
		args dropinArgs
		want string // the argument that is wrong
	}{
		{dropinArgs{Name: "a.conf", Content: &text}, ""},
		{dropinArgs{Name: "a.conf", Content: &text, State: &present}, ""},
		{dropinArgs{Name: "a.conf", State: &absent}, ""},
		{dropinArgs{Name: "a.conf"}, "content"},
		{dropinArgs{Name: "a.conf", Content: &text, State: &absent}, "content"},
		{dropinArgs{Name: "a", Content: &text}, "name"},
	}
	for _, test := range tests {
		got := ""
		var wrong *engine.ArgError
		if err := checkDropin(test.args); errors.As(err, &wrong) {
			got = wrong.Arg
		}
		if got != test.want {
			t.Errorf("%+v: got %q, want %q", test.args, got, test.want)
		}
	}
}
