// Package files knows how to look at and change files below one directory of
// this machine as conn.Host promises it: whole or not at all, durable, never
// out of that directory whatever symbolic links are there. It must not know
// whose directory that is.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Root is a directory whose content is a host's file system: paths given to its
// methods are absolute and clean, and begin there. Symbolic links are resolved
// as a process would whose root directory it is, so none leads out of it.
type Root struct {
	fd      int
	cleanup runtime.Cleanup

	// OwnOnly refuses owners other than this process's user and its groups, with
	// an error wrapping fs.ErrPermission, whatever its privileges are.
	OwnOnly bool
}

// Open opens the directory dir as a root.
func Open(dir string) (*Root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	r := &Root{fd: fd}
	r.cleanup = runtime.AddCleanup(r, func(fd int) { unix.Close(fd) }, fd)
	return r, nil
}

// Close frees the root at once, instead of when nothing refers to it any more;
// its methods must not be called afterwards.
func (r *Root) Close() error {
	r.cleanup.Stop()
	return unix.Close(r.fd)
}

// open opens p, an absolute clean path. A final symbolic link is followed
// unless flags has O_NOFOLLOW.
func (r *Root) open(op, p string, flags int, mode uint32) (int, error) {
	if err := check(p); err != nil {
		return -1, &fs.PathError{Op: op, Path: p, Err: err}
	}
	rel := strings.TrimPrefix(p, "/")
	if rel == "" {
		rel = "."
	}
	defer runtime.KeepAlive(r)
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Mode:    uint64(mode),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(r.fd, rel, &how)
		// The kernel says EAGAIN when something was renamed while it resolved "..".
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: op, Path: p, Err: err}
		}
		return fd, nil
	}
}

func check(p string) error {
	switch {
	case !path.IsAbs(p):
		return errors.New("path is not absolute")
	case path.Clean(p) != p:
		return errors.New("path is not clean")
	case strings.IndexByte(p, 0) >= 0:
		return errors.New("path holds a NUL")
	}
	return nil
}

// Resolve returns the path on this machine of the file that p names, symbolic
// links resolved inside the root.
func (r *Root) Resolve(p string) (string, error) {
	fd, err := r.open("resolve", p, unix.O_PATH, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// ReadFile returns the content of the regular file at p, at most limit bytes of
// it; a larger one is conn.ErrTooBig.
func (r *Root) ReadFile(ctx context.Context, p string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// O_NONBLOCK, so that a FIFO in the way is found out instead of waited for.
	fd, err := r.open("read", p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: p, Err: errors.New("not a regular file")}
	}
	tooBig := &fs.PathError{Op: "read", Path: p, Err: fmt.Errorf("%w: %d bytes", conn.ErrTooBig, limit)}
	if info.Size() > limit {
		return nil, tooBig
	}
	// The size is no promise: the file may grow, and those of /proc say zero.
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, tooBig
	}
	return data, nil
}

// Stat describes p itself; a symbolic link is not followed.
func (r *Root) Stat(ctx context.Context, p string) (conn.Info, error) {
	if err := ctx.Err(); err != nil {
		return conn.Info{}, err
	}
	fd, err := r.open("stat", p, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return conn.Info{}, err
	}
	defer unix.Close(fd)
	info, err := describe(fd, "", p, names{})
	if err != nil {
		return conn.Info{}, err
	}
	info.Mount = info.Mount || p == "/"
	return info, nil
}

// ReadDir describes what is directly in the directory p, in the order of names.
func (r *Root) ReadDir(ctx context.Context, p string) ([]conn.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fd, err := r.open("readdir", p, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), p)
	defer dir.Close()
	entries, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(entries)
	infos := make([]conn.Info, 0, len(entries))
	owners := names{}
	for _, name := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := describe(fd, name, path.Join(p, name), owners)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went away since the directory was read
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// FreeBytes is the space an unprivileged writer has on the file system of p, or
// of its nearest existing parent.
func (r *Root) FreeBytes(ctx context.Context, p string) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for {
		fd, err := r.open("statfs", p, unix.O_PATH, 0)
		if errors.Is(err, fs.ErrNotExist) && p != "/" {
			p = path.Dir(p)
			continue
		}
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		var st unix.Statfs_t
		if err := unix.Fstatfs(fd, &st); err != nil {
			return 0, &fs.PathError{Op: "statfs", Path: p, Err: err}
		}
		return st.Bavail * uint64(st.Bsize), nil
	}
}

// names remembers the names of users and groups during one call.
type names map[string]string

func (n names) of(kind string, id uint32, lookup func(string) (string, error)) string {
	key := kind + strconv.Itoa(int(id))
	if name, ok := n[key]; ok {
		return name
	}
	num := strconv.FormatUint(uint64(id), 10)
	name, err := lookup(num)
	if err != nil { // an id without a name is described by its number
		name = num
	}
	n[key] = name
	return name
}

func userName(id string) (string, error) {
	u, err := user.LookupId(id)
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

func groupName(id string) (string, error) {
	g, err := user.LookupGroupId(id)
	if err != nil {
		return "", err
	}
	return g.Name, nil
}

// describe describes name in the directory dirfd, or dirfd itself if name is empty.
func describe(dirfd int, name, p string, owners names) (conn.Info, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	if err := unix.Statx(dirfd, name, flags, unix.STATX_BASIC_STATS, &st); err != nil {
		return conn.Info{}, &fs.PathError{Op: "stat", Path: p, Err: err}
	}
	return conn.Info{
		Path:   p,
		Mode:   Mode(uint32(st.Mode)),
		Size:   int64(st.Size),
		Owner:  owners.of("u", st.Uid, userName),
		Group:  owners.of("g", st.Gid, groupName),
		Device: unix.Mkdev(st.Dev_major, st.Dev_minor),
		Inode:  st.Ino,
		MTime:  time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)),
		Mount:  st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
	}, nil
}

// Mode translates the mode of stat(2).
func Mode(raw uint32) fs.FileMode {
	m := fs.FileMode(raw & 0o777)
	switch raw & unix.S_IFMT {
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	case unix.S_IFIFO:
		m |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= fs.ModeSocket
	case unix.S_IFBLK:
		m |= fs.ModeDevice
	case unix.S_IFCHR:
		m |= fs.ModeDevice | fs.ModeCharDevice
	}
	if raw&unix.S_ISUID != 0 {
		m |= fs.ModeSetuid
	}
	if raw&unix.S_ISGID != 0 {
		m |= fs.ModeSetgid
	}
	if raw&unix.S_ISVTX != 0 {
		m |= fs.ModeSticky
	}
	return m
}
