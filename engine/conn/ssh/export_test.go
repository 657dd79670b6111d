package ssh

import (
	"context"
	"io"
	"net"
	"sync/atomic"
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

// Traffic counts what goes to a host.
type Traffic struct {
	Shells, Sent atomic.Int64 // sessions that were opened, and pieces that were sent by them
}

// Watch counts what goes to h from now on.
func Watch(h *Host) *Traffic {
	w := &watched{transport: h.transport}
	h.transport = w
	return &w.Traffic
}

type watched struct {
	transport
	Traffic
}

func (w *watched) start(ctx context.Context, line string) (*stream, error) {
	w.Shells.Add(1)
	s, err := w.transport.start(ctx, line)
	if err == nil {
		s.in = &watchedIn{s.in, w}
	}
	return s, err
}

type watchedIn struct {
	io.WriteCloser
	w *watched
}

func (i *watchedIn) Write(p []byte) (int, error) {
	i.w.Sent.Add(1)
	return i.WriteCloser.Write(p)
}

// Turn is turn, for tests.
func Turn(ctx context.Context, h *Host) (release func(), err error) { return h.turn(ctx) }
