package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// owner is a user and a group by number; -1 leaves one as it is.
type owner struct{ uid, gid int }

// owner resolves the names of a.
func (r *Root) owner(a conn.Attr) (owner, error) {
	own := owner{-1, -1}
	if a.Owner != "" {
		id := a.Owner
		if u, err := user.Lookup(a.Owner); err == nil {
			id = u.Uid
		}
		uid, err := strconv.ParseUint(id, 10, 31)
		if err != nil {
			return own, fmt.Errorf("there is no user %q", a.Owner)
		}
		own.uid = int(uid)
	}
	if a.Group != "" {
		id := a.Group
		if g, err := user.LookupGroup(a.Group); err == nil {
			id = g.Gid
		}
		gid, err := strconv.ParseUint(id, 10, 31)
		if err != nil {
			return own, fmt.Errorf("there is no group %q", a.Group)
		}
		own.gid = int(gid)
	}
	if r.OwnOnly {
		return own, ownOnly(own, a)
	}
	return own, nil
}

func ownOnly(own owner, a conn.Attr) error {
	if own.uid >= 0 && own.uid != os.Geteuid() {
		return fmt.Errorf("%w: owner %q is not the user that runs etcdplay", fs.ErrPermission, a.Owner)
	}
	if own.gid < 0 || own.gid == os.Getegid() {
		return nil
	}
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	if !slices.Contains(groups, own.gid) {
		return fmt.Errorf("%w: group %q is not one of the user that runs etcdplay", fs.ErrPermission, a.Group)
	}
	return nil
}

// setAttr gives the file fd, opened with O_PATH or not, its mode and owner. A
// zero perm stays.
func setAttr(fd int, p string, perm uint32, own owner) error {
	if own.uid >= 0 || own.gid >= 0 {
		if err := unix.Fchownat(fd, "", own.uid, own.gid, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return &fs.PathError{Op: "chown", Path: p, Err: err}
		}
	}
	if perm == 0 {
		return nil
	}
	// fchmod refuses an O_PATH descriptor; its name below /proc means this very
	// file, whatever became of p since.
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), perm); err != nil {
		return &fs.PathError{Op: "chmod", Path: p, Err: err}
	}
	return nil
}

// SetAttr sets mode and owner of p, and with recursive the owner of all below
// it, as conn.Host says.
func (r *Root) SetAttr(ctx context.Context, p string, a conn.Attr, recursive bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	own, err := r.owner(a)
	if err != nil {
		return &fs.PathError{Op: "chown", Path: p, Err: err}
	}
	fd, err := r.open("chown", p, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "chown", Path: p, Err: err}
	}
	perm := uint32(a.Mode.Perm())
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		perm = 0
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if recursive && isDir && (own.uid >= 0 || own.gid >= 0) {
		changed := false
		err := walk(ctx, fd, p, st.Dev, func(dirfd int, name, p string, _ *unix.Stat_t) error {
			if err := unix.Fchownat(dirfd, name, own.uid, own.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return &fs.PathError{Op: "chown", Path: p, Err: err}
			}
			changed = true
			return nil
		}, nil)
		if err != nil {
			return partly(changed, err)
		}
	}
	return partly(recursive && isDir, setAttr(fd, p, perm, own))
}

// partly marks err as one after which some of the work is done.
func partly(changed bool, err error) error {
	if err == nil || !changed {
		return err
	}
	return fmt.Errorf("%w: %w", conn.ErrOutcomeUnknown, err)
}

// visit is called for name in the directory dirfd, whose path is p.
type visit func(dirfd int, name, p string, st *unix.Stat_t) error

// walk visits all below the directory dirfd on the device dev, whatever is in a
// directory before the directory itself. Symbolic links are visited, not
// followed; what is on another device is given to other, or if that is nil
// left alone.
func walk(ctx context.Context, dirfd int, p string, dev uint64, each, other visit) error {
	fd, err := unix.Openat(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: p, Err: err}
	}
	dir := os.NewFile(uintptr(fd), p)
	defer dir.Close()
	entries, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := walkEntry(ctx, fd, name, path.Join(p, name), dev, each, other); err != nil {
			return err
		}
	}
	return nil
}

func walkEntry(ctx context.Context, dirfd int, name, p string, dev uint64, each, other visit) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away since the directory was read
		}
		return &fs.PathError{Op: "stat", Path: p, Err: err}
	}
	if st.Dev != dev {
		if other == nil {
			return nil
		}
		return other(dirfd, name, p, &st)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		sub, err := unix.Openat(dirfd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return &fs.PathError{Op: "open", Path: p, Err: err}
		}
		err = walk(ctx, sub, p, dev, each, other)
		unix.Close(sub)
		if err != nil {
			return err
		}
	}
	return each(dirfd, name, p, &st)
}

// Remove removes the file or empty directory p; with recursive all below it. If
// something below it is on another file system, nothing is removed and the
// error wraps syscall.EXDEV.
func (r *Root) Remove(ctx context.Context, p string, recursive bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p == "/" {
		return &fs.PathError{Op: "remove", Path: p, Err: unix.EBUSY}
	}
	if err := check(p); err != nil {
		return &fs.PathError{Op: "remove", Path: p, Err: err}
	}
	dirfd, err := r.open("remove", path.Dir(p), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dirfd)
	base := path.Base(p)
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "remove", Path: p, Err: err}
	}
	changed := false
	if recursive && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := foreign(ctx, dirfd, base, p); err != nil {
			return err
		}
		err := walkEntry(ctx, dirfd, base, p, st.Dev, func(dirfd int, name, p string, st *unix.Stat_t) error {
			if err := unlink(dirfd, name, p, st); err != nil {
				return err
			}
			changed = true
			return nil
		}, refuse)
		if err != nil {
			return partly(changed, err)
		}
		return synced("remove", p, dirfd)
	}
	if err := unlink(dirfd, base, p, &st); err != nil {
		return err
	}
	return synced("remove", p, dirfd)
}

// foreign refuses a tree that reaches into another file system.
func foreign(ctx context.Context, dirfd int, base, p string) error {
	var parent unix.Stat_t
	if err := unix.Fstat(dirfd, &parent); err != nil {
		return &fs.PathError{Op: "remove", Path: p, Err: err}
	}
	nothing := func(int, string, string, *unix.Stat_t) error { return nil }
	return walkEntry(ctx, dirfd, base, p, parent.Dev, nothing, refuse)
}

func refuse(_ int, _, p string, _ *unix.Stat_t) error {
	return &fs.PathError{Op: "remove", Path: p, Err: unix.EXDEV}
}

func unlink(dirfd int, name, p string, st *unix.Stat_t) error {
	flags := 0
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		flags = unix.AT_REMOVEDIR
	}
	if err := unix.Unlinkat(dirfd, name, flags); err != nil {
		return &fs.PathError{Op: "remove", Path: p, Err: err}
	}
	return nil
}
