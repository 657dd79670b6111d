package ssh

import (
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Quote is quote, for tests.
func Quote(words ...string) string { return quote(words...) }

// CheckKnownHosts compares what the file says here with what x/crypto makes of
// it, where both understand it and it has no markers.
func CheckKnownHosts(t *testing.T, file, addr string, key ssh.PublicKey) {
	t.Helper()
	ring, err := readKeyring([]string{file})
	theirs, theirErr := knownhosts.New(file)
	if err != nil || theirErr != nil {
		return
	}
	for _, e := range ring.entries {
		if e.marker != "" {
			return
		}
	}
	ours := ring.check(addr, key)
	if other := theirs(addr, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22}, key); (ours == nil) != (other == nil) {
		t.Errorf("got %v, x/crypto says %v", ours, other)
	}
}
