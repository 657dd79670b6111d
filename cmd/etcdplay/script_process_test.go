package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// background is a command of a script that runs beside it.
type background struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of its end

	mu             sync.Mutex
	stdout, stderr bytes.Buffer
}

// shared is a buffer of a background command that a script may look at.
type shared struct {
	of  *background
	buf *bytes.Buffer
}

func (s shared) Write(p []byte) (int, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.buf.Write(p)
}

func (b *background) text() (stdout, stderr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stdout.String(), b.stderr.String()
}

// processes are a script's background commands by name.
type processes map[string]*background

type processesKey struct{}

func (p processes) named(ts *testscript.TestScript, name string) *background {
	b := p[name]
	if b == nil {
		ts.Fatalf("nothing was begun as %s", name)
	}
	return b
}

// begin starts a command that runs beside the script.
func begin(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: begin NAME COMMAND…")
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	b := &background{cmd: exec.Command(path, args[2:]...), ended: make(chan struct{})}
	b.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "XDG_STATE_HOME", "TMPDIR", "PATH", "ETCDPLAY_INVENTORY"} {
		b.cmd.Env = append(b.cmd.Env, name+"="+ts.Getenv(name))
	}
	b.cmd.Stdout, b.cmd.Stderr = shared{b, &b.stdout}, shared{b, &b.stderr}
	ts.Check(b.cmd.Start())
	go func() {
		b.err = b.cmd.Wait()
		close(b.ended)
	}()
	ts.Defer(func() {
		// It has ended, or the script fails; either way it must not stay.
		_ = b.cmd.Process.Kill()
		<-b.ended
	})
	ts.Value(processesKey{}).(processes)[args[0]] = b
}

// await waits until a background command has said something.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: await NAME REGEXP")
	}
	b := ts.Value(processesKey{}).(processes).named(ts, args[0])
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	deadline := time.After(answerTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		over := false
		select {
		case <-b.ended:
			over = true
		case <-deadline:
			over = true
		case <-tick.C:
		}
		stdout, stderr := b.text()
		switch {
		case pattern.MatchString(stdout) || pattern.MatchString(stderr):
			return
		case over:
			ts.Fatalf("%s has not said %q:\n%s\n%s", args[0], args[1], stdout, stderr)
		}
	}
}

// interrupt is Ctrl-C for a background command.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: interrupt NAME")
	}
	ts.Check(ts.Value(processesKey{}).(processes).named(ts, args[0]).cmd.Process.Signal(os.Interrupt))
}

// ends waits for the end of a background command; its output is then looked at
// like that of any command.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: ends CODE NAME")
	}
	b := ts.Value(processesKey{}).(processes).named(ts, args[1])
	select {
	case <-b.ended:
	case <-time.After(2 * answerTimeout):
		ts.Check(b.cmd.Process.Signal(syscall.SIGQUIT))
		<-b.ended
	}
	stdout, stderr := b.text()
	_, err := ts.Stdout().Write([]byte(stdout))
	ts.Check(err)
	_, err = ts.Stderr().Write([]byte(stderr))
	ts.Check(err)
	ts.Logf("[stdout of %s]\n%s[stderr of %s]\n%s", args[1], stdout, args[1], stderr)
	if got := codeOf(ts, b.err); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// codeOf is the exit code that a command ended with.
func codeOf(ts *testscript.TestScript, err error) string {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case !errors.As(err, &ended):
		ts.Fatalf("%v", err)
	}
	return strconv.Itoa(ended.ExitCode())
}

// records holds that each line of a file is one JSON object with what every
// record has, and prints the types, sorted, each once.
func records(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: records FILE")
	}
	var types []string
	for i, line := range strings.Split(strings.TrimSuffix(ts.ReadFile(args[0]), "\n"), "\n") {
		var r struct {
			Level     string    `json:"@level"`
			Message   string    `json:"@message"`
			Timestamp time.Time `json:"@timestamp"`
			Type      string    `json:"type"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			ts.Fatalf("line %d: %v: %s", i+1, err, line)
		}
		if r.Level == "" || r.Message == "" || r.Timestamp.IsZero() || r.Type == "" {
			ts.Fatalf("line %d lacks what every record has: %s", i+1, line)
		}
		types = append(types, r.Type)
	}
	slices.Sort(types)
	_, err := ts.Stdout().Write([]byte(strings.Join(slices.Compact(types), "\n") + "\n"))
	ts.Check(err)
}
