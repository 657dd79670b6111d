package ssh_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// labConfig is how a host of a lab is reached. ETCDPLAY_LAB_CONN is the folder
// of a lab made by testdata/lab/lab.sh, in whose hub the test runs.
func labConfig(t testing.TB, user string) ssh.Config {
	t.Helper()
	lab := os.Getenv("ETCDPLAY_LAB_CONN")
	if lab == "" {
		t.Skip("ETCDPLAY_LAB_CONN is not set: this test is for make lab-test")
	}
	c := ssh.Config{
		Name: "demo-etcd-1", Address: "10.240.0.1", User: user,
		IdentityFiles: []string{filepath.Join(lab, "id")}, KnownHosts: []string{filepath.Join(lab, "known_hosts")},
	}
	if user != "root" {
		c.Become = "sudo"
		c.BecomePassword = func(context.Context) ([]byte, error) { return []byte("lab-ops-password"), nil }
	}
	return c
}

// TestLab holds hosts with a systemd of their own to the whole suite.
func TestLab(t *testing.T) {
	for _, user := range []string{"root", "core", "ops", "csh"} {
		for _, transport := range []string{"native", "openssh"} {
			t.Run(user+" "+transport, func(t *testing.T) {
				c := labConfig(t, user)
				c.Transport = transport
				labSuite(t, open(t, c))
			})
		}
	}
	t.Run("without bridge", func(t *testing.T) {
		h := open(t, labConfig(t, "root"))
		away, back := "/usr/bin/systemd-stdio-bridge", "/usr/bin/systemd-stdio-bridge.away"
		if err := h.Rename(t.Context(), away, back); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := h.Rename(context.Background(), back, away); err != nil {
				t.Error(err)
			}
		})
		labSuite(t, open(t, labConfig(t, "core")))
	})
}

// BenchmarkLabUnit measures one look at a unit over the bus, on a warm connection.
func BenchmarkLabUnit(b *testing.B) {
	h := open(b, labConfig(b, "core"))
	for b.Loop() {
		if _, err := h.Unit(b.Context(), "ssh.service"); err != nil {
			b.Fatal(err)
		}
	}
}

func labSuite(t *testing.T, h *ssh.Host) {
	conntest.Run(t, func(t *testing.T) conntest.Fixture {
		dir := "/var/lib/conntest-" + strings.ToLower(rand.Text())
		other := "/dev/shm/" + path.Base(dir)
		for _, d := range []string{dir, other} {
			if err := h.Mkdir(t.Context(), d, conn.Attr{Mode: 0o755}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := h.Remove(context.Background(), d, true); err != nil {
					t.Error(err)
				}
			})
		}
		units := "/etc/systemd/system"
		if path.Base(t.Name()) == "UnitMask" {
			units = "/lib/systemd/system" // what is in /etc cannot be masked
		}
		return conntest.Fixture{
			Host: h, Dir: dir, User: "root", Group: "root", OtherUser: "nobody", OtherFS: other,
			UnitDir: units, Notify: []string{"systemd-notify", "--ready"},
			Reached: "10.240.0.254", // of the hub, where these tests run
		}
	})
}

// TestLabUnitCut loses the connection while a unit starts, stops and restarts.
func TestLabUnitCut(t *testing.T) {
	c := labConfig(t, "core")
	p := startProxy(t, c.Address+":22")
	c.Address, c.Port, c.HostKeyPolicy, c.AcceptedKeys = "127.0.0.1", p.port, "accept-new", filepath.Join(t.TempDir(), "accepted")
	h := open(t, c)
	name := "etcdplay-cut.service"
	file := "/etc/systemd/system/" + name
	text := "[Service]\nExecStartPre=/bin/sleep 0.4\nExecStart=/bin/sleep 1000\n"
	if err := h.WriteFile(t.Context(), file, content([]byte(text), nil)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		if err := h.Units().Stop(ctx, name); err != nil {
			t.Error(err)
		}
		if err := h.Remove(ctx, file, false); err != nil {
			t.Error(err)
		}
	})
	if err := h.Units().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := func() conn.Unit {
		u, err := h.Unit(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 100 * time.Millisecond} {
		for _, what := range []string{"start", "restart", "stop"} {
			before := state()
			cut := make(chan struct{})
			go func() {
				defer close(cut)
				time.Sleep(after)
				p.cut()
			}()
			var err error
			switch what {
			case "start":
				err = h.Units().Start(t.Context(), name, true)
			case "restart":
				err = h.Units().Restart(t.Context(), name, true)
			case "stop":
				err = h.Units().Stop(t.Context(), name)
			}
			<-cut
			now := state()
			done := map[string]bool{
				"start": now.ActiveState == "active", "stop": now.ActiveState == "inactive",
				"restart": now.ActiveState == "active" && now.InvocationID != before.InvocationID,
			}[what]
			if done != (err == nil) && !errors.Is(err, conn.ErrOutcomeUnknown) {
				t.Errorf("%s cut after %v: the error says %v, and the unit is %+v", what, after, err, now)
			}
			if errors.Is(err, conn.ErrOutcomeUnknown) && what == "start" && !done {
				// Nobody can tell whether it ran; here it did not.
				err = h.Units().Start(t.Context(), name, true)
			}
			if err != nil {
				t.Errorf("%s cut after %v: %v, although the host can be reached again", what, after, err)
			}
		}
	}
}
