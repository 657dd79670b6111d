package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// transport is a way to one host. Its methods may be called by many goroutines;
// each connects first if there is no connection (any more).
type transport interface {
	// start runs a command line by the login shell of the user.
	start(ctx context.Context, line string) (*stream, error)
	// dial connects to an address as seen from the host.
	dial(ctx context.Context, addr string) (net.Conn, error)
	close() error
}

// stream is a program that runs on the host, by its three ends.
type stream struct {
	in       io.WriteCloser
	out, err io.Reader
	close    func() error // may be called more than once, and while the ends are in use
}

// native is the transport of golang.org/x/crypto/ssh.
type native struct {
	config Config
	hops   []hop

	turn   chan struct{} // holds one token: the right to connect
	mu     sync.Mutex
	chain  []*ssh.Client // the last one is to the host; nil where there is no connection
	closed bool
}

func newNative(c Config, hops []hop) *native {
	n := &native{config: c, hops: hops, turn: make(chan struct{}, 1)}
	n.turn <- struct{}{}
	return n
}

// client returns the live connection, or makes one.
func (n *native) client(ctx context.Context) (*ssh.Client, error) {
	select {
	case <-n.turn:
		defer func() { n.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	chain, closed := n.chain, n.closed
	n.mu.Unlock()
	if closed {
		return nil, net.ErrClosed
	}
	if chain != nil {
		return chain[len(chain)-1], nil
	}
	chain, err := n.connect(ctx)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		hangUp(chain)
		return nil, net.ErrClosed
	}
	n.chain = chain
	client := chain[len(chain)-1]
	ended := make(chan struct{})
	go func() {
		_ = client.Wait() // why it ended is seen by those who were using it
		close(ended)
		n.forget(client)
	}()
	go n.keepAlive(client, ended)
	return client, nil
}

// forget drops the connection that ended, and the hops it came through.
func (n *native) forget(client *ssh.Client) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.chain) > 0 && n.chain[len(n.chain)-1] == client {
		hangUp(n.chain)
		n.chain = nil
	}
}

func hangUp(chain []*ssh.Client) {
	for _, c := range slices.Backward(chain) {
		c.Close() // it may be gone already
	}
}

// keepAlive closes the connection when the host has given no sign of life for
// three intervals.
func (n *native) keepAlive(client *ssh.Client, ended <-chan struct{}) {
	tick := time.NewTicker(n.config.Keepalive)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			// Any answer is one, also that the request is not known.
			_, _, _ = client.SendRequest("keepalive@openssh.com", true, nil)
		}()
		select {
		case <-ended:
			return
		case <-answered:
		case <-time.After(2 * n.config.Keepalive):
			client.Close()
			return
		}
	}
}

// connect makes the whole chain.
func (n *native) connect(ctx context.Context) (chain []*ssh.Client, err error) {
	defer func() {
		if err != nil {
			hangUp(chain)
		}
	}()
	for _, h := range n.hops {
		c, err := n.open(ctx, chain, h)
		if err != nil {
			return chain, err
		}
		client, err := n.handshake(ctx, c, h)
		if err != nil {
			c.Close()
			return chain, err
		}
		chain = append(chain, client)
	}
	return chain, nil
}

// open makes the TCP connection to h, through the hop before it if there is one.
func (n *native) open(ctx context.Context, chain []*ssh.Client, h hop) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, n.config.ConnectTimeout)
	defer cancel()
	var c net.Conn
	var err error
	if len(chain) == 0 {
		c, err = new(net.Dialer).DialContext(limited, "tcp", h.addr())
	} else {
		c, err = chain[len(chain)-1].DialContext(limited, "tcp", h.addr())
	}
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("%w: %s did not answer within %s", conn.ErrUnreachable, h.addr(), n.config.ConnectTimeout)
	}
	return nil, fmt.Errorf("%w: %w", conn.ErrUnreachable, err)
}

// handshake proves who h is, and to it who we are.
func (n *native) handshake(ctx context.Context, c net.Conn, h hop) (*ssh.Client, error) {
	guard := newHostGuard(&n.config, h)
	algorithms, err := guard.algorithms()
	if err != nil {
		return nil, err
	}
	auth, done, err := n.config.login(ctx, h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", conn.ErrRefused, err)
	}
	defer done()

	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	slow := time.AfterFunc(n.config.ConnectTimeout, func() { c.Close() })
	defer slow.Stop()
	var keyErr error
	known := false
	cc, channels, requests, err := ssh.NewClientConn(c, h.addr(), &ssh.ClientConfig{
		Config:            ssh.Config{MACs: []string{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"}},
		User:              h.user,
		Auth:              auth,
		HostKeyAlgorithms: algorithms,
		ClientVersion:     "SSH-2.0-etcdplay",
		HostKeyCallback: func(addr string, _ net.Addr, key ssh.PublicKey) error {
			if keyErr = guard.check(addr, key); keyErr == nil {
				known = true
				// What is left is the login, in which a person may have to type.
				slow.Reset(n.loginTime())
			}
			return keyErr
		},
		BannerCallback: ssh.BannerCallback(func(string) error { return nil }),
	})
	if err == nil {
		return ssh.NewClient(cc, channels, requests), nil
	}
	return nil, handshakeError(ctx, h, err, keyErr, known)
}

func (n *native) loginTime() time.Duration {
	if n.config.AskPassphrase != nil {
		return n.config.ConnectTimeout + 2*time.Minute
	}
	return n.config.ConnectTimeout
}

// handshakeError sorts what can go wrong before a connection stands.
func handshakeError(ctx context.Context, h hop, err, keyErr error, known bool) error {
	var negotiation *ssh.AlgorithmNegotiationError
	var network net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case keyErr != nil:
		return keyErr
	case errors.As(err, &negotiation):
		return fmt.Errorf("%w: %s has no key of the types that are known of it, or no strong algorithm: %s",
			conn.ErrRefused, h.addr(), strings.TrimPrefix(err.Error(), "ssh: handshake failed: ssh: "))
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return fmt.Errorf("%w: %s hung up, or did not answer in time: %w", conn.ErrUnreachable, h.addr(), err)
	case known:
		return fmt.Errorf("%w: %s did not let %s in: %w", conn.ErrRefused, h.addr(), h.user, err)
	}
	return fmt.Errorf("%w: %s: %w", conn.ErrUnreachable, h.addr(), err)
}

func (n *native) start(ctx context.Context, line string) (*stream, error) {
	client, err := n.client(ctx)
	if err != nil {
		return nil, err
	}
	session, err := await(ctx, client.NewSession)
	if err != nil {
		return nil, n.lost(ctx, err)
	}
	in, _ := session.StdinPipe() // these fail only when asked for twice
	out, _ := session.StdoutPipe()
	stderr, _ := session.StderrPipe()
	if _, err := await(ctx, func() (struct{}, error) { return struct{}{}, session.Start(line) }); err != nil {
		session.Close()
		return nil, n.lost(ctx, err)
	}
	return &stream{in: in, out: out, err: stderr, close: session.Close}, nil
}

// await runs f, which may block on a dead connection, and gives up with ctx.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ch := make(chan result, 1)
	go func() {
		v, err := f()
		ch <- result{v, err}
	}()
	select {
	case r := <-ch:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// lost says that a connection that stood could not be used any more.
func (n *native) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var open *ssh.OpenChannelError
	if errors.As(err, &open) {
		return fmt.Errorf("%w: %w", conn.ErrRefused, err)
	}
	return &dropError{err}
}

func (n *native) dial(ctx context.Context, addr string) (net.Conn, error) {
	for attempt := 0; ; attempt++ {
		client, err := n.client(ctx)
		if err != nil {
			return nil, err
		}
		c, err := client.DialContext(ctx, "tcp", addr)
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			return newDeadlineConn(c), nil
		case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
			return nil, fmt.Errorf("dial %s: the host's sshd does not forward connections (AllowTcpForwarding): %w", addr, err)
		case errors.As(err, &refused), ctx.Err() != nil, attempt > 0:
			return nil, fmt.Errorf("dial %s: %w", addr, err)
		}
		n.forget(client) // a connection that was idle may have ended unseen
	}
}

func (n *native) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	hangUp(n.chain)
	n.chain = nil
	return nil
}

// dropError says that the connection ended under an operation.
type dropError struct{ err error }

func (e *dropError) Error() string { return "the connection was lost: " + e.err.Error() }
func (e *dropError) Unwrap() error { return e.err }
