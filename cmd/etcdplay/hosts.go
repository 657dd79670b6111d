package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/local"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// hosts is the connections of one command, opened when they are first wanted
// and shared from then on.
type hosts struct {
	mu   sync.Mutex
	open map[string]*connection // by host name
}

// connection is one host's; its lock is held while it is being opened, so that
// two tasks do not open it twice and other hosts do not wait.
type connection struct {
	mu   sync.Mutex
	host conn.Host
}

// Host is the connection to spec, opened if there is none yet. A failure is not
// remembered: the host may be back at the next attempt.
func (h *hosts) Host(ctx context.Context, spec engine.HostSpec) (conn.Host, error) {
	h.mu.Lock()
	if h.open == nil {
		h.open = map[string]*connection{}
	}
	c := h.open[spec.Name]
	if c == nil {
		c = &connection{}
		h.open[spec.Name] = c
	}
	h.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.host != nil {
		return c.host, nil
	}
	host, err := dial(ctx, spec)
	if err != nil {
		return nil, err
	}
	c.host = host
	return host, nil
}

func dial(ctx context.Context, spec engine.HostSpec) (conn.Host, error) {
	switch spec.Connection.Kind {
	case "sandbox":
		return sandbox.Dial(ctx, spec.Connection.Dir, spec.Name)
	case "local":
		return local.Dial(spec.Name)
	}
	return nil, fmt.Errorf("host %s: %w: this etcdplay reaches hosts of kind sandbox and local, and not %q",
		spec.Name, conn.ErrUnsupported, spec.Connection.Kind)
}

// Close closes all connections.
func (h *hosts) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.open {
		if closer, ok := c.host.(io.Closer); ok {
			// What a task needed of the connection is done; there is nobody to tell.
			_ = closer.Close()
		}
	}
}

// dialCluster connects to an address of the cluster from this machine.
func dialCluster(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}
