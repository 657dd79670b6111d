package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// connect connects with these lines as all that is known.
func connect(t *testing.T, s *server, known string) error {
	t.Helper()
	c := s.config()
	c.KnownHosts = []string{filepath.Join(t.TempDir(), "known_hosts")}
	write(t, c.KnownHosts[0], known)
	return open(t, c).Connect(t.Context())
}

// TestKnownKeyTypes knows every choice of the server's three keys: whatever key
// the server likes best, an honest host must not look like a changed one.
func TestKnownKeyTypes(t *testing.T) {
	s := startServer(t)
	for choice := 1; choice < 1<<len(keyTypes); choice++ {
		var lines, kinds []string
		for i, kind := range keyTypes {
			if choice&(1<<i) != 0 {
				lines = append(lines, fmt.Sprintf("[127.0.0.1]:%d %s\n", s.port, publicKey(t, filepath.Join(s.dir, "host_"+kind))))
				kinds = append(kinds, kind)
			}
		}
		if err := connect(t, s, strings.Join(lines, "")); err != nil {
			t.Errorf("known are the keys %v: %v", kinds, err)
		}
	}
}

// TestKnownHosts is the table of what a known_hosts file can say of a host.
func TestKnownHosts(t *testing.T) {
	s := startServer(t)
	name := fmt.Sprintf("[127.0.0.1]:%d", s.port)
	key := func(kind string) string { return publicKey(t, filepath.Join(s.dir, "host_"+kind)) }
	other := publicKey(t, newKey(t, filepath.Join(t.TempDir(), "other")))
	good := name + " " + key("ed25519") + "\n"
	for _, row := range []struct {
		what, known string
		reason      string // of the refusal; "" where there is none
		says        string // also in the message
	}{
		{"the key", good, "", ""},
		{"the key by a hashed name", knownhosts.HashHostname(name) + " " + key("ed25519") + "\n", "", ""},
		{"the key by a pattern", "[127.0.0.*]:* " + key("ed25519") + "\n", "", ""},
		{"nothing", "", "unknown", "SHA256:"},
		{"a missing file's worth", "# nothing\n\n", "unknown", "known_hosts"},
		{"the key of the usual port", "127.0.0.1 " + key("ed25519") + "\n", "unknown", ""},
		{"the host excepted from a pattern", "*,!" + name + " " + key("ed25519") + "\n", "unknown", ""},
		{"another key", name + " " + other + "\n", "changed", "known_hosts:1"},
		{"another key and the key", name + " " + other + "\n" + good, "", ""},
		{"the key, revoked", good + "@revoked " + name + " " + key("ed25519") + "\n", "revoked", "known_hosts:2"},
		{"the key, revoked for another host", good + "@revoked elsewhere " + key("ed25519") + "\n", "", ""},
		{"the key as that of an authority", "@cert-authority " + name + " " + key("ed25519") + "\n", "unknown", ""},
		{"a key type that nobody knows", name + " ssh-new AAAAB3NzaC1uZXc=\n" + good, "", ""},
	} {
		err := connect(t, s, row.known)
		var refusal *ssh.HostKeyError
		switch {
		case row.reason == "" && err != nil:
			t.Errorf("known is %s: %v", row.what, err)
		case row.reason != "" && (!errors.As(err, &refusal) || refusal.Reason != row.reason || !errors.Is(err, conn.ErrRefused)):
			t.Errorf("known is %s: got %v, want it refused as %s", row.what, err, row.reason)
		case !strings.Contains(fmt.Sprint(err), row.says):
			t.Errorf("known is %s: got %v, want it to say %q", row.what, err, row.says)
		}
	}
	for what, line := range map[string]string{
		"no key":                  name + "\n",
		"a key that is no base64": name + " ssh-ed25519 ???\n",
		"another type than said":  name + " ssh-rsa " + strings.Fields(key("ed25519"))[1] + "\n",
		"an unknown marker":       "@trusted " + good,
		"a damaged hash":          "|1|x " + key("ed25519") + "\n",
	} {
		err := connect(t, s, good+line)
		if !errors.Is(err, conn.ErrRefused) || !strings.Contains(err.Error(), "known_hosts:2: ") {
			t.Errorf("a line with %s: got %v, want an error with file and line", what, err)
		}
	}
}

// TestHostCertificates is the table of what an authority can say of a host.
func TestHostCertificates(t *testing.T) {
	dir := t.TempDir()
	authority := newKey(t, filepath.Join(dir, "ca"))
	stranger := newKey(t, filepath.Join(dir, "stranger"))
	keygen := program(t, "ssh-keygen")
	serve := func(ca string, args ...string) *server {
		host := newKey(t, filepath.Join(t.TempDir(), "host"))
		args = append([]string{"-q", "-s", ca, "-I", "test", "-h"}, args...)
		if out, err := exec.Command(keygen, append(args, host+".pub")...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		return startServer(t, "HostKey "+host, "HostCertificate "+host+"-cert.pub", "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519")
	}
	ca := publicKey(t, authority)
	for _, row := range []struct {
		what   string
		s      *server
		known  string // %s is the host
		reason string
	}{
		{"a good certificate", serve(authority, "-n", "127.0.0.1"), "@cert-authority %s " + ca, ""},
		{"an authority for another host", serve(authority, "-n", "127.0.0.1"), "@cert-authority elsewhere " + ca, "unknown"},
		{"another principal", serve(authority, "-n", "elsewhere"), "@cert-authority %s " + ca, "certificate"},
		{"an expired one", serve(authority, "-n", "127.0.0.1", "-V", "20200101:20200102"), "@cert-authority %s " + ca, "certificate"},
		{"another authority", serve(stranger, "-n", "127.0.0.1"), "@cert-authority %s " + ca, "certificate"},
		{"a revoked authority", serve(authority, "-n", "127.0.0.1"), "@cert-authority %[1]s " + ca + "\n@revoked %[1]s " + ca, "revoked"},
	} {
		err := connect(t, row.s, strings.NewReplacer("%[1]s", fmt.Sprintf("[127.0.0.1]:%d", row.s.port), "%s", fmt.Sprintf("[127.0.0.1]:%d", row.s.port)).Replace(row.known)+"\n")
		var refusal *ssh.HostKeyError
		if row.reason == "" && err != nil || row.reason != "" && (!errors.As(err, &refusal) || refusal.Reason != row.reason) {
			t.Errorf("%s: got %v, want %q", row.what, err, row.reason)
		}
	}
}

// TestPinned changes the host's key under a connection, and what is known of it.
func TestPinned(t *testing.T) {
	first, second := startServer(t), startServer(t)
	p := startProxy(t, first.addr)
	c := first.config()
	c.Port, c.HostKeyPolicy, c.AcceptedKeys = p.port, "accept-new", filepath.Join(t.TempDir(), "ours", "accepted")
	c.IdentityFiles = append(c.IdentityFiles, second.identity)
	c.Shared = new(ssh.Shared)
	h := open(t, c)
	if err := h.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted, err := os.ReadFile(c.AcceptedKeys)
	if err != nil || !strings.Contains(string(accepted), fmt.Sprintf("[127.0.0.1]:%d ssh-ed25519 ", p.port)) {
		t.Errorf("accepted keys: got %q, %v", accepted, err)
	}
	if got := c.Shared.HostKeys(0); len(got) != 1 || got[0].Addr != h.Addr() || !strings.HasPrefix(got[0].Key, "ssh-ed25519 SHA256:") {
		t.Errorf("host keys: got %q", got)
	}
	p.mu.Lock()
	p.target = second.addr
	p.mu.Unlock()
	p.cut()
	write(t, c.AcceptedKeys, strings.ReplaceAll(readFile(t, second.known), fmt.Sprint(second.port), fmt.Sprint(p.port)))
	var refusal *ssh.HostKeyError
	if err := h.Connect(t.Context()); !errors.As(err, &refusal) || refusal.Reason != "changed" {
		t.Errorf("another key under the same connection: got %v, want it refused", err)
	}
	again := c
	again.Shared = nil
	write(t, c.AcceptedKeys, string(accepted))
	if err := open(t, again).Connect(t.Context()); !errors.Is(err, conn.ErrRefused) {
		t.Errorf("another key than the one accepted by an earlier run: got %v, want it refused", err)
	}
	again.HostKeyPolicy = "strict"
	if err := open(t, again).Connect(t.Context()); !errors.Is(err, conn.ErrRefused) {
		t.Errorf("the same, strict: got %v, want it refused", err)
	}
}

// TestExpected holds a host to the key that an earlier process saw, also where
// known_hosts says another by now, or more.
func TestExpected(t *testing.T) {
	for _, transport := range []string{"native", "openssh"} {
		t.Run(transport, func(t *testing.T) {
			s := startServer(t)
			c := s.config()
			c.Transport, c.Shared = transport, new(ssh.Shared)
			if transport == "openssh" {
				program(t, "ssh")
			}
			for _, kind := range keyTypes {
				known := filepath.Join(t.TempDir(), "known_hosts")
				write(t, known, fmt.Sprintf("[127.0.0.1]:%d %s\n", s.port, publicKey(t, filepath.Join(s.dir, "host_"+kind))))
				first := c
				first.KnownHosts, first.Shared = []string{known}, new(ssh.Shared)
				h := open(t, first)
				if err := h.Connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				seen := first.Shared.HostKeys(0)
				if len(seen) != 1 || seen[0].Addr != h.Addr() || len(first.Shared.HostKeys(1)) != 0 {
					t.Fatalf("host keys: got %v, want one of %s", seen, h.Addr())
				}
				c.Shared = new(ssh.Shared)
				c.Shared.Expect(seen)
				if err := open(t, c).Connect(t.Context()); err != nil {
					t.Errorf("the %s key was seen, and known_hosts has all: %v", kind, err)
				}
				c.Shared = new(ssh.Shared)
				c.Shared.Expect([]ssh.HostKey{{Addr: h.Addr(), Key: "ssh-ed25519 SHA256:another"}})
				var refusal *ssh.HostKeyError
				err := open(t, c).Connect(t.Context())
				if !errors.As(err, &refusal) || refusal.Reason != "changed" || !errors.Is(err, conn.ErrRefused) || !strings.Contains(err.Error(), "the record of this run (ssh-ed25519 SHA256:another)") {
					t.Errorf("another key was seen: got %v, want it refused", err)
				}
				if got := c.Shared.HostKeys(0); len(got) != 0 {
					t.Errorf("another key was seen: %v is noted", got)
				}
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// FuzzKnownHosts gives arbitrary text to the parser; what x/crypto accepts as a
// plain entry of a host is accepted here, too.
func FuzzKnownHosts(f *testing.F) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	key, err := gossh.NewPublicKey(public)
	if err != nil {
		f.Fatal(err)
	}
	blob := base64.StdEncoding.EncodeToString(key.Marshal())
	f.Add("host ssh-ed25519 " + blob)
	f.Add("@revoked *,!a ssh-ed25519 " + blob + " comment")
	f.Add(knownhosts.HashHostname("host") + " ssh-ed25519 " + blob)
	f.Add("@cert-authority [host]:22 ssh-rsa AAAA\n#\n\n|1|a|b x y")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(dir, "known_hosts")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ssh.CheckKnownHosts(t, file, "host:22", key)
	})
}
