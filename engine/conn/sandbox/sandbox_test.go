package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/etcdserver"
)

// TestMain lets the test binary be what etcdplay's own binary is to a sandbox:
// its supervisor and its etcd.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "sandbox" {
		switch os.Args[2] {
		case "supervise":
			if err := sandbox.Supervise(context.Background(), os.Args[3]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "etcd":
			etcdserver.Main(os.Args[4:])
		case "up": // for TestClientKilled: up, told so, and then idle until it is killed
			if _, err := sandbox.Up(context.Background(), sandbox.Options{Dir: os.Args[3], Members: 1}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Println("up")
			select {}
		case "notify": // for units of conntest
			if sent, err := daemon.SdNotify(false, os.Args[3]); err != nil || !sent {
				fmt.Fprintln(os.Stderr, "not notified:", sent, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// up makes a sandbox that is gone when the test ends.
func up(t *testing.T, members, spares int) *sandbox.Sandbox {
	t.Helper()
	begin := time.Now()
	s, err := sandbox.Up(t.Context(), sandbox.Options{
		Dir: filepath.Join(t.TempDir(), "box"), Members: members, Spares: spares,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d members and %d spares up in %v", members, spares, time.Since(begin))
	t.Cleanup(func() {
		log, err := os.ReadFile(filepath.Join(s.Dir, "supervisor.log"))
		if err != nil || bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic")) {
			t.Errorf("supervisor: %v\n%s", err, log)
		}
		if err := s.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	return s
}

func host(t *testing.T, s *sandbox.Sandbox, name string) conn.Host {
	t.Helper()
	h, err := s.Host(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// waitUnit waits until the unit of the host is as ok wants.
func waitUnit(t *testing.T, h conn.Host, what string, ok func(conn.Unit) bool) conn.Unit {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		u, err := h.Unit(t.Context(), sandbox.Unit)
		if err != nil {
			t.Fatal(err)
		}
		if ok(u) {
			return u
		}
		if time.Now().After(deadline) {
			entries, _ := h.Journal(t.Context(), conn.JournalQuery{Unit: sandbox.Unit, PID1: true})
			t.Fatalf("%s: not %s after 30 s: %+v\n%v", h.Name(), what, u, entries)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func healthy(t *testing.T, h sandbox.Host) bool {
	t.Helper()
	resp, err := http.Get(h.ClientURL() + "/health")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func write(t *testing.T, h conn.Host, path, text string) {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	err := h.WriteFile(t.Context(), path, conn.File{
		Content: strings.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]),
		Attr: conn.Attr{Mode: 0o644},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConnection(t *testing.T) {
	s := up(t, 1, 1)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	conntest.Run(t, func(t *testing.T) conntest.Fixture {
		h := host(t, s, "demo-etcd-2")
		dir := "/srv/" + filepath.Base(t.Name())
		if err := h.Mkdir(t.Context(), dir, conn.Attr{}); err != nil {
			t.Fatal(err)
		}
		return conntest.Fixture{
			Host: h, Dir: dir, User: me.Username, Group: group.Name,
			NoOtherFS: "a sandbox host has one file system: mounting another takes privileges",
			UnitDir:   "/usr/lib/systemd/system",
			Notify:    []string{exe, "sandbox", "notify", "READY=1"},
		}
	})
}

func TestCluster(t *testing.T) {
	s := up(t, 3, 1)
	ctx := t.Context()
	for _, h := range s.Hosts() {
		if got := healthy(t, h); got != !h.Spare {
			t.Errorf("%s: healthy %v, want %v", h.Name, got, !h.Spare)
		}
	}
	spare := host(t, s, "demo-etcd-4")
	if u, err := spare.Unit(ctx, sandbox.Unit); err != nil || u.ActiveState != "inactive" || u.UnitFileState != "enabled" {
		t.Errorf("spare: got %+v, %v, want an inactive unit", u, err)
	}
	if _, err := spare.Stat(ctx, sandbox.DataDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("spare: data directory: got %v, want none", err)
	}

	// A killed member comes back by itself, as another invocation.
	h := host(t, s, "demo-etcd-2")
	before, err := h.Unit(ctx, sandbox.Unit)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(ctx, "demo-etcd-2"); err != nil {
		t.Fatal(err)
	}
	after := waitUnit(t, h, "restarted", func(u conn.Unit) bool {
		return u.ActiveState == "active" && u.InvocationID != before.InvocationID
	})
	if after.NRestarts != 1 || after.MainPID == before.MainPID {
		t.Errorf("after a kill: got %+v", after)
	}

	// A drop-in counts from the reload on, and is in effect after the restart.
	dropIn := "/etc/systemd/system/" + sandbox.Unit + ".d/50-log.conf"
	write(t, h, dropIn, "[Service]\nEnvironment=ETCD_LOG_LEVEL=debug\n")
	if u, err := h.Unit(ctx, sandbox.Unit); err != nil || !u.NeedDaemonReload || len(u.DropInPaths) != 1 {
		t.Errorf("before reload: got %+v, %v, want NeedDaemonReload and one drop-in", u, err)
	}
	if err := h.Units().Reload(ctx); err != nil {
		t.Fatal(err)
	}
	u, err := h.Unit(ctx, sandbox.Unit)
	if err != nil || u.NeedDaemonReload || len(u.DropInPaths) != 2 || u.DropInPaths[1] != dropIn {
		t.Errorf("after reload: got %+v, %v", u, err)
	}
	if err := h.Units().Restart(ctx, sandbox.Unit, true); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", waitUnit(t, h, "active", func(u conn.Unit) bool { return u.MainPID > 0 }).MainPID))
	if err != nil || !bytes.Contains(env, []byte("ETCD_LOG_LEVEL=debug")) {
		t.Errorf("environment of the restarted member: got %q, %v", env, err)
	}

	// A wrecked one fails for good.
	if err := s.Wreck(ctx, "demo-etcd-2"); err != nil {
		t.Fatal(err)
	}
	failed := waitUnit(t, h, "failed", func(u conn.Unit) bool { return u.ActiveState == "failed" })
	if failed.MainPID != 0 || failed.Result == "success" {
		t.Errorf("after wreck: got %+v", failed)
	}
}

func TestPower(t *testing.T) {
	s := up(t, 3, 0)
	ctx := t.Context()
	h := host(t, s, "demo-etcd-3")
	pid := waitUnit(t, h, "active", func(u conn.Unit) bool { return u.MainPID > 0 }).MainPID
	write(t, h, "/run/gone", "x")
	if err := s.StopHost(ctx, "demo-etcd-3"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("etcd %d after power off: got %v, want no such process", pid, err)
	}
	unreachable := map[string]error{}
	_, unreachable["ReadFile"] = h.ReadFile(ctx, "/etc/hostname")
	_, unreachable["Unit"] = h.Unit(ctx, sandbox.Unit)
	_, unreachable["Run"] = h.Run(ctx, conn.Command{Argv: []string{"true"}})
	_, unreachable["Dial"] = h.Dial(ctx, net.JoinHostPort(s.Hosts()[0].Address, "2379"))
	_, unreachable["Host"] = s.Host(ctx, "demo-etcd-3")
	unreachable["Start"] = h.Units().Start(ctx, sandbox.Unit, false)
	unreachable["WriteFile"] = h.WriteFile(ctx, "/etc/x", conn.File{})
	for what, err := range unreachable {
		if !errors.Is(err, conn.ErrUnreachable) {
			t.Errorf("%s on a stopped host: got %v, want ErrUnreachable", what, err)
		}
	}
	if err := s.StartHost(ctx, "demo-etcd-3"); err != nil {
		t.Fatal(err)
	}
	waitUnit(t, h, "active", func(u conn.Unit) bool { return u.ActiveState == "active" })
	if _, err := h.Stat(ctx, "/run/gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/run after boot: got %v, want it empty", err)
	}
}
