package files

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// WriteFile replaces the file at p, as conn.Host says.
func (r *Root) WriteFile(ctx context.Context, p string, f conn.File) error {
	own, err := r.owner(f.Attr)
	if err == nil {
		err = check(p)
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: p, Err: err}
	}
	if p == "/" {
		return &fs.PathError{Op: "write", Path: p, Err: unix.EISDIR}
	}
	dirfd, err := r.open("write", path.Dir(p), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dirfd)
	base := path.Base(p)
	perm := uint32(f.Mode.Perm())
	if old, err := describeOld(dirfd, base); err != nil {
		return &fs.PathError{Op: "write", Path: p, Err: err}
	} else if old != nil {
		perm, own = inherit(*old, perm, own)
	}
	if perm == 0 {
		perm = 0o600
	}

	temp := ".etcdplay-" + rand.Text() + ".tmp"
	fd, err := unix.Openat(dirfd, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "write", Path: p, Err: err}
	}
	out := os.NewFile(uintptr(fd), p)
	err = fill(ctx, out, f, perm, own)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = unix.Renameat(dirfd, temp, dirfd, base)
	}
	if err != nil {
		// The temporary file is all that was made; if even its removal fails, the
		// first error is still the one that matters.
		_ = unix.Unlinkat(dirfd, temp, 0)
		return &fs.PathError{Op: "write", Path: p, Err: err}
	}
	return synced("write", p, dirfd)
}

// describeOld returns what WriteFile replaces: nil if there is nothing whose
// mode and owner should stay.
func describeOld(dirfd int, base string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dirfd, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil, unix.EISDIR
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, nil
	}
	return &st, nil
}

// inherit fills what the caller left open with what the old file has.
func inherit(old unix.Stat_t, perm uint32, own owner) (uint32, owner) {
	if perm == 0 {
		perm = old.Mode & 0o777
	}
	if own.uid < 0 && int(old.Uid) != os.Geteuid() {
		own.uid = int(old.Uid)
	}
	if own.gid < 0 && int(old.Gid) != os.Getegid() {
		own.gid = int(old.Gid)
	}
	return perm, own
}

// fill writes f's content to out and gives it its mode and owner, so that out
// is complete before it gets its name.
func fill(ctx context.Context, out *os.File, f conn.File, perm uint32, own owner) error {
	sum := sha256.New()
	var written int64
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Content.Read(buf)
		if written += int64(n); written > f.Size {
			return fmt.Errorf("content is longer than its %d bytes", f.Size)
		}
		sum.Write(buf[:n])
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
		if f.Progress != nil && n > 0 {
			f.Progress(written)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read content: %w", err)
		}
	}
	if written != f.Size {
		return fmt.Errorf("content has %d bytes, want %d", written, f.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return fmt.Errorf("content has SHA-256 %s, want %s", got, f.SHA256)
	}
	// Owner before mode: a change of owner takes setuid and setgid bits away.
	if own.uid >= 0 || own.gid >= 0 {
		if err := unix.Fchown(int(out.Fd()), own.uid, own.gid); err != nil {
			return fmt.Errorf("chown: %w", err)
		}
	}
	if err := unix.Fchmod(int(out.Fd()), perm); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	return out.Sync()
}

// synced makes the directory durable after a change that has already happened.
func synced(op, p string, dirfd int) error {
	if err := unix.Fsync(dirfd); err != nil {
		return &fs.PathError{Op: op, Path: p, Err: fmt.Errorf("%w: fsync of the folder: %w", conn.ErrOutcomeUnknown, err)}
	}
	return nil
}

// Mkdir makes the directory p and the parents it lacks, and gives p a.
func (r *Root) Mkdir(ctx context.Context, p string, a conn.Attr) error {
	own, err := r.owner(a)
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: p, Err: err}
	}
	if err := check(p); err != nil {
		return &fs.PathError{Op: "mkdir", Path: p, Err: err}
	}
	made, err := r.mkdir(ctx, p, 0o700)
	if err != nil {
		return err
	}
	fd, err := r.open("mkdir", p, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err == nil {
		defer unix.Close(fd)
		err = setAttr(fd, p, uint32(a.Mode.Perm()), own)
	}
	if err != nil && made {
		return fmt.Errorf("%w: the directory was made, but: %w", conn.ErrOutcomeUnknown, err)
	}
	return err
}

// mkdir makes p with the mode perm, its parents with the usual 0755, and says
// whether anything had to be made.
func (r *Root) mkdir(ctx context.Context, p string, perm uint32) (made bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	fd, err := r.open("mkdir", p, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == nil {
		unix.Close(fd)
		return false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) || p == "/" {
		return false, err
	}
	if made, err = r.mkdir(ctx, path.Dir(p), 0o755); err != nil {
		return made, err
	}
	dirfd, err := r.open("mkdir", path.Dir(p), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return made, err
	}
	defer unix.Close(dirfd)
	base := path.Base(p)
	if err := unix.Mkdirat(dirfd, base, perm); err != nil {
		return made, &fs.PathError{Op: "mkdir", Path: p, Err: err}
	}
	// mkdirat is subject to the umask; the directory just made is empty and ours.
	if err := unix.Fchmodat(dirfd, base, perm, 0); err != nil {
		return true, &fs.PathError{Op: "mkdir", Path: p, Err: err}
	}
	return true, synced("mkdir", p, dirfd)
}

// Rename moves from to to, overwriting and copying nothing.
func (r *Root) Rename(ctx context.Context, from, to string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if from == "/" || to == "/" {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: unix.EBUSY}
	}
	if err := check(from); err != nil {
		return &fs.PathError{Op: "rename", Path: from, Err: err}
	}
	if err := check(to); err != nil {
		return &fs.PathError{Op: "rename", Path: to, Err: err}
	}
	src, err := r.open("rename", path.Dir(from), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := r.open("rename", path.Dir(to), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	if err := unix.Renameat2(src, path.Base(from), dst, path.Base(to), unix.RENAME_NOREPLACE); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return errors.Join(synced("rename", to, dst), synced("rename", from, src))
}
