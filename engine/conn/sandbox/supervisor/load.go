package supervisor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"syscall"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/unitfile"
)

// loaded is what the files of a unit said when they were read.
type loaded struct {
	state string // systemd's LoadState
	err   error  // why it cannot be started, nil if it can
	svc   *unitfile.Service
	stamp string // of all the files it came from
}

// startable says why the unit cannot be started, nil if it can.
func (l loaded) startable() error { return l.err }

// load reads the unit's files.
func (m *machine) load(name string) loaded {
	found, err := unitfile.Find(tree{m.root}, name)
	l := loaded{stamp: m.stamp(found, err)}
	var masked *unitfile.Masked
	switch {
	case errors.As(err, &masked):
		l.state, l.err = "masked", fmt.Errorf("unit %s is masked", name)
		return l
	case errors.Is(err, fs.ErrNotExist):
		l.state, l.err = "not-found", fmt.Errorf("%w: %s", conn.ErrNoUnit, name)
		return l
	case err != nil:
		l.state, l.err = "error", err
		return l
	}
	l.svc, err = unitfile.Merge(name, found, unitfile.Specifiers{
		Unit: name, Hostname: m.name, MachineID: m.machineID(), BootID: m.bootID,
	})
	if err == nil {
		err = ownIdentity(l.svc)
	}
	if err != nil {
		l.svc, l.state, l.err = nil, "bad-setting", fmt.Errorf("unit %s has a bad setting: %w", name, err)
		return l
	}
	l.state = "loaded"
	return l
}

// stamp changes when a file of the unit, or the set of them, does.
func (m *machine) stamp(found []unitfile.File, err error) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	}
	for _, f := range found {
		var mtime int64
		if p, err := m.root.Resolve(f.Path); err == nil {
			if info, err := os.Stat(p); err == nil {
				mtime = info.ModTime().UnixNano()
			}
		}
		fmt.Fprintf(&b, "%s %d %x\n", f.Path, mtime, sha256.Sum256([]byte(f.Content)))
	}
	return b.String()
}

func (m *machine) machineID() string {
	id, err := tree{m.root}.ReadFile("/etc/machine-id")
	if err != nil {
		return "" // a host may have none; %m is then empty, as in systemd's own tests
	}
	return strings.TrimSpace(string(id))
}

// ownIdentity refuses User= and Group= other than this process's own: nothing
// else can be done without privileges.
func ownIdentity(svc *unitfile.Service) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	if svc.User != "" && svc.User != me.Username && svc.User != me.Uid {
		return fmt.Errorf("a sandbox runs everything as %s, not as User=%s", me.Username, svc.User)
	}
	if svc.Group == "" || svc.Group == me.Gid {
		return nil
	}
	if g, err := user.LookupGroupId(me.Gid); err != nil || g.Name != svc.Group {
		return fmt.Errorf("a sandbox runs everything in the group of %s, not in Group=%s", me.Username, svc.Group)
	}
	return nil
}

// reload reads the files again. A running service goes on as it was started.
func (s *service) reload() {
	s.ask(func() {
		next := s.machine.load(s.name)
		if next.svc == nil && s.state != dead && s.state != failed {
			// What runs must be stopped by the rules it was started with.
			next.svc = s.unit.svc
		}
		s.unit = next
	})
}

// conflicts are the services that must not run beside this one.
func (s *service) conflicts() (names []string) {
	s.ask(func() {
		if s.unit.svc != nil {
			names = s.unit.svc.Conflicts
		}
	})
	return names
}

// describe is what systemd would say of the unit.
func (s *service) describe() (u conn.Unit, err error) {
	if !s.ask(func() { u, err = s.properties() }) {
		err = errOff
	}
	return u, err
}

func (s *service) properties() (conn.Unit, error) {
	if s.unit.state == "not-found" && (s.state == dead || s.state == failed) {
		if s.unit = s.machine.load(s.name); s.unit.state == "not-found" {
			return conn.Unit{}, s.unit.err
		}
	}
	found, err := unitfile.Find(tree{s.machine.root}, s.name)
	u := conn.Unit{
		Name:             s.name,
		LoadState:        s.unit.state,
		ActiveState:      s.state.active(),
		SubState:         string(s.state),
		Result:           s.result,
		UnitFileState:    s.fileState(found, err),
		InvocationID:     s.invocation,
		MainPID:          s.mainPID,
		ExecMainStatus:   s.exitStatus,
		NRestarts:        s.nRestarts,
		NeedDaemonReload: s.machine.stamp(found, err) != s.unit.stamp,
	}
	if svc := s.unit.svc; svc != nil && s.unit.state == "loaded" {
		u.Type, u.FragmentPath, u.DropInPaths = svc.Type, svc.Fragment, svc.DropIns
		u.ExecStart, u.Environment = svc.ExecStartArgv(), svc.EffectiveEnvironment()
		for _, f := range svc.EnvironmentFiles {
			u.EnvironmentFiles = append(u.EnvironmentFiles, f.Path)
		}
	}
	return u, nil
}

// fileState is UnitFileState: it says what is on disk, not what was read.
func (s *service) fileState(found []unitfile.File, err error) string {
	var masked *unitfile.Masked
	if errors.As(err, &masked) {
		if strings.HasPrefix(masked.Path, "/run/") {
			return "masked-runtime"
		}
		return "masked"
	}
	if err != nil {
		return ""
	}
	if unitfile.Enabled(tree{s.machine.root}, s.name) {
		return "enabled"
	}
	svc, err := unitfile.Merge(s.name, found, unitfile.Specifiers{Unit: s.name, Hostname: s.machine.name})
	switch {
	case err != nil:
		return "bad"
	case len(svc.WantedBy) > 0:
		return "disabled"
	}
	return "static"
}

// kill sends SIGKILL to the main process.
func (s *service) kill() error {
	var err error
	if !s.ask(func() {
		if s.main == nil {
			err = fmt.Errorf("%s has no main process", s.name)
			return
		}
		err = syscall.Kill(s.main.pid, syscall.SIGKILL)
	}) {
		return errOff
	}
	return err
}

// wreck kills the service and spoils the etcd data in dir before the service
// can start again, so that it never will from this data.
func (s *service) wreck(dir string) error {
	var err error
	if !s.ask(func() {
		if s.main != nil {
			s.signal(-s.main.pid, syscall.SIGKILL)
			<-s.main.ended
		}
		err = spoil(dir)
	}) {
		return errOff
	}
	return err
}
