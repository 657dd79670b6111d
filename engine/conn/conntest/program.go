package conntest

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"path"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// awkward are arguments that something in between could spoil.
var awkward = []string{
	"", " ", "a b", "a\nb", "\n", "\t", "'", `"`, `\`, `\n`, "$HOME", "$(id)", "`id`", "${x}", "*", "?", "~", "!", "#x", "%n",
	"-n", "--", "-", ";", "&", "|", ">", "<", "a=b", "ü€𝄞", "\x01\x1b[31m", "\xff\xfe", strings.Repeat("long ", 2000),
}

func testArgv(t *testing.T, f Fixture) {
	for what, run := range map[string]func(context.Context, conn.Command) (conn.Result, error){
		"Run": f.Host.Run, "Query": f.Host.Query,
	} {
		r, err := run(t.Context(), conn.Command{
			Argv: append([]string{"/bin/sh", "-c", `printf '%s\0' "$@"`, "sh"}, awkward...),
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got, want := string(r.Stdout), strings.Join(awkward, "\x00")+"\x00"; got != want || r.ExitCode != 0 {
			t.Errorf("%s: got %d, %q, want %q", what, r.ExitCode, got, want)
		}
	}
	if _, err := f.Host.Run(t.Context(), conn.Command{}); err == nil {
		t.Error("an empty command was run")
	}
	if _, err := f.Host.Run(t.Context(), conn.Command{Argv: []string{"/bin/echo", "a\x00b"}}); err == nil {
		t.Error("an argument with a NUL was accepted")
	}
}

func testEnvironment(t *testing.T, f Fixture) {
	t.Setenv("ETCDPLAY_LEAK", "from the engine")
	sub := f.mkdir(t, "a dir")
	f.write(t, "a dir/here", "", conn.Attr{})
	r, err := f.Host.Run(t.Context(), conn.Command{
		Argv:  []string{"sh", "-c", `printf '%s|%s|%s|' "$SPACED" "${ETCDPLAY_LEAK-none}" "${PATH:+path}"; ls; cat`},
		Env:   map[string]string{"SPACED": "a  b\n$HOME 'c'"},
		Dir:   sub,
		Stdin: []byte("from\x00stdin\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want1 := "a  b\n$HOME 'c'|none|path|here\nfrom\x00stdin\n"
	if got := string(r.Stdout); got != want1 || r.ExitCode != 0 {
		t.Errorf("got %d, %q, %q, want %q", r.ExitCode, got, r.Stderr, want1)
	}
	// A program that does not read what it is given must not spoil anything.
	r, err = f.Host.Run(t.Context(), conn.Command{Argv: []string{"true"}, Stdin: make([]byte, 1<<20)})
	if err != nil || r.ExitCode != 0 {
		t.Errorf("unread standard input: got %+v, %v", r, err)
	}
	r, err = f.Host.Run(t.Context(), conn.Command{Argv: []string{"cat"}})
	if err != nil || len(r.Stdout) != 0 {
		t.Errorf("no standard input: got %+v, %v, want an empty one", r, err)
	}
}

func testExitCode(t *testing.T, f Fixture) {
	for script, want := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 42": 42, "exit 255": 255, "kill -9 $$": 137, "kill -15 $$": 143,
	} {
		r, err := f.Host.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", "echo out; echo err >&2; " + script}})
		if err != nil || r.ExitCode != want || string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" || r.Truncated {
			t.Errorf("%s: got %+v, %v, want exit code %d", script, r, err, want)
		}
	}
	_, err := f.Host.Run(t.Context(), conn.Command{Argv: []string{path.Join(f.Dir, "no such program")}})
	want(t, "a missing program", err, fs.ErrNotExist)
	_, err = f.Host.Run(t.Context(), conn.Command{Argv: []string{"true"}, Dir: path.Join(f.Dir, "none")})
	if err == nil {
		t.Error("a missing working directory was accepted")
	}
}

func testOutput(t *testing.T, f Fixture) {
	exact := "head -c 1048576 /dev/zero"
	r, err := f.Host.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", exact + "; " + exact + " >&2"}})
	if err != nil || len(r.Stdout) != conn.MaxOutput || len(r.Stderr) != conn.MaxOutput || r.Truncated {
		t.Errorf("largest output: got %d and %d bytes, truncated %v, %v", len(r.Stdout), len(r.Stderr), r.Truncated, err)
	}
	r, err = f.Host.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", "head -c 5000000 /dev/zero; exit 3"}})
	if err != nil || len(r.Stdout) != conn.MaxOutput || !r.Truncated || r.ExitCode != 3 {
		t.Errorf("more output: got %d bytes, truncated %v, exit code %d, %v", len(r.Stdout), r.Truncated, r.ExitCode, err)
	}
	// A child left behind with the pipes open must not keep the caller.
	r, err = f.Host.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", "sleep 30 & echo $!"}})
	if err != nil || r.ExitCode != 0 {
		t.Errorf("a child left behind: got %+v, %v", r, err)
	}
	f.sh(t, `kill "$1"`, strings.TrimSpace(string(r.Stdout)))
}

// testCancel ends the context of a program that has a child, and looks for both.
func testCancel(t *testing.T, f Fixture) {
	_, err := f.Host.Run(ended(), conn.Command{Argv: []string{"true"}})
	want(t, "ended context", err, context.Canceled)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := f.Host.Run(ctx, conn.Command{
			Argv: []string{"sh", "-c", "sleep 1000 & echo $$ $! >pids.new; mv pids.new pids; wait"}, Dir: f.Dir,
		})
		done <- err
	}()
	var pids string
	eventually(t, "running", func() bool {
		data, err := f.Host.ReadFile(t.Context(), path.Join(f.Dir, "pids"))
		pids = strings.TrimSpace(string(data))
		return err == nil
	})
	cancel()
	err = <-done
	if !errors.Is(err, context.Canceled) || !errors.Is(err, conn.ErrOutcomeUnknown) {
		t.Errorf("got %v, want an error that is both context.Canceled and ErrOutcomeUnknown", err)
	}
	for _, pid := range strings.Fields(pids) {
		eventually(t, "killed: process "+pid, func() bool {
			// A zombie that waits for whoever should fetch it is dead enough.
			return f.sh(t, `read -r _ _ state _ 2>/dev/null </proc/$1/stat && [ "$state" != Z ] && echo alive; true`, pid) == ""
		})
	}
}

func testDial(t *testing.T, f Fixture) {
	l, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(f.Reached, "127.0.0.1"), "0"))
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 4)
		if n, err := c.Read(b); err == nil {
			_, _ = c.Write([]byte("got " + string(b[:n])))
		}
	}()
	c, err := f.Host.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	n, err := c.Read(b)
	if got := string(b[:n]); got != "got ping" {
		t.Errorf("got %q, %v, want %q", got, err, "got ping")
	}
	<-accepted
	l.Close()
	if c, err := f.Host.Dial(t.Context(), addr); err == nil {
		c.Close()
		t.Error("connected to where nobody listens")
	} else if errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("nobody listens there: got %v, which would mean that the host itself does not answer", err)
	}
}
