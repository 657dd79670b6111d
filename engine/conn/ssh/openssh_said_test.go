package ssh_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// TestOpenSSHHostKeys holds that the system's ssh refuses a host's key in the same
// words as the native transport, with its fingerprint and where it belongs.
func TestOpenSSHHostKeys(t *testing.T) {
	program(t, "ssh")
	s := startServer(t)
	file := filepath.Join(s.dir, "host_ed25519")
	key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(publicKey(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	other := publicKey(t, newKey(t, filepath.Join(t.TempDir(), "other")))
	name := fmt.Sprintf("[127.0.0.1]:%d", s.port)
	for _, row := range []struct{ known, reason, says string }{
		{"# nothing\n", "unknown", "add its key to "},
		{name + " " + other + "\n", "changed", "known_hosts:1"},
		{name + " " + publicKey(t, file) + "\n@revoked " + name + " " + publicKey(t, file) + "\n", "revoked", "known_hosts"},
	} {
		c := s.config()
		c.Transport = "openssh"
		c.KnownHosts = []string{filepath.Join(t.TempDir(), "known_hosts")}
		write(t, c.KnownHosts[0], row.known)
		err := open(t, c).Connect(t.Context())
		var refusal *ssh.HostKeyError
		if !errors.As(err, &refusal) || !errors.Is(err, conn.ErrRefused) {
			t.Errorf("%s: got %v, want the key refused", row.reason, err)
			continue
		}
		if refusal.Reason != row.reason || refusal.Host != s.addr || refusal.Fingerprint != gossh.FingerprintSHA256(key) {
			t.Errorf("%s: got %+v", row.reason, refusal)
		}
		if !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), c.KnownHosts[0]) || strings.Contains(err.Error(), "debug1") {
			t.Errorf("%s: got %v, want it to say %q and the file", row.reason, err, row.says)
		}
	}

	// Other failures are told without the details.
	c := s.config()
	c.Transport, c.IdentityFiles = "openssh", []string{newKey(t, filepath.Join(t.TempDir(), "stranger"))}
	err = open(t, c).Connect(t.Context())
	if !errors.Is(err, conn.ErrRefused) || !strings.Contains(err.Error(), "Permission denied") || strings.Contains(err.Error(), "debug1") {
		t.Errorf("a stranger: got %v", err)
	}
}
