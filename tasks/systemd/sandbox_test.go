package systemd_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/etcdserver"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/supervisor"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/systemd"
)

// TestMain lets the test binary be what etcdplay's own binary is to a sandbox.
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
		}
	}
	os.Exit(m.Run())
}

// Units that the tests put on the spare host besides etcd's own.
var units = map[string]string{
	"sleeper.service": "[Service]\nExecStart=/bin/sh -c 'echo awake; exec sleep 3600'\n",
	"looper.service":  "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=300ms\nExecStart=/bin/sh -c 'echo cannot go on >&2; exit 3'\n",
	"broken.service":  "[Service]\nType=notify\nExecStart=/bin/sh -c 'echo cannot go on >&2; exit 3'\n",
	"late.service":    "[Service]\nType=notify\nRestart=always\nRestartSec=300ms\nExecStart=/bin/sh -c 'sleep 1; echo cannot go on >&2; exit 3'\n",
	"timed.service":   "[Service]\nType=notify\nTimeoutStartSec=500ms\nRestart=always\nRestartSec=300ms\nExecStart=/bin/sleep 3600\n",
	"slow.service":    "[Service]\nType=notify\nExecStart=/bin/sleep 3600\n",
}

// bench is one running sandbox: a member and a spare host with units.
type bench struct {
	box    *sandbox.Sandbox
	member conn.Host
	spare  conn.Host
	dir    string // the spare's root
}

func up(t *testing.T) *bench {
	t.Helper()
	box, err := sandbox.Up(t.Context(), sandbox.Options{Dir: filepath.Join(t.TempDir(), "box"), Members: 1, Spares: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	b := &bench{box: box}
	for i, h := range []*conn.Host{&b.member, &b.spare} {
		if *h, err = box.Host(t.Context(), box.Hosts()[i].Name); err != nil {
			t.Fatal(err)
		}
	}
	b.dir = filepath.Join(box.Dir, supervisor.HostsDir, b.spare.Name())
	for name, text := range units {
		b.write(t, "/etc/systemd/system/"+name, text)
	}
	// A unit file in /etc cannot be masked by systemctl.
	b.write(t, "/usr/lib/systemd/system/held.service", units["sleeper.service"])
	if err := b.spare.Units().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) write(t *testing.T, path, text string) {
	t.Helper()
	if err := b.spare.Mkdir(t.Context(), filepath.Dir(path), conn.Attr{Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	err := b.spare.WriteFile(t.Context(), path, conn.File{
		Content: strings.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Attr: conn.Attr{Mode: 0o644},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) unit(t testing.TB, name string) conn.Unit {
	t.Helper()
	u, err := b.spare.Unit(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// until waits until the unit is as ok wants.
func (b *bench) until(t *testing.T, name string, ok func(conn.Unit) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := engine.Poll(ctx, 50*time.Millisecond, func(context.Context) (bool, error) {
		u := b.unit(t, name)
		if ok(u) {
			return true, nil
		}
		return false, fmt.Errorf("%s is %s (%s)", name, u.ActiveState, u.SubState)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func str(s string) cty.Value { return cty.StringVal(s) }

func (b *bench) look() engine.Look {
	return engine.Look{
		Host: b.spare, Cluster: engine.Cluster{Unit: sandbox.Unit},
		Say: func(string, ...any) {}, Progress: func(int64, int64) {},
	}
}

// apply observes and applies, as a task of its own.
func (b *bench) apply(t *testing.T, typ *engine.Type, given map[string]cty.Value) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := enginetest.Args(typ, given)
	s, err := typ.Observe(ctx, b.look(), args)
	if err != nil {
		t.Fatal(err)
	}
	_, err = typ.Apply(ctx, engine.Hands{Look: b.look(), Host: b.spare}, args, s)
	return err
}

func TestUnitLaws(t *testing.T) {
	b := up(t)
	no := map[string]cty.Value{"wait": cty.False}
	tests := []struct {
		name           string
		unit, state    string
		before         string // "started", "stopped" or "looping"
		already, again bool
		more           map[string]cty.Value
	}{
		{"start", "sleeper.service", "started", "stopped", false, false, nil},
		{"is started", "sleeper.service", "started", "started", true, false, nil},
		{"stop", "sleeper.service", "stopped", "started", false, false, nil},
		{"is stopped", "sleeper.service", "stopped", "stopped", true, false, nil},
		{"restart", "sleeper.service", "restarted", "started", false, true, nil},
		{"restart what is stopped", "sleeper.service", "restarted", "stopped", false, true, nil},
		{"stop what is restarted for ever", "looper.service", "stopped", "looping", false, false, nil},
		{"start without waiting", "slow.service", "started", "stopped", false, false, no},
		{"mask", "held.service", "masked", "started", false, false, nil},
		{"is masked", "held.service", "masked", "masked", true, false, nil},
		{"unmask", "held.service", "unmasked", "masked", false, false, nil},
		{"unmask what a person has masked", "held.service", "unmasked", "masked by hand", false, false, nil},
		{"mask what has its file in /etc", "sleeper.service", "masked", "started", false, false, nil},
		{"is not masked", "held.service", "unmasked", "stopped", true, false, nil},
		{"mask what is stopped", "held.service", "masked", "stopped", false, false, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := b.apply(t, systemd.Unit(), map[string]cty.Value{"unit": str(test.unit), "state": str("unmasked")}); err != nil {
				t.Fatal(err)
			}
			switch test.before {
			case "masked":
				if err := b.apply(t, systemd.Unit(), map[string]cty.Value{"unit": str(test.unit), "state": str("masked")}); err != nil {
					t.Fatal(err)
				}
			case "masked by hand":
				if err := b.spare.Units().Mask(t.Context(), test.unit, true); err != nil {
					t.Fatal(err)
				}
			case "stopped":
				if err := b.spare.Units().Stop(t.Context(), test.unit); err != nil {
					t.Fatal(err)
				}
			case "started":
				if err := b.spare.Units().Start(t.Context(), test.unit, true); err != nil {
					t.Fatal(err)
				}
			case "looping":
				_ = b.spare.Units().Start(t.Context(), test.unit, false) // it fails, as it shall
				b.until(t, test.unit, func(u conn.Unit) bool { return u.SubState == "auto-restart" })
			}
			args := map[string]cty.Value{"unit": str(test.unit), "state": str(test.state)}
			for k, v := range test.more {
				args[k] = v
			}
			enginetest.Run(t, systemd.Unit(), enginetest.Case{
				Host: b.spare, Cluster: engine.Cluster{Unit: sandbox.Unit}, Args: args,
				Already: test.already, Again: test.again,
				Advanced: func(t testing.TB, w *world.World) {
					want := map[string]string{"started": "started", "stopped": "stopped", "restarted": "started", "masked": "stopped"}[test.state]
					if _, ok := test.more["wait"]; ok {
						want = "starting"
					}
					if got := w.Host(b.spare.Name()).Units[test.unit]; got != want {
						t.Errorf("the model says %q, want %q", got, want)
					}
					masked, ok := w.Host(b.spare.Name()).Masked[test.unit]
					if masked != (test.state == "masked") || ok != strings.HasSuffix(test.state, "masked") {
						t.Errorf("the model says masked: %v, %v", masked, ok)
					}
				},
				Fingerprint: func(t testing.TB) string {
					u := b.unit(t, test.unit)
					if test.before == "looping" { // it changes by itself
						return fmt.Sprint(u.ActiveState == "activating" || u.MainPID > 0)
					}
					return fmt.Sprint(u.ActiveState, u.SubState, u.MainPID, u.InvocationID, u.LoadState, u.DropInPaths)
				},
			})
			if err := b.spare.Units().Stop(t.Context(), test.unit); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestUnitThatCannotStart(t *testing.T) {
	b := up(t)
	tests := []struct{ unit, state string }{
		{"broken.service", "started"}, {"broken.service", "restarted"}, {"looper.service", "started"},
	}
	for _, test := range tests {
		t.Run(test.unit+" "+test.state, func(t *testing.T) {
			given := map[string]cty.Value{"unit": str(test.unit), "state": str(test.state)}
			err := b.apply(t, systemd.Unit(), given)
			if err == nil { // a simple service is started once it is forked: looking again shows it
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				typ := systemd.Unit()
				none := cty.ObjectVal(map[string]cty.Value{
					"active_state": str("active"), "changed": cty.True, "invocation_id": str(""), "sub_state": str("running"),
				})
				err = typ.Verify(ctx, b.look(), enginetest.Args(typ, given), none)
			}
			if err == nil {
				t.Fatal("got no error of a unit that cannot start")
			}
			for _, want := range []string{test.unit + " did not become active", "; it is \"", "Its last words:\n\n  ", "cannot go on"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if err := b.spare.Units().Stop(t.Context(), test.unit); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestUnitSettles follows a restart whose answer was lost through what can have
// become of it.
func TestUnitSettles(t *testing.T) {
	b := up(t)
	typ := systemd.Unit()
	args := enginetest.Args(typ, map[string]cty.Value{"unit": str("sleeper.service"), "state": str("restarted")})
	if err := b.spare.Units().Start(t.Context(), "sleeper.service", true); err != nil {
		t.Fatal(err)
	}
	before, err := typ.Observe(t.Context(), b.look(), args)
	if err != nil {
		t.Fatal(err)
	}
	settle := func(what string, want engine.Settlement) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got, _, err := typ.Settle(ctx, b.look(), args, before); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
		}
	}
	settle("nothing happened", engine.NotDone)
	if err := b.spare.Units().Stop(t.Context(), "sleeper.service"); err != nil {
		t.Fatal(err)
	}
	settle("stopped, and not started again", engine.Partial)
	if err := b.spare.Units().Start(t.Context(), "sleeper.service", true); err != nil {
		t.Fatal(err)
	}
	settle("restarted", engine.Done)
}

// A unit of which the file is in /etc cannot be masked by systemctl.
func TestUnitMasked(t *testing.T) {
	b := up(t)
	for _, unit := range []string{"sleeper.service", "held.service"} {
		do := func(state string) error {
			return b.apply(t, systemd.Unit(), map[string]cty.Value{"unit": str(unit), "state": str(state)})
		}
		for _, state := range []string{"started", "masked"} {
			if err := do(state); err != nil {
				t.Fatal(unit, state, err)
			}
		}
		if err := do("started"); err == nil || !strings.Contains(err.Error(), unit+" is masked; make it unmasked first") {
			t.Errorf("%s: got %v", unit, err)
		}
		// Nothing else starts it either.
		if err := b.spare.Units().Start(t.Context(), unit, true); err != nil {
			t.Logf("%s: %v", unit, err)
		}
		if u := b.unit(t, unit); u.ActiveState != "inactive" || u.MainPID != 0 {
			t.Errorf("%s is masked, and runs: %+v", unit, u)
		}
		for _, state := range []string{"unmasked", "started"} {
			if err := do(state); err != nil {
				t.Fatal(unit, state, err)
			}
		}
		if u := b.unit(t, unit); u.ActiveState != "active" {
			t.Errorf("%s is unmasked, and does not start: %+v", unit, u)
		}
	}
}

func TestUnitUnknown(t *testing.T) {
	b := up(t)
	typ := systemd.Unit()
	args := enginetest.Args(typ, map[string]cty.Value{"unit": str("etcd-membr.service"), "state": str("stopped")})
	_, err := typ.Observe(t.Context(), b.look(), args)
	if err == nil || !strings.Contains(err.Error(), "etcd-membr.service; check the name") {
		t.Errorf("got %v, want an error that names the unit", err)
	}
}

const dropins = "/etc/systemd/system/sleeper.service.d/"

func TestDropinLaws(t *testing.T) {
	b := up(t)
	text := str("[Service]\nEnvironment=\"A=b c\"\nExecStart=\nExecStart=/bin/sleep \\\n  \"7200\"\n")
	absent := map[string]cty.Value{"state": str("absent")}
	tests := []struct {
		name    string
		before  func(t *testing.T)
		args    map[string]cty.Value
		already bool
	}{
		{"create", func(*testing.T) {}, map[string]cty.Value{"content": text}, false},
		{"is there", func(*testing.T) {}, map[string]cty.Value{"content": text}, true},
		{"update", func(*testing.T) {}, map[string]cty.Value{"content": str("[Unit]\nDescription=other\n")}, false},
		{"mode", func(t *testing.T) {
			if err := b.spare.SetAttr(t.Context(), dropins+"20.conf", conn.Attr{Mode: 0o600}, false); err != nil {
				t.Fatal(err)
			}
		}, map[string]cty.Value{"content": str("[Unit]\nDescription=other\n")}, false},
		{"written and not told", func(t *testing.T) {
			b.write(t, dropins+"20.conf", "[Unit]\nDescription=third\n")
		}, map[string]cty.Value{"content": str("[Unit]\nDescription=third\n")}, false},
		{"remove", func(*testing.T) {}, absent, false},
		{"is absent", func(*testing.T) {}, absent, true},
		{"until the next boot", func(*testing.T) {}, map[string]cty.Value{"content": text, "runtime": cty.True}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.before(t)
			args := map[string]cty.Value{"unit": str("sleeper.service"), "name": str("20.conf")}
			for k, v := range test.args {
				args[k] = v
			}
			enginetest.Run(t, systemd.Dropin(), enginetest.Case{
				Host: b.spare, Args: args, Already: test.already,
				Advanced: func(t testing.TB, w *world.World) {
					path, want := dropins+"20.conf", world.File
					if test.args["runtime"] != cty.NilVal {
						path = strings.Replace(path, "/etc/", "/run/", 1)
					}
					if test.args["content"] == cty.NilVal {
						want = world.Absent
					}
					if got, _, _ := w.Host(b.spare.Name()).Look(path); got != want {
						t.Errorf("the model says %v of %s, want %v", got, path, want)
					}
				},
				Fingerprint: func(t testing.TB) string {
					u := b.unit(t, "sleeper.service")
					return enginetest.Tree(t, b.dir+"/etc/systemd") + enginetest.Tree(t, b.dir+"/run") +
						fmt.Sprint(u.NeedDaemonReload, u.DropInPaths, u.ExecStart, u.Environment)
				},
			})
		})
	}
}

// TestDropinWithoutEffect expects a refusal where a drop-in would be written well
// and change nothing, and, where it is written all the same, an error.
func TestDropinWithoutEffect(t *testing.T) {
	b := up(t)
	ours := map[string]cty.Value{
		"unit": str("sleeper.service"), "name": str("20.conf"),
		"content": str("[Service]\nEnvironment=A=b\nExecStart=\nExecStart=/bin/sleep 7200\n"),
	}
	tests := []struct {
		name, other, text, want string
		more                    map[string]cty.Value
	}{
		{
			"a later one has another command", dropins + "98-later.conf", "[Service]\nExecStart=\nExecStart=/bin/sleep 1\n",
			dropins + "98-later.conf comes after " + dropins + "20.conf and changes its ExecStart=", nil,
		},
		{
			"a later one has another value", dropins + "98-later.conf", "[Service]\nEnvironment=A=c\n",
			dropins + "98-later.conf comes after " + dropins + "20.conf and sets A to something else", nil,
		},
		{
			"one in /etc hides the one in /run", dropins + "20.conf", "[Unit]\nDescription=hides\n",
			dropins + "20.conf hides it",
			map[string]cty.Value{"runtime": cty.True},
		},
		{"a later one about something else", dropins + "98-later.conf", "[Service]\nEnvironment=B=c\n", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b.write(t, test.other, test.text) // and systemd is not told
			args := map[string]cty.Value{}
			for _, m := range []map[string]cty.Value{ours, test.more} {
				for k, v := range m {
					args[k] = v
				}
			}
			typ, all := systemd.Dropin(), enginetest.Args(systemd.Dropin(), args)
			s, err := typ.Observe(t.Context(), b.look(), all)
			if err != nil {
				t.Fatal(err)
			}
			refusal := typ.Guard(b.spare.Name(), all, s, &world.World{}).Err()
			if test.want == "" && refusal != nil || test.want != "" && (refusal == nil || !strings.Contains(refusal.Error(), test.want)) {
				t.Errorf("Guard: got %v, want %q", refusal, test.want)
			}
			r, err := typ.Apply(t.Context(), engine.Hands{Look: b.look(), Host: b.spare}, all, s)
			if err == nil {
				err = typ.Verify(t.Context(), b.look(), all, r)
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			for _, p := range []string{test.other, "/run/systemd/system/sleeper.service.d/20.conf"} {
				_ = b.spare.Remove(t.Context(), p, false) // not all cases have both
			}
		})
	}
}

func TestJournal(t *testing.T) {
	b := up(t)
	if err := b.spare.Units().Start(t.Context(), "sleeper.service", true); err != nil {
		t.Fatal(err)
	}
	typ := systemd.Journal()
	given := map[string]cty.Value{"unit": str("sleeper.service"), "lines": cty.NumberIntVal(5)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := engine.Poll(ctx, 50*time.Millisecond, func(ctx context.Context) (bool, error) {
		s, err := typ.Observe(ctx, b.look(), enginetest.Args(typ, given))
		if err != nil {
			return false, err
		}
		lines := typ.Report(enginetest.Args(typ, given), s).GetAttr("lines")
		if lines.LengthInt() == 1 && lines.AsValueSlice()[0].AsString() == "awake" {
			return true, nil
		}
		return false, fmt.Errorf("got %#v", lines)
	})
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, typ, enginetest.Case{
		Host: b.spare, Args: given,
		Fingerprint: func(t testing.TB) string { return fmt.Sprint(b.unit(t, "sleeper.service").InvocationID) },
	})
}

// TestMemberThatMayNotJoin starts a genuine etcd that nobody has added: the error
// has to say in etcd's own words why it does not run.
func TestMemberThatMayNotJoin(t *testing.T) {
	b := up(t)
	member, spare := b.box.Hosts()[0], b.box.Hosts()[1]
	content := fmt.Sprintf("[Service]\nExecStart=\nExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS \\\n"+
		"  --name=%q \\\n  --listen-peer-urls=%q \\\n  --listen-client-urls=%q \\\n  --advertise-client-urls=%q \\\n"+
		"  --initial-advertise-peer-urls=%q \\\n  --initial-cluster=%q \\\n  --initial-cluster-state=\"existing\"\n",
		spare.Name, spare.PeerURL(), spare.ClientURL(), spare.ClientURL(), spare.PeerURL(),
		member.Name+"="+member.PeerURL()+","+spare.Name+"="+spare.PeerURL())
	dropin := map[string]cty.Value{"unit": str(sandbox.Unit), "name": str(sandbox.DropIn), "content": str(content)}
	args := enginetest.Args(systemd.Dropin(), dropin)
	s, err := systemd.Dropin().Observe(t.Context(), b.look(), args)
	if err != nil {
		t.Fatal(err)
	}
	alone := &world.World{Cluster: world.Cluster{Known: true, Unit: sandbox.Unit, Members: []world.Member{
		{ID: "a1", Name: member.Name, Host: member.Name, PeerURLs: []string{member.PeerURL()}, Health: world.Healthy},
	}}}
	if v := systemd.Dropin().Guard(spare.Name, args, s, alone); v.OK() {
		t.Error("Guard: a drop-in that names a member more than there are is allowed, want it refused")
	}
	if err := b.apply(t, systemd.Dropin(), dropin); err != nil {
		t.Fatal(err)
	}
	err = b.apply(t, systemd.Unit(), map[string]cty.Value{"unit": str(sandbox.Unit), "state": str("started")})
	for _, want := range []string{sandbox.Unit + " did not become active", "member count is unequal"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// TestStartInTheQueue verifies a start that nobody waited for of a unit that has
// failed before: systemd has not come to it yet, and the unit looks as it was.
func TestStartInTheQueue(t *testing.T) {
	b := up(t)
	b.write(t, "/etc/systemd/system/later.service", "[Service]\nExecStart=/bin/sh -c 'test -e \"$1\" && exec sleep 3600' sh "+filepath.Join(b.dir, "there")+"\n")
	if err := b.spare.Units().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.spare.Units().Start(t.Context(), "later.service", false); err != nil {
		t.Fatal(err)
	}
	failed := func(u conn.Unit) bool { return u.ActiveState == "failed" }
	b.until(t, "later.service", failed)
	was := b.unit(t, "later.service")
	b.write(t, "/there", "")
	result := cty.ObjectVal(map[string]cty.Value{
		"active_state": str(was.ActiveState), "changed": cty.True, "invocation_id": str(was.InvocationID), "sub_state": str(was.SubState),
	})
	started := make(chan error, 1)
	time.AfterFunc(time.Second, func() { started <- b.spare.Units().Start(t.Context(), "later.service", false) })
	given := map[string]cty.Value{"unit": str("later.service"), "state": str("started"), "wait": cty.False}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	typ := systemd.Unit()
	if err := typ.Verify(ctx, b.look(), enginetest.Args(typ, given), result); err != nil {
		t.Errorf("a start in the queue: %v", err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err := b.spare.Units().Stop(t.Context(), "later.service"); err != nil {
		t.Fatal(err)
	}
}
