package sandbox_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// processes lists the processes that run the binary of the sandbox in dir:
// its supervisor and its etcds.
func processes(t *testing.T, dir string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err == nil && strings.HasPrefix(exe, dir+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// claimOf is the file by which the sandbox claims its addresses.
func claimOf(s *sandbox.Sandbox) string {
	return filepath.Join(os.TempDir(), "etcdplay-sandboxes-"+strconv.Itoa(os.Getuid()), strings.TrimSuffix(s.Hosts()[0].Address, ".1"))
}

func supervisorOf(t *testing.T, dir string) int {
	t.Helper()
	for _, pid := range processes(t, dir) {
		cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err == nil && strings.Contains(string(cmdline), "supervise") {
			return pid
		}
	}
	t.Fatalf("no supervisor of %s", dir)
	return 0
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after a minute", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestTwoAtOnce makes two sandboxes at the same time, in folders whose names
// are too long for a socket's address, and takes them down.
func TestTwoAtOnce(t *testing.T) {
	var boxes [2]*sandbox.Sandbox
	var wg sync.WaitGroup
	for i := range boxes {
		dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 30), "box")
		wg.Go(func() {
			s, err := sandbox.Up(t.Context(), sandbox.Options{Dir: dir, Members: 1, Spares: 1})
			if err != nil {
				t.Error(err)
				return
			}
			boxes[i] = s
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if a, b := boxes[0].Hosts()[0].Address, boxes[1].Hosts()[0].Address; a == b {
		t.Errorf("both use %s", a)
	}
	if _, err := sandbox.Up(t.Context(), sandbox.Options{Dir: boxes[0].Dir, Members: 1}); err == nil {
		t.Error("a sandbox was made over another")
	}
	if got := len(processes(t, boxes[0].Dir)); got != 2 {
		t.Errorf("got %d processes, want a supervisor and an etcd", got)
	}
	for _, s := range boxes {
		if err := s.Down(t.Context(), false); err != nil {
			t.Error(err)
		}
		if got := processes(t, s.Dir); len(got) != 0 {
			t.Errorf("after down: processes %v", got)
		}
		if _, err := os.Stat(s.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after down: %s: got %v, want it gone", s.Dir, err)
		}
		if _, err := os.Stat(claimOf(s)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after down: its claim: got %v, want it gone", err)
		}
	}
}

func TestKeep(t *testing.T) {
	s := up(t, 1, 0)
	if err := s.Down(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if got := processes(t, s.Dir); len(got) != 0 {
		t.Errorf("processes %v", got)
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 || list[0].On {
		t.Errorf("list of a stopped sandbox: got %+v, %v", list, err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUnit(t, host(t, s, "demo-etcd-1"), "active", func(u conn.Unit) bool { return u.ActiveState == "active" })
}

func TestUpFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "box")
	_, err := sandbox.Up(t.Context(), sandbox.Options{Dir: dir, Members: 1, Etcd: "/bin/ls"})
	if err == nil || !strings.Contains(err.Error(), "unrecognized option") {
		t.Errorf("with ls for an etcd: got %v, want an error with the words of ls", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it left %s: %v", dir, err)
	}
	if got := processes(t, dir); len(got) != 0 {
		t.Errorf("it left processes %v", got)
	}
	for _, o := range []sandbox.Options{
		{}, {Members: -1, Spares: 2}, {Members: 1, Spares: 250}, {Members: 1, NamePrefix: "-x"}, {Members: 1, Etcd: "/no/such/etcd"}, {Members: 1, Cluster: "a b"},
	} {
		o.Dir = dir
		if s, err := sandbox.Up(t.Context(), o); err == nil {
			t.Errorf("%+v: got %v, want an error", o, s)
		}
	}
}

// TestUpCancelled ends the context while the members are starting.
func TestUpCancelled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "box")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := sandbox.Up(ctx, sandbox.Options{Dir: dir, Members: 3, Progress: func(what string) {
		if what == "waiting for the members" {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it left %s: %v", dir, err)
	}
	if got := processes(t, dir); len(got) != 0 {
		t.Errorf("it left processes %v", got)
	}
}

// TestClientKilled kills the process that made the sandbox.
func TestClientKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "box")
	client := exec.Command(exe, "sandbox", "up", dir)
	client.Stderr = os.Stderr
	out, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	s, err := sandbox.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	before, err := host(t, s, "demo-etcd-1").Unit(t.Context(), sandbox.Unit)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait() // it was killed, which is what Wait says
	after, err := host(t, s, "demo-etcd-1").Unit(t.Context(), sandbox.Unit)
	if err != nil || after.MainPID != before.MainPID || after.ActiveState != "active" {
		t.Errorf("after the death of the client: got %+v, %v, before it %+v", after, err, before)
	}
	if !healthy(t, s.Hosts()[0]) {
		t.Error("the member does not serve any more")
	}
}

func TestSupervisorKilled(t *testing.T) {
	s := up(t, 1, 1)
	h := host(t, s, "demo-etcd-1")
	if err := s.StopHost(t.Context(), "demo-etcd-2"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(supervisorOf(t, s.Dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "without processes", func() bool { return len(processes(t, s.Dir)) == 0 })
	// A process that was just killed may still have its socket, for a moment.
	var err error
	waitFor(t, "without its socket", func() bool {
		_, err = h.ReadFile(t.Context(), "/etc/hostname")
		return err == nil || !strings.Contains(err.Error(), "no answer from the supervisor")
	})
	if !errors.Is(err, conn.ErrUnreachable) || !strings.Contains(err.Error(), "etcdplay sandbox start") {
		t.Errorf("without supervisor: got %v, want ErrUnreachable and what to do", err)
	}
	for range 2 {
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	waitUnit(t, h, "active", func(u conn.Unit) bool { return u.ActiveState == "active" })
	if _, err := s.Host(t.Context(), "demo-etcd-2"); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("the host that was off: got %v, want it still off", err)
	}
}

// TestFolderRemoved removes the folder by hand, which must not leave processes.
func TestFolderRemoved(t *testing.T) {
	s, err := sandbox.Up(t.Context(), sandbox.Options{Dir: filepath.Join(t.TempDir(), "box"), Members: 1})
	if err != nil {
		t.Fatal(err)
	}
	pids := processes(t, s.Dir)
	waitFor(t, "removed", func() bool { return os.RemoveAll(s.Dir) == nil })
	for _, pid := range pids {
		waitFor(t, "ended: "+strconv.Itoa(pid), func() bool {
			stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
			return err != nil || strings.Contains(string(stat), ") Z ")
		})
	}
	if err := s.Down(t.Context(), false); err != nil {
		t.Errorf("down: %v", err)
	}
	if _, err := os.Stat(claimOf(s)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after down: its claim: got %v, want it gone", err)
	}
}

// TestJoin lets a spare host join, as a playbook would.
func TestJoin(t *testing.T) {
	s := up(t, 1, 1)
	ctx := t.Context()
	member, spare := s.Hosts()[0], s.Hosts()[1]
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{member.ClientURL()}, DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	added, err := client.MemberAddAsLearner(ctx, []string{spare.PeerURL()})
	if err != nil {
		t.Fatal(err)
	}
	h := host(t, s, spare.Name)
	dir := "/etc/systemd/system/" + sandbox.Unit + ".d"
	if err := h.Mkdir(ctx, dir, conn.Attr{Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	write(t, h, dir+"/"+sandbox.DropIn, "[Service]\nExecStart=\nExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS"+
		" \\\n  --name=\""+spare.Name+"\""+
		" \\\n  --listen-peer-urls=\""+spare.PeerURL()+"\" --initial-advertise-peer-urls=\""+spare.PeerURL()+"\""+
		" \\\n  --listen-client-urls=\""+spare.ClientURL()+"\" --advertise-client-urls=\""+spare.ClientURL()+"\""+
		" \\\n  --initial-cluster=\""+member.Name+"="+member.PeerURL()+","+spare.Name+"="+spare.PeerURL()+"\""+
		" \\\n  --initial-cluster-state=\"existing\"\n")
	if err := h.Units().Reload(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.Units().Start(ctx, sandbox.Unit, true); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "promoted", func() bool {
		_, err := client.MemberPromote(ctx, added.Member.ID)
		return err == nil
	})
	// The new member's unit is enabled, so it comes back with its host.
	if err := s.StopHost(ctx, spare.Name); err != nil {
		t.Fatal(err)
	}
	if err := s.StartHost(ctx, spare.Name); err != nil {
		t.Fatal(err)
	}
	waitUnit(t, h, "active", func(u conn.Unit) bool { return u.ActiveState == "active" })
	info, err := h.Stat(ctx, sandbox.DataDir)
	if err != nil || info.Mode != fs.ModeDir|0o700 {
		t.Errorf("data directory: got %+v, %v", info, err)
	}
	if real, err := os.Stat(filepath.Join(s.Dir, "hosts", spare.Name, sandbox.DataDir, "member", "wal")); err != nil || !real.IsDir() {
		t.Errorf("its data is not below the host's root: %v", err)
	}
}
