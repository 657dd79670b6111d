package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdplay/etcdplay/engine"
)

func TestNormal(t *testing.T) {
	got := normal([]string{"fmt", "-check", "--diff", "-diff", "-i", "x", "--", "-check"})
	want := []string{"fmt", "--check", "--diff", "--diff", "-i", "x", "--", "-check"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRunWritesWhereItIsTold(t *testing.T) {
	var out, err bytes.Buffer
	if code := run([]string{"version"}, strings.NewReader(""), &out, &err, nil); code != engine.ExitOK {
		t.Errorf("got exit code %d", code)
	}
	if !strings.HasPrefix(out.String(), "etcdplay ") || err.Len() != 0 {
		t.Errorf("got stdout %q, stderr %q", out.String(), err.String())
	}
}

func TestStateDir(t *testing.T) {
	for _, c := range []struct {
		env        map[string]string
		want, fail string
	}{
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/etcdplay", ""},
		{map[string]string{"HOME": "/h"}, "/h/.local/state/etcdplay", ""},
		{map[string]string{}, "", "XDG_STATE_HOME"},
		{map[string]string{"HOME": "h"}, "", "HOME is"},
		{map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "", "XDG_STATE_HOME is"},
	} {
		a := &app{env: c.env}
		got, err := a.stateDir()
		var usage *usageError
		switch {
		case c.fail != "":
			if !errors.As(err, &usage) || !strings.Contains(usage.text, c.fail) {
				t.Errorf("%v: got %v, want an error about %s", c.env, err, c.fail)
			}
		case err != nil || got != c.want:
			t.Errorf("%v: got %q, %v, want %q", c.env, got, err, c.want)
		}
	}
}

// sitting is an app whose operator types typed.
func sitting(typed io.Reader) (*app, *bytes.Buffer) {
	var out, err bytes.Buffer
	a := newApp(nil, typed, &out, &err, nil)
	a.asks = true
	return a, &err
}

func TestQuestions(t *testing.T) {
	ctx := context.Background()
	a, shown := sitting(strings.NewReader("no\nYES\ndemo\n"))
	q := &questions{app: a}
	if ok, err := q.goAhead(ctx, "Do this?"); ok || err != nil {
		t.Errorf("no: got %v, %v", ok, err)
	}
	if ok, err := q.goAhead(ctx, "Do this?"); !ok || err != nil {
		t.Errorf("YES: got %v, %v", ok, err)
	}
	ordinary := engine.Question{Address: "task.sure", Text: "Stop etcd?"}
	if typed, ok, err := q.confirm(ctx, ordinary); typed != "demo" || ok || err != nil {
		t.Errorf("demo: got %q, %v, %v", typed, ok, err)
	}
	if _, err := q.goAhead(ctx, "Do this?"); !errors.Is(err, engine.ErrInterrupted) {
		t.Errorf("end of input: got %v", err)
	}
	if !strings.Contains(shown.String(), "Do this? Only yes goes on: ") || !strings.Contains(shown.String(), "Stop etcd?") {
		t.Errorf("shown: %q", shown.String())
	}

	q = &questions{app: a, yes: true}
	if typed, ok, err := q.confirm(ctx, ordinary); typed != "yes" || !ok || err != nil {
		t.Errorf("--yes: got %q, %v, %v", typed, ok, err)
	}
}

// TestTypedQuestions holds that what has to be typed is answered by nothing else.
func TestTypedQuestions(t *testing.T) {
	ctx := context.Background()
	x := engine.Question{Address: "task.sure", Text: "All is lost?", Typed: "lose 7 revisions"}
	for _, c := range []struct {
		name  string
		q     questions
		typed string
		ok    bool
		fails string
	}{
		{"typed", questions{}, "lose 7 revisions", true, ""},
		{"typed, with --yes", questions{yes: true}, "lose 7 revisions", true, ""},
		{"yes", questions{}, "yes", false, ""},
		{"almost", questions{}, "lose 70 revisions", false, ""},
		{"given", questions{given: []string{"x", "lose 7 revisions"}}, "", true, ""},
		{"another given", questions{given: []string{"lose 8 revisions"}}, "no", false, ""},
		{"rehearsed", questions{rehearsed: true}, "", true, ""},
		{"nobody, and --yes", questions{yes: true}, "-", false, `--confirm="lose 7 revisions" does`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := sitting(strings.NewReader(c.typed + "\n"))
			a.asks = c.typed != "-"
			c.q.app = a
			_, ok, err := c.q.confirm(ctx, x)
			if ok != c.ok || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got %v, %v", ok, err)
			}
		})
	}
}

func TestQuestionEndsWithItsContext(t *testing.T) {
	never, _ := io.Pipe()
	a, _ := sitting(never)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (&questions{app: a}).goAhead(ctx, "Do this?"); !errors.Is(err, engine.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
}

func TestInterrupts(t *testing.T) {
	a, shown := sitting(strings.NewReader(""))
	in := a.catch()
	defer in.release()
	in.signal(a)
	if in.ctx.Err() == nil {
		t.Error("before a run, the first signal does not end the work")
	}

	running := a.catch()
	defer running.release()
	running.run()
	running.signal(a)
	select {
	case <-running.stop:
	default:
		t.Error("the first signal does not ask the run to stop")
	}
	if running.ctx.Err() != nil {
		t.Error("the first signal ends the running task")
	}
	running.signal(a)
	if running.ctx.Err() == nil {
		t.Error("the second signal does not stop at once")
	}
	if !strings.Contains(shown.String(), "Press Ctrl-C again") {
		t.Errorf("shown: %q", shown.String())
	}
}

func TestBrokenPipeIsNoInterrupt(t *testing.T) {
	a, _ := sitting(strings.NewReader(""))
	in := a.catch()
	defer in.release()
	in.caught <- syscall.SIGPIPE
	in.caught <- syscall.SIGTERM
	select {
	case <-in.ctx.Done():
	case <-time.After(time.Minute):
		t.Fatal("SIGTERM after SIGPIPE was not seen")
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.count != 1 {
		t.Errorf("%d signals counted, want 1", in.count)
	}
}
