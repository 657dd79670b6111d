package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/local"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/inventory"
	"github.com/etcdplay/etcdplay/tasks"
)

const benchInventory = `inventory {
  language = 1
}

connection "local" {
}

cluster "demo" {
  members = ["demo-etcd-1"]
}

host "demo-etcd-1" {
  address = "127.0.0.1"
}
`

// longPlaybook is a playbook of so many tasks, each of which uses a result of
// the one before: half of them look at a file, half of them check what was seen.
func longPlaybook(tasks int) []byte {
	var b bytes.Buffer
	b.WriteString("playbook \"long\" {\n  language = 1\n}\n\nphase \"only\" {\n")
	for i := 0; i < tasks; i += 2 {
		fmt.Fprintf(&b, "  task \"stat\" \"s%d\" {\n    on   = localhost\n    path = \"/proc\"\n  }\n\n", i)
		fmt.Fprintf(&b, "  task \"assert\" \"a%d\" {\n    condition     = task.s%d.exists && task.s%d.is_dir\n    error_message = \"There is no /proc.\"\n  }\n\n", i, i, i)
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// BenchmarkPlan is load, check, bind and plan of a playbook, reads included:
// what a user waits for before the first line of a plan. It has to grow with
// the number of tasks and not faster.
func BenchmarkPlan(b *testing.B) {
	here, err := local.Dial(inventory.Localhost)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1_000, 10_000} {
		src := longPlaybook(n)
		b.Run(fmt.Sprintf("tasks=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				planLong(b, src, here, n)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/task")
		})
	}
}

func planLong(b *testing.B, src []byte, here conn.Host, n int) {
	read := func(string) ([]byte, error) { return src, nil }
	book, ds := hcl.Load("long.hcl", hcl.Options{Types: tasks.Types(), ReadFile: read})
	if ds.HasErrors() {
		b.Fatal(ds)
	}
	inv, ds := inventory.Load("inventory.hcl", []byte(benchInventory))
	if ds.HasErrors() {
		b.Fatal(ds)
	}
	id, err := engine.NewIdentity(time.Now(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	program, ds := book.Bind(inv, hcl.Values{}, id)
	if ds.HasErrors() {
		b.Fatal(ds)
	}
	plan, err := engine.MakePlan(b.Context(), program, engine.Env{
		Identity: id,
		Host:     func(context.Context, engine.HostSpec) (conn.Host, error) { return here, nil },
		Dial:     func(context.Context, string) (net.Conn, error) { return nil, conn.ErrUnreachable },
		Survey: func(context.Context, engine.Look, []string) world.Cluster {
			return world.Cluster{Why: "there is none"}
		},
		Emit: func(engine.Event) {},
		Now:  time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	if len(plan.Failed) > 0 || plan.Counts.Reads+plan.Counts.Checks != n {
		b.Fatalf("planned %+v: %v", plan.Counts, plan.Failed)
	}
}

// program builds etcdplay as it is released.
func program(b *testing.B) string {
	b.Helper()
	exe := filepath.Join(b.TempDir(), "etcdplay")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return exe
}

// BenchmarkCommand is whole processes: their start and end, and all between.
func BenchmarkCommand(b *testing.B) {
	exe := program(b)
	info, err := os.Stat(exe)
	if err != nil {
		b.Fatal(err)
	}
	for _, args := range [][]string{{"version"}, {"validate", "replace-member"}} {
		b.Run(args[0], func(b *testing.B) {
			for b.Loop() {
				if out, err := exec.Command(exe, args...).CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
			}
			b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
		})
	}
}

// BenchmarkReplace is a whole replace-member of a wrecked member in a sandbox,
// with the time it takes and the memory of etcdplay's process at its highest.
// The new member is one that etcd accepts at once: the others have been
// connected for longer than its health interval.
func BenchmarkReplace(b *testing.B) {
	exe := program(b)
	dir := b.TempDir()
	box, err := sandbox.Up(b.Context(), sandbox.Options{Dir: filepath.Join(dir, "box"), Members: 3, Exe: exe})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := box.Down(context.Background(), false); err != nil {
			b.Error(err)
		}
	})
	peak := int64(0)
	for b.Loop() {
		b.StopTimer()
		if err := box.Wreck(b.Context(), "demo-etcd-2"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		run := exec.Command(exe, "run", "replace-member", "-i", box.Inventory(), "--var", "failed=demo-etcd-2", "--yes")
		run.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
		var out bytes.Buffer
		run.Stdout, run.Stderr = &out, &out
		if err := run.Start(); err != nil {
			b.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- run.Wait() }()
		peak = max(peak, highest(run.Process.Pid, done, b, &out))
	}
	b.ReportMetric(float64(peak)*1024/1e6, "MB-peak")
}

// highest is the most memory in KiB that the process has had by its end. What
// wait says of it would not do: it counts the memory of this process, which the
// other one shared until it became etcdplay.
func highest(pid int, done <-chan error, b *testing.B, out fmt.Stringer) int64 {
	b.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var peak int64
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			return peak
		case <-tick.C:
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue // it has just ended
		}
		for line := range strings.Lines(string(status)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
				peak = max(peak, kib)
			}
		}
	}
}
