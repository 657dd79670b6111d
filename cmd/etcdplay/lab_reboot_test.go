package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestLabReboot takes the power of the new member's host away after a task and
// boots it again. Its unit is enabled, as Container Linux has it, so it starts
// with whatever the run has made so far. The run goes on by itself or by resume,
// and what a half-made start left behind does no harm.
func TestLabReboot(t *testing.T) {
	tasks := []string{"task.old_data", "task.config", "task.start"}
	if os.Getenv("ETCDPLAY_LAB_MATRIX") == "all" {
		tasks = []string{
			"task.before", "task.data", "task.stop", "task.old", "task.old_data",
			"task.data_dir", "task.add", "task.config", "task.start", "task.promote",
		}
	}
	l := newLab(t, "3.6", 3)
	l.bootstrap(3, "")
	for host := 1; host <= 3; host++ {
		l.ssh(host, "systemctl enable -q etcd-member")
	}
	l.connection = "\n  keepalive = \"1s\"\n  connect_timeout = \"2s\""
	inventory := l.inventory("core", 3, nil)
	for _, task := range tasks {
		t.Run(task, func(t *testing.T) {
			outer := l.t
			l.t = t
			defer func() { l.t = outer }()
			l.wreck(2)
			added := l.added()
			code, out := l.watch("task_end", task, func() { l.reboot(2) }, "run", "replace-member", "--yes", "-i", inventory, "--var", "failed="+hostName(2))
			t.Logf("rebooted after %s: exit code %d", task, code)
			if code != 0 && code != 1 && code != 3 && code != 5 && code != 7 {
				t.Fatalf("exit code %d\n%s", code, out)
			}
			// What the host has made of itself while nobody looked is refused and put
			// aside by the rescue, and then the next resume goes through.
			for n := 0; code != 0 && n < 3; n++ {
				var more string
				code, more = l.resume()
				out += more
				t.Logf("resumed: exit code %d", code)
			}
			if code != 0 {
				t.Fatalf("exit code %d\n%s", code, out)
			}
			l.whole(1, 2, 3)
			undone := strings.Contains(out, `"task.undo_add: ok"`)
			if n := l.added() - added; n != 1 && !(undone && n == 2) {
				t.Errorf("etcd added %d members, and the first addition was undone: %v\n%s", n, undone, out)
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// resume goes on with the last run.
func (l *lab) resume() (code int, out string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := l.command(ctx, "--json", "resume", "--yes")
	text, _ := cmd.CombinedOutput() // the exit code tells
	return cmd.ProcessState.ExitCode(), string(text)
}

// reboot takes a host's power away, so that nobody gets a word from it any more,
// and boots it again.
func (l *lab) reboot(host int) {
	link := fmt.Sprintf("h%d", host)
	for _, args := range [][]string{
		{"exec", l.dir, "ip", "link", "set", link, "down"},
		{"kill", l.dir, fmt.Sprint(host)},
		{"exec", l.dir, "ip", "link", "set", link, "up"},
		{"boot", l.dir, fmt.Sprint(host)},
	} {
		if out, err := exec.Command(l.script, args...).CombinedOutput(); err != nil {
			l.t.Errorf("lab.sh %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
