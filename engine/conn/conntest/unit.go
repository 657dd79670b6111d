package conntest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

func testNoUnits(t *testing.T, f Fixture) {
	if !f.Unsupported {
		return // the parts that follow try the units, or say why not
	}
	ctx := t.Context()
	_, err := f.Host.Unit(ctx, "x.service")
	want(t, "Unit", err, conn.ErrUnsupported)
	_, err = f.Host.Journal(ctx, conn.JournalQuery{Unit: "x.service"})
	want(t, "Journal", err, conn.ErrUnsupported)
	u := f.Host.Units()
	want(t, "Start", u.Start(ctx, "x.service", true), conn.ErrUnsupported)
	want(t, "Stop", u.Stop(ctx, "x.service"), conn.ErrUnsupported)
	want(t, "Restart", u.Restart(ctx, "x.service", true), conn.ErrUnsupported)
	want(t, "Reload", u.Reload(ctx), conn.ErrUnsupported)
	want(t, "Mask", u.Mask(ctx, "x.service", true), conn.ErrUnsupported)
	want(t, "Unmask", u.Unmask(ctx, "x.service", true), conn.ErrUnsupported)
}

// unit writes a unit file with the text as its [Service] and returns the name;
// it is stopped and removed when the test ends.
func (f Fixture) unit(t *testing.T, service string) string {
	t.Helper()
	if f.NoUnits != "" {
		t.Skip(f.NoUnits) // the fixture says so, so it is no accident of this machine
	}
	name := "etcdplay-conntest-" + strings.ToLower(rand.Text()[:8]) + ".service"
	p := path.Join(f.UnitDir, name)
	text := "[Unit]\nDescription=a unit of conntest\n[Service]\n" + service
	if err := f.Host.WriteFile(t.Context(), p, file(text, conn.Attr{Mode: 0o644})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.Host.Units().Stop(ctx, name); err != nil && !errors.Is(err, conn.ErrNoUnit) {
			t.Errorf("clear up: %v", err)
		}
		for _, p := range []string{p, p + ".d"} {
			if err := f.Host.Remove(ctx, p, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("clear up: %v", err)
			}
		}
		if err := f.Host.Units().Reload(ctx); err != nil {
			t.Errorf("clear up: %v", err)
		}
	})
	f.reload(t)
	return name
}

func (f Fixture) reload(t *testing.T) {
	t.Helper()
	if err := f.Host.Units().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (f Fixture) describe(t *testing.T, name string) conn.Unit {
	t.Helper()
	u, err := f.Host.Unit(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// script is an ExecStart= that runs a shell script, whose working directory is
// the host's root.
func script(text string) string {
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$", "%", "%%").Replace(text)
	return fmt.Sprintf("ExecStart=/bin/sh -c \"%s\"\n", text)
}

// rel is p for a script of a unit.
func rel(p string) string { return strings.TrimPrefix(p, "/") }

func testUnitLife(t *testing.T, f Fixture) {
	ctx := t.Context()
	name := f.unit(t, script("exec sleep 1000"))
	units := f.Host.Units()
	idle := f.describe(t, name)
	if idle.LoadState != "loaded" || idle.ActiveState != "inactive" || idle.SubState != "dead" || idle.MainPID != 0 ||
		idle.InvocationID != "" || idle.Type != "simple" || idle.UnitFileState != "static" || idle.FragmentPath != path.Join(f.UnitDir, name) {
		t.Errorf("before the start: got %+v", idle)
	}
	if err := units.Start(ctx, name, true); err != nil {
		t.Fatal(err)
	}
	first := f.describe(t, name)
	if first.ActiveState != "active" || first.SubState != "running" || first.MainPID == 0 || len(first.InvocationID) != 32 || first.Result != "success" {
		t.Errorf("after the start: got %+v", first)
	}
	if err := units.Start(ctx, name, true); err != nil {
		t.Fatal(err)
	}
	if again := f.describe(t, name); again.InvocationID != first.InvocationID {
		t.Errorf("a second start: got invocation %s, want still %s", again.InvocationID, first.InvocationID)
	}
	if err := units.Restart(ctx, name, true); err != nil {
		t.Fatal(err)
	}
	second := f.describe(t, name)
	if second.ActiveState != "active" || second.InvocationID == first.InvocationID || second.MainPID == first.MainPID {
		t.Errorf("after the restart: got %+v, before it %+v", second, first)
	}
	for range 2 {
		if err := units.Stop(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.describe(t, name); got.ActiveState != "inactive" || got.MainPID != 0 || got.Result != "success" {
		t.Errorf("after the stop: got %+v", got)
	}

	none := "etcdplay-conntest-none.service"
	_, err := f.Host.Unit(ctx, none)
	want(t, "Unit of none", err, conn.ErrNoUnit)
	want(t, "Start of none", units.Start(ctx, none, true), conn.ErrNoUnit)
	want(t, "Stop of none", units.Stop(ctx, none), conn.ErrNoUnit)
}

func testUnitNotify(t *testing.T, f Fixture) {
	ctx := t.Context()
	gate := path.Join(f.Dir, "gate")
	var notify []string
	for _, a := range f.Notify {
		notify = append(notify, "'"+strings.ReplaceAll(a, "'", `'\''`)+"'")
	}
	name := f.unit(t, "Type=notify\nNotifyAccess=all\nTimeoutStartSec=0\n"+
		script("until [ -e '"+rel(gate)+"' ]; do sleep 0.05; done; "+strings.Join(notify, " ")+"; exec sleep 1000"))
	units := f.Host.Units()
	if err := units.Start(ctx, name, false); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() { started <- units.Start(ctx, name, true) }()
	eventually(t, "starting", func() bool { return f.describe(t, name).MainPID != 0 })
	if got := f.describe(t, name); got.ActiveState != "activating" || got.SubState != "start" {
		t.Errorf("before READY: got %+v", got)
	}

	// One who waits may give up; the start goes on.
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	err := units.Start(short, name, true)
	want(t, "a wait that was given up", err, conn.ErrOutcomeUnknown)
	want(t, "a wait that was given up", err, context.DeadlineExceeded)
	select {
	case err := <-started:
		t.Fatalf("the start ended before READY: %v", err)
	default:
	}
	f.write(t, "gate", "", conn.Attr{})
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if got := f.describe(t, name); got.ActiveState != "active" || got.SubState != "running" {
		t.Errorf("after READY: got %+v", got)
	}
}

func testUnitFailure(t *testing.T, f Fixture) {
	ctx := t.Context()
	units := f.Host.Units()
	name := f.unit(t, "Type=notify\n"+script("echo no; exit 7"))
	err := units.Start(ctx, name, true)
	if err == nil || errors.Is(err, conn.ErrOutcomeUnknown) {
		t.Errorf("a start that fails: got %v, want a definite error", err)
	}
	if got := f.describe(t, name); got.ActiveState != "failed" || got.Result != "exit-code" || got.ExecMainStatus != 7 || got.MainPID != 0 {
		t.Errorf("after it: got %+v", got)
	}
	if err := units.Stop(ctx, name); err != nil {
		t.Errorf("stop of a failed unit: %v", err)
	}
	// However often it failed, somebody may ask for one more start.
	for range 7 {
		if err := units.Start(ctx, name, true); err == nil || f.describe(t, name).ExecMainStatus != 7 {
			t.Fatalf("one more start: got %v", err)
		}
	}

	// A main process that is killed is started again by Restart=.
	name = f.unit(t, "Restart=on-failure\nRestartSec=50ms\n"+script("exec sleep 1000"))
	if err := units.Start(ctx, name, true); err != nil {
		t.Fatal(err)
	}
	before := f.describe(t, name)
	f.sh(t, `kill -9 "$1"`, fmt.Sprint(before.MainPID))
	eventually(t, "restarted", func() bool {
		u := f.describe(t, name)
		return u.ActiveState == "active" && u.InvocationID != before.InvocationID && u.NRestarts == 1
	})
	name = f.unit(t, "Restart=no\n"+script("exec sleep 1000"))
	if err := units.Start(ctx, name, true); err != nil {
		t.Fatal(err)
	}
	f.sh(t, `kill -9 "$1"`, fmt.Sprint(f.describe(t, name).MainPID))
	eventually(t, "failed", func() bool { return f.describe(t, name).ActiveState == "failed" })
	if got := f.describe(t, name); got.Result != "signal" || got.ExecMainStatus != 9 {
		t.Errorf("after SIGKILL: got %+v", got)
	}
}

func testUnitDropIn(t *testing.T, f Fixture) {
	ctx := t.Context()
	name := f.unit(t, "Environment=A=1 \"B=b b\"\nEnvironment=KEPT=yes\n"+script("exec sleep 1000"))
	dir := path.Join(f.UnitDir, name+".d")
	if err := f.Host.Mkdir(ctx, dir, conn.Attr{Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	before := f.describe(t, name)
	if before.NeedDaemonReload || len(before.DropInPaths) != 0 || !slices.Equal(before.Environment, []string{"A=1", "B=b b", "KEPT=yes"}) {
		t.Errorf("before the drop-ins: got %+v", before)
	}
	if err := f.Host.Units().Start(ctx, name, true); err != nil {
		t.Fatal(err)
	}
	for file1, text := range map[string]string{
		"20-argv.conf": "[Service]\nExecStart=\nExecStart=/bin/sh -c \"exec sleep 1000\" $OPTS \\\n  --name=\"a b\\x21\" '$${X}' %%p %p\n",
		"10-env.conf":  "[Service]\nEnvironment=A=2\nEnvironmentFile=-/etc/none\n",
		"ignored.txt":  "nonsense",
	} {
		if err := f.Host.WriteFile(ctx, path.Join(dir, file1), file(text, conn.Attr{Mode: 0o644})); err != nil {
			t.Fatal(err)
		}
	}
	changed := f.describe(t, name)
	if !changed.NeedDaemonReload || len(changed.DropInPaths) != 0 {
		t.Errorf("before the reload: got %+v, want NeedDaemonReload and what was loaded", changed)
	}
	f.reload(t)
	got := f.describe(t, name)
	wantArgv := [][]string{{"/bin/sh", "-c", "exec sleep 1000", "$OPTS", "--name=a b!", "$${X}", "%p", strings.TrimSuffix(name, ".service")}}
	switch {
	case got.NeedDaemonReload:
		t.Errorf("after the reload: still NeedDaemonReload")
	case !slices.Equal(got.DropInPaths, []string{path.Join(dir, "10-env.conf"), path.Join(dir, "20-argv.conf")}):
		t.Errorf("drop-ins: got %q", got.DropInPaths)
	case len(got.ExecStart) != 1 || !slices.Equal(got.ExecStart[0], wantArgv[0]):
		t.Errorf("ExecStart: got %q, want %q", got.ExecStart, wantArgv)
	case !slices.Contains(got.Environment, "A=2") || slices.Contains(got.Environment, "A=1") || !slices.Contains(got.Environment, "KEPT=yes"):
		t.Errorf("Environment: got %q", got.Environment)
	case !slices.Equal(got.EnvironmentFiles, []string{"/etc/none"}):
		t.Errorf("EnvironmentFiles: got %q", got.EnvironmentFiles)
	case got.InvocationID != changed.InvocationID || got.ActiveState != "active":
		t.Errorf("the reload touched the running unit: got %+v, before it %+v", got, changed)
	}
	if err := f.Host.Units().Restart(ctx, name, true); err != nil {
		t.Fatal(err)
	}
}

func testUnitMask(t *testing.T, f Fixture) {
	ctx := t.Context()
	name := f.unit(t, script("exec sleep 1000"))
	units := f.Host.Units()
	if dir := path.Dir(f.describe(t, name).FragmentPath); dir != "/usr/lib/systemd/system" && dir != "/lib/systemd/system" {
		// A link in /run cannot mask what is in /etc, nor one in /etc itself.
		t.Skip("unit files of this fixture are too strong to be masked")
	}
	for _, runtime := range []bool{true, false} {
		state := map[bool]string{true: "masked-runtime", false: "masked"}[runtime]
		for range 2 {
			if err := units.Mask(ctx, name, runtime); err != nil {
				t.Fatalf("mask, runtime %v: %v", runtime, err)
			}
		}
		if got := f.describe(t, name); got.LoadState != "masked" || got.UnitFileState != state {
			t.Errorf("masked, runtime %v: got %+v", runtime, got)
		}
		if err := units.Start(ctx, name, true); err == nil || errors.Is(err, conn.ErrOutcomeUnknown) {
			t.Errorf("start of a masked unit: got %v, want a definite error", err)
		}
		for range 2 {
			if err := units.Unmask(ctx, name, runtime); err != nil {
				t.Fatalf("unmask, runtime %v: %v", runtime, err)
			}
		}
		if err := units.Start(ctx, name, true); err != nil {
			t.Errorf("start after unmask: %v", err)
		}
		if err := units.Stop(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
}

func testUnitJournal(t *testing.T, f Fixture) {
	ctx := t.Context()
	// It remains, because the journal learns the InvocationID of a line when it
	// gets to it, and where the unit is over by then, never.
	name := f.unit(t, "Type=oneshot\nRemainAfterExit=yes\n"+script(`i=1; while [ $i -le 20 ]; do echo "line $i"; i=$((i+1)); done; echo "<3>bad thing" >&2`))
	if err := f.Host.Units().Start(ctx, name, true); err != nil {
		t.Fatal(err)
	}
	query := func(q conn.JournalQuery) []conn.JournalEntry {
		t.Helper()
		q.Unit = name
		entries, err := f.Host.Journal(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	var all []conn.JournalEntry
	eventually(t, "in the journal", func() bool { all = query(conn.JournalQuery{}); return len(all) == 21 })
	cursors := map[string]bool{}
	for i, e := range all[:20] {
		cursors[e.Cursor] = true
		if e.Message != fmt.Sprintf("line %d", i+1) || e.Priority != 6 || e.PID == 0 || e.Time.IsZero() {
			t.Fatalf("entry %d: got %+v", i, e)
		}
	}
	if u := f.describe(t, name); len(u.InvocationID) != 32 || all[0].Invocation != u.InvocationID || all[20].Invocation != u.InvocationID {
		t.Errorf("said by the starts %q and %q, and systemd calls the last one %q", all[0].Invocation, all[20].Invocation, u.InvocationID)
	}
	if len(cursors) != 20 || cursors[""] {
		t.Errorf("cursors: got %d different ones, want 20, none of them empty", len(cursors))
	}
	if last := all[20]; last.Message != "bad thing" || last.Priority != 3 {
		t.Errorf("last entry: got %+v, want priority 3 as its prefix says", last)
	}
	if got := query(conn.JournalQuery{Lines: 2}); len(got) != 2 || got[1].Cursor != all[20].Cursor {
		t.Errorf("two lines: got %+v", got)
	}
	if got := query(conn.JournalQuery{Since: all[20].Time.Add(time.Second)}); len(got) != 0 {
		t.Errorf("since later: got %+v", got)
	}
	if got := query(conn.JournalQuery{Since: all[0].Time}); len(got) != 21 {
		t.Errorf("since the first: got %d entries, want 21", len(got))
	}
	eventually(t, "told by systemd", func() bool {
		return slices.ContainsFunc(query(conn.JournalQuery{PID1: true}), func(e conn.JournalEntry) bool {
			return e.PID == 1 && strings.Contains(e.Message, "a unit of conntest")
		})
	})
	entries, err := f.Host.Journal(ctx, conn.JournalQuery{Unit: "etcdplay-conntest-none.service"})
	if err != nil || len(entries) != 0 {
		t.Errorf("journal of a unit that never was: got %v, %v, want nothing", entries, err)
	}
}
