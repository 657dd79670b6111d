// Package sandbox knows how to make hosts out of folders and genuine processes
// on this machine, with nothing but the rights of the user who asks: loopback
// addresses, a supervisor in place of systemd, etcd run from the engine's own
// binary. It must not know playbooks, nor what is done to its hosts.
//
// A host's paths are below its root directory, and its programs are looked up
// there first, but a program that runs there sees the whole machine: only its
// working directory and SANDBOX_ROOT say where its root is.
package sandbox

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/internal/files"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/supervisor"
)

// host is one host of a sandbox, seen from the engine. It holds no connection:
// what may not be done while the host is off, the supervisor is asked for each time.
type host struct {
	dir  string // of the sandbox
	name string
	root *files.Root
}

// Dial opens the host called name of the sandbox in dir. A sandbox without
// supervisor, or a host that is switched off, is an error wrapping
// conn.ErrUnreachable. The host needs no closing.
func Dial(ctx context.Context, dir, name string) (conn.Host, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	h := &host{dir: dir, name: name}
	if err := h.up(ctx); err != nil {
		return nil, err
	}
	if h.root, err = files.Open(filepath.Join(dir, supervisor.HostsDir, name)); err != nil {
		return nil, err
	}
	h.root.OwnOnly = true
	return h, nil
}

func (h *host) Name() string { return h.name }

// call asks the supervisor about this host.
func (h *host) call(ctx context.Context, req supervisor.Request) (supervisor.Reply, error) {
	req.Host = h.name
	reply, err := supervisor.Call(ctx, h.dir, req)
	if err != nil {
		return reply, fmt.Errorf("host %s: %w", h.name, err)
	}
	return reply, nil
}

// up is nil if the host is switched on.
func (h *host) up(ctx context.Context) error {
	_, err := h.call(ctx, supervisor.Request{Op: supervisor.Up})
	return err
}

func (h *host) ReadFile(ctx context.Context, path string) ([]byte, error) {
	if err := h.up(ctx); err != nil {
		return nil, err
	}
	return h.root.ReadFile(ctx, path, conn.MaxFile)
}

func (h *host) Stat(ctx context.Context, path string) (conn.Info, error) {
	if err := h.up(ctx); err != nil {
		return conn.Info{}, err
	}
	return h.root.Stat(ctx, path)
}

func (h *host) ReadDir(ctx context.Context, path string) ([]conn.Info, error) {
	if err := h.up(ctx); err != nil {
		return nil, err
	}
	return h.root.ReadDir(ctx, path)
}

func (h *host) FreeBytes(ctx context.Context, path string) (uint64, error) {
	if err := h.up(ctx); err != nil {
		return 0, err
	}
	return h.root.FreeBytes(ctx, path)
}

func (h *host) WriteFile(ctx context.Context, path string, f conn.File) error {
	if err := h.up(ctx); err != nil {
		return err
	}
	return h.root.WriteFile(ctx, path, f)
}

func (h *host) Mkdir(ctx context.Context, path string, a conn.Attr) error {
	if err := h.up(ctx); err != nil {
		return err
	}
	return h.root.Mkdir(ctx, path, a)
}

func (h *host) SetAttr(ctx context.Context, path string, a conn.Attr, recursive bool) error {
	if err := h.up(ctx); err != nil {
		return err
	}
	return h.root.SetAttr(ctx, path, a, recursive)
}

func (h *host) Rename(ctx context.Context, from, to string) error {
	if err := h.up(ctx); err != nil {
		return err
	}
	return h.root.Rename(ctx, from, to)
}

func (h *host) Remove(ctx context.Context, path string, recursive bool) error {
	if err := h.up(ctx); err != nil {
		return err
	}
	return h.root.Remove(ctx, path, recursive)
}

// Query is Run: nothing here could hold a program to its word.
func (h *host) Query(ctx context.Context, c conn.Command) (conn.Result, error) { return h.Run(ctx, c) }

func (h *host) Run(ctx context.Context, c conn.Command) (conn.Result, error) {
	if len(c.Argv) == 0 {
		return conn.Result{}, fmt.Errorf("host %s: the command is empty", h.name)
	}
	wire := supervisor.Command{Env: map[string][]byte{}, Dir: c.Dir, Stdin: c.Stdin}
	for _, a := range c.Argv {
		wire.Argv = append(wire.Argv, []byte(a))
	}
	for k, v := range c.Env {
		wire.Env[k] = []byte(v)
	}
	reply, err := h.call(ctx, supervisor.Request{Op: supervisor.Run, Command: &wire})
	if err != nil {
		return conn.Result{}, err
	}
	return *reply.Result, nil
}

// Dial connects from this process: the hosts of a sandbox share its network.
func (h *host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if err := h.up(ctx); err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

func (h *host) Unit(ctx context.Context, name string) (conn.Unit, error) {
	reply, err := h.call(ctx, supervisor.Request{Op: supervisor.Unit, Unit: name})
	if err != nil {
		return conn.Unit{}, err
	}
	return *reply.Unit, nil
}

func (h *host) Journal(ctx context.Context, q conn.JournalQuery) ([]conn.JournalEntry, error) {
	reply, err := h.call(ctx, supervisor.Request{Op: supervisor.Journal, Journal: &q})
	return reply.Journal, err
}

func (h *host) Units() conn.Units { return units{h} }

type units struct{ h *host }

func (u units) Start(ctx context.Context, unit string, wait bool) error {
	_, err := u.h.call(ctx, supervisor.Request{Op: supervisor.Start, Unit: unit, Wait: wait})
	return err
}

func (u units) Stop(ctx context.Context, unit string) error {
	_, err := u.h.call(ctx, supervisor.Request{Op: supervisor.Stop, Unit: unit})
	return err
}

func (u units) Restart(ctx context.Context, unit string, wait bool) error {
	_, err := u.h.call(ctx, supervisor.Request{Op: supervisor.Restart, Unit: unit, Wait: wait})
	return err
}

func (u units) Reload(ctx context.Context) error {
	_, err := u.h.call(ctx, supervisor.Request{Op: supervisor.Reload})
	return err
}

func (u units) Mask(ctx context.Context, unit string, runtime bool) error {
	_, err := u.h.call(ctx, supervisor.Request{Op: supervisor.Mask, Unit: unit, Runtime: runtime})
	return err
}

func (u units) Unmask(ctx context.Context, unit string, runtime bool) error {
	_, err := u.h.call(ctx, supervisor.Request{Op: supervisor.Unmask, Unit: unit, Runtime: runtime})
	return err
}

// Supervise is the supervisor process of the sandbox in dir, an absolute path:
// what `etcdplay sandbox supervise DIR` runs. It returns when ctx ends, when
// the sandbox is taken down or its folder is gone.
func Supervise(ctx context.Context, dir string) error { return supervisor.Supervise(ctx, dir) }
