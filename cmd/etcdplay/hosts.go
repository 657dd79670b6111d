package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/local"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// hosts is the connections of one command, opened when they are first wanted
// and shared from then on.
type hosts struct {
	specs []engine.HostSpec // of the inventory
	login login
	kept  engine.Kept // by tasks, over these connections

	mu      sync.Mutex
	open    map[string]*connection // by host name
	turns   []engine.Contact       // taken since they were last told
	told    int                    // how many host keys were
	takes   bool
	refused error
	refuse  func()
}

// connection is one host's. What it holds is written by whoever has its turn,
// so that two tasks do not open it twice and other hosts do not wait.
type connection struct {
	turn chan struct{} // holds one token
	host conn.Host
	ours bool // it was taken over

	// These belong to the lock of hosts.
	ready   bool     // its user was let in, with all its rights
	reached bool     // it connected
	attempt *attempt // under way to connect
}

// Host is the connection to spec, opened if there is none yet. A failure is not
// remembered: the host may be back at the next attempt.
func (h *hosts) Host(ctx context.Context, spec engine.HostSpec) (conn.Host, error) {
	host, err := h.connect(ctx, spec)
	return host, h.heed(err)
}

func (h *hosts) connect(ctx context.Context, spec engine.HostSpec) (conn.Host, error) {
	c, done, err := h.take(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer done()
	h.mu.Lock()
	ready, takes := c.ready, h.takes
	h.mu.Unlock()
	if s, ok := c.host.(*ssh.Host); ok && !ready {
		if err := s.Connect(ctx); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	c.ready = true
	h.mu.Unlock()
	if f, ok := c.host.(conn.Fencer); ok && takes && !c.ours {
		epoch, err := f.Fence(ctx)
		if err != nil {
			return nil, err
		}
		c.ours = true
		h.mu.Lock()
		h.turns = append(h.turns, engine.Contact{Host: spec.Name, Epoch: epoch})
		h.mu.Unlock()
	}
	return c.host, nil
}

// Prepare begins to connect to spec, and to its systemd if units is set, and to take
// it over in a run, so that what is asked of the host later need not wait. Whatever
// comes of it is told then; only a host key that is refused ends the command, here as there.
func (h *hosts) Prepare(ctx context.Context, spec engine.HostSpec, units bool) {
	if !viaSSH(spec) {
		return
	}
	go func() {
		c, done, err := h.take(ctx, spec)
		if err != nil {
			return
		}
		s, ok := c.host.(*ssh.Host)
		done()
		if ok && units {
			go func() { _ = h.heed(s.OpenBus(ctx)) }()
		}
		h.mu.Lock()
		takes := h.takes
		h.mu.Unlock()
		if takes {
			// A change that is under way there is waited for by the task that wants the host.
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, early)
			defer cancel()
		}
		_, _ = h.Host(ctx, spec)
	}()
}

// early is for how long a host may be taken over before a task wants it.
const early = 3 * time.Second

// take has the connection to spec to itself until done is called. It need not
// be connected yet.
func (h *hosts) take(ctx context.Context, spec engine.HostSpec) (c *connection, done func(), err error) {
	h.mu.Lock()
	if h.open == nil {
		h.open = map[string]*connection{}
	}
	c = h.open[spec.Name]
	if c == nil {
		c = &connection{turn: make(chan struct{}, 1)}
		c.turn <- struct{}{}
		h.open[spec.Name] = c
	}
	refused := h.refused
	h.mu.Unlock()
	if refused != nil {
		return nil, nil, refused
	}
	select {
	case <-c.turn:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	done = func() { c.turn <- struct{}{} }
	if c.host == nil {
		host, err := h.dial(ctx, spec)
		if err != nil {
			done()
			return nil, nil, err
		}
		h.mu.Lock()
		c.host = host
		h.mu.Unlock()
	}
	return c, done, nil
}

// opened is the connection to spec for somebody who does not mind what else is
// begun over it: a look at a member does not wait until a task's shell is there.
func (h *hosts) opened(ctx context.Context, spec engine.HostSpec) (*connection, conn.Host, error) {
	h.mu.Lock()
	if c := h.open[spec.Name]; c != nil && c.host != nil && h.refused == nil {
		defer h.mu.Unlock()
		return c, c.host, nil
	}
	h.mu.Unlock()
	c, done, err := h.take(ctx, spec)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	return c, c.host, nil
}

func (h *hosts) dial(ctx context.Context, spec engine.HostSpec) (conn.Host, error) {
	switch spec.Connection.Kind {
	case "sandbox":
		return sandbox.Dial(ctx, spec.Connection.Dir, spec.Name)
	case "local":
		return local.Dial(spec.Name)
	case "ssh":
		return ssh.Open(h.login.config(spec))
	}
	return nil, fmt.Errorf("host %s: %w: there is no connection of the kind %q",
		spec.Name, conn.ErrUnsupported, spec.Connection.Kind)
}

// Contacts is what was learnt of machines since it was called last: their host
// keys, and the turns that were taken to change them.
func (h *hosts) Contacts() []engine.Contact {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []engine.Contact
	if h.login.shared != nil {
		keys := h.login.shared.HostKeys(h.told)
		h.told += len(keys)
		for _, k := range keys {
			all = append(all, engine.Contact{Host: h.nameOf(k.Addr), Address: k.Addr, Key: k.Key})
		}
	}
	all = append(all, h.turns...)
	h.turns = nil
	return all
}

// nameOf is the host whose key is known by the address, "" if it is only on the
// way to others.
func (h *hosts) nameOf(addr string) string {
	for name, c := range h.open {
		if s, ok := c.host.(*ssh.Host); ok && s.Addr() == addr {
			return name
		}
	}
	return ""
}

// expect lets no host show another key than a run saw earlier.
func (h *hosts) expect(contacts []engine.Contact) {
	var keys []ssh.HostKey
	for _, c := range contacts {
		if c.Key != "" {
			keys = append(keys, ssh.HostKey{Addr: c.Address, Key: c.Key})
		}
	}
	h.login.shared.Expect(keys)
}

// takeOver says that from now on hosts may be changed: each is taken over
// before it is handed out, so that an engine whose turn it was cannot change it
// any more.
func (h *hosts) takeOver() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takes = true
}

// Close closes all connections.
func (h *hosts) Close() {
	h.kept.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range h.open {
		if closer, ok := c.host.(io.Closer); ok {
			// What a task needed of the connection is done; there is nobody to tell.
			all.Go(func() { _ = closer.Close() })
		}
	}
	all.Wait()
}
