package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
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

// The kill matrices of restore-v3 and recover-quorum-v3. A restored cluster can be
// lost and restored again, so each lane has one sandbox for all its points.

// restoring is one sandbox whose cluster is lost and restored again and again.
type restoring struct {
	m        *matrix
	args     []string // of `etcdplay run`
	confirm  string   // what has to be typed
	gone     string   // the host whose machine is lost with the quorum; "" for none
	revision int64    // of the data that stays
	last     int64    // when the quorum was lost
}

func TestKillMatrixRestore(t *testing.T) {
	t.Parallel()
	killRestoring(t, 120, 3, 3, func(r *restoring, dir string) {
		snapshot := filepath.Join(dir, "backup.db")
		cfg := clientv3.Config{Endpoints: []string{r.m.clientURL("demo-etcd-1")}, Logger: zap.NewNop()}
		if _, err := clientsnapshot.SaveWithVersion(r.m.context(), zap.NewNop(), cfg, snapshot); err != nil {
			t.Fatal(err)
		}
		r.args, r.confirm = []string{"restore-v3", "--var", "snapshot=" + snapshot}, "lose 2 revisions"
	})
}

// One machine is gone and another one's etcd is stopped, so the two that are left
// are compared, and both restored from the better one.
func TestKillMatrixRecoverQuorum(t *testing.T) {
	t.Parallel()
	killRestoring(t, 120, 1, 2, func(r *restoring, _ string) {
		r.args, r.confirm = []string{"recover-quorum-v3", "--var", "lost=demo-etcd-3"}, "lose 0 revisions"
		r.gone = "demo-etcd-3"
	})
}

// killRestoring runs a playbook undisturbed, and then killed at each of the chosen
// points, of which there are at least least, and the daily run takes so many. At the
// end there are so many members. begin says of a new sandbox what is run in it.
func killRestoring(t *testing.T, least, daily, members int, begin func(r *restoring, dir string)) {
	if testing.Short() {
		t.Skip("kills and resumes for minutes")
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "etcdplay")
	build := exec.Command("go", "build", "-tags", "faultinject", "-o", exe, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first := newRestoring(t, exe, begin)
	points := filepath.Join(dir, "points")
	want := first.round("undisturbed", 0, []string{"ETCDPLAY_KILL_COUNT=" + points})
	if want.Keys < 100 || len(want.Kept) != 3 || len(want.Members) != members || !want.Same || t.Failed() {
		t.Fatalf("the undisturbed run ends with\n%s", want)
	}
	raw, err := os.ReadFile(points)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(names) < least {
		t.Fatalf("%d points, want at least %d: %v", len(names), least, names)
	}
	chosen := choose(len(names))
	if os.Getenv("ETCDPLAY_KILLS") == "" {
		chosen = []int{chosen[0], chosen[len(chosen)/2], chosen[len(chosen)*3/4]}[3-daily:]
	}
	t.Logf("%d points, of which %d now: %v", len(names), len(chosen), chosen)
	next := make(chan int)
	var lanes sync.WaitGroup
	for lane := range min(3, len(chosen)/2+1) {
		r := first
		if lane > 0 {
			r = newRestoring(t, exe, begin)
		}
		lanes.Go(func() {
			for n := range next {
				name := fmt.Sprintf("%d (%s)", n, names[n-1])
				begun := time.Now()
				got := r.round(name, n, []string{"ETCDPLAY_KILL_AT=" + strconv.Itoa(n)})
				if !reflect.DeepEqual(got, want) {
					t.Errorf("point %s: the end is\n%s\nwant, as undisturbed,\n%s", name, got, want)
					r = newRestoring(t, exe, begin) // the next point shall not suffer for it
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

func newRestoring(t *testing.T, exe string, begin func(r *restoring, dir string)) *restoring {
	t.Helper()
	dir := t.TempDir()
	r := &restoring{m: &matrix{t: t, exe: exe, state: filepath.Join(dir, "state")}}
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
	begin(r, dir)
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
		put, err := c.Put(r.m.context(), key, "late")
		if err != nil {
			return err
		}
		r.last = put.Header.Revision
	}
	for _, name := range []string{"demo-etcd-2", "demo-etcd-3"} {
		if name == r.gone {
			if err := r.m.box.StopHost(r.m.context(), name); err != nil {
				return err
			}
			continue
		}
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

// tidy removes what earlier rounds have kept aside, which is much in the end.
func (r *restoring) tidy() error {
	for _, h := range r.m.box.Hosts() {
		for _, f := range r.beside(h.Name) {
			if name := filepath.Base(f); strings.HasPrefix(name, "etcd.before-") || strings.HasPrefix(name, "etcd.snapshot-") {
				if err := os.RemoveAll(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// round loses the cluster, runs the playbook with env and resumes it until it is
// at its end. Point 0 is the undisturbed run.
func (r *restoring) round(name string, point int, env []string) (e restoredEnding) {
	t := r.m.t
	if err := errors.Join(r.tidy(), r.lose()); err != nil {
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
	agreed := "--confirm=" + r.confirm
	run := append([]string{"run", "--yes", agreed}, r.args...)
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
		command := []string{"resume", "--yes", agreed}
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
