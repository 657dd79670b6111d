package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// secondWay is how long the way to a member through its own host may take before
// another one is tried beside it.
const secondWay = 400 * time.Millisecond

// Dial connects to an address of the cluster. A member is reached through the
// connection to its own host, also if it serves clients on the loopback address
// of that host only; and, lest a host whose sshd is ill looks like one whose
// etcd is, through another host that is connected. Where hosts are not reached
// by SSH the address is dialled from here.
func (h *hosts) Dial(ctx context.Context, addr string) (net.Conn, error) {
	own, found := h.owner(addr)
	switch {
	case found && own.Connection.Kind != "ssh", !found && !slices.ContainsFunc(h.specs, viaSSH):
		return direct(ctx, addr)
	case !found:
		if c := h.neighbour(""); c != nil {
			return c.Dial(ctx, addr)
		}
		return direct(ctx, addr)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		conn net.Conn
		err  error
	}
	first, second := make(chan end, 1), make(chan end, 1)
	go func() {
		c, err := h.through(ctx, own, addr)
		first <- end{c, h.heed(err)}
	}()
	wait := time.NewTimer(secondWay)
	defer wait.Stop()
	select {
	case e := <-first:
		if e.err == nil || !lost(e.err) || ctx.Err() != nil {
			return e.conn, e.err
		}
		first <- e
	case <-wait.C:
	}
	other := h.neighbour(own.Name)
	if other == nil {
		e := <-first
		return e.conn, e.err
	}
	go func() {
		c, err := other.Dial(ctx, addr)
		second <- end{c, err}
	}()
	drop := func(late chan end) {
		if e := <-late; e.conn != nil {
			e.conn.Close()
		}
	}
	select {
	case e := <-first:
		if e.err == nil {
			go drop(second)
			return e.conn, nil
		}
		if e := <-second; e.err == nil {
			return e.conn, nil
		}
		return nil, e.err
	case e := <-second:
		if e.err == nil {
			go drop(first)
			return e.conn, nil
		}
		e = <-first
		return e.conn, e.err
	}
}

func direct(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

func viaSSH(s engine.HostSpec) bool { return s.Connection.Kind == "ssh" }

// owner is the host that the address is of.
func (h *hosts) owner(addr string) (engine.HostSpec, bool) {
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return engine.HostSpec{}, false
	}
	for _, s := range h.specs {
		if s.Address == name {
			return s, true
		}
	}
	for _, s := range h.specs {
		for _, u := range s.Member.ClientURLs {
			if parsed, err := url.Parse(u); err == nil && parsed.Host == addr {
				return s, true
			}
		}
	}
	return engine.HostSpec{}, false
}

// through connects to an address of the host as seen from the host itself.
func (h *hosts) through(ctx context.Context, own engine.HostSpec, addr string) (net.Conn, error) {
	c, host, err := h.opened(ctx, own)
	if err != nil {
		return nil, err
	}
	if err := h.reach(ctx, c, addr); err != nil {
		return nil, err
	}
	to, err := host.Dial(ctx, addr)
	switch {
	case err == nil || ctx.Err() != nil:
		return to, err
	case lost(err):
		h.mu.Lock()
		c.reached = false
		h.mu.Unlock()
		return nil, err
	}
	_, port, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		return nil, err
	}
	if to, loopErr := host.Dial(ctx, net.JoinHostPort("127.0.0.1", port)); loopErr == nil {
		return to, nil
	}
	return nil, err // it is the address that was asked for
}

// lost reports whether err says that the host itself was not reached.
func lost(err error) bool {
	return errors.Is(err, conn.ErrUnreachable) || errors.Is(err, conn.ErrRefused)
}

// reach is nil once the host has been connected to. The attempt outlives those
// who wait for it, and there is one at a time: a look at the cluster is shorter
// than a slow login, and must neither break it off nor line up behind a dead host.
func (h *hosts) reach(ctx context.Context, c *connection, addr string) error {
	h.mu.Lock()
	if c.ready || c.reached {
		h.mu.Unlock()
		return nil
	}
	a := c.attempt
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		c.attempt = a
		go h.try(c, a, addr)
	}
	h.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempt is one to connect to a host.
type attempt struct {
	done chan struct{} // closed at its end
	err  error
}

// try connects to the host; whether the address is open there is another matter.
func (h *hosts) try(c *connection, a *attempt, addr string) {
	to, err := c.host.Dial(context.Background(), addr)
	if err == nil {
		to.Close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if lost(err) {
		a.err = err
	} else {
		c.reached = true
	}
	c.attempt = nil
	close(a.done)
}

// neighbour is a host that has been connected, and that is not this one; nil if
// there is none.
func (h *hosts) neighbour(not string) conn.Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.specs {
		if c := h.open[s.Name]; c != nil && s.Name != not && viaSSH(s) && (c.ready || c.reached) {
			return c.host
		}
	}
	return nil
}

// heed notices that a host's key was refused. Before anything may have been
// changed that ends the command: nothing is contacted any more.
func (h *hosts) heed(err error) error {
	var key *ssh.HostKeyError
	if !errors.As(err, &key) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.takes && h.refused == nil {
		h.refused = err
		if h.refuse != nil {
			h.refuse()
		}
	}
	return err
}

// Refused is why the command cannot go on: the key of a host was refused.
func (h *hosts) Refused() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused
}
