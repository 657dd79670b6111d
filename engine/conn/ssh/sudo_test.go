package ssh_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// account is a user of this machine, made for one test.
type account struct{ name, password string }

// addUser makes a user with that login shell and removes it after the test.
func addUser(t *testing.T, shell string) account {
	t.Helper()
	if os.Geteuid() != 0 {
		skipNotRoot(t)
	}
	useradd, userdel, chpasswd := program(t, "useradd"), program(t, "userdel"), program(t, "chpasswd")
	u := account{name: "etcdplay-" + strings.ToLower(rand.Text()[:8]), password: "canary-" + rand.Text()}
	if out, err := exec.Command(useradd, "--create-home", "--shell", shell, u.name).CombinedOutput(); err != nil {
		t.Fatalf("useradd: %v: %s", err, out)
	}
	t.Cleanup(func() {
		// Its sessions end with their sshd, a moment after it.
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			out, err := exec.Command(userdel, "--remove", u.name).CombinedOutput()
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("userdel: %v: %s", err, out)
				return
			}
		}
	})
	cmd := exec.Command(chpasswd)
	cmd.Stdin = strings.NewReader(u.name + ":" + u.password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("chpasswd: %v: %s", err, out)
	}
	return u
}

// allow lets the user become root, with these tags, by the lines that hosts are
// told to have and no others.
func allow(t *testing.T, u account, tags string) {
	t.Helper()
	program(t, "sudo")
	file := "/etc/sudoers.d/" + u.name
	lines, err := ssh.Sudoers(u.name, tags == "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(lines), 0o440); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
}

// TestSudo becomes root in both ways, and has the whole suite pass as such.
func TestSudo(t *testing.T) {
	for _, row := range []struct{ name, tags string }{{"without password", "NOPASSWD:"}, {"with password", ""}} {
		t.Run(row.name, func(t *testing.T) {
			u := addUser(t, "/bin/bash")
			allow(t, u, row.tags)
			s := startServer(t)
			c := s.config()
			c.User, c.Become = u.name, "sudo"
			asked := 0
			c.BecomePassword = func(context.Context) ([]byte, error) {
				asked++
				return []byte(u.password), nil
			}
			h := open(t, c)
			seen := watch(t, u.password)
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			for _, text := range []string{"content", ""} {
				if err := h.WriteFile(t.Context(), path, content([]byte(text), nil)); err != nil {
					t.Fatal(err)
				}
				if got := readFile(t, path); got != text {
					t.Errorf("got %q, want %q", got, text)
				}
			}
			r, err := h.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", "id -u; cat; env"}, Stdin: []byte("input\n")})
			if err != nil || !strings.HasPrefix(string(r.Stdout), "0\ninput\n") {
				t.Errorf("got %+v, %v", r, err)
			}
			if strings.Contains(string(r.Stdout)+string(r.Stderr), u.password) {
				t.Error("a program of the host got to see the password")
			}
			if (asked == 0) != (row.tags != "") {
				t.Errorf("the password was wanted %d times", asked)
			}
			if found := seen(); len(found) > 0 {
				t.Errorf("the password was seen in %q", found)
			}
			if strings.Contains(s.log.String(), u.password) {
				t.Error("the password was logged by sshd")
			}
			conntest.Run(t, func(t *testing.T) conntest.Fixture { return fixture(t, h) })
		})
	}
}

// TestSudoRefused is about those whom sudo does not let in.
func TestSudoRefused(t *testing.T) {
	u := addUser(t, "/bin/sh")
	s := startServer(t)
	c := s.config()
	c.User, c.Become = u.name, "sudo"
	refused := func(what, says string) {
		t.Helper()
		err := open(t, c).Connect(t.Context())
		if !errors.Is(err, conn.ErrRefused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want it refused, saying %q", what, err, says)
		}
	}
	allow(t, u, "")
	refused("no password where one is wanted", "password")
	c.BecomePassword = func(context.Context) ([]byte, error) { return []byte("wrong"), nil }
	refused("a wrong password", "does not accept")
	c.BecomePassword = func(context.Context) ([]byte, error) { return nil, errors.New("nobody there to ask") }
	if err := open(t, c).Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody there to ask") {
		t.Errorf("no answer: got %v", err)
	}
	c.BecomePassword = func(context.Context) ([]byte, error) { return []byte(u.password), nil }
	if err := os.Remove("/etc/sudoers.d/" + u.name); err != nil {
		t.Fatal(err)
	}
	refused("a user who may not", "")
}

// watch looks at the arguments and environments of all processes all the time,
// until the function it returns is called, which tells where the secret was.
func watch(t *testing.T, secret string) func() []string {
	stop := make(chan struct{})
	var found []string
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, kind := range []string{"cmdline", "environ"} {
				files, _ := filepath.Glob("/proc/[0-9]*/" + kind)
				for _, file := range files {
					data, _ := os.ReadFile(file) // it may have ended
					if strings.Contains(string(data), secret) {
						found = append(found, file)
					}
				}
			}
		}
	})
	stopped := sync.OnceFunc(func() {
		close(stop)
		running.Wait()
	})
	t.Cleanup(stopped)
	return func() []string {
		stopped()
		return found
	}
}
