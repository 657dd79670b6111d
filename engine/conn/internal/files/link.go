package files

import (
	"context"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// Readlink returns where the symbolic link p leads.
func (r *Root) Readlink(p string) (string, error) {
	fd, err := r.open("readlink", p, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: p, Err: err}
	}
	return string(buf[:n]), nil
}

// Symlink makes p a symbolic link to target, in a folder that must exist. It
// never overwrites.
func (r *Root) Symlink(ctx context.Context, target, p string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dirfd, err := r.open("symlink", path.Dir(p), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dirfd)
	if err := unix.Symlinkat(target, dirfd, path.Base(p)); err != nil {
		return &fs.PathError{Op: "symlink", Path: p, Err: err}
	}
	return synced("symlink", p, dirfd)
}
