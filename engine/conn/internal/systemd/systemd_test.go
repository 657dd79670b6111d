package systemd

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// TestDescribe gives the properties in the D-Bus types that systemd has for them.
func TestDescribe(t *testing.T) {
	got := describe("x.service", map[string]any{
		"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success", "UnitFileState": "enabled",
		"InvocationID": []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255},
		"MainPID":      uint32(42), "ExecMainStatus": int32(7), "NRestarts": uint32(3), "NeedDaemonReload": true,
		"FragmentPath": "/usr/lib/systemd/system/x.service", "DropInPaths": []string{"/etc/a.conf", "/run/b.conf"},
		"ExecStart": [][]any{{
			"/bin/x",
			[]string{"/bin/x", "$A", "b c"},
			false,
			uint64(0), uint64(0), uint64(0), uint64(0), uint32(0), int32(0), int32(0),
		}},
		"Environment": []string{"A=1"}, "EnvironmentFiles": [][]any{{"/etc/env", true}},
	})
	want := conn.Unit{
		Name: "x.service", LoadState: "loaded", ActiveState: "active", SubState: "running", Result: "success",
		UnitFileState: "enabled", InvocationID: "000102030405060708090a0b0c0d0eff", MainPID: 42, ExecMainStatus: 7,
		NRestarts: 3, NeedDaemonReload: true, FragmentPath: "/usr/lib/systemd/system/x.service",
		DropInPaths: []string{"/etc/a.conf", "/run/b.conf"}, ExecStart: [][]string{{"/bin/x", "$A", "b c"}},
		Environment: []string{"A=1"}, EnvironmentFiles: []string{"/etc/env"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// A unit that was never started, on a systemd that has fewer properties.
	if got := describe("y.service", map[string]any{"LoadState": "loaded", "InvocationID": []byte{}}); got.InvocationID != "" || got.MainPID != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestExplain(t *testing.T) {
	if err := explain("x.service", nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
	none := explain("x.service", godbus.Error{Name: "org.freedesktop.systemd1.NoSuchUnit", Body: []any{"not loaded"}})
	if !errors.Is(none, conn.ErrNoUnit) {
		t.Errorf("no such unit: got %v", none)
	}
	masked := explain("x.service", godbus.Error{Name: "org.freedesktop.systemd1.UnitMasked", Body: []any{"Unit x.service is masked."}})
	if errors.Is(masked, conn.ErrOutcomeUnknown) || masked.Error() != "x.service: Unit x.service is masked." {
		t.Errorf("masked: got %v", masked)
	}
	if lost := explain("x.service", io.EOF); !errors.Is(lost, conn.ErrOutcomeUnknown) {
		t.Errorf("connection lost: got %v, want ErrOutcomeUnknown", lost)
	}
}

func TestJournal(t *testing.T) {
	since := time.UnixMicro(1700000000500000)
	q := conn.JournalQuery{Unit: "x.service", PID1: true, Since: since, Lines: 5}
	want := []string{"journalctl", "--output=json", "--no-pager", "--quiet", "--lines=5", "--since=@1700000000", "_PID=1", "UNIT=x.service"}
	if got := Journalctl(q).Argv; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	out := `{"__CURSOR":"c0","__REALTIME_TIMESTAMP":"1700000000100000","PRIORITY":"6","_PID":"1","MESSAGE":"too old"}
{"__CURSOR":"c1","__REALTIME_TIMESTAMP":"1700000000500000","PRIORITY":"3","_PID":"12","MESSAGE":"two\nlines\n"}
{"__CURSOR":"c2","__REALTIME_TIMESTAMP":"1700000000600000","_PID":"12","MESSAGE":[98,255,121,27]}
{"__CURSOR":"c3","__REALTIME_TIMESTAMP":"1700000000700000","PRIORITY":"6","MESSAGE":null}
{"__CURSOR":"c4","__REAL`
	got, err := ParseJournal(q, conn.Result{Stdout: []byte(out), Truncated: true})
	wantEntries := []conn.JournalEntry{
		{Time: since, Priority: 3, PID: 12, Message: "two lines", Cursor: "c1"},
		{Time: time.UnixMicro(1700000000600000), Priority: 6, PID: 12, Message: "b\uFFFDy\x1b", Cursor: "c2"},
		{Time: time.UnixMicro(1700000000700000), Priority: 6, Cursor: "c3"},
	}
	if err != nil || !reflect.DeepEqual(got, wantEntries) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, wantEntries)
	}
	for what, r := range map[string]conn.Result{
		"a failed journalctl": {ExitCode: 1, Stderr: []byte("no\n")},
		"no JSON":             {Stdout: []byte("hello\n")},
		"no time":             {Stdout: []byte("{}\n")},
	} {
		if got, err := ParseJournal(q, r); err == nil {
			t.Errorf("%s: got %v, want an error", what, got)
		}
	}
}
