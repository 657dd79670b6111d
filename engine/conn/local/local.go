// Package local knows how to be a connection to the machine that the engine
// itself runs on, with the rights of the user who runs it. It must not know
// what a playbook does with it.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
	"github.com/coreos/go-systemd/v22/util"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/internal/files"
	"github.com/etcdplay/etcdplay/engine/conn/internal/program"
	"github.com/etcdplay/etcdplay/engine/conn/internal/systemd"
)

// host is this machine. Its file operations are those of files.Root.
type host struct {
	*files.Root
	name string
	bus  systemd.Bus
}

// Dial opens this machine as the host called name. There is no other user to
// become: everything is done as the one who runs etcdplay. The host needs no
// closing.
func Dial(name string) (conn.Host, error) {
	root, err := files.Open("/")
	if err != nil {
		return nil, err
	}
	return &host{Root: root, name: name, bus: systemd.Bus{Dial: dial}}, nil
}

// errNoSystemd is what all that concerns units says where systemd is not PID 1.
var errNoSystemd = fmt.Errorf("%w: systemd does not run on this machine", conn.ErrUnsupported)

func dial(ctx context.Context) (*dbus.Conn, error) {
	if !util.IsRunningSystemd() {
		return nil, errNoSystemd
	}
	c, err := dbus.NewWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to systemd: %w", conn.ErrUnreachable, err)
	}
	return c, nil
}

func (h *host) Name() string { return h.name }

func (h *host) ReadFile(ctx context.Context, path string) ([]byte, error) {
	return h.Root.ReadFile(ctx, path, conn.MaxFile)
}

// Query is Run: nothing here could hold a program to its word.
func (h *host) Query(ctx context.Context, c conn.Command) (conn.Result, error) { return h.Run(ctx, c) }

func (h *host) Run(ctx context.Context, c conn.Command) (conn.Result, error) {
	if len(c.Argv) == 0 {
		return conn.Result{}, errors.New("the command is empty")
	}
	path, err := lookup(c.Argv[0])
	if err != nil {
		return conn.Result{}, err
	}
	dir := c.Dir
	if dir == "" {
		dir = "/"
	}
	return program.Run(ctx, program.Start{
		Path: path, Argv: c.Argv, Env: program.Env(c.Env), Dir: dir, Stdin: c.Stdin,
	})
}

// lookup finds a program on the fixed search path that commands get.
func lookup(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(program.Path) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return p, nil
		}
	}
	return "", &fs.PathError{Op: "exec", Path: name, Err: fs.ErrNotExist}
}

func (h *host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

func (h *host) Unit(ctx context.Context, name string) (conn.Unit, error) {
	return h.bus.Unit(ctx, name)
}

func (h *host) Units() conn.Units { return &h.bus }

func (h *host) Journal(ctx context.Context, q conn.JournalQuery) ([]conn.JournalEntry, error) {
	if !util.IsRunningSystemd() {
		return nil, errNoSystemd
	}
	result, err := h.Query(ctx, systemd.Journalctl(q))
	if err != nil {
		return nil, err
	}
	return systemd.ParseJournal(q, result)
}
