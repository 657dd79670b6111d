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

	clientv3 "go.etcd.io/etcd/client/v3"
	clientsnapshot "go.etcd.io/etcd/client/v3/snapshot"
	"go.uber.org/zap"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// The kill matrix of restore-v3. A restored cluster can be lost and restored
// again, so each lane has one sandbox for all its points.

// restoredEnding is what has to be equal after every run, however it was
// disturbed.
type restoredEnding struct {
	Members  []string          // name, URLs and vote
	Hash     map[string]uint32 // HashKV by host, at the snapshot's revision
	Revision int64
	Keys     int64             // all there are
	Dropins  map[string]string // by host, without the run's ID
	Units    map[string]string // active state by host
	Needs    map[string]bool   // NeedDaemonReload by host
	Kept     map[string]string // by host, where the very directory is that was the member's data
	Files    []string          // what else lies beside the data or among the drop-ins
}

func (e restoredEnding) String() string {
	out, err := json.MarshalIndent(e, "  ", "  ")
	if err != nil {
		return err.Error()
	}
	return "  " + string(out)
}

// restoring is one sandbox whose cluster is lost and restored again and again.
type restoring struct {
	m        *matrix
	snapshot string
	revision int64 // of the snapshot
}

const confirmed = "--confirm=lose 2 revisions"

func TestKillMatrixRestore(t *testing.T) {
	if testing.Short() {
		t.Skip("kills and resumes for minutes")
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "etcdplay")
	build := exec.Command("go", "build", "-tags", "faultinject", "-o", exe, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first := newRestoring(t, exe)
	points := filepath.Join(dir, "points")
	want := first.round("undisturbed", 0, []string{"ETCDPLAY_KILL_COUNT=" + points})
	if want.Keys != 100 || len(want.Kept) != 3 || t.Failed() {
		t.Fatalf("the undisturbed run ends with\n%s", want)
	}
	raw, err := os.ReadFile(points)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(names) < 120 {
		t.Fatalf("%d points, want at least 120: %v", len(names), names)
	}
	chosen := choose(len(names))
	if os.Getenv("ETCDPLAY_KILLS") == "" {
		chosen = []int{chosen[0], chosen[len(chosen)/2], chosen[len(chosen)*3/4]}
	}
	t.Logf("%d points, of which %d now: %v", len(names), len(chosen), chosen)
	next := make(chan int)
	var lanes sync.WaitGroup
	for lane := range min(3, len(chosen)/2+1) {
		r := first
		if lane > 0 {
			r = newRestoring(t, exe)
		}
		lanes.Go(func() {
			for n := range next {
				name := fmt.Sprintf("%d (%s)", n, names[n-1])
				begun := time.Now()
				got := r.round(name, n, []string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(n)})
				if !reflect.DeepEqual(got, want) {
					t.Errorf("point %s: the end is\n%s\nwant, as undisturbed,\n%s", name, got, want)
					r = newRestoring(t, exe) // the next point shall not suffer for it
				}
				t.Logf("%.0f s: point %s", time.Since(begun).Seconds(), name)
			}
		})
	}
	for _, n := range chosen {
		next <- n
	}
	close(next)
	lanes.Wait()
}

func newRestoring(t *testing.T, exe string) *restoring {
	t.Helper()
	dir := t.TempDir()
	r := &restoring{m: &matrix{t: t, exe: exe, state: filepath.Join(dir, "state")}, snapshot: filepath.Join(dir, "backup.db")}
	box, err := sandbox.Up(r.m.context(), sandbox.Options{Dir: filepath.Join(dir, "box"), Members: 3, Exe: exe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	r.m.box = box
	c := r.client("demo-etcd-1")
	for i := range 100 {
		put, err := c.Put(r.m.context(), fmt.Sprintf("kept/%03d", i), "value")
		if err != nil {
			t.Fatal(err)
		}
		r.revision = put.Header.Revision
	}
	cfg := clientv3.Config{Endpoints: []string{r.m.clientURL("demo-etcd-1")}, Logger: zap.NewNop()}
	if _, err := clientsnapshot.SaveWithVersion(r.m.context(), zap.NewNop(), cfg, r.snapshot); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *restoring) client(host string) *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{r.m.clientURL(host)}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		r.m.t.Error(err)
		return nil
	}
	r.m.t.Cleanup(func() { _ = c.Close() })
	return c
}

// lose writes what the snapshot lacks and takes the quorum away.
func (r *restoring) lose() error {
	c := r.client("demo-etcd-1")
	defer c.Close()
	for _, key := range []string{"later/1", "later/2"} {
		if _, err := c.Put(r.m.context(), key, "lost"); err != nil {
			return err
		}
	}
	for _, name := range []string{"demo-etcd-2", "demo-etcd-3"} {
		host, err := r.m.box.Host(r.m.context(), name)
		if err != nil {
			return err
		}
		if err := host.Units().Stop(r.m.context(), sandbox.Unit); err != nil {
			return err
		}
	}
	return nil
}

// round loses the cluster, runs the playbook with env and resumes it until it is
// at its end. Point 0 is the undisturbed run.
func (r *restoring) round(name string, point int, env []string) (e restoredEnding) {
	t := r.m.t
	if err := r.lose(); err != nil {
		t.Errorf("point %s: %v", name, err)
		return e
	}
	data, known := map[string]uint64{}, map[string]bool{}
	for _, h := range r.m.box.Hosts() {
		data[h.Name] = inode(filepath.Join(r.root(h.Name), "var/lib/etcd"))
		for _, f := range r.beside(h.Name) {
			known[f] = true
		}
	}
	history, ok := r.toItsEnd(point, env)
	if !ok {
		t.Errorf("point %s: not at an end:\n%s", name, history)
		return e
	}
	e, err := r.end(data, known)
	if err != nil {
		t.Errorf("point %s: %v\n%s", name, err, history)
	}
	return e
}

func (r *restoring) toItsEnd(point int, env []string) (string, bool) {
	run := []string{"run", "restore-v3", "--yes", confirmed, "--var", "snapshot=" + r.snapshot}
	before := len(r.m.runs())
	code, out := r.m.etcdplay(env, run...)
	history := []string{out}
	if point > 0 && code != -int(syscall.SIGKILL) {
		return out + "\nwas not killed", false
	}
	for try := 0; code != 0; try++ {
		if try == 4 {
			return strings.Join(history, "\n----\n"), false
		}
		command := []string{"resume", "--yes", confirmed}
		if len(r.m.runs()) == before || strings.Contains(out, "was never begun") {
			command = run
		}
		again := []string(nil)
		if try == 0 && point%5 == 0 { // now and then the first resume is killed as well
			again = []string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(3+point%7)}
		}
		code, out = r.m.etcdplay(again, command...)
		history = append(history, out)
	}
	return strings.Join(history, "\n----\n"), true
}

func (r *restoring) root(host string) string { return filepath.Join(r.m.box.Dir, "hosts", host) }

// beside is what lies beside the data directory of a host and among its drop-ins.
func (r *restoring) beside(host string) []string {
	var all []string
	for _, pattern := range []string{"var/lib/*", "var/lib/.*", "etc/systemd/system/*.d/*", "run/systemd/system/*"} {
		found, err := filepath.Glob(filepath.Join(r.root(host), pattern))
		if err != nil {
			r.m.t.Error(err)
		}
		all = append(all, found...)
	}
	return all
}

func inode(path string) uint64 {
	info, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

var runID = regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{4}`)

// end looks at cluster and hosts.
func (r *restoring) end(data map[string]uint64, known map[string]bool) (e restoredEnding, err error) {
	e.Hash, e.Dropins, e.Units = map[string]uint32{}, map[string]string{}, map[string]string{}
	e.Needs, e.Kept = map[string]bool{}, map[string]string{}
	for i, h := range r.m.box.Hosts() {
		c := r.client(h.Name)
		defer c.Close()
		if i == 0 {
			list, err := c.MemberList(r.m.context())
			if err != nil {
				return e, err
			}
			for _, x := range list.Members {
				e.Members = append(e.Members, r.named(fmt.Sprintf("%s %v %v learner=%v", x.Name, x.PeerURLs, x.ClientURLs, x.IsLearner)))
			}
			slices.Sort(e.Members)
			all, err := c.Get(r.m.context(), "", clientv3.WithPrefix(), clientv3.WithCountOnly())
			if err != nil {
				return e, err
			}
			e.Revision, e.Keys = all.Header.Revision, all.Count
		}
		hash, err := c.HashKV(r.m.context(), h.ClientURL(), r.revision)
		if err != nil {
			return e, err
		}
		e.Hash[h.Name] = hash.Hash
		host, err := r.m.box.Host(r.m.context(), h.Name)
		if err != nil {
			return e, err
		}
		unit, err := host.Unit(r.m.context(), sandbox.Unit)
		if err != nil {
			return e, err
		}
		e.Units[h.Name], e.Needs[h.Name] = unit.ActiveState, unit.NeedDaemonReload
		e.Dropins[h.Name] = r.named(runID.ReplaceAllString(r.m.dropin(h.Name), "RUN"))
		for _, f := range r.beside(h.Name) {
			name := runID.ReplaceAllString(strings.TrimPrefix(f, r.root(h.Name)), "RUN")
			switch {
			case inode(f) == data[h.Name]:
				e.Kept[h.Name] = name
			case strings.HasPrefix(filepath.Base(name), ".etcdplay-"):
				// Hosts are changed side by side: what one of them was writing when the
				// process was killed at another's point stays, under a name that nothing reads.
			case !known[f] && !strings.HasPrefix(name, "/var/lib/etcd.snapshot-RUN.db"):
				e.Files = append(e.Files, h.Name+name)
			}
		}
	}
	return e, nil
}

// named is text with the hosts' names for their addresses.
func (r *restoring) named(text string) string {
	for _, h := range r.m.box.Hosts() {
		text = strings.ReplaceAll(text, h.Address+":", h.Name+":")
	}
	return text
}
