package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// inEffect checks that systemd has read the drop-in and goes by it. A drop-in
// can lie there, well written, and change nothing: systemd was not told, another
// of the same name hides it, or a later one takes its settings back.
func (v *view) inEffect(a dropinArgs) error {
	u := v.unit
	switch {
	case v.noUnit && a.absent():
		return nil
	case v.noUnit:
		return fmt.Errorf("%w: %s", conn.ErrNoUnit, a.Unit)
	case u.NeedDaemonReload:
		return fmt.Errorf("systemd still has an older version of %s in mind (NeedDaemonReload)", a.Unit)
	case u.LoadState != "loaded":
		return nil // masked: none of its files count
	}
	reads := slices.Contains(u.DropInPaths, a.path())
	switch {
	case a.absent() && !reads:
		return nil
	case a.absent():
		return fmt.Errorf("systemd still reads %s", a.path())
	case !reads:
		if err := v.undone(a); err != nil {
			return err
		}
		return fmt.Errorf("systemd does not read %s; it reads %s", a.path(), strings.Join(u.DropInPaths, ", "))
	}
	if err := v.undone(a); err != nil {
		return err
	}
	ours, err := parse(a.content())
	if err != nil {
		return err
	}
	return compare(u, ours)
}

// errUndone is wrapped by what says that a drop-in would have no effect.
var errUndone = errors.New("it would have no effect")

// unitDirs is where systemd looks for drop-ins of the system's units; of equal
// names the one in the first directory counts.
var unitDirs = [...]string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}

// view is all that one look at a unit and its drop-ins shows.
type view struct {
	unit    conn.Unit
	noUnit  bool                       // systemd knows none of that name
	dirs    [len(unitDirs)]conn.Glance // of drop-ins
	folder  conn.Glance                // that ours goes into
	file    conn.Glance                // ours
	content conn.Glance                // of ours
	later   map[string]*conn.Glance    // contents of drop-ins that come after ours, by path
}

// lookAt looks at a unit and its drop-ins: systemd is asked while the files are
// looked at, in one trip, and in another one where drop-ins come after ours.
func lookAt(ctx context.Context, r conn.Reader, a dropinArgs) (*view, error) {
	v := &view{later: map[string]*conn.Glance{}}
	var all []*conn.Glance
	for i, dir := range unitDirs {
		v.dirs[i] = conn.Glance{What: conn.ReadDir, Path: path.Join(dir, a.Unit+".d")}
		all = append(all, &v.dirs[i])
	}
	v.folder = conn.Glance{What: conn.Stat, Path: path.Dir(a.path())}
	v.file = conn.Glance{What: conn.Stat, Path: a.path()}
	v.content = conn.Glance{What: conn.ReadFile, Path: a.path()}
	all = append(all, &v.folder, &v.file, &v.content)
	asked := make(chan error, 1)
	go func() {
		var err error
		v.unit, err = r.Unit(ctx, a.Unit)
		asked <- err
	}()
	conn.LookAt(ctx, r, all...)
	if err := <-asked; errors.Is(err, conn.ErrNoUnit) {
		v.noUnit = true
	} else if err != nil {
		return nil, err
	}
	if a.absent() || v.noUnit {
		return v, nil
	}
	all = nil
	for _, p := range v.dropins() {
		if path.Base(p) > a.Name {
			v.later[p] = &conn.Glance{What: conn.ReadFile, Path: p}
			all = append(all, v.later[p])
		}
	}
	if len(all) > 0 {
		conn.LookAt(ctx, r, all...)
	}
	return v, nil
}

// dropins lists the unit's drop-ins as the next daemon-reload will find them, and
// those that systemd has read from elsewhere.
func (v *view) dropins() []string {
	var found []string
	hidden := map[string]bool{}
	for _, dir := range v.dirs {
		// A directory that is not there, or of which only the run can tell, adds
		// nothing to what systemd has read.
		for _, i := range dir.Infos {
			if name := path.Base(i.Path); strings.HasSuffix(name, ".conf") && !hidden[name] {
				hidden[name], found = true, append(found, i.Path)
			}
		}
	}
	for _, p := range v.unit.DropInPaths {
		if name := path.Base(p); !hidden[name] {
			hidden[name], found = true, append(found, p)
		}
	}
	return found
}

// undone looks whether a drop-in would have effect, be it there yet or not: of
// equal names the one in /etc hides the one in /run, and of others those with a
// later name win.
func (v *view) undone(a dropinArgs) error {
	if a.absent() {
		return nil
	}
	ours, err := parse(a.content())
	if err != nil {
		return err
	}
	for _, p := range v.dropins() {
		switch name := path.Base(p); {
		case p == a.path(), name < a.Name:
		case name > a.Name:
			if err := v.takenBack(ours, a.path(), p); err != nil {
				return err
			}
		case a.Runtime && strings.HasPrefix(p, "/etc/"):
			return because{fmt.Sprintf("%s has no effect: %s hides it", a.path(), p), errUndone}
		}
	}
	return nil
}

// takenBack reports what the later drop-in takes back of ours.
func (v *view) takenBack(ours []*unit.UnitOption, path, later string) error {
	seen := v.later[later]
	if errors.Is(seen.Err, fs.ErrNotExist) {
		return nil
	}
	if seen.Err != nil {
		return seen.Err
	}
	theirs, err := unit.DeserializeOptions(strings.NewReader(string(seen.Data)))
	if err != nil {
		return fmt.Errorf("%s, which comes after %s, is no unit file: %w", later, path, err)
	}
	mine, _, err := commands(ours)
	if err != nil {
		return err
	}
	for _, o := range theirs {
		if o.Section == "Service" && o.Name == "ExecStart" && len(mine) > 0 {
			return because{fmt.Sprintf("%s comes after %s and changes its ExecStart=", later, path), errUndone}
		}
	}
	env, err := environment(ours)
	if err != nil {
		return err
	}
	over, err := environment(theirs)
	if err != nil {
		return fmt.Errorf("%s: %w", later, err)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if value, ok := over[name]; ok && value != env[name] {
			return because{fmt.Sprintf("%s comes after %s and sets %s to something else", later, path, name), errUndone}
		}
	}
	return nil
}

// compare holds what systemd says of the unit against the drop-in. What systemd
// expands by itself (a specifier such as %n) is left out.
func compare(u conn.Unit, ours []*unit.UnitOption) error {
	mine, reset, err := commands(ours)
	if err != nil {
		return err
	}
	if reset && len(mine) != len(u.ExecStart) {
		return fmt.Errorf("the drop-in has %d commands, and systemd runs %d", len(mine), len(u.ExecStart))
	}
	for _, argv := range mine {
		argv = slices.Clone(argv)
		argv[0] = strings.TrimLeft(argv[0], "@-:+!|")
		if specified(argv) || strings.HasPrefix(mine[0][0], "@") {
			continue
		}
		for i, w := range argv {
			argv[i] = strings.ReplaceAll(w, "%%", "%")
		}
		if !slices.ContainsFunc(u.ExecStart, func(have []string) bool { return slices.Equal(have, argv) }) {
			return fmt.Errorf("systemd does not run what the drop-in says; it runs %q", u.ExecStart)
		}
	}
	env, err := environment(ours)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := strings.ReplaceAll(env[name], "%%", "%")
		if !specified([]string{env[name]}) && !slices.Contains(u.Environment, name+"="+value) {
			return fmt.Errorf("systemd does not set %s as the drop-in says", name)
		}
	}
	return nil
}

// specified reports whether a word has a specifier of systemd in it.
func specified(words []string) bool {
	for _, w := range words {
		if strings.Contains(strings.ReplaceAll(w, "%%", ""), "%") {
			return true
		}
	}
	return false
}
