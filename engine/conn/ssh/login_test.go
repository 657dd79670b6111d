package ssh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// TestEncryptedKey asks for a passphrase once, however many hosts use the key,
// and only where the host would let the key in.
func TestEncryptedKey(t *testing.T) {
	s := startServer(t)
	pemBytes, err := os.ReadFile(s.identity)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := gossh.ParseRawPrivateKey(pemBytes)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := gossh.MarshalPrivateKeyWithPassphrase(raw, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "id")
	write(t, file, string(pem.EncodeToMemory(locked)))
	var asked atomic.Int32
	answer := "open sesame"
	c := s.config()
	c.IdentityFiles = []string{file}
	c.Shared = new(ssh.Shared)
	if err := open(t, c).Connect(t.Context()); !errors.Is(err, conn.ErrRefused) || !strings.Contains(err.Error(), "encrypted") {
		t.Errorf("with nobody to ask: got %v", err)
	}
	c.AskPassphrase = func(_ context.Context, name string) ([]byte, error) {
		asked.Add(1)
		if name != file {
			t.Errorf("asked for the passphrase of %s", name)
		}
		return []byte(answer), nil
	}
	answer = "wrong"
	if err := open(t, c).Connect(t.Context()); !errors.Is(err, conn.ErrRefused) {
		t.Errorf("a wrong passphrase: got %v, want it refused", err)
	}
	asked.Store(0)
	answer = "open sesame"
	ends := make(chan error)
	for range 3 {
		h := open(t, c)
		go func() { ends <- h.Connect(context.Background()) }()
	}
	for range 3 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	other := startServer(t).config()
	other.IdentityFiles, other.AskPassphrase, other.Shared = []string{file}, c.AskPassphrase, new(ssh.Shared)
	if err := open(t, other).Connect(t.Context()); !errors.Is(err, conn.ErrRefused) || asked.Load() != 1 {
		t.Errorf("a host that does not know the key: got %v, asked %d times", err, asked.Load())
	}
}

// TestAgent logs in with a key that an agent holds, and counts what it is asked.
func TestAgent(t *testing.T) {
	s := startServer(t)
	pemBytes, err := os.ReadFile(s.identity)
	if err != nil {
		t.Fatal(err)
	}
	good, err := gossh.ParseRawPrivateKey(pemBytes)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ring := agent.NewKeyring()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, c)
		}
	}()
	add := func(key any) {
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	stranger := func() {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		add(&key)
	}
	for range 3 {
		stranger()
	}
	add(good)
	c := s.config()
	c.IdentityFiles, c.AgentSocket = []string{filepath.Join(t.TempDir(), "none")}, socket
	h := open(t, c)
	if err := h.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := h.Run(t.Context(), conn.Command{Argv: []string{"sh", "-c", `echo "${SSH_AUTH_SOCK-none}"`}})
	if err != nil || string(r.Stdout) != "none\n" {
		t.Errorf("the agent was forwarded: %q, %v", r.Stdout, err)
	}
	if err := ring.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		stranger()
	}
	before := strings.Count(s.log.String(), "Failed publickey")
	if err := open(t, c).Connect(t.Context()); !errors.Is(err, conn.ErrRefused) {
		t.Errorf("ten keys of strangers: got %v, want it refused", err)
	}
	if n := strings.Count(s.log.String(), "Failed publickey") - before; n > 6 {
		t.Errorf("%d keys were tried, want at most 6", n)
	}
	if c.AgentSocket = ""; !errors.Is(open(t, c).Connect(t.Context()), conn.ErrRefused) {
		t.Error("an agent was asked that was not configured")
	}
}

// TestUserCertificate logs in with a certificate beside the key.
func TestUserCertificate(t *testing.T) {
	dir := t.TempDir()
	authority, key := newKey(t, filepath.Join(dir, "ca")), newKey(t, filepath.Join(dir, "id"))
	trusted := authorize(t, authority)
	s := startServer(t, "TrustedUserCAKeys "+trusted)
	c := s.config()
	c.IdentityFiles = []string{key}
	if err := open(t, c).Connect(t.Context()); !errors.Is(err, conn.ErrRefused) {
		t.Errorf("the key alone: got %v, want it refused", err)
	}
	if out, err := exec.Command(program(t, "ssh-keygen"), "-q", "-s", authority, "-I", "test", "-n", s.user, key+".pub").CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	if err := open(t, c).Connect(t.Context()); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
}

// TestJump goes to a host through two others, and checks each one's key.
func TestJump(t *testing.T) {
	hops := []*server{startServer(t), startServer(t), startServer(t)}
	c := hops[2].config()
	var known bytes.Buffer
	for _, s := range hops {
		known.WriteString(readFile(t, s.known))
		c.IdentityFiles = append(c.IdentityFiles, s.identity)
	}
	c.KnownHosts = []string{filepath.Join(t.TempDir(), "known_hosts")}
	write(t, c.KnownHosts[0], known.String())
	c.ProxyJump = fmt.Sprintf("%s@127.0.0.1:%d,%s@127.0.0.1:%d", hops[0].user, hops[0].port, hops[1].user, hops[1].port)
	if err := open(t, c).Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, s := range hops {
		if !strings.Contains(s.log.String(), "Accepted publickey") {
			t.Errorf("hop %d was passed by", i)
		}
		only := strings.ReplaceAll(known.String(), fmt.Sprintf("[127.0.0.1]:%d ", s.port), "elsewhere ")
		write(t, c.KnownHosts[0], only)
		var refusal *ssh.HostKeyError
		c.Shared = nil
		if err := open(t, c).Connect(t.Context()); !errors.As(err, &refusal) || refusal.Host != s.addr {
			t.Errorf("the key of hop %d is unknown: got %v, want it refused", i, err)
		}
	}
}

// TestSSHConfig takes from a client configuration what is not said otherwise.
func TestSSHConfig(t *testing.T) {
	s, jump := startServer(t), startServer(t)
	dir := t.TempDir()
	known := filepath.Join(dir, "known")
	write(t, known, readFile(t, s.known)+readFile(t, jump.known))
	file := filepath.Join(dir, "config")
	write(t, file, fmt.Sprintf(`
Host demo
  HostName 127.0.0.1
  Port %d
  User %s
  ProxyJump way
Host way
  HostName 127.0.0.1
  Port %d
Host *
  User %s
  IdentityFile %s
  IdentityFile %s
  UserKnownHostsFile %s
Host command
  ProxyCommand nc %%h %%p
`, s.port, s.user, jump.port, jump.user, s.identity, jump.identity, known))
	if err := open(t, ssh.Config{Address: "demo", SSHConfig: file}).Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(jump.log.String(), "Accepted publickey") {
		t.Error("the jump host was passed by")
	}
	if _, err := ssh.Open(ssh.Config{Address: "command", SSHConfig: file}); err == nil || !strings.Contains(err.Error(), "ProxyCommand") {
		t.Errorf("ProxyCommand: got %v, want an error that names it", err)
	}
	if _, err := ssh.Open(ssh.Config{Address: "command", SSHConfig: file, Transport: "openssh"}); err != nil {
		t.Errorf("ProxyCommand with the system's ssh: %v", err)
	}
}

// TestNames refuses users and hosts that could mean something else.
func TestNames(t *testing.T) {
	for _, transport := range []string{"native", "openssh"} {
		for _, bad := range []string{"-oProxyCommand=x", "a b", "a;b", "$(id)", "a\nb", "`id`", "a/b", "a'b", "a@b"} {
			if _, err := ssh.Open(ssh.Config{Address: bad, User: "u", Transport: transport}); err == nil {
				t.Errorf("host %q was accepted", bad)
			}
			if _, err := ssh.Open(ssh.Config{Address: "h", User: bad, Transport: transport}); err == nil {
				t.Errorf("user %q was accepted", bad)
			}
			if _, err := ssh.Open(ssh.Config{Address: "h", User: "u", ProxyJump: bad + ":x", Transport: transport}); err == nil {
				t.Errorf("hop %q was accepted", bad)
			}
		}
		for _, good := range []string{"h", "demo-etcd-1.example.com", "10.240.0.1", "fe80::1", "_a"} {
			if _, err := ssh.Open(ssh.Config{Address: good, User: "core", Transport: transport}); err != nil {
				t.Errorf("host %q: %v", good, err)
			}
		}
	}
}
