package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const touch = `playbook "play" {
  language = 1
}
variable "dir" {
  type        = string
  description = "A folder."
}
task "exec" "one" {
  on   = host.h
  argv = ["/usr/bin/touch", "${var.dir}/one"]
}
`

// TestOpenSSHRefused shows a host key to the system's ssh that is another than the
// known one, and one that nobody knows: the program tells it as its own transport
// does, and has done nothing there.
func TestOpenSSHRefused(t *testing.T) {
	s := newSSHD(t, `transport = "openssh"`, "first", "second")
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Fatal(err) // newSSHD has found ssh-keygen
	}
	s.write("play.hcl", touch)
	s.start("second")
	s.knows("first")
	print, err := exec.Command("ssh-keygen", "-l", "-f", filepath.Join(s.dir, "second.pub")).Output()
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := strings.Fields(string(print))[1]
	for _, known := range []string{"first", ""} {
		want := "has changed"
		if known == "" {
			s.write("known_hosts", "")
			want = "is unknown"
		}
		out := s.etcdplay(7, "run", "play.hcl", "--yes", "--var", "dir="+s.dir)
		if !strings.Contains(out, want) || !strings.Contains(out, fingerprint) || !strings.Contains(out, "known_hosts") {
			t.Errorf("want %q, with fingerprint and file; got %s", want, out)
		}
	}
	s.write("id", "no key\n")
	s.knows("second")
	if out := s.etcdplay(7, "run", "play.hcl", "--yes", "--var", "dir="+s.dir); !strings.Contains(out, "Permission denied") {
		t.Errorf("a login that is refused: got %s", out)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "one")); err == nil {
		t.Error("something was done on the host")
	}
}

// TestPassphrase types the passphrase of an encrypted key at a terminal. What is
// typed is not shown, and asked for once.
func TestPassphrase(t *testing.T) {
	s := newSSHD(t, "", "first")
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", filepath.Join(s.dir, "id")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	s.write("play.hcl", touch)
	s.knows("first")
	s.start("first")
	if out := s.etcdplay(7, "run", "play.hcl", "--yes", "--var", "dir="+s.dir); !strings.Contains(out, "stdin is no terminal") {
		t.Errorf("without a terminal: got %s", out)
	}
	ours, theirs := terminal(t)
	cmd := s.command(t.Context(), "run", "play.hcl", "--yes", "--var", "dir="+s.dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	shown := &screen{}
	go func() { _, _ = io.Copy(shown, ours) }() // it ends with an error when the terminal does
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for end := time.Now().Add(time.Minute); !strings.Contains(shown.String(), "Passphrase of "); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			t.Fatalf("it did not ask: %s", shown)
		}
	}
	// What is typed before the terminal was told not to show it would be shown.
	for end := time.Now().Add(time.Minute); echoes(t, ours) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if _, err := io.WriteString(ours, "open sesame\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v: %s", err, shown)
		}
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatalf("it did not end: %s", shown)
	}
	if text := shown.String(); strings.Contains(text, "sesame") || strings.Count(text, "Passphrase of ") != 1 {
		t.Errorf("the passphrase was shown, or asked for more than once: %s", text)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "one")); err != nil {
		t.Error(err)
	}
}

// screen is what a terminal shows.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// terminal opens a pseudo-terminal: our end, and that of a program.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// echoes reports whether the terminal shows what is typed.
func echoes(t *testing.T, ours *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(ours.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}
