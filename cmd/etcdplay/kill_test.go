package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// The kill matrix: etcdplay is killed with SIGKILL at a point of a run, and
// resume has to bring the cluster to the same end as a run that nobody
// disturbed. The points are counted by the program itself, built with
// faultinject. Each day's tests take other points; ETCDPLAY_KILLS chooses how
// many of each playbook ("all" for every one), ETCDPLAY_KILL_DAY the day.

// matrix is one sandbox and the playbook that is run in it again and again.
type matrix struct {
	t       *testing.T
	exe     string // the program, built with faultinject
	box     *sandbox.Sandbox
	state   string
	args    []string        // of `etcdplay run`
	target  string          // the host that the new member runs on
	size    int             // members at the end
	prepare func(m *matrix) // brings the cluster to where the playbook begins
	undo    func(m *matrix) // nil, or takes back what the playbook did
	client  *clientv3.Client
	during  func() string // what is going on, for failures
}

func TestKillMatrixReplace(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	m.args = []string{"replace-member", "--var", "failed=demo-etcd-2"}
	m.target, m.size = "demo-etcd-2", 3
	original := m.dropin("demo-etcd-2")
	m.prepare = func(m *matrix) {
		if err := m.box.Wreck(m.context(), "demo-etcd-2"); err != nil {
			m.t.Fatal(err)
		}
		m.writeDropin("demo-etcd-2", original)
	}
	m.walk()
}

func TestKillMatrixScale(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	m.args = []string{"scale", "--var", "new=demo-etcd-4"}
	m.target, m.size = "demo-etcd-4", 4
	m.prepare = func(*matrix) {}
	m.undo = takeBack
	m.walk()
}

// walk runs the playbook once undisturbed, then once for each chosen point.
func (m *matrix) walk() {
	m.prepare(m)
	begun := time.Now()
	points := filepath.Join(m.t.TempDir(), "points")
	if code, out := m.etcdplay([]string{"ETCDPLAY_KILL_COUNT=" + points}, append([]string{"run", "--yes"}, m.args...)...); code != 0 {
		m.t.Fatalf("undisturbed run: exit code %d\n%s", code, out)
	}
	want := m.end(begun)
	m.back()
	raw, err := os.ReadFile(points)
	if err != nil {
		m.t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(names) < 40 {
		m.t.Fatalf("%d points, want at least 40: %v", len(names), names)
	}
	chosen := choose(len(names))
	m.t.Logf("%d points, of which %d now: %v", len(names), len(chosen), chosen)
	for _, n := range chosen {
		m.kill(n, names[n-1], want)
	}
}

// choose picks points of 1…n, others each day.
func choose(n int) []int {
	wanted := 22
	switch env := os.Getenv("ETCDPLAY_KILLS"); env {
	case "":
	case "all":
		wanted = n
	default:
		if v, err := strconv.Atoi(env); err == nil {
			wanted = v
		}
	}
	day := int(time.Now().Unix() / 86400)
	if v, err := strconv.Atoi(os.Getenv("ETCDPLAY_KILL_DAY")); err == nil {
		day = v
	}
	wanted = min(wanted, n)
	var points []int
	for i := range wanted {
		points = append(points, (i*n/wanted+day)%n+1)
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// kill runs the playbook, killed at the point, and resumes it to its end.
func (m *matrix) kill(n int, name string, want ending) {
	m.t.Helper()
	m.prepare(m)
	begun := time.Now()
	before := m.runs()
	at := []string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(n)}
	code, out := m.etcdplay(at, append([]string{"run", "--yes"}, m.args...)...)
	if code != -int(syscall.SIGKILL) {
		m.t.Errorf("point %d (%s): exit code %d, want to be killed\n%s", n, name, code, out)
	}
	history := []string{out}
	for try := 0; code != 0; try++ {
		if try == 4 {
			m.t.Fatalf("point %d (%s): not at an end after %d resumes:\n%s", n, name, try, strings.Join(history, "\n----\n"))
		}
		command := []string{"resume", "--yes"}
		if len(m.runs()) == len(before) || strings.Contains(out, "was never begun") {
			command = append([]string{"run", "--yes"}, m.args...)
		}
		env := []string(nil)
		if try == 0 && n%5 == 0 { // and now and then the first resume is killed as well
			env = []string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(3+n%7)}
		}
		code, out = m.etcdplay(env, command...)
		history = append(history, out)
	}
	m.during = func() string {
		return fmt.Sprintf("point %d (%s)\n%s", n, name, strings.Join(history, "\n----\n"))
	}
	if got := m.end(begun); !reflect.DeepEqual(got, want) {
		m.t.Errorf("point %d (%s): the end is\n%s\nwant, as undisturbed,\n%s\n%s", n, name, got, want, strings.Join(history, "\n----\n"))
	}
	m.back()
}

// ending is what has to be equal after every run, however it was disturbed.
type ending struct {
	Members   []string          // name, URLs and vote
	HashEqual bool              // HashKV of all members at one revision
	Keys      int64             // of the data that was there before
	Dropin    string            // of the new member
	Units     map[string]string // active state by host
	Needs     map[string]bool   // NeedDaemonReload by host
	Aside     int               // data directories moved aside on the target in this run
	Leftovers []string          // files of ours that should not be there
	Changes   map[string]int    // of membership, as etcd applied them, by kind
}

func (e ending) String() string {
	out, err := json.MarshalIndent(e, "  ", "  ")
	if err != nil {
		return err.Error()
	}
	return "  " + string(out)
}

// end looks at cluster and hosts, once they are at rest.
func (m *matrix) end(begun time.Time) ending {
	m.t.Helper()
	e := ending{Units: map[string]string{}, Needs: map[string]bool{}, Changes: map[string]int{}}
	ctx := m.context()
	list, err := m.client.MemberList(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	var endpoints []string
	for _, x := range list.Members {
		e.Members = append(e.Members, fmt.Sprintf("%s %v %v learner=%v", x.Name, x.PeerURLs, x.ClientURLs, x.IsLearner))
		endpoints = append(endpoints, x.ClientURLs...)
	}
	slices.Sort(e.Members)
	e.HashEqual = m.hashesEqual(endpoints)
	keys, err := m.client.Get(ctx, "kept/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		m.t.Fatal(err)
	}
	e.Keys = keys.Count
	for _, h := range m.box.Hosts() {
		m.look(ctx, h.Name, begun, &e)
	}
	return e
}

// look adds what one host shows.
func (m *matrix) look(ctx context.Context, name string, begun time.Time, e *ending) {
	m.t.Helper()
	host, err := m.box.Host(ctx, name)
	if err != nil {
		m.t.Fatal(err)
	}
	unit, err := host.Unit(ctx, sandbox.Unit)
	if err != nil {
		m.t.Fatal(err)
	}
	e.Units[name], e.Needs[name] = unit.ActiveState, unit.NeedDaemonReload
	root := filepath.Join(m.box.Dir, "hosts", name)
	if name == m.target {
		e.Dropin = m.dropin(name)
		e.Aside = m.newer(filepath.Join(root, "var/lib/etcd.replaced-*"), begun)
		if n := m.newer(filepath.Join(root, "var/lib/etcd.failed-*"), begun); n > 0 {
			e.Leftovers = append(e.Leftovers, fmt.Sprintf("%d data directories of failed attempts", n))
		}
	}
	for _, pattern := range []string{"etc/systemd/system/*.tmp*", "etc/systemd/system/*.d/.*", "run/systemd/system/*.d/*force*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			m.t.Fatal(err)
		}
		e.Leftovers = append(e.Leftovers, found...)
	}
	if name != "demo-etcd-1" {
		return
	}
	entries, err := host.Journal(ctx, conn.JournalQuery{Unit: sandbox.Unit, Since: begun})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, entry := range entries {
		var line struct {
			Message string `json:"msg"`
		}
		if json.Unmarshal([]byte(entry.Message), &line) != nil {
			continue
		}
		switch line.Message { // what every member says when it applies a change
		case "added member", "removed member", "promote member":
			e.Changes[line.Message]++
		}
	}
}

const dropinPath = "/etc/systemd/system/" + sandbox.Unit + ".d/" + sandbox.DropIn

func (m *matrix) dropin(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.box.Dir, "hosts", name, dropinPath))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *matrix) writeDropin(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.box.Dir, "hosts", name, dropinPath), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	host, err := m.box.Host(m.context(), name)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := host.Units().Reload(m.context()); err != nil {
		m.t.Fatal(err)
	}
}

// newer counts what fits the pattern and was renamed since begun: a rename
// changes the time of the inode.
func (m *matrix) newer(pattern string, begun time.Time) int {
	m.t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		m.t.Fatal(err)
	}
	n := 0
	for _, path := range found {
		info, err := os.Lstat(path)
		if err != nil {
			m.t.Fatal(err)
		}
		changed := info.Sys().(*syscall.Stat_t).Ctim
		if !time.Unix(changed.Sec, changed.Nsec).Before(begun) {
			n++
		}
	}
	return n
}

func (m *matrix) hashesEqual(endpoints []string) bool {
	m.t.Helper()
	ctx := m.context()
	now, err := m.client.Get(ctx, "any")
	if err != nil {
		m.t.Fatal(err)
	}
	var first uint32
	for i, ep := range endpoints {
		h, err := m.client.HashKV(ctx, ep, now.Header.Revision)
		if err != nil {
			m.t.Fatalf("HashKV of %s: %v\n%s", ep, err, m.during())
		}
		if i == 0 {
			first = h.Hash
		}
		if h.Hash != first {
			return false
		}
	}
	return len(endpoints) == m.size
}

func newMatrix(t *testing.T) *matrix {
	if testing.Short() {
		t.Skip("kills and resumes for minutes")
	}
	dir := t.TempDir()
	m := &matrix{t: t, during: func() string { return "undisturbed run" }, exe: filepath.Join(dir, "etcdplay"), state: filepath.Join(dir, "state")}
	build := exec.Command("go", "build", "-tags", "faultinject", "-o", m.exe, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	box, err := sandbox.Up(m.context(), sandbox.Options{Dir: filepath.Join(dir, "box"), Members: 3, Spares: 1, Exe: m.exe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	m.box = box
	// The two members that no playbook here touches.
	m.client, err = clientv3.New(clientv3.Config{Endpoints: []string{m.clientURL("demo-etcd-1"), m.clientURL("demo-etcd-3")}, DialTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.client.Close() })
	for i := range 100 {
		if _, err := m.client.Put(m.context(), fmt.Sprintf("kept/%03d", i), "value"); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *matrix) clientURL(host string) string {
	for _, h := range m.box.Hosts() {
		if h.Name == host {
			return h.ClientURL()
		}
	}
	m.t.Fatalf("no host %s", host)
	return ""
}

// etcdplay runs the program and returns its exit code, negative for a signal,
// and all it printed.
func (m *matrix) etcdplay(env []string, args ...string) (int, string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, m.exe, append(args, "--no-color")...)
	if args[0] == "run" {
		command.Args = append(command.Args, "-i", m.box.Inventory())
	}
	command.Env = append(append(os.Environ(), "XDG_STATE_HOME="+m.state), env...)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	if ctx.Err() != nil {
		m.t.Fatalf("etcdplay %v does not end:\n%s", args, out.String())
	}
	if err == nil {
		return 0, out.String()
	}
	if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return -int(status.Signal()), out.String()
	}
	return command.ProcessState.ExitCode(), out.String()
}

// runs lists the journals there are.
func (m *matrix) runs() []string {
	found, err := filepath.Glob(filepath.Join(m.state, "etcdplay", "runs", "*", "journal"))
	if err != nil {
		m.t.Fatal(err)
	}
	return found
}

func (m *matrix) back() {
	if m.undo != nil {
		m.undo(m)
	}
}

// takeBack makes the new member's host a spare again.
func takeBack(m *matrix) {
	m.t.Helper()
	ctx := m.context()
	list, err := m.client.MemberList(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, x := range list.Members {
		if x.Name != m.target {
			continue
		}
		if _, err := m.client.MemberRemove(ctx, x.ID); err != nil {
			m.t.Fatal(err)
		}
	}
	host, err := m.box.Host(ctx, m.target)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := host.Units().Stop(ctx, sandbox.Unit); err != nil {
		m.t.Fatal(err)
	}
	for _, path := range []string{sandbox.DataDir, dropinPath} {
		if err := host.Remove(ctx, path, true); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := host.Units().Reload(ctx); err != nil {
		m.t.Fatal(err)
	}
}

// context bounds one look or act of the test itself.
func (m *matrix) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	m.t.Cleanup(cancel)
	return ctx
}
