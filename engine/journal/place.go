package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// MakeDir makes a folder that only its owner can use, and the parents it lacks,
// all on disk. A folder that is there already must belong to the user.
func MakeDir(dir string) error {
	_, err := os.Lstat(dir)
	if err == nil {
		return ownDir(dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir puts the entries of a folder on disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return closing(d, err)
	}
	return d.Close()
}

// ownDir refuses a folder in which somebody else could put things.
func ownDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a folder", ErrPerms, dir)
	}
	return ownedAlone(dir, info, 0o022)
}

func openFile(dir string, flags int) (*os.File, error) {
	path := filepath.Join(dir, fileName)
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%w: %s is a symbolic link", ErrPerms, path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, closing(f, err)
	}
	if !info.Mode().IsRegular() {
		return nil, closing(f, fmt.Errorf("%w: %s is not a regular file", ErrPerms, path))
	}
	if err := ownedAlone(path, info, 0o077); err != nil {
		return nil, closing(f, err)
	}
	return f, nil
}

// ownedAlone refuses what belongs to another user or has any of the forbidden
// permission bits.
func ownedAlone(path string, info fs.FileInfo, forbidden fs.FileMode) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to user %d", ErrPerms, path, st.Uid)
	}
	if info.Mode().Perm()&forbidden != 0 {
		return fmt.Errorf("%w: %s has mode %04o", ErrPerms, path, info.Mode().Perm())
	}
	return nil
}

// lock takes the one writer's lock, which the kernel releases when the process
// ends, however it ends.
func lock(f *os.File) error {
	deadline := time.Now().Add(lockPatience)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(deadline):
			return ErrLocked
		}
		time.Sleep(10 * time.Millisecond)
	}
}
