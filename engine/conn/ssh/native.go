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
	"sync/atomic"
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
	now    *chain // nil where there is no connection
	closed bool
}

// liveConn takes note of when something was last heard from the other end.
type liveConn struct {
	net.Conn
	began time.Time
	heard atomic.Int64 // since it began
}

func (l *liveConn) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.heard.Store(int64(time.Since(l.began)))
	}
	return n, err
}

// silence is how long nothing was heard.
func (l *liveConn) silence() time.Duration {
	return time.Since(l.began) - time.Duration(l.heard.Load())
}

// chain is a connection to the host and those to the hops before it.
type chain struct {
	clients []*ssh.Client // the last one is to the host
	wire    *liveConn     // that the last one runs over
	ended   chan struct{} // closed when that one has ended
}

func (c *chain) client() *ssh.Client { return c.clients[len(c.clients)-1] }

func newNative(c Config, hops []hop) *native {
	n := &native{config: c, hops: hops, turn: make(chan struct{}, 1)}
	n.turn <- struct{}{}
	return n
}

// chain returns the live connection, or makes one.
func (n *native) chain(ctx context.Context) (*chain, error) {
	select {
	case <-n.turn:
		defer func() { n.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	now, closed := n.now, n.closed
	n.mu.Unlock()
	if closed {
		return nil, net.ErrClosed
	}
	if now != nil {
		return now, nil
	}
	clients, wire, err := n.connect(ctx)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		hangUp(clients)
		return nil, net.ErrClosed
	}
	c := &chain{clients: clients, wire: wire, ended: make(chan struct{})}
	n.now = c
	go func() {
		_ = c.client().Wait() // why it ended is seen by those who were using it
		close(c.ended)
		n.forget(c)
	}()
	go n.keepAlive(c)
	return c, nil
}

// forget drops the connection that ended, and the hops it came through.
func (n *native) forget(c *chain) {
	hangUp(c.clients)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == c {
		n.now = nil
	}
}

func hangUp(clients []*ssh.Client) {
	for _, c := range slices.Backward(clients) {
		c.Close() // it may be gone already
	}
}

// keepAlive closes the connection when the host has given no sign of life for
// three intervals. A slow one gives signs of life: an answer may have to wait
// behind an upload, but what is received is confirmed.
func (n *native) keepAlive(c *chain) {
	tick := time.NewTicker(n.config.Keepalive)
	defer tick.Stop()
	asked := make(chan struct{}, 1) // holds a token while an answer is missing
	for {
		select {
		case <-c.ended:
			return
		case <-tick.C:
		}
		switch silence := c.wire.silence(); {
		case silence > 3*n.config.Keepalive:
			c.client().Close()
			return
		case silence < n.config.Keepalive:
			continue
		}
		select {
		case asked <- struct{}{}:
			go func() {
				// Any answer is one, also that the request is not known.
				_, _, _ = c.client().SendRequest("keepalive@openssh.com", true, nil)
				<-asked
			}()
		default:
		}
	}
}

// connect makes the connections to all hops and to the host.
func (n *native) connect(ctx context.Context) (clients []*ssh.Client, wire *liveConn, err error) {
	defer func() {
		if err != nil {
			hangUp(clients)
		}
	}()
	for _, h := range n.hops {
		c, err := n.open(ctx, clients, h)
		if err != nil {
			return clients, nil, err
		}
		wire = &liveConn{Conn: c, began: time.Now()}
		client, err := n.handshake(ctx, wire, h)
		if err != nil {
			c.Close()
			return clients, nil, err
		}
		clients = append(clients, client)
	}
	return clients, wire, nil
}

// open makes the TCP connection to h, through the hop before it if there is one.
func (n *native) open(ctx context.Context, before []*ssh.Client, h hop) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, n.config.ConnectTimeout)
	defer cancel()
	var c net.Conn
	var err error
	if len(before) == 0 {
		c, err = new(net.Dialer).DialContext(limited, "tcp", h.addr())
	} else {
		c, err = before[len(before)-1].DialContext(limited, "tcp", h.addr())
	}
	switch {
	case err == nil:
		return quickly(c), nil
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
	for attempt := 0; ; attempt++ {
		c, err := n.chain(ctx)
		if err != nil {
			return nil, err
		}
		s, err := startOn(ctx, c, line)
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			return s, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &refused):
			return nil, fmt.Errorf("%w: %w", conn.ErrRefused, err)
		}
		n.forget(c) // a connection that was idle may have ended unseen
		if attempt > 0 {
			return nil, &dropError{err}
		}
	}
}

func startOn(ctx context.Context, c *chain, line string) (*stream, error) {
	session, err := await(ctx, c.ended, c.client().NewSession)
	if err != nil {
		return nil, err
	}
	in, _ := session.StdinPipe() // these fail only when asked for twice
	out, _ := session.StdoutPipe()
	stderr, _ := session.StderrPipe()
	if _, err := await(ctx, c.ended, func() (struct{}, error) { return struct{}{}, session.Start(line) }); err != nil {
		session.Close()
		return nil, err
	}
	return &stream{in: in, out: out, err: stderr, close: session.Close}, nil
}

// await runs f, and gives up with ctx or when the connection has ended: a
// request that is sent in that moment is never answered.
func await[T any](ctx context.Context, ended <-chan struct{}, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ch := make(chan result, 1)
	go func() {
		v, err := f()
		ch <- result{v, err}
	}()
	var zero T
	select {
	case r := <-ch:
		return r.value, r.err
	case <-ended:
		return zero, io.ErrUnexpectedEOF
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

func (n *native) dial(ctx context.Context, addr string) (net.Conn, error) {
	for attempt := 0; ; attempt++ {
		c, err := n.chain(ctx)
		if err != nil {
			return nil, err
		}
		to, err := await(ctx, c.ended, func() (net.Conn, error) { return c.client().DialContext(ctx, "tcp", addr) })
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			return newDeadlineConn(to), nil
		case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
			return nil, fmt.Errorf("%s: the host's sshd does not forward connections (AllowTcpForwarding): %w", addr, err)
		case errors.As(err, &refused), ctx.Err() != nil:
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		n.forget(c) // a connection that was idle may have ended unseen
		if attempt > 0 {
			return nil, fmt.Errorf("%w: %s: %w", conn.ErrUnreachable, addr, err)
		}
	}
}

func (n *native) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if n.now != nil {
		hangUp(n.now.clients)
		n.now = nil
	}
	return nil
}

// dropError says that the connection ended under an operation.
type dropError struct{ err error }

func (e *dropError) Error() string { return "the connection was lost: " + e.err.Error() }
func (e *dropError) Unwrap() error { return e.err }
