// Package file has the task types that work on a host's files: file, directory, move,
// remove, chown, stat, upload and download. It knows paths, modes, owners and inodes;
// it does not know what the files are for, nor how a host is reached.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Types lists the task types of this package.
func Types() []*engine.Type {
	return []*engine.Type{Chown(), Directory(), Download(), Move(), Remove(), Stat(), Upload(), Write()}
}

// seen is one path as it was when looked at, or, after changes in a plan, as it
// would be. The zero value was not looked at.
type seen struct {
	Looked bool        `json:"looked"`
	Exists bool        `json:"exists"`
	Mode   fs.FileMode `json:"mode"` // type and permission bits
	Size   int64       `json:"size"`
	Owner  string      `json:"owner"`
	Group  string      `json:"group"`
	Device uint64      `json:"device"`
	Inode  uint64      `json:"inode"`
	Mount  bool        `json:"mount"`
}

// see looks at path. That nothing is there is an answer, not an error.
func see(ctx context.Context, r conn.Reader, path string) (seen, error) {
	all, err := seeAll(ctx, r, path)
	if err != nil {
		return seen{}, err
	}
	return all[0], nil
}

// seeAll sees several paths at once.
func seeAll(ctx context.Context, r conn.Reader, paths ...string) ([]seen, error) {
	var glances []*conn.Glance
	for _, p := range paths {
		glances = append(glances, &conn.Glance{What: conn.Stat, Path: p})
	}
	conn.LookAt(ctx, r, glances...)
	var all []seen
	for _, g := range glances {
		s, err := seenAt(g.Info, g.Err)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func seenAt(i conn.Info, err error) (seen, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return seen{Looked: true}, nil
	}
	if err != nil {
		return seen{}, err
	}
	return seen{
		Looked: true, Exists: true, Mode: i.Mode, Size: i.Size,
		Owner: i.Owner, Group: i.Group, Device: i.Device, Inode: i.Inode, Mount: i.Mount,
	}, nil
}

// same reports whether both are one and the same file.
func (s seen) same(o seen) bool {
	return s.Exists && o.Exists && s.Device == o.Device && s.Inode == o.Inode
}

// kind is what stands at the path, in words.
func (s seen) kind() string {
	switch {
	case !s.Exists:
		return "nothing"
	case s.Mode.IsDir():
		return "a directory"
	case s.Mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case s.Mode.IsRegular():
		return "a file"
	}
	return "a special file"
}

// imagined reports whether a plan has put it there, so that its mode and owner
// are not known: no real file has inode zero.
func (s seen) imagined() bool { return s.Exists && s.Inode == 0 }

// symlinkAbove returns the first parent of p that is a symbolic link, or "".
// Who may replace such a link decides what a path through it means.
func symlinkAbove(ctx context.Context, r conn.Reader, p string) (string, error) {
	parts := strings.Split(strings.Trim(p, "/"), "/")
	var above []*conn.Glance
	for i := 1; i < len(parts); i++ {
		above = append(above, &conn.Glance{What: conn.Stat, Path: "/" + path.Join(parts[:i]...)})
	}
	conn.LookAt(ctx, r, above...)
	for _, g := range above {
		switch s, err := seenAt(g.Info, g.Err); {
		case err != nil:
			return "", err
		case !s.Exists:
			return "", nil
		case s.Mode&fs.ModeSymlink != 0:
			return g.Path, nil
		}
	}
	return "", nil
}

// parseMode reads four octal digits; nil is zero: left as it is.
func parseMode(mode *string) fs.FileMode {
	if mode == nil {
		return 0
	}
	n, err := strconv.ParseUint(*mode, 8, 12)
	if err != nil {
		return 0 // the kind of the argument has been checked
	}
	m := fs.FileMode(n & 0o777)
	for bit, f := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			m |= f
		}
	}
	return m
}

const permissions = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// owners compares owners by name, and decimal ids through the host's own lists.
type owners struct{ users, groups string }

// readOwners reads the host's lists of users and groups. A host without them
// (a sandbox) has ids only.
func readOwners(ctx context.Context, r conn.Reader, want ...string) owners {
	for _, w := range want {
		if _, err := strconv.ParseUint(w, 10, 32); err == nil {
			users, _ := r.ReadFile(ctx, "/etc/passwd") // without it, no name has an id: see isUser
			groups, _ := r.ReadFile(ctx, "/etc/group")
			return owners{string(users), string(groups)}
		}
	}
	return owners{}
}

func (o owners) isUser(have, want string) bool  { return sameID(o.users, have, want) }
func (o owners) isGroup(have, want string) bool { return sameID(o.groups, have, want) }

// sameID reports whether want, a name or a decimal id or "" for any, is have.
// list is in the format of /etc/passwd and /etc/group: name:password:id:….
func sameID(list, have, want string) bool {
	if want == "" || have == want {
		return true
	}
	for line := range strings.Lines(list) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 2 && f[0] == have && f[2] == want {
			return true
		}
	}
	return false
}

// str is the string behind p, or "".
func str(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// check is one fact that must hold before a change.
func check(id string, holds bool, help, text string, args ...any) world.Check {
	return world.Check{ID: id, Holds: holds, Text: fmt.Sprintf(text, args...), Help: help}
}

// octal is the permission bits as chmod writes them.
func octal(m fs.FileMode) uint32 {
	n := uint32(m.Perm())
	for bit, f := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&f != 0 {
			n |= bit
		}
	}
	return n
}

// later stands for an argument that only the run can tell.
const later = "(known during the run)"

// shown is an argument as a plan shows it.
func shown(p engine.Planning, name, value string) string {
	if p.Unknown[name] {
		return later
	}
	return strconv.Quote(value)
}
