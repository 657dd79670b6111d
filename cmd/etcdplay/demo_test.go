package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine"
)

// A demonstration that is interrupted leaves nothing either.
func TestDemoInterrupted(t *testing.T) {
	startsEtcd(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(exe)
	cmd.Args = []string{"etcdplay", "demo"}
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "task.stop ") && strings.Contains(said.String(), "\nRun ") {
			if err := cmd.Process.Signal(unix.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != engine.ExitInterrupted {
		t.Errorf("got %v, want exit code %d; it said:\n%s", err, engine.ExitInterrupted, said.String())
	}
	if !strings.Contains(said.String(), "Everything is down again") {
		t.Errorf("it did not bring its sandbox down:\n%s", said.String())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// startsEtcd skips a test under go test -short, unless skips are forbidden.
func startsEtcd(t *testing.T) {
	t.Helper()
	switch {
	case !testing.Short():
	case os.Getenv("ETCDPLAY_NOSKIP") == "1":
		t.Fatal("would be skipped: it starts etcd, and -short is given")
	default:
		t.Skip("starts etcd, and -short is given")
	}
}
