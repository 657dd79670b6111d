package ssh_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// faulty is a host behind a proxy that cuts.
func faulty(t *testing.T) (*ssh.Host, *proxy) {
	t.Helper()
	s := startServer(t)
	p := startProxy(t, s.addr)
	c := s.config()
	known, err := os.ReadFile(s.known)
	if err != nil {
		t.Fatal(err)
	}
	c.Port = p.port
	c.KnownHosts = []string{filepath.Join(t.TempDir(), "known_hosts")}
	write(t, c.KnownHosts[0], strings.ReplaceAll(string(known), fmt.Sprint(s.port), fmt.Sprint(p.port)))
	h := open(t, c)
	if err := h.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, p
}

func content(data []byte, progress func(int64)) conn.File {
	sum := sha256.Sum256(data)
	return conn.File{Content: bytes.NewReader(data), Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Progress: progress}
}

// effect is a change whose effects can be counted.
type effect struct {
	name  string
	reset func(dir string) error
	do    func(h *ssh.Host, ctx context.Context, dir string) error
	done  func(dir string) int // how often it has happened
}

func lines(path string) int {
	data, _ := os.ReadFile(path)
	return bytes.Count(data, []byte("\n"))
}

func there(path string) int {
	if _, err := os.Lstat(path); err != nil {
		return 0
	}
	return 1
}

var effects = []effect{
	{
		"Run",
		func(dir string) error { return os.WriteFile(filepath.Join(dir, "f"), nil, 0o600) },
		func(h *ssh.Host, ctx context.Context, dir string) error {
			r, err := h.Run(ctx, conn.Command{Argv: []string{"sh", "-c", "echo told; echo more >&2; echo done >>f"}, Dir: dir})
			if err == nil && (r.ExitCode != 0 || string(r.Stdout) != "told\n" || string(r.Stderr) != "more\n") {
				return fmt.Errorf("the result is not that of the program: %+v", r)
			}
			return err
		},
		func(dir string) int { return lines(filepath.Join(dir, "f")) },
	},
	{
		"RunWithInput",
		func(dir string) error { return os.WriteFile(filepath.Join(dir, "f"), nil, 0o600) },
		func(h *ssh.Host, ctx context.Context, dir string) error {
			_, err := h.Run(ctx, conn.Command{Argv: []string{"sh", "-c", "cat >>f"}, Dir: dir, Stdin: []byte(strings.Repeat("x", 5000) + "\n")})
			return err
		},
		func(dir string) int { return lines(filepath.Join(dir, "f")) },
	},
	{
		"Mkdir",
		func(dir string) error { return os.RemoveAll(filepath.Join(dir, "d")) },
		func(h *ssh.Host, ctx context.Context, dir string) error {
			return h.Mkdir(ctx, filepath.Join(dir, "d"), conn.Attr{})
		},
		func(dir string) int { return there(filepath.Join(dir, "d")) },
	},
	{
		"Rename",
		func(dir string) error {
			os.Remove(filepath.Join(dir, "to"))
			return os.WriteFile(filepath.Join(dir, "from"), nil, 0o600)
		},
		func(h *ssh.Host, ctx context.Context, dir string) error {
			return h.Rename(ctx, filepath.Join(dir, "from"), filepath.Join(dir, "to"))
		},
		func(dir string) int { return there(filepath.Join(dir, "to")) },
	},
	{
		"Remove",
		func(dir string) error { return os.WriteFile(filepath.Join(dir, "gone"), nil, 0o600) },
		func(h *ssh.Host, ctx context.Context, dir string) error {
			return h.Remove(ctx, filepath.Join(dir, "gone"), false)
		},
		func(dir string) int { return 1 - there(filepath.Join(dir, "gone")) },
	},
	{
		"WriteFile",
		func(dir string) error { return os.RemoveAll(filepath.Join(dir, "w")) },
		func(h *ssh.Host, ctx context.Context, dir string) error {
			return h.WriteFile(ctx, filepath.Join(dir, "w"), content([]byte("text"), nil))
		},
		func(dir string) int { return there(filepath.Join(dir, "w")) },
	},
}

// TestCutInCommand cuts the connection at chosen bytes of every kind of change,
// in both directions. The host can be reached again at once, so what is said of
// the change must be true: done once, or not at all.
func TestCutInCommand(t *testing.T) {
	h, p := faulty(t)
	for _, e := range effects {
		dir := t.TempDir()
		measure := func() (up, down int64) {
			if err := e.reset(dir); err != nil {
				t.Fatal(err)
			}
			p.arm(-1, -1)
			if err := e.do(h, t.Context(), dir); err != nil {
				t.Fatalf("%s, not cut: %v", e.name, err)
			}
			up, down, _ = p.passed()
			return up, down
		}
		measure() // the first one may have to connect
		up, down := measure()
		try := func(direction string, k, cutUp, cutDown int64) {
			p.arm(-1, -1)
			if err := h.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := e.reset(dir); err != nil {
				t.Fatal(err)
			}
			p.arm(cutUp, cutDown)
			err := e.do(h, t.Context(), dir)
			n, want := e.done(dir), 1
			if err != nil {
				want = 0
			}
			if n != want || errors.Is(err, conn.ErrOutcomeUnknown) {
				t.Errorf("%s cut after byte %d of %s: happened %d times, and the error says %v", e.name, k, direction, n, err)
			}
			if entries := leftovers(t, dir); len(entries) > 0 {
				t.Errorf("%s cut after byte %d of %s: left %q", e.name, k, direction, entries)
			}
		}
		for _, k := range []int64{0, 1, up / 2, up - 1, up} {
			try("the request", k, k, -1)
		}
		for _, k := range []int64{0, 1, down / 2, down - 1} {
			try("the answer", k, -1, k)
		}
	}
}

// leftovers are the temporary files in dir, after a moment for the host to see
// that the connection is gone.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		found, err := filepath.Glob(filepath.Join(dir, ".etcdplay-*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestCutInUpload cuts uploads at many bytes. What is at the path is the old
// file or the new one, and the error says which.
func TestCutInUpload(t *testing.T) {
	h, p := faulty(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, size := range []int{1 << 10, 8 << 20} {
		offsets := 64
		if testing.Short() {
			offsets = 8
		}
		data := make([]byte, size)
		random := rand.NewChaCha8([32]byte{byte(offsets)})
		random.Read(data)
		done := 0
		for i := range offsets {
			write(t, path, "old")
			p.arm(-1, -1)
			if err := h.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			cut := int64(size+4000) * int64(i) / int64(offsets-1)
			p.arm(cut, -1)
			err := h.WriteFile(t.Context(), path, content(data, nil))
			_, _, cuts := p.passed()
			got, readErr := os.ReadFile(path)
			if readErr != nil {
				t.Fatal(readErr)
			}
			switch {
			case errors.Is(err, conn.ErrOutcomeUnknown):
				t.Errorf("%d bytes cut after %d: %v", size, cut, err)
			case err != nil && string(got) != "old", err == nil && !bytes.Equal(got, data):
				t.Errorf("%d bytes cut after %d (%d cuts): the error says %v, and the file has %d bytes", size, cut, cuts, err, len(got))
			case err == nil:
				done++
			}
			if entries := leftovers(t, dir); len(entries) > 0 {
				t.Errorf("%d bytes cut after %d: left %q", size, cut, entries)
			}
		}
		if done == offsets {
			t.Errorf("%d bytes: no cut came to anything", size)
		}
	}
}

// TestUnreachable loses the host for good in the middle of a change, and before
// one.
func TestUnreachable(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.addr)
	c := s.config()
	c.HostKeyPolicy, c.AcceptedKeys, c.Port = "accept-new", filepath.Join(t.TempDir(), "accepted"), p.port
	c.Reconnect, c.ConnectTimeout = time.Second, 20*time.Second
	h := open(t, c)
	dir := t.TempDir()
	begun := filepath.Join(dir, "begun")
	go func() {
		for !exists(begun) {
			time.Sleep(time.Millisecond)
		}
		p.mu.Lock()
		p.target = "127.0.0.1:1"
		p.mu.Unlock()
		p.cut()
	}()
	_, err := h.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", "touch begun; sleep 0.3; touch ended"}, Dir: dir})
	if !errors.Is(err, conn.ErrOutcomeUnknown) {
		t.Errorf("lost in the middle: got %v, want an unknown outcome", err)
	}
	_, err = h.Run(t.Context(), conn.Command{Argv: []string{"true"}})
	if !errors.Is(err, conn.ErrUnreachable) || errors.Is(err, conn.ErrOutcomeUnknown) {
		t.Errorf("lost before: got %v, want unreachable", err)
	}
	for deadline := time.Now().Add(time.Minute); !exists(filepath.Join(dir, "ended")); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the program did not go on without its connection")
		}
	}
}

// TestFrozen pulls the cable: nothing is refused, nothing comes.
func TestFrozen(t *testing.T) {
	s := startServer(t)
	p := startProxy(t, s.addr)
	c := s.config()
	c.HostKeyPolicy, c.AcceptedKeys, c.Port = "accept-new", filepath.Join(t.TempDir(), "accepted"), p.port
	c.Keepalive = 200 * time.Millisecond
	h := open(t, c)
	dir := t.TempDir()
	begun := filepath.Join(dir, "begun")
	go func() {
		for !exists(begun) {
			time.Sleep(time.Millisecond)
		}
		p.freeze()
	}()
	r, err := h.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", "touch begun; sleep 0.2; echo told; exit 3"}, Dir: dir})
	if err != nil || r.ExitCode != 3 || string(r.Stdout) != "told\n" {
		t.Errorf("got %+v, %v, want the outcome by another connection", r, err)
	}
}

// TestEpoch takes a host over while another engine has a change under way.
func TestEpoch(t *testing.T) {
	s := startServer(t)
	old, next := open(t, s.config()), open(t, s.config())
	first, err := old.Fence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ended := make(chan error, 1)
	go func() {
		_, err := old.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", "touch begun; sleep 0.3; touch ended"}, Dir: dir})
		ended <- err
	}()
	for !exists(filepath.Join(dir, "begun")) {
		time.Sleep(time.Millisecond)
	}
	second, err := next.Fence(t.Context())
	if err != nil || second <= first {
		t.Fatalf("got epoch %d after %d, %v", second, first, err)
	}
	if !exists(filepath.Join(dir, "ended")) {
		t.Error("the host was taken over while a change was under way")
	}
	if err := <-ended; err != nil {
		t.Errorf("the change that was under way: %v", err)
	}
	_, err = old.Run(t.Context(), conn.Command{Argv: []string{"touch", "late"}, Dir: dir})
	if !errors.Is(err, conn.ErrFenced) || exists(filepath.Join(dir, "late")) {
		t.Errorf("a change by the old engine: got %v, want it refused", err)
	}
	if err := old.Mkdir(t.Context(), filepath.Join(dir, "late"), conn.Attr{}); !errors.Is(err, conn.ErrFenced) {
		t.Errorf("a change by the old engine: got %v, want it refused", err)
	}
	if err := old.WriteFile(t.Context(), filepath.Join(dir, "late"), content([]byte("x"), nil)); !errors.Is(err, conn.ErrFenced) || len(leftovers(t, dir)) > 0 {
		t.Errorf("a change by the old engine: got %v, want it refused", err)
	}
	if _, err := old.Stat(t.Context(), dir); err != nil {
		t.Errorf("the old engine may still look: %v", err)
	}
	if _, err := next.Run(t.Context(), conn.Command{Argv: []string{"true"}}); err != nil {
		t.Errorf("a change by the new engine: %v", err)
	}
	c := s.config()
	c.Epoch = first
	if err := open(t, c).Remove(t.Context(), dir, true); !errors.Is(err, conn.ErrFenced) {
		t.Errorf("a change by an engine that remembers an old epoch: got %v, want it refused", err)
	}
}

// TestDiskFull fills the host's disk.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		skipNotRoot(t)
	}
	small := t.TempDir()
	mount(t, small, "size=1m")
	h := open(t, startServer(t).config())
	path := filepath.Join(small, "file")
	if err := h.WriteFile(t.Context(), path, content([]byte("old"), nil)); err != nil {
		t.Fatal(err)
	}
	err := h.WriteFile(t.Context(), path, content(make([]byte, 2<<20), nil))
	if !errors.Is(err, errNoSpace) || !strings.Contains(err.Error(), "2097152") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want no space, with path and bytes", err)
	}
	if data, err := h.ReadFile(t.Context(), path); err != nil || string(data) != "old" {
		t.Errorf("the old file: got %d bytes, %v", len(data), err)
	}
	if left := leftovers(t, small); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	if _, err := h.ReadFile(t.Context(), filepath.Join(small, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
