// Package program knows how to run one program of this machine as conn.Host
// promises it: arguments untouched, output bounded, nothing of it left behind
// when its context ends. It must not know what the program is for.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Path is the search path that programs get, whatever this process's own is.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Start is what Run starts: a command whose program, directory and environment
// have been decided.
type Start struct {
	Path  string   // of the program
	Argv  []string // Argv[0] is the name the program sees
	Env   []string
	Dir   string
	Stdin []byte
}

// Run runs the program in a process group of its own and waits for it. When ctx
// ends first, the group is killed and the error wraps both
// conn.ErrOutcomeUnknown and the cause; so it does when this process dies.
func Run(ctx context.Context, s Start) (conn.Result, error) {
	if err := ctx.Err(); err != nil {
		return conn.Result{}, err
	}
	var stdout, stderr bounded
	cmd := exec.Cmd{
		Path: s.Path, Args: s.Argv, Env: s.Env, Dir: s.Dir,
		Stdin: bytes.NewReader(s.Stdin), Stdout: &stdout, Stderr: &stderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		// A grandchild that keeps the pipes open must not keep us.
		WaitDelay: 200 * time.Millisecond,
	}
	if err := cmd.Start(); err != nil {
		return conn.Result{}, err
	}
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		// The group may be gone already, which is what is wanted.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	err := cmd.Wait()
	if !stop() {
		<-killed
		return conn.Result{}, fmt.Errorf("%w: %s was killed: %w", conn.ErrOutcomeUnknown, s.Argv[0], context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return conn.Result{}, fmt.Errorf("%w: %s: %w", conn.ErrOutcomeUnknown, s.Argv[0], err)
	}
	return conn.Result{
		ExitCode:  Code(cmd.ProcessState.Sys().(syscall.WaitStatus)),
		Stdout:    stdout.buf,
		Stderr:    stderr.buf,
		Truncated: stdout.cut || stderr.cut,
	}, nil
}

// Code is the exit code as a shell would say it: 128+n after signal n.
func Code(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// Env renders the environment of a command: a small fixed one, with extra and
// then the command's own on top, sorted by name.
func Env(own map[string]string, extra ...string) []string {
	env := append([]string{"PATH=" + Path, "LANG=C.UTF-8"}, extra...)
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	// The later one of two equal names wins, as exec.Cmd has it.
	slices.SortStableFunc(env, func(a, b string) int { return bytes.Compare(name(a), name(b)) })
	return env
}

func name(assignment string) []byte {
	n, _, _ := bytes.Cut([]byte(assignment), []byte("="))
	return n
}

// bounded keeps the first conn.MaxOutput bytes written to it.
type bounded struct {
	buf []byte
	cut bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := conn.MaxOutput - len(b.buf)
	b.buf = append(b.buf, p[:min(room, len(p))]...)
	b.cut = b.cut || len(p) > room
	return len(p), nil
}
