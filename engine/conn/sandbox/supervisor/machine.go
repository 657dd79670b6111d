package supervisor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/internal/files"
	"github.com/etcdplay/etcdplay/engine/conn/internal/program"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/unitfile"
)

// machine is one host: its root directory, and while it is switched on its
// services and the programs that run on it.
type machine struct {
	name    string
	dir     string
	root    *files.Root
	journal *journals

	mu       sync.Mutex
	on       context.Context // nil while switched off; ends when it is switched off
	off      context.CancelFunc
	bootID   string
	services map[string]*service
	programs sync.WaitGroup
}

func newMachine(name, dir string) (*machine, error) {
	root, err := files.Open(dir)
	if err != nil {
		return nil, err
	}
	return &machine{name: name, dir: dir, root: root, journal: newJournals(filepath.Join(dir, "var/log/journal"))}, nil
}

// powerOn boots the host: /run is empty, and what is enabled starts. A host
// that is on stays as it is.
func (m *machine) powerOn() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on != nil {
		return nil
	}
	run := filepath.Join(m.dir, "run")
	if err := os.RemoveAll(run); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(run, "systemd/system"), 0o755); err != nil {
		return err
	}
	var id [16]byte
	rand.Read(id[:])
	m.bootID = hex.EncodeToString(id[:])
	m.on, m.off = context.WithCancel(context.Background())
	m.services = map[string]*service{}
	for _, name := range m.enabled() {
		m.service(name).request(jobStart)
	}
	return nil
}

// enabled lists the services that the targets of a boot want.
func (m *machine) enabled() []string {
	var names []string
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"} {
		for _, target := range []string{"multi-user.target.wants", "multi-user.target.requires", "default.target.wants"} {
			entries, err := tree{m.root}.ReadDir(path.Join(dir, target))
			if err != nil {
				continue // most of these folders are not there
			}
			for _, e := range entries {
				if unitfile.CheckName(e) == nil && !slices.Contains(names, e) {
					names = append(names, e)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// powerOff takes the power away: everything on the host is killed at once.
func (m *machine) powerOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on == nil {
		return
	}
	m.off()
	for _, s := range m.services {
		<-s.gone
	}
	m.programs.Wait()
	m.on, m.services = nil, nil
}

// service returns the service of that name, its files read at first use. The
// caller holds m.mu and the host is on.
func (m *machine) service(name string) *service {
	if s, ok := m.services[name]; ok {
		return s
	}
	s := newService(m.on, m, name)
	m.services[name] = s
	return s
}

func (m *machine) state() HostState {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := HostState{Name: m.name, On: m.on != nil}
	if m.on == nil {
		return st
	}
	names := make([]string, 0, len(m.services))
	for name := range m.services {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if u, err := m.services[name].describe(); err == nil {
			st.Units = append(st.Units, u)
		}
	}
	return st
}

var errOff = fmt.Errorf("%w: the host is switched off", conn.ErrUnreachable)

func (m *machine) do(ctx context.Context, req Request) (Reply, error) {
	m.mu.Lock()
	if m.on == nil {
		m.mu.Unlock()
		return Reply{}, errOff
	}
	on := m.on
	switch req.Op {
	case Run:
		m.programs.Add(1)
		m.mu.Unlock()
		defer m.programs.Done()
		return m.run(ctx, on, req.Command)
	case Unit, Start, Stop, Restart, Kill, Wreck:
		if err := unitfile.CheckName(req.Unit); err != nil {
			m.mu.Unlock()
			return Reply{}, err
		}
		s := m.service(req.Unit)
		m.mu.Unlock()
		return m.unit(ctx, s, req)
	}
	defer m.mu.Unlock()
	switch req.Op {
	case Up:
		return Reply{}, nil
	case Reload:
		m.reload()
		return Reply{}, nil
	case Mask, Unmask:
		return Reply{}, m.mask(ctx, req)
	case Journal:
		entries, err := m.journal.query(*req.Journal)
		return Reply{Journal: entries}, err
	}
	return Reply{}, fmt.Errorf("the supervisor does not know the operation %q; it is another version of etcdplay", req.Op)
}

func (m *machine) unit(ctx context.Context, s *service, req Request) (Reply, error) {
	switch req.Op {
	case Unit:
		u, err := s.describe()
		return Reply{Unit: &u}, err
	case Kill:
		return Reply{}, s.kill()
	case Wreck:
		return Reply{}, s.wreck(filepath.Join(m.dir, path.Clean("/"+req.Path)))
	}
	if req.Op != Stop {
		if err := m.stopConflicts(ctx, s); err != nil {
			return Reply{}, err
		}
	}
	t := s.request(map[Op]job{Start: jobStart, Stop: jobStop, Restart: jobRestart}[req.Op])
	answer := t.queued
	if req.Wait || req.Op == Stop {
		answer = t.finished
	}
	select {
	case err := <-answer:
		return Reply{}, err
	case <-ctx.Done():
		return Reply{}, fmt.Errorf("%w: %w", conn.ErrOutcomeUnknown, context.Cause(ctx))
	}
}

// stopConflicts stops the services that s says it conflicts with.
func (m *machine) stopConflicts(ctx context.Context, s *service) error {
	for _, name := range s.conflicts() {
		m.mu.Lock()
		other := m.services[name]
		m.mu.Unlock()
		if other == nil || other == s {
			continue // never started since boot
		}
		select {
		case err := <-other.request(jobStop).finished:
			if err != nil {
				return fmt.Errorf("stop the conflicting %s: %w", name, err)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// run runs a program until it ends, the client goes or the power does.
func (m *machine) run(ctx, on context.Context, c *Command) (Reply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(on, func() { cancel(errOff) })
	defer stop()
	start := program.Start{Stdin: c.Stdin}
	for _, a := range c.Argv {
		start.Argv = append(start.Argv, string(a))
	}
	env := map[string]string{}
	for k, v := range c.Env {
		env[k] = string(v)
	}
	start.Env = program.Env(env, "SANDBOX_ROOT="+m.dir, "HOSTNAME="+m.name)
	var err error
	if start.Path, err = m.lookup(start.Argv[0]); err != nil {
		return Reply{}, err
	}
	dir := c.Dir
	if dir == "" {
		dir = "/"
	}
	if start.Dir, err = m.root.Resolve(dir); err != nil {
		return Reply{}, err
	}
	result, err := program.Run(ctx, start)
	return Reply{Result: &result}, err
}

// lookup finds a program: in the host's root first, else on this machine.
func (m *machine) lookup(name string) (string, error) {
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, dir := range filepath.SplitList(program.Path) {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, c := range candidates {
		if p, err := m.root.Resolve(path.Clean(c)); err == nil && executable(p) {
			return p, nil
		}
	}
	for _, c := range candidates {
		if executable(c) {
			return c, nil
		}
	}
	return "", &fs.PathError{Op: "exec", Path: name, Err: fs.ErrNotExist}
}

func executable(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// reload makes all services read their files again. The caller holds m.mu.
func (m *machine) reload() {
	for _, s := range m.services {
		s.reload()
	}
}

// mask does what systemctl mask and unmask do, the reload included.
func (m *machine) mask(ctx context.Context, req Request) error {
	if err := unitfile.CheckName(req.Unit); err != nil {
		return err
	}
	dir := "/etc/systemd/system"
	if req.Runtime {
		dir = "/run/systemd/system"
	}
	link := path.Join(dir, req.Unit)
	target, err := m.root.Readlink(link)
	masked := err == nil && target == "/dev/null"
	switch {
	case req.Op == Mask && masked, req.Op == Unmask && !masked:
	case req.Op == Mask:
		if err := m.root.Mkdir(ctx, dir, conn.Attr{}); err != nil {
			return err
		}
		if err := m.root.Symlink(ctx, "/dev/null", link); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("the unit cannot be masked: its file is %s itself: %w", link, err)
			}
			return err
		}
	default:
		if err := m.root.Remove(ctx, link, false); err != nil {
			return err
		}
	}
	m.reload()
	return nil
}

// tree lets unitfile look into a host's root.
type tree struct{ root *files.Root }

func (t tree) ReadFile(p string) ([]byte, error) {
	return t.root.ReadFile(context.Background(), p, conn.MaxFile)
}

func (t tree) Readlink(p string) (string, error) { return t.root.Readlink(p) }

func (t tree) ReadDir(p string) ([]string, error) {
	infos, err := t.root.ReadDir(context.Background(), p)
	names := make([]string, 0, len(infos))
	for _, i := range infos {
		names = append(names, path.Base(i.Path))
	}
	return names, err
}
