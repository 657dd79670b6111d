package sandbox_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// TestService tries, on one host, what units may ask of the supervisor beyond
// what every connection has to do.
func TestService(t *testing.T) {
	s := up(t, 1, 1)
	h := host(t, s, "demo-etcd-2")
	if err := h.Mkdir(t.Context(), "/srv", conn.Attr{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, unit string
		files      map[string]string
		test       func(t *testing.T, b bench)
	}{
		{
			name: "environment",
			unit: "[Service]\nType=oneshot\nEnvironment=\"A=from unit\" B=$HOME C=%p\nEnvironmentFile=/etc/env\nEnvironmentFile=-/etc/none\n" +
				"ExecStart=/bin/sh -c 'printf \"%%s|\" \"$$@\" \"$$A\" \"$$B\" \"$$C\" >srv/out' sh $WORDS ${WORDS} $NONE \"${NONE}\"\n",
			files: map[string]string{"/etc/env": "# set here\nA='from file'\nWORDS=two words\n"},
			test: func(t *testing.T, b bench) {
				b.start()
				b.reads("/srv/out", "two|words|two words||from file|$HOME|environment|")
			},
		},
		{
			name: "order",
			unit: "[Service]\nExecStartPre=/bin/sh -c 'echo pre >>srv/order'\nExecStartPre=-/bin/sh -c 'echo ignored >>srv/order; exit 1'\n" +
				"ExecStart=/bin/sh -c 'echo main >>srv/order; exec sleep 1000'\nExecStartPost=/bin/sh -c 'until grep -q main srv/order; do sleep 0.01; done; echo post >>srv/order'\n" +
				"ExecStop=/bin/sh -c 'kill -0 $MAINPID && echo stop >>srv/order'\nExecStopPost=/bin/sh -c 'echo stop-post >>srv/order'\n",
			test: func(t *testing.T, b bench) {
				b.start()
				b.is("active", "running", "success")
				b.stop()
				b.is("inactive", "dead", "success")
				b.reads("/srv/order", "pre\nignored\nmain\npost\nstop\nstop-post\n")
			},
		},
		{
			name: "pre-fails",
			unit: "[Service]\nExecStartPre=/bin/false\nExecStart=/bin/sh -c 'echo no >srv/never'\n",
			test: func(t *testing.T, b bench) {
				b.startFails("exit-code")
				b.is("failed", "failed", "exit-code")
				if _, err := h.Stat(t.Context(), "/srv/never"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("ExecStart ran: %v", err)
				}
			},
		},
		{
			// All that a process said is in the journal once its end is seen.
			name: "last-words",
			unit: "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'seq 1 3000; echo; printf last; exit 3'\n",
			test: func(t *testing.T, b bench) {
				b.startFails("exit-code")
				entries, err := b.h.Journal(t.Context(), conn.JournalQuery{Unit: b.name, Lines: 4000})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, e := range entries {
					got = append(got, e.Message)
				}
				if n := len(got); n != 3002 || !slices.Equal(got[n-3:], []string{"3000", "", "last"}) {
					t.Errorf("got %d lines, the last of them %q", n, got[max(0, n-3):])
				}
			},
		},
		{
			name: "oneshot",
			unit: "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo 1 >>srv/steps' ; /bin/sh -c 'echo 2 >>srv/steps'\n",
			test: func(t *testing.T, b bench) {
				b.start()
				b.is("active", "exited", "success")
				b.reads("/srv/steps", "1\n2\n")
				b.stop()
				b.is("inactive", "dead", "success")
			},
		},
		{
			name: "stubborn",
			unit: "[Service]\nTimeoutStopSec=100ms\nExecStart=/bin/sh -c 'trap \"\" TERM; echo ready >srv/stubborn; while :; do sleep 1; done'\n",
			test: func(t *testing.T, b bench) {
				b.start()
				waitFor(t, "deaf to SIGTERM", func() bool { _, err := h.Stat(t.Context(), "/srv/stubborn"); return err == nil })
				b.stop()
				b.is("failed", "failed", "timeout")
			},
		},
		{
			name: "start-timeout",
			unit: "[Service]\nType=notify\nTimeoutStartSec=100ms\nExecStart=/bin/sleep 1000\n",
			test: func(t *testing.T, b bench) {
				b.startFails("timeout")
				b.is("failed", "failed", "timeout")
			},
		},
		{
			name: "never-ready",
			unit: "[Service]\nType=notify\nExecStart=/bin/true\n",
			test: func(t *testing.T, b bench) { b.startFails("protocol") },
		},
		{
			name: "start-limit",
			unit: "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=always\nRestartSec=10ms\nExecStart=/bin/sh -c 'echo run >>srv/limit; exit 3'\n",
			test: func(t *testing.T, b bench) {
				b.start()
				b.wait("failed")
				b.reads("/srv/limit", "run\nrun\nrun\n")
				b.says("Start request repeated too quickly")
			},
		},
		{
			name: "missing-program",
			unit: "[Service]\nExecStart=/usr/bin/no-such-program\n",
			test: func(t *testing.T, b bench) {
				b.startFails("exit-code")
				if u := b.unit(); u.ExecMainStatus != 203 {
					t.Errorf("got status %d, want 203 as systemd has it", u.ExecMainStatus)
				}
			},
		},
		{
			name: "own-program",
			unit: "[Service]\nType=oneshot\nExecStart=/opt/tool ${X}\nEnvironment=X=1\n",
			files: map[string]string{
				"/opt/tool": "#!/bin/sh\necho \"own $1 in $SANDBOX_ROOT\" >srv/own\n",
			},
			test: func(t *testing.T, b bench) {
				b.start()
				b.reads("/srv/own", "own 1 in "+s.Dir+"/hosts/demo-etcd-2\n")
			},
		},
		{
			name: "setup",
			unit: "[Service]\nUMask=0077\nLimitNOFILE=123\nRuntimeDirectory=a/b\nWorkingDirectory=/srv\nKillSignal=SIGINT\n" +
				"ExecStart=/bin/sh -c 'trap \"echo int >int; exit 0\" INT; test -d ../run/a/b && umask >setup && while :; do sleep 0.05; done'\n",
			test: func(t *testing.T, b bench) {
				b.start()
				waitFor(t, "set up", func() bool { i, err := h.Stat(t.Context(), "/srv/setup"); return err == nil && i.Size > 0 })
				b.reads("/srv/setup", "0077\n")
				b.stop()
				b.reads("/srv/int", "int\n")
				if _, err := h.Stat(t.Context(), "/run/a/b"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("runtime directory after the stop: %v", err)
				}
			},
		},
		{
			name: "children",
			unit: "[Service]\nExecStart=/bin/sh -c 'sleep 1000 & echo $$! >srv/child.new; mv srv/child.new srv/child; wait'\n",
			test: func(t *testing.T, b bench) {
				b.start()
				waitFor(t, "forked", func() bool { _, err := h.Stat(t.Context(), "/srv/child"); return err == nil })
				pid, err := h.ReadFile(t.Context(), "/srv/child")
				if err != nil {
					t.Fatal(err)
				}
				b.stop()
				r, err := h.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", `read -r _ _ state _ </proc/$1/stat && [ "$state" != Z ]`, "sh", strings.TrimSpace(string(pid))}})
				if err != nil || r.ExitCode == 0 {
					t.Errorf("the child %s is still alive: %+v, %v", pid, r, err)
				}
			},
		},
		{
			name: "condition",
			unit: "[Unit]\nConditionPathExists=/etc/none\n[Service]\nExecStart=/bin/sleep 1000\n",
			test: func(t *testing.T, b bench) {
				b.start()
				b.is("inactive", "dead", "success")
				b.says("unmet condition")
			},
		},
		{
			name: "bad-setting",
			unit: "[Service]\nExecStart=/bin/sleep 1000\nPrivateTmp=yes\n",
			test: func(t *testing.T, b bench) {
				if u := b.unit(); u.LoadState != "bad-setting" {
					t.Errorf("got %+v", u)
				}
				err := h.Units().Start(t.Context(), b.name, true)
				if err == nil || !strings.Contains(err.Error(), "/etc/systemd/system/bad-setting.service:3: PrivateTmp=") {
					t.Errorf("start: got %v, want file, line and directive", err)
				}
			},
		},
		{
			name: "conflict",
			unit: "[Unit]\nConflicts=rival.service\n[Service]\nExecStart=/bin/sleep 1000\n",
			files: map[string]string{
				"/etc/systemd/system/rival.service": "[Service]\nExecStart=/bin/sleep 1000\n",
			},
			test: func(t *testing.T, b bench) {
				if err := h.Units().Start(t.Context(), "rival.service", true); err != nil {
					t.Fatal(err)
				}
				b.start()
				if u, err := h.Unit(t.Context(), "rival.service"); err != nil || u.ActiveState != "inactive" {
					t.Errorf("the rival: got %+v, %v", u, err)
				}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bench{t, h, tt.name + ".service"}
			write(t, h, "/etc/systemd/system/"+b.name, tt.unit)
			for p, text := range tt.files {
				if err := h.Mkdir(t.Context(), p[:strings.LastIndex(p, "/")], conn.Attr{}); err != nil {
					t.Fatal(err)
				}
				write(t, h, p, text)
				if err := h.SetAttr(t.Context(), p, conn.Attr{Mode: 0o755}, false); err != nil {
					t.Fatal(err)
				}
			}
			tt.test(t, b)
		})
	}
}

// bench is one unit under test.
type bench struct {
	t    *testing.T
	h    conn.Host
	name string
}

func (b bench) start() {
	b.t.Helper()
	if err := b.h.Units().Start(b.t.Context(), b.name, true); err != nil {
		b.t.Fatal(err)
	}
}

func (b bench) startFails(result string) {
	b.t.Helper()
	if err := b.h.Units().Start(b.t.Context(), b.name, true); result != "exit-code" && err == nil {
		b.t.Error("the start went well")
	}
	waitFor(b.t, "failed", func() bool { u := b.unit(); return u.ActiveState == "failed" && u.Result == result })
}

func (b bench) stop() {
	b.t.Helper()
	if err := b.h.Units().Stop(b.t.Context(), b.name); err != nil {
		b.t.Fatal(err)
	}
}

func (b bench) unit() conn.Unit {
	b.t.Helper()
	u, err := b.h.Unit(b.t.Context(), b.name)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

func (b bench) is(active, sub, result string) {
	b.t.Helper()
	if u := b.unit(); u.ActiveState != active || u.SubState != sub || u.Result != result {
		b.t.Errorf("got %s/%s, result %s, want %s/%s, result %s", u.ActiveState, u.SubState, u.Result, active, sub, result)
	}
}

func (b bench) wait(active string) {
	b.t.Helper()
	waitFor(b.t, active, func() bool { return b.unit().ActiveState == active && b.unit().MainPID == 0 })
}

func (b bench) reads(path, want string) {
	b.t.Helper()
	got, err := b.h.ReadFile(b.t.Context(), path)
	if err != nil || string(got) != want {
		b.t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
	}
}

// says checks what the supervisor wrote of the unit.
func (b bench) says(part string) {
	b.t.Helper()
	entries, err := b.h.Journal(b.t.Context(), conn.JournalQuery{Unit: b.name, PID1: true})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Message, part) {
			return
		}
	}
	b.t.Errorf("nothing said of %q: %+v", part, entries)
}

// TestIgnoredSignals starts a sandbox from where signals are ignored, as in the
// background of a script, and holds that its units do not inherit that.
func TestIgnoredSignals(t *testing.T) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Reset(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	h := host(t, up(t, 1, 1), "demo-etcd-2")
	text := "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'grep SigIgn /proc/self/status'\n"
	write(t, h, "/etc/systemd/system/ignored.service", text)
	if err := h.Units().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Units().Start(t.Context(), "ignored.service", true); err != nil {
		t.Fatal(err)
	}
	entries, err := h.Journal(t.Context(), conn.JournalQuery{Unit: "ignored.service"})
	if err != nil || len(entries) != 1 {
		t.Fatalf("got %+v, %v, want one line", entries, err)
	}
	const bits = 1<<(syscall.SIGHUP-1) | 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGQUIT-1)
	var ignored uint64
	if _, err := fmt.Sscanf(entries[0].Message, "SigIgn:\t%x", &ignored); err != nil || ignored&bits != 0 {
		t.Errorf("got %s, %v, want that none of them is ignored", entries[0].Message, err)
	}
}
