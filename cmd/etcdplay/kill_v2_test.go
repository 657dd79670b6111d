package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/world"
)

// The kill matrix of force-new-cluster-v2. What it does to a cluster cannot be
// taken back, so each point has a sandbox of its own; a machine that is lost, a
// survivor, and a member that is stopped and joins again. Everything is looked at
// with etcdctl, not with what is tested.

// forcedEnding is what has to be equal after every run, however it was disturbed.
type forcedEnding struct {
	Members  []string          // name and URLs
	Healthy  bool              // by etcdctl cluster-health
	Kept     string            // a value that was there before
	Writable bool              // and a new one goes through
	Units    map[string]string // active state by host
	Needs    map[string]bool   // NeedDaemonReload by host
	Forces   map[string]string // what would force a new cluster at the next start
	Files    []string          // drop-ins, staging and the like, by host
	Backups  int               // complete ones
	Aside    int               // data directories moved aside, with their log
	Dropin   string            // of the member that joined again
}

func (e forcedEnding) String() string {
	out, err := json.MarshalIndent(e, "  ", "  ")
	if err != nil {
		return err.Error()
	}
	return "  " + string(out)
}

func TestKillMatrixForceNewCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills and resumes for minutes")
	}
	etcd := filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), "3.4", "etcd")
	if _, err := os.Stat(etcd); err != nil {
		conntest.Skip(t, "needs etcd 3.4: make etcds")
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "etcdplay")
	build := exec.Command("go", "build", "-tags", "faultinject", "-o", exe, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	points := filepath.Join(dir, "points")
	want := forcedRound(t, exe, etcd, "undisturbed", 0, []string{"ETCDPLAY_KILL_COUNT=" + points})
	raw, err := os.ReadFile(points)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(names) < 80 {
		t.Fatalf("%d points, want at least 80: %v", len(names), names)
	}
	chosen := choose(len(names))
	if os.Getenv("ETCDPLAY_KILLS") == "" { // each takes a cluster of its own
		chosen = []int{chosen[0], chosen[len(chosen)/2], chosen[len(chosen)*3/4]}
	}
	t.Logf("%d points, of which %d now: %v", len(names), len(chosen), chosen)
	var lanes sync.WaitGroup
	next := make(chan int)
	for range 3 {
		lanes.Go(func() {
			for n := range next {
				name := fmt.Sprintf("%d %s", n, names[n-1])
				got := forcedRound(t, exe, etcd, name, n, []string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(n)})
				if !reflect.DeepEqual(got, want) {
					t.Errorf("point %s: the end is\n%s\nwant, as undisturbed,\n%s", name, got, want)
				}
			}
		})
	}
	for _, n := range chosen {
		next <- n
	}
	close(next)
	lanes.Wait()
}

// forcedRound makes a cluster, loses its quorum, runs the playbook with env, and
// resumes it until it is at its end. Point 0 is the undisturbed run. What fails
// is told, and the zero value returned.
func forcedRound(t *testing.T, exe, etcd, name string, point int, env []string) (e forcedEnding) {
	dir, err := os.MkdirTemp(filepath.Dir(exe), "round")
	if err != nil {
		t.Error(err)
		return e
	}
	m := &matrix{t: t, exe: exe, state: filepath.Join(dir, "state")}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	m.box, err = sandbox.Up(ctx, sandbox.Options{Dir: filepath.Join(dir, "box"), Members: 3, Etcd: etcd, API: 2, Exe: exe})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return e
	}
	defer func() {
		if err := m.box.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	}()
	v := &v2{m: m, etcdctl: filepath.Join(filepath.Dir(etcd), "etcdctl")}
	if _, err := v.ctl("demo-etcd-1", "set", "/kept", "precious"); err != nil {
		t.Errorf("%s: %v", name, err)
		return e
	}
	if err := m.box.StopHost(ctx, "demo-etcd-3"); err != nil {
		t.Errorf("%s: %v", name, err)
		return e
	}
	second, err := m.box.Host(ctx, "demo-etcd-2")
	if err == nil {
		err = second.Units().Stop(ctx, sandbox.Unit)
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return e
	}
	history, ok := v.toItsEnd(point, env)
	if !ok {
		t.Errorf("point %s: not at an end:\n%s", name, history)
		return e
	}
	e, err = v.end(ctx)
	if err != nil {
		t.Errorf("point %s: %v\n%s", name, err, history)
	}
	return e
}

// v2 is a sandbox whose cluster speaks API 2.
type v2 struct {
	m       *matrix
	etcdctl string
}

// toItsEnd runs the playbook, killed as env says, and resumes it.
func (v *v2) toItsEnd(point int, env []string) (string, bool) {
	confirm := "--confirm=demo goes on with demo-etcd-1"
	run := []string{
		"run", "force-new-cluster-v2", "--yes", confirm,
		"--var", "survivor=demo-etcd-1", "--var", "lost=demo-etcd-3", "--var", "rejoin=demo-etcd-2",
	}
	code, out := v.m.etcdplay(env, run...)
	history := []string{out}
	if point > 0 && code != -int(syscall.SIGKILL) {
		return out + "\nwas not killed", false
	}
	for try := 0; code != 0; try++ {
		if try == 4 {
			return strings.Join(history, "\n----\n"), false
		}
		command := []string{"resume", "--yes", confirm}
		if len(v.m.runs()) == 0 || strings.Contains(out, "was never begun") {
			command = run
		}
		again := []string(nil)
		if try == 0 && point%5 == 0 { // now and then the first resume is killed as well
			again = []string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(3+point%7)}
		}
		code, out = v.m.etcdplay(again, command...)
		history = append(history, out)
	}
	return strings.Join(history, "\n----\n"), true
}

// ctl runs etcdctl over API 2 against the member of a host.
func (v *v2) ctl(host string, args ...string) (string, error) {
	cmd := exec.Command(v.etcdctl, append([]string{"--endpoints", v.url(host)}, args...)...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=2")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("etcdctl %v: %w: %s", args, err, out)
	}
	return string(out), err
}

func (v *v2) url(host string) string {
	for _, h := range v.m.box.Hosts() {
		if h.Name == host {
			return h.ClientURL()
		}
	}
	return ""
}

var memberLineV2 = regexp.MustCompile(`^[0-9a-f]+: (name=.*) isLeader=`)

// end looks at cluster and hosts.
func (v *v2) end(ctx context.Context) (e forcedEnding, err error) {
	e.Units, e.Needs, e.Forces = map[string]string{}, map[string]bool{}, map[string]string{}
	out, err := v.ctl("demo-etcd-1", "member", "list")
	if err != nil {
		return e, err
	}
	for line := range strings.Lines(out) {
		if found := memberLineV2.FindStringSubmatch(line); found != nil {
			line = found[1]
		}
		e.Members = append(e.Members, v.named(line))
	}
	slices.Sort(e.Members)
	out, err = v.ctl("demo-etcd-1", "cluster-health")
	e.Healthy = err == nil && strings.Contains(out, "cluster is healthy")
	out, _ = v.ctl("demo-etcd-2", "get", "/kept") // an error is no value
	e.Kept = strings.TrimSpace(out)
	_, err = v.ctl("demo-etcd-2", "set", "/new", "written")
	e.Writable = err == nil
	for _, name := range []string{"demo-etcd-1", "demo-etcd-2"} {
		host, err := v.m.box.Host(ctx, name)
		if err != nil {
			return e, err
		}
		unit, err := host.Unit(ctx, sandbox.Unit)
		if err != nil {
			return e, err
		}
		e.Units[name], e.Needs[name] = unit.ActiveState, unit.NeedDaemonReload
		e.Forces[name] = world.ForcesNewCluster(unit.Environment, unit.ExecStart)
		root := filepath.Join(v.m.box.Dir, "hosts", name)
		for pattern, count := range map[string]*int{
			"run/systemd/system/*.d/*": nil, "etc/systemd/system/*.d/*": nil, "var/lib/etcd_backup/*.partial": nil,
			"var/lib/etcd_backup/*/BACKUP.json": &e.Backups, "var/lib/etcd.*/member/wal/*.wal": &e.Aside,
		} {
			found, err := filepath.Glob(filepath.Join(root, pattern))
			if err != nil {
				return e, err
			}
			for _, f := range found {
				if count == nil {
					e.Files = append(e.Files, name+strings.TrimPrefix(f, root))
				} else {
					*count++
				}
			}
		}
	}
	slices.Sort(e.Files)
	text, err := os.ReadFile(filepath.Join(v.m.box.Dir, "hosts", "demo-etcd-2", dropinPath))
	e.Dropin = v.named(string(text))
	return e, err
}

// named is text with the hosts' names for their addresses, which differ from one
// sandbox to the next.
func (v *v2) named(text string) string {
	for _, h := range v.m.box.Hosts() {
		text = strings.ReplaceAll(text, h.Address+":", h.Name+":")
	}
	return strings.TrimSpace(text)
}
