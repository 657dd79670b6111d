package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLabCable pulls the cables of all hosts for 20 s in the middle of a task,
// and has resume finish what is left.
func TestLabCable(t *testing.T) {
	tasks := []string{"task.add", "task.config", "task.start"}
	if os.Getenv("ETCDPLAY_LAB_MATRIX") == "all" {
		tasks = []string{
			"task.before", "task.data", "task.stop", "task.old", "task.old_data",
			"task.data_dir", "task.add", "task.config", "task.start", "task.promote", "task.proof",
		}
	}
	l := newLab(t, "3.6", 3)
	l.bootstrap(3, "")
	inventory := l.inventory("core", 3, nil)
	for _, task := range tasks {
		t.Run(task, func(t *testing.T) {
			outer := l.t
			l.t = t
			defer func() { l.t = outer }()
			l.wreck(2)
			added := l.added()
			code, out := l.cut(task, 20*time.Second, func() { l.cables("down") }, "run", "replace-member", "--yes", "-i", inventory, "--var", "failed="+hostName(2))
			t.Logf("with the cable pulled during %s: exit code %d", task, code)
			switch code {
			case 0:
			case 1, 3, 5: // failed, refused because the cluster is not seen, unknown
				// The hosts are back, and etcd has elected a leader, before a person resumes.
				l.eventually("the cluster serves", func() bool {
					_, err := l.try(1, "get", "greeting")
					return err == nil
				})
				l.etcdplay(0, "resume", "--yes")
			default:
				t.Fatalf("exit code %d\n%s", code, out)
			}
			l.whole(1, 2, 3)
			rescued := strings.Contains(out, `"task.undo_add: ok"`)
			if n := l.added() - added; n != 1 && !(rescued && n == 2) {
				t.Errorf("etcd added %d members, and the first addition was undone: %v\n%s", n, rescued, out)
			}
		})
	}
}

// added counts the additions that etcd on the first host has applied.
func (l *lab) added() int {
	l.t.Helper()
	var n int
	out := l.ssh(1, `journalctl -q -u etcd-member -o cat | grep -c '"added member"' || true`)
	if _, err := fmt.Sscan(out, &n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

// TestLabCableUnknown pulls the cables while a host has a change under way, for
// longer than the run looks for its outcome: it ends as unknown, with nothing
// undone on a guess, and resume finds out and finishes.
func TestLabCableUnknown(t *testing.T) {
	l := newLab(t, "3.6", 3)
	l.bootstrap(3, "")
	l.connection = "\n  keepalive = \"1s\"\n  reconnect = \"3s\"\n  connect_timeout = \"2s\""
	inventory := l.inventory("core", 3, nil)
	l.wreck(2)
	added := l.added()
	// The new member has made its data, and cannot be READY without the others.
	data := filepath.Join(l.dir, "2", "root", "var", "lib", "etcd", "member")
	pull := func() {
		cmd := exec.Command(l.script, "exec", l.dir, "bash", "-c", `until [ -e "$1" ]; do sleep 0.002; done; ip -b -`, "bash", data)
		cmd.Stdin = l.links("down")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	code, out := l.cut("task.start", time.Minute, pull, "run", "replace-member", "--yes", "-i", inventory, "--var", "failed="+hostName(2))
	if code != 5 {
		t.Fatalf("exit code %d, want 5: the effect is not known\n%s", code, out)
	}
	l.eventually("the cluster serves", func() bool {
		_, err := l.try(1, "get", "greeting")
		return err == nil
	})
	l.etcdplay(0, "resume", "--yes")
	l.whole(1, 2, 3)
	if n := l.added() - added; n != 1 {
		t.Errorf("etcd added %d members, want 1", n)
	}
}

// cut runs the program, pulls the cables when the task begins, and puts them
// back after a while.
func (l *lab) cut(task string, outage time.Duration, pull func(), args ...string) (code int, out string) {
	l.t.Helper()
	return l.watch("task_start", task, func() {
		pull()
		time.Sleep(outage)
		l.cables("up")
	}, args...)
}

// watch runs the program and meddles, beside it, when it first tells this event
// of the task. It returns when both are done.
func (l *lab) watch(event, task string, meddle func(), args ...string) (code int, out string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := l.command(ctx, append([]string{"--json"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	var b strings.Builder
	done := make(chan struct{})
	told := false
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		b.WriteString(lines.Text() + "\n")
		var record struct {
			Type string `json:"type"`
			Task string `json:"task"`
		}
		if json.Unmarshal(lines.Bytes(), &record) != nil || record.Type != event || record.Task != task || told {
			continue
		}
		told = true
		go func() {
			defer close(done)
			meddle()
		}()
	}
	_ = cmd.Wait() // the exit code tells
	if !told {
		l.t.Fatalf("there was no %s of %s\n%s", event, task, b.String())
	}
	<-done
	return cmd.ProcessState.ExitCode(), b.String()
}

func (l *lab) cables(state string) {
	cmd := exec.Command(l.script, "exec", l.dir, "ip", "-b", "-")
	cmd.Stdin = l.links(state)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Errorf("cables %s: %v\n%s", state, err, out)
	}
}

// links is what ip does to all cables at once.
func (l *lab) links(state string) *strings.Reader {
	var batch strings.Builder
	for host := 1; host <= l.hosts; host++ {
		fmt.Fprintf(&batch, "link set h%d %s\n", host, state)
	}
	return strings.NewReader(batch.String())
}
