package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
)

// sshd is a genuine one on a loopback address.
type sshd struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

// start runs the server with one of the host keys in its folder.
func (s *sshd) start(key string) {
	s.t.Helper()
	config := filepath.Join(s.dir, "sshd_config")
	s.write("sshd_config", strings.Join([]string{
		fmt.Sprint("Port ", s.port), "ListenAddress 127.0.0.1", "PidFile none", "StrictModes no", "UsePAM no",
		"PermitRootLogin prohibit-password", "AuthorizedKeysFile " + filepath.Join(s.dir, "id.pub"), "HostKey " + filepath.Join(s.dir, key),
	}, "\n")+"\n")
	// The host's own ledger is not used: sshd sees a private one.
	s.cmd = exec.Command("unshare", "--mount", "/bin/sh", "-c",
		`mount -t tmpfs run /run/etcdplay && mount -t tmpfs lib /var/lib/etcdplay && exec "$@"`, "sh", "/usr/sbin/sshd", "-D", "-e", "-f", config)
	var log bytes.Buffer
	s.cmd.Stderr, s.cmd.SysProcAttr = &log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", s.port)); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			s.stop()
			s.t.Fatalf("sshd does not answer: %s", log.String())
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *sshd) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *sshd) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// knows makes known_hosts hold the public half of a host key.
func (s *sshd) knows(key string) {
	s.t.Helper()
	public, err := os.ReadFile(filepath.Join(s.dir, key+".pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", s.port, public))
}

// newSSHD makes the keys of an sshd that is not started yet, and an inventory in
// which host h is reached through it by the key id, as these lines have it.
func newSSHD(t *testing.T, lines string, keys ...string) *sshd {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid != "0" {
		conntest.Skip(t, "sshd with a ledger of its own needs root")
	}
	for _, program := range []string{"/usr/sbin/sshd", "ssh-keygen", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			conntest.Skip(t, err.Error())
		}
	}
	if err := errors.Join(os.MkdirAll("/run/sshd", 0o755), os.MkdirAll("/run/etcdplay", 0o755), os.MkdirAll("/var/lib/etcdplay", 0o755)); err != nil {
		t.Fatal(err)
	}
	s := &sshd{t: t, dir: t.TempDir(), port: freePort(t)}
	t.Cleanup(s.stop)
	for _, key := range append(keys, "id") {
		if out, err := exec.Command("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", filepath.Join(s.dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	s.write("inventory.hcl", fmt.Sprintf(`inventory {
  language = 1
}
connection "ssh" {
  user           = %q
  port           = %d
  identity_files = ["id"]
  known_hosts    = "known_hosts"
  become         = "none"
  %s
}
cluster "demo" {
  members = ["h"]
}
host "h" {
  address = "127.0.0.1"
}
`, me.Username, s.port, lines))
	return s
}

// etcdplay runs the program in the folder of the server; its output is on one line.
func (s *sshd) etcdplay(code int, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, args...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.t.Fatalf("etcdplay %s: exit code %d, want %d (%v)\n%s", strings.Join(args, " "), got, code, err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// command is the program, to be run in the folder of the server.
func (s *sshd) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Args[0], cmd.Dir = "etcdplay", s.dir
	cmd.Env = []string{"HOME=" + s.dir, "XDG_STATE_HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.dir}
	return cmd
}

// TestResumeHostKey swaps a host's key between a run and its resume, and known_hosts
// with it: the run holds on to the key that it saw, and does nothing on the host.
func TestResumeHostKey(t *testing.T) {
	s := newSSHD(t, "", "first", "second")
	s.write("play.hcl", `playbook "play" {
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
task "exec" "two" {
  on    = host.h
  shell = "test -e ${shellquote(var.dir)}/gate && touch ${shellquote(var.dir)}/two"
}
`)
	call := s.etcdplay
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(s.dir, name))
		return err == nil
	}

	s.knows("first")
	s.start("first")
	call(1, "run", "play.hcl", "--yes", "--var", "dir="+s.dir)
	seen := regexp.MustCompile(`h at 127\.0\.0\.1:\d+, key ssh-ed25519 (SHA256:\S+), epoch 1`).FindStringSubmatch(call(0, "status"))
	if seen == nil || !exists("one") {
		t.Fatalf("the first key is not in the status: %s", call(0, "status"))
	}

	s.stop()
	s.write("gate", "")
	s.knows("second")
	s.start("second")
	out := call(7, "resume", "--yes")
	if !strings.Contains(out, "has changed") || !strings.Contains(out, "the record of this run (ssh-ed25519 "+seen[1]+")") || exists("two") {
		t.Errorf("another key: got %s", out)
	}
	if !strings.Contains(call(0, "status"), seen[1]) {
		t.Errorf("the first key is no longer in the status: %s", call(0, "status"))
	}

	s.stop()
	s.knows("first")
	s.start("first")
	call(0, "resume", "--yes")
	if !exists("two") {
		t.Error("the run did not go on with the first key")
	}
}
