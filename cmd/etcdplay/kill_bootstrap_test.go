package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// TestKillMatrixBootstrap kills the making of a cluster at points of the run. Each
// time the resumed run has to end with one cluster of all three, and with
// configurations that make no second one.
func TestKillMatrixBootstrap(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills and resumes for a minute")
	}
	dir := t.TempDir()
	m := &matrix{t: t, exe: filepath.Join(dir, "etcdplay"), state: filepath.Join(dir, "state")}
	build := exec.Command("go", "build", "-tags", "faultinject", "-o", m.exe, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var err error
	if m.box, err = sandbox.Up(m.context(), sandbox.Options{Dir: filepath.Join(dir, "box"), Spares: 3, Exe: m.exe}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.box.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	run := []string{"run", "--yes", "bootstrap"}
	points := filepath.Join(dir, "points")
	if code, out := m.etcdplay([]string{"ETCDPLAY_KILL_COUNT=" + points}, run...); code != 0 {
		t.Fatalf("undisturbed run: exit code %d\n%s", code, out)
	}
	want := m.formed()
	raw, err := os.ReadFile(points)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(raw)), "\n")
	chosen := choose(len(names))
	if os.Getenv("ETCDPLAY_KILLS") == "" {
		// Few of a day's points: each costs seconds here.
		for i := len(chosen) - 1; i >= 0; i-- {
			if i%4 != 0 {
				chosen = slices.Delete(chosen, i, i+1)
			}
		}
	}
	t.Logf("%d points, of which %d now: %v", len(names), len(chosen), chosen)
	for _, n := range chosen {
		m.empty()
		before := m.runs()
		code, out := m.etcdplay([]string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(n)}, run...)
		// What runs side by side may pass fewer points than the undisturbed run did.
		if code != -int(syscall.SIGKILL) && code != 0 {
			t.Errorf("point %d (%s): exit code %d, want to be killed\n%s", n, names[n-1], code, out)
		}
		history := []string{out}
		for try := 0; code != 0; try++ {
			if try == 4 {
				t.Fatalf("point %d (%s): not at an end after %d resumes:\n%s", n, names[n-1], try, strings.Join(history, "\n----\n"))
			}
			again := []string{"resume", "--yes"}
			if len(m.runs()) == len(before) || strings.Contains(out, "was never begun") {
				again = run
			}
			code, out = m.etcdplay(nil, again...)
			history = append(history, out)
		}
		if got := m.formed(); got != want {
			t.Errorf("point %d (%s): the end is\n%s\nwant, as undisturbed,\n%s\n%s", n, names[n-1], got, want, strings.Join(history, "\n----\n"))
		}
	}
}

var tokenOfRun = regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{4}`)

// formed is what has to be equal at the end of every run: each host's own view of
// its cluster, its configuration, its unit, and what was moved aside. Cluster and
// member IDs differ from run to run; that they are one cluster does not.
func (m *matrix) formed() string {
	m.t.Helper()
	ctx := m.context()
	var b strings.Builder
	clusters := map[uint64]bool{}
	hashes := map[uint32]bool{}
	for _, h := range m.box.Hosts() {
		client, err := connect([]string{h.ClientURL()})
		if err != nil {
			m.t.Fatal(err)
		}
		list, err := client.MemberList(ctx, clientv3.WithSerializable())
		if err != nil {
			m.t.Fatalf("%s: %v", h.Name, err)
		}
		hash, err := client.HashKV(ctx, h.ClientURL(), 0)
		if err != nil {
			m.t.Fatalf("%s: %v", h.Name, err)
		}
		_ = client.Close() // all has been read
		clusters[list.Header.ClusterId], hashes[hash.Hash] = true, true
		var names []string
		for _, x := range list.Members {
			names = append(names, fmt.Sprintf("%s %v learner=%v", x.Name, x.PeerURLs, x.IsLearner))
		}
		slices.Sort(names)
		host, err := m.box.Host(ctx, h.Name)
		if err != nil {
			m.t.Fatal(err)
		}
		unit, err := host.Unit(ctx, sandbox.Unit)
		if err != nil {
			m.t.Fatal(err)
		}
		aside, err := filepath.Glob(filepath.Join(m.box.Dir, "hosts", h.Name, "var/lib/etcd.*"))
		if err != nil {
			m.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s\n%s %v\n%s%d aside\n", h.Name, strings.Join(names, ", "), unit.ActiveState, unit.NeedDaemonReload,
			tokenOfRun.ReplaceAllString(m.dropin(h.Name), "RUN"), len(aside))
	}
	fmt.Fprintf(&b, "%d clusters, %d hashes\n", len(clusters), len(hashes))
	return b.String()
}

// empty makes the hosts what they were before there was a cluster.
func (m *matrix) empty() {
	m.t.Helper()
	for _, h := range m.box.Hosts() {
		if err := m.box.StopHost(m.context(), h.Name); err != nil {
			m.t.Fatal(err)
		}
	}
	for _, h := range m.box.Hosts() {
		root := filepath.Join(m.box.Dir, "hosts", h.Name)
		left, err := filepath.Glob(filepath.Join(root, "var/lib/etcd*"))
		if err != nil {
			m.t.Fatal(err)
		}
		for _, path := range append(left, filepath.Join(root, filepath.Dir(dropinPath))) {
			if err := os.RemoveAll(path); err != nil {
				m.t.Fatal(err)
			}
		}
		if err := m.box.StartHost(m.context(), h.Name); err != nil {
			m.t.Fatal(err)
		}
	}
}
