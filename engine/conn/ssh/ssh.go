// Package ssh reaches hosts over SSH. It knows host keys, logins, the way to a
// host through others, how commands, files and units of a host are looked at and
// changed with nothing there but sshd, a POSIX shell, coreutils, util-linux and
// systemd, and how the outcome of a change is told after the connection was
// lost. It must not know what the changes are for, nor where its settings were
// written.
package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// maxShells is how many shells one connection runs at the same time. sshd
// allows ten sessions; the others are for the bus and what else there is.
const maxShells = 6

// Host is a host over SSH. All its traffic goes through one connection, which
// is made when it is first needed and again when it was lost. Its methods may be
// called by many goroutines.
type Host struct {
	config    Config
	addr      string // host:port by which its key is known
	transport transport
	password  atomic.Bool   // sudo is known to ask for one
	prints    atomic.Bool   // the host's shell is known to print by itself
	epoch     atomic.Uint64 // of our turn; zero before the first Fence
	slots     chan struct{} // one for each shell in use

	mu     sync.Mutex
	idle   []*shell
	coming chan struct{} // closed when a shell that ends a turn is idle; nil if none does
	forget []string      // ledger entries whose end is known here
	untidy bool          // one of them holds what a program wrote
	closed bool

	bus bus
}

var (
	_ conn.Host   = (*Host)(nil)
	_ conn.Fencer = (*Host)(nil)
)

// Open checks c and returns the host, without connecting: a host that does not
// answer fails what is asked of it, with conn.ErrUnreachable. The caller closes it.
func Open(c Config) (*Host, error) {
	c, err := c.normal()
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", c.Name, err)
	}
	ways := c
	if c.Transport == "openssh" {
		ways.SSHConfig = "" // which ssh reads by itself, and understands better
	}
	hops, err := ways.hops()
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", c.Name, err)
	}
	h := &Host{config: c, addr: c.addr(), slots: make(chan struct{}, maxShells)}
	h.epoch.Store(c.Epoch)
	if c.Transport == "openssh" {
		h.transport = newOpenSSH(c)
	} else {
		h.addr = hops[len(hops)-1].addr()
		h.transport = newNative(c, hops)
	}
	return h, nil
}

// Dial is Open followed by Connect.
func Dial(ctx context.Context, c Config) (*Host, error) {
	h, err := Open(c)
	if err != nil {
		return nil, err
	}
	if err := h.Connect(ctx); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Connect makes the connection, proves host key, login and privileges, and
// changes nothing.
func (h *Host) Connect(ctx context.Context) error {
	_, err := h.ask(ctx, ":", 0)
	return err
}

// Name is the host's name in the inventory.
func (h *Host) Name() string { return h.config.Name }

// Addr is the host:port by which the host's key is known.
func (h *Host) Addr() string { return h.addr }

// Dial connects to an address as seen from the host.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := h.transport.dial(ctx, addr)
	return c, h.failed("dial", "", err)
}

// Close ends the connection. Changes under way on the host go on there.
func (h *Host) Close() error {
	h.mu.Lock()
	idle, forget := h.idle, h.forget
	h.idle, h.forget, h.closed = nil, nil, true
	h.mu.Unlock()
	h.bus.Close()
	if len(idle) > 0 && len(forget) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		// What stays in the ledger is a few bytes that the next boot removes.
		_, _ = idle[0].do(ctx, ":", forget, nil, 0)
	}
	for _, s := range idle {
		s.close()
	}
	return h.transport.close()
}

// ask carries out a script that changes nothing. If the connection is lost it
// is made again, once.
func (h *Host) ask(ctx context.Context, script string, keep int) (answer, error) {
	for attempt := 0; ; attempt++ {
		a, err := h.once(ctx, script, nil, keep)
		var drop *dropError
		if attempt > 0 || !errors.As(err, &drop) {
			return a, unreachable(err)
		}
	}
}

// unreachable tells a lost connection as what it is to a caller whom it cost
// nothing.
func unreachable(err error) error {
	var drop *dropError
	if errors.As(err, &drop) {
		return fmt.Errorf("%w: %w", conn.ErrUnreachable, err)
	}
	return err
}

// once carries out a script in a shell of its own for that time.
func (h *Host) once(ctx context.Context, script string, p *payload, keep int) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	s, err := h.takeShell(ctx)
	if err != nil {
		return answer{}, err
	}
	forget := h.forgettable()
	a, err := s.do(ctx, script, forget, p, keep)
	if err != nil || p != nil && a.status != 0 {
		// What is left of the payload would be read as the next script.
		s.close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil:
		h.forget, h.untidy = append(h.forget, forget...), true
		if drop := (*dropError)(nil); errors.As(err, &drop) {
			for _, s := range h.idle { // they went with the connection
				s.close()
			}
			h.idle = nil
		}
		return a, err
	case p != nil && a.status != 0 || h.closed:
		s.close()
	default:
		h.idle = append(h.idle, s)
	}
	return a, nil
}

// takeShell returns a shell that nobody uses.
func (h *Host) takeShell(ctx context.Context) (*shell, error) {
	s, coming, err := h.idleShell()
	if s == nil && coming != nil {
		late := time.NewTimer(500 * time.Millisecond)
		defer late.Stop()
		select {
		case <-coming: // sooner than another one is opened
		case <-late.C:
		case <-ctx.Done():
		}
		s, _, err = h.idleShell()
	}
	if s == nil && err == nil {
		if s, err = h.openShell(ctx); err == nil {
			h.prints.Store(s.word == "printf")
		}
	}
	return s, err
}

// forgettable takes the ledger entries that are to be removed with the next
// request: several at once, as that is a process on the host, but what a program
// wrote is not left there.
func (h *Host) forgettable() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.forget) < 8 && !h.untidy {
		return nil
	}
	n := min(len(h.forget), 64)
	forget := h.forget[:n:n]
	h.forget, h.untidy = h.forget[n:], len(h.forget) > n && h.untidy
	return forget
}

// idleShell returns a shell that nobody uses, nil if there is none; one may be
// coming.
func (h *Host) idleShell() (*shell, <-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, errors.New("the connection is closed")
	}
	last := len(h.idle) - 1
	if last < 0 {
		return nil, h.coming, nil
	}
	s := h.idle[last]
	h.idle = h.idle[:last]
	return s, nil, nil
}
