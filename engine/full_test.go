package engine

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// fullDisk is set where the disk is to be full.
const fullDisk = "ENGINE_TEST_FULL_DISK"

// limitFiles lets no file of this process grow beyond so many bytes, as if the
// disk were full there, until the function it returns is called.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournalFullAnywhere fills the disk at every place of the journal, also in
// the middle of a line: nothing is done that is not on record, nobody is told of
// an end that is not on disk, nothing is cleaned up, and once there is room the
// run goes on and does what is left, once.
//
// It runs in a process of its own: the limit is for all that a process writes,
// and what go test has the process write beside would meet it as well.
func TestJournalFullAnywhere(t *testing.T) {
	if os.Getenv(fullDisk) == "" {
		alone := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
		alone.Env = append(os.Environ(), fullDisk+"=1")
		out, err := alone.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	torn := 0
	for room := uint64(0); ; room += 83 {
		b := newBench(t)
		p := b.program(&Phase{Name: "p", Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}, Rescue: []*Task{b.add("undo", "undone")}})
		r := newRunner(p, b.env, nil, nil)
		release, err := r.begin(RunOptions{StateDir: b.state})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(runDir(b.state, b.env.Identity.ID), "journal")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		lift := limitFiles(t, uint64(info.Size())+room)
		o := r.run(context.Background())
		lift()
		release()
		if o.Err == nil {
			if room == 0 || torn == 0 {
				t.Fatalf("room for %d bytes, %d lines torn: nothing was tested", room, torn)
			}
			return
		}
		wantCode(t, o, ExitState)
		rec := b.record()
		recorded := map[string]bool{}
		for _, done := range rec.Tasks {
			recorded[done.Address] = true
		}
		for _, e := range b.events {
			if e.Kind == TaskEnd && e.Status == OK && !recorded[e.Address] {
				t.Errorf("room for %d bytes: the end of %s was told and is not on disk", room, e.Address)
			}
		}
		for _, key := range []string{"one", "two"} {
			open := rec.Open != nil && rec.Open.Address == "task."+key
			if len(b.site.lines(key)) > 0 && !open && !recorded["task."+key] {
				t.Errorf("room for %d bytes: task.%s took effect without a record", room, key)
			}
		}
		want(t, "cleaned up without a journal", b.effects("undone"), "undone=0")
		if data, err := os.ReadFile(path); err == nil && !strings.HasSuffix(string(data), "\n") {
			torn++
		}
		wantCode(t, b.resume(p), ExitOK)
		want(t, "effects", b.effects("one", "two", "undone"), "one=1 two=1 undone=0")
	}
}

// TestPlanIsHeldTo: a run does not do what its plan did not show, neither with
// other arguments nor where the plan had nothing to do.
func TestPlanIsHeldTo(t *testing.T) {
	for _, tc := range []struct {
		name  string
		add   func(b *bench) *Task
		after func(b *bench)
		cause string
	}{
		{
			"another argument", func(b *bench) *Task {
				value := expr{f: func(s *Scope) cty.Value {
					return cty.StringVal("member " + s.Tasks["n"].GetAttr("count").AsBigFloat().String())
				}, tasks: []string{"n"}}
				return task(b.site.addType(nil), "one", map[string]Expr{"key": str("one"), "value": value})
			},
			func(b *bench) { b.site.add("k", "by somebody else") },
			`no longer as it was: the plan said argument value = "member 0" and now it is "member 1"; nothing was done`,
		},
		{
			"nothing to do", func(b *bench) *Task {
				needs := func(s *Spec[addArgs, addState, addResults]) {
					s.Plan = func(_ Planning, _ addArgs, st addState) (Planned, addResults) {
						return Planned{Needed: len(b.site.lines("k")) > 0}, addResults{Count: st.Lines, Token: "t"}
					}
				}
				return task(b.site.addType(needs), "one", map[string]Expr{"key": str("one"), "value": str("v")})
			},
			func(b *bench) { b.site.add("k", "by somebody else") },
			"no longer as it was: the plan said that nothing had to be changed, and now something has; nothing was done",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			n := task(b.site.countType(false), "n", map[string]Expr{"key": str("k")})
			p := b.program(&Phase{Tasks: []*Task{n, tc.add(b)}})
			plan, err := MakePlan(context.Background(), p, b.env)
			if err != nil || len(plan.Failed) > 0 {
				t.Fatal(err, plan.Failed)
			}
			tc.after(b)
			o := Run(context.Background(), p, b.env, plan, RunOptions{StateDir: b.state})
			wantCode(t, o, ExitRefused)
			want(t, "cause", o.Failure.Cause, tc.cause)
			want(t, "effects", b.effects("one"), "one=0")
		})
	}
}
