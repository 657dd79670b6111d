// Package snapshot holds the task types that save, check, try and restore
// snapshots of etcd. It knows what a snapshot is, byte by byte, and what etcd
// makes of it. The work on files is done where they lie, by verbs (see
// tasks/onhost); it does not know how a host is reached, nor when a restore is
// called for.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// Types lists the task types of this package.
func Types() []*engine.Type {
	return []*engine.Type{DataDir(), Remains(), Restore(), Save(), Status(), Survivor(), Swap(), Trial()}
}

// Verbs lists what this package does on a host.
func Verbs() []onhost.Verb {
	return []onhost.Verb{
		onhost.Define("snapshot-save", saveHere),
		onhost.Define("snapshot-pages", pagesOf),
		onhost.Define("snapshot-status", statusOf),
		onhost.Define("snapshot-restore", restore),
		onhost.Define("snapshot-unpack", unpack),
		onhost.Define("snapshot-trial", try),
		onhost.Define("data-dir", holdingsOf),
	}
}

// patience is the default timeout of all types here: a snapshot of several GiB
// on a slow disk takes that long.
const patience = 30 * time.Minute

// ask runs a verb that reads the snapshot at path, where the task's files are.
func ask(ctx context.Context, l engine.Look, path, verb string, q, a any) error {
	err := func() error {
		if l.Host == nil {
			return onhost.Here(ctx, verb, q, a)
		}
		t, err := onhost.Find(ctx, l.Host)
		if err != nil {
			return err
		}
		return t.Ask(ctx, l.Host, verb, q, a)
	}()
	return damaged(path, err)
}

// damaged tells the end of a reader that the pages at path made fail from other
// errors.
func damaged(path string, err error) error {
	var said *onhost.Error
	if errors.As(err, &said) && said.Code == onhost.Crashed {
		return refuse(codeCorrupt, "%s is damaged: reading its pages made the reader fail (%s)", path, said.Text)
	}
	return err
}

// seen is a path as it was when looked at. The zero value was not looked at.
type seen struct {
	Looked bool        `json:"looked"`
	Exists bool        `json:"exists"`
	Mode   fs.FileMode `json:"mode"`
	Size   int64       `json:"size"`
	Owner  string      `json:"owner"`
	Group  string      `json:"group"`
	Device uint64      `json:"device"`
	Inode  uint64      `json:"inode"`
}

func see(ctx context.Context, r conn.Reader, path string) (seen, error) {
	i, err := r.Stat(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{Looked: true}, nil
	}
	if err != nil {
		return seen{}, err
	}
	return seen{
		Looked: true, Exists: true, Mode: i.Mode, Size: i.Size,
		Owner: i.Owner, Group: i.Group, Device: i.Device, Inode: i.Inode,
	}, nil
}

// kind is what stands at the path, in words.
func (s seen) kind() string {
	switch {
	case !s.Exists:
		return "nothing"
	case s.Mode.IsDir():
		return "a directory"
	case s.Mode.IsRegular():
		return "a file"
	case s.Mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "a special file"
}

// check is one fact that must hold before a change.
func check(id string, holds bool, help, text string, args ...any) world.Check {
	return world.Check{ID: id, Holds: holds, Text: fmt.Sprintf(text, args...), Help: help}
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

func str(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// minor reads a version such as 3.5 or 3.5.21; ok is false if it is none.
func minor(version string) (major, min int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(parts[0])
	min, err2 := strconv.Atoi(parts[1])
	return major, min, err1 == nil && err2 == nil
}

// fits refuses a snapshot that a server of this version would not start with.
// A snapshot of before 3.6 has no version, and every server takes it; the zero
// version is of a server that is not known.
func fits(snapshot, server string) error {
	sa, si, known := minor(snapshot)
	ra, ri, given := minor(server)
	if known && given && (sa > ra || sa == ra && si > ri) {
		return refuse(codeVersion, "the snapshot is of etcd %d.%d, and the server is %s: it would refuse to start with it. "+
			"Restore it with etcd %d.%d or later", sa, si, server, sa, si)
	}
	return nil
}

// checkVersion finds a server_version that is none.
func checkVersion(v *string) error {
	if _, _, ok := minor(str(v)); v != nil && !ok {
		return &engine.ArgError{Arg: "server_version", Text: fmt.Sprintf("%q is not a version of etcd. Write it as in \"3.6\" or \"3.5.21\".", *v)}
	}
	return nil
}
