package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/supervisor"
)

// Sandbox is a folder with hosts.
type Sandbox struct {
	Dir  string // absolute
	meta meta
}

// Host is what a sandbox was told of one of its hosts.
type Host struct {
	Name       string
	Address    string
	ClientPort int
	PeerPort   int
	Spare      bool // it was made without a member; playbooks may have changed that
	Secure     bool `json:",omitempty"` // its URLs are https
}

// ClientURL is where a member on the host serves clients.
func (h Host) ClientURL() string { return h.url(h.ClientPort) }

// PeerURL is where a member on the host serves its peers.
func (h Host) PeerURL() string { return h.url(h.PeerPort) }

func (h Host) scheme() string {
	if h.Secure {
		return "https"
	}
	return "http"
}

func (h Host) url(port int) string {
	return h.scheme() + "://" + net.JoinHostPort(h.Address, strconv.Itoa(port))
}

// Status is what List says of one host.
type Status struct {
	Host
	On   bool
	Unit conn.Unit // of etcd; empty if the host is off
}

const (
	metaFile    = "sandbox.json"
	metaVersion = 1
)

// meta is what a sandbox remembers of itself.
type meta struct {
	Version int
	Cluster string
	Token   string
	Claim   string // path of the file that claims the addresses
	API     int    `json:",omitempty"` // zero means 3
	Debian  bool   `json:",omitempty"`
	TLS     bool   `json:",omitempty"`
	Auth    bool   `json:",omitempty"`
	Hosts   []Host
}

func (m meta) write(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, metaFile), append(text, '\n'), 0o600)
}

// ErrNone says that there is no sandbox in the folder.
var ErrNone = errors.New("there is no sandbox")

// Open opens the sandbox in dir, whether or not it is running. A folder that is
// none is an error wrapping ErrNone.
func Open(dir string) (*Sandbox, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, metaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNone, dir)
	}
	if err != nil {
		return nil, err
	}
	s := &Sandbox{Dir: dir}
	if err := json.Unmarshal(text, &s.meta); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, metaFile), err)
	}
	if s.meta.Version != metaVersion {
		return nil, fmt.Errorf("the sandbox in %s was made by another version of etcdplay", dir)
	}
	return s, nil
}

// folder is where sandboxes are that have only a name.
func folder() (string, error) {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "etcdplay", "sandboxes"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "etcdplay", "sandboxes"), nil
}

// DefaultDir is the folder of the sandbox called name, below
// $XDG_STATE_HOME/etcdplay; an empty name means "demo".
func DefaultDir(name string) (string, error) {
	if name == "" {
		name = "demo"
	}
	if !plainName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a sandbox", name)
	}
	dir, err := folder()
	return filepath.Join(dir, name), err
}

// Find opens all sandboxes in their default place, in the order of their names.
func Find() ([]*Sandbox, error) {
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []*Sandbox
	for _, e := range entries {
		s, err := Open(filepath.Join(dir, e.Name()))
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, nil
}

// Name is the last part of the sandbox's folder.
func (s *Sandbox) Name() string { return filepath.Base(s.Dir) }

// Inventory is the path of the inventory file.
func (s *Sandbox) Inventory() string { return filepath.Join(s.Dir, "inventory.hcl") }

// Hosts are the hosts, members first.
func (s *Sandbox) Hosts() []Host { return s.meta.Hosts }

// API is the API of etcd that is spoken.
func (s *Sandbox) API() int { return cmp.Or(s.meta.API, 3) }

func (s *Sandbox) exe() string { return filepath.Join(s.Dir, "bin", "etcdplay") }

// Host opens a connection to a host, as Dial does.
func (s *Sandbox) Host(ctx context.Context, name string) (conn.Host, error) {
	return Dial(ctx, s.Dir, name)
}

// Running says whether the sandbox has a supervisor.
func (s *Sandbox) Running(ctx context.Context) bool {
	_, err := supervisor.Call(ctx, s.Dir, supervisor.Request{Op: supervisor.Ping})
	return err == nil
}

// Start starts the supervisor, and with it all hosts but those that were
// switched off. It returns when they can be reached; what they start at boot
// may take longer. A running one stays as it is.
func (s *Sandbox) Start(ctx context.Context) error {
	if s.Running(ctx) {
		return nil
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, supervisor.LogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// A session of its own, so that neither the terminal's signals nor our end reach it.
	cmd := exec.Command(s.exe(), "sandbox", "supervise", s.Dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.Running(ctx) {
				return nil
			}
		case err := <-ended:
			if s.Running(ctx) { // another one was faster
				return nil
			}
			return fmt.Errorf("the supervisor ended: %v\n%s", err, s.logTail())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// logTail is the end of the supervisor's log.
func (s *Sandbox) logTail() string {
	text, err := os.ReadFile(filepath.Join(s.Dir, supervisor.LogFile))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// List says how the hosts are. Without supervisor all are off.
func (s *Sandbox) List(ctx context.Context) ([]Status, error) {
	reply, err := supervisor.Call(ctx, s.Dir, supervisor.Request{Op: supervisor.List})
	if err != nil && !errors.Is(err, conn.ErrUnreachable) {
		return nil, err
	}
	on := map[string]bool{}
	for _, h := range reply.Hosts {
		on[h.Name] = h.On
	}
	list := make([]Status, 0, len(s.meta.Hosts))
	for _, h := range s.meta.Hosts {
		st := Status{Host: h, On: on[h.Name]}
		if st.On {
			r, err := s.call(ctx, h.Name, supervisor.Request{Op: supervisor.Unit, Unit: s.Unit()})
			if err != nil {
				return nil, err
			}
			st.Unit = *r.Unit
		}
		list = append(list, st)
	}
	return list, nil
}

func (s *Sandbox) call(ctx context.Context, name string, req supervisor.Request) (supervisor.Reply, error) {
	req.Host = name
	return supervisor.Call(ctx, s.Dir, req)
}

// Kill sends SIGKILL to the member on the host. Its unit restarts it.
func (s *Sandbox) Kill(ctx context.Context, name string) error {
	_, err := s.call(ctx, name, supervisor.Request{Op: supervisor.Kill, Unit: s.Unit()})
	return err
}

// Wreck kills the member on the host and damages its data, so that its unit
// fails for good.
func (s *Sandbox) Wreck(ctx context.Context, name string) error {
	_, err := s.call(ctx, name, supervisor.Request{Op: supervisor.Wreck, Unit: s.Unit(), Path: s.DataDir()})
	return err
}

// StopHost takes the power from the host: all its processes are killed, and it
// cannot be reached. It stays off when the supervisor is started anew.
func (s *Sandbox) StopHost(ctx context.Context, name string) error {
	_, err := s.call(ctx, name, supervisor.Request{Op: supervisor.PowerOff})
	return err
}

// StartHost boots a host that was stopped.
func (s *Sandbox) StartHost(ctx context.Context, name string) error {
	_, err := s.call(ctx, name, supervisor.Request{Op: supervisor.PowerOn})
	return err
}

// Down stops everything and, unless keep is set, removes the folder. A sandbox
// whose folder somebody removed is down already.
func (s *Sandbox) Down(ctx context.Context, keep bool) error {
	_, err := supervisor.Call(ctx, s.Dir, supervisor.Request{Op: supervisor.Shutdown})
	if err != nil && !errors.Is(err, conn.ErrUnreachable) {
		return err
	}
	free, err := supervisor.Wait(ctx, s.Dir)
	switch {
	case err == nil:
		defer free()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if keep {
		return nil
	}
	if s.meta.Claim != "" {
		if err := os.Remove(s.meta.Claim); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// The folder of the claims stays only while there is another.
		if err := unix.Rmdir(filepath.Dir(s.meta.Claim)); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.RemoveAll(s.Dir)
}
