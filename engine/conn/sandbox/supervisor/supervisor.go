// Package supervisor knows how to be systemd, the journal and the power switch
// of all hosts of one sandbox: a process that outlives the engine and whose
// children do not outlive it. It must not know what a cluster is, nor which
// playbook is running.
package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// ErrRunning says that the sandbox has a supervisor already.
var ErrRunning = errors.New("a supervisor is already running")

// HostsDir is the folder, in that of the sandbox, with one root directory per host.
const HostsDir = "hosts"

// offDir has an empty file per host that is switched off, so that the next
// supervisor leaves it so.
const offDir = "off"

type supervisor struct {
	dir      string
	machines map[string]*machine
	names    []string
	quit     context.CancelFunc
}

// Supervise runs the hosts of the sandbox in dir, an absolute path, until ctx
// ends, Shutdown is asked for or dir is gone. It then kills all it has started,
// and the process has to end. Its own messages go to standard error.
func Supervise(ctx context.Context, dir string) error {
	lock, err := unix.Open(filepath.Join(dir, lockFile), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "open", Path: filepath.Join(dir, lockFile), Err: err}
	}
	// Never closed: the end of this process frees it, so whoever gets it knows
	// that there is no such process any more.
	if err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(lock)
		return fmt.Errorf("%w in %s", ErrRunning, dir)
	}
	// systemd's own default for what it starts; nothing here depends on another.
	unix.Umask(0o022)
	heedSignals()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &supervisor{dir: dir, machines: map[string]*machine{}, quit: cancel}
	if err := s.findHosts(); err != nil {
		return err
	}
	listener, err := listen(dir)
	if err != nil {
		return err
	}
	defer listener.Close()

	for _, name := range s.names {
		if _, err := os.Stat(s.offMark(name)); errors.Is(err, fs.ErrNotExist) {
			if err := s.machines[name].powerOn(); err != nil {
				log.Printf("%s: %v", name, err)
			}
		}
	}
	go s.serve(ctx, listener)
	log.Printf("supervisor %d of %s is up", os.Getpid(), dir)
	s.watch(ctx)
	listener.Close()
	for _, name := range s.names {
		s.machines[name].powerOff()
	}
	log.Printf("supervisor %d is down", os.Getpid())
	return nil
}

// heedSignals has what this process starts begin with no signal ignored, as under
// systemd: from nohup, or from a shell's background, it inherits some that are.
// It goes on ignoring them itself.
func heedSignals() {
	unheard := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(unheard, sig)
		}
	}
}

func (s *supervisor) findHosts() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, HostsDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		m, err := newMachine(e.Name(), filepath.Join(s.dir, HostsDir, e.Name()))
		if err != nil {
			return err
		}
		s.machines[e.Name()] = m
		s.names = append(s.names, e.Name())
	}
	slices.Sort(s.names)
	return nil
}

func (s *supervisor) offMark(host string) string { return filepath.Join(s.dir, offDir, host) }

// listen takes the place of a socket that a killed supervisor left behind; the
// lock says that there is no living one.
func listen(dir string) (net.Listener, error) {
	addr, free, err := socket(dir)
	if err != nil {
		return nil, err
	}
	// The descriptor stays open: the listener removes its socket by this address.
	if err := os.Remove(addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
		free()
		return nil, err
	}
	l, err := net.Listen("unix", addr)
	if err != nil {
		free()
	}
	return l, err
}

// watch returns when ctx ends or the sandbox's folder is no longer there:
// somebody removed it by hand, and its processes must not stay.
func (s *supervisor) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := os.Stat(filepath.Join(s.dir, HostsDir)); errors.Is(err, fs.ErrNotExist) {
				log.Printf("%s is gone", s.dir)
				return
			}
		}
	}
}

func (s *supervisor) serve(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed, which is the end
		}
		go s.answer(ctx, c)
	}
}

// answer answers the one request of a connection. A client that goes away
// cancels what it asked for, where that can be cancelled.
func (s *supervisor) answer(ctx context.Context, c net.Conn) {
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	decoder := json.NewDecoder(c)
	var req Request
	if err := decoder.Decode(&req); err != nil {
		return
	}
	go func() {
		var b [1]byte
		_, _ = c.Read(b[:]) // there is nothing more to read; it returns when the client is gone
		cancel()
	}()
	reply, err := s.do(ctx, req)
	if err != nil {
		reply = failure(err)
	}
	// If the client is gone, nobody needs the answer.
	_ = json.NewEncoder(c).Encode(reply)
	if req.Op == Shutdown {
		s.quit()
	}
}

func (s *supervisor) do(ctx context.Context, req Request) (Reply, error) {
	switch req.Op {
	case Ping:
		return Reply{PID: os.Getpid()}, nil
	case List:
		return s.list(), nil
	case Shutdown:
		for _, name := range s.names {
			s.machines[name].powerOff()
		}
		return Reply{}, nil
	}
	m := s.machines[req.Host]
	if m == nil {
		return Reply{}, fmt.Errorf("%w: the sandbox has no host %q", conn.ErrUnreachable, req.Host)
	}
	switch req.Op {
	case PowerOn:
		if err := os.Remove(s.offMark(req.Host)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Reply{}, err
		}
		return Reply{}, m.powerOn()
	case PowerOff:
		if err := os.MkdirAll(filepath.Dir(s.offMark(req.Host)), 0o700); err != nil {
			return Reply{}, err
		}
		if err := os.WriteFile(s.offMark(req.Host), nil, 0o600); err != nil {
			return Reply{}, err
		}
		m.powerOff()
		return Reply{}, nil
	}
	return m.do(ctx, req)
}

func (s *supervisor) list() Reply {
	var reply Reply
	for _, name := range s.names {
		reply.Hosts = append(reply.Hosts, s.machines[name].state())
	}
	return reply
}
