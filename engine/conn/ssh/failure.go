package ssh

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// reasons are what the programs of a host say in the C locale, and what that
// means: their exit codes do not tell.
var reasons = []struct {
	said string
	err  error
}{
	{"No such file or directory", syscall.ENOENT},
	{"No such file", syscall.ENOENT},
	{"Directory nonexistent", syscall.ENOENT},
	{"nonexistent directory", syscall.ENOENT},
	{"Permission denied", syscall.EACCES},
	{"Operation not permitted", syscall.EPERM},
	{"File exists", syscall.EEXIST},
	{"Not a directory", syscall.ENOTDIR},
	{"Is a directory", syscall.EISDIR},
	{"Directory not empty", syscall.ENOTEMPTY},
	{"No space left on device", syscall.ENOSPC},
	{"Disk quota exceeded", syscall.EDQUOT},
	{"Read-only file system", syscall.EROFS},
	{"Device or resource busy", syscall.EBUSY},
	{"Invalid cross-device link", syscall.EXDEV},
	{"File name too long", syscall.ENAMETOOLONG},
	{"Too many levels of symbolic links", syscall.ELOOP},
	{"Input/output error", syscall.EIO},
}

// kinds are what the host's own script says, by the word before the colon.
func kindOf(word, rest string) error {
	switch word {
	case "notdir":
		return syscall.ENOTDIR
	case "isdir":
		return syscall.EISDIR
	case "perm":
		return syscall.EACCES
	case "exist":
		return syscall.EEXIST
	case "xdev":
		return fmt.Errorf("%w: %s", syscall.EXDEV, rest)
	case "nospace":
		return fmt.Errorf("%w: %s", syscall.ENOSPC, rest)
	case "noprogram":
		return fmt.Errorf("program %s: %w", rest, fs.ErrNotExist)
	case "unsafe":
		return fmt.Errorf("refused, because it could lead elsewhere: %s", rest)
	case "irregular", "short", "sum", "damaged":
		return fmt.Errorf("%s", rest)
	}
	return nil
}

// statusPartly says that something was changed before the failure.
const statusPartly = 122

// hostError is the error of a script that ended with a status and these words.
func (h *Host) hostError(op, path string, status int, said []byte) error {
	return h.failed(op, path, scriptError(status, string(said)))
}

func scriptError(status int, said string) error {
	said = strings.TrimSpace(said)
	var err error
	for line := range strings.Lines(said) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if err = kindOf(word, rest); err != nil {
			break
		}
	}
	last := lastLine(said)
	for _, r := range reasons {
		if err == nil && strings.HasSuffix(last, r.said) {
			err = r.err
		}
	}
	switch {
	case err == nil && last == "":
		err = fmt.Errorf("the host says nothing more than status %d", status)
	case err == nil:
		err = fmt.Errorf("%s", last)
	}
	if status == statusPartly {
		return fmt.Errorf("%w: %w", conn.ErrOutcomeUnknown, err)
	}
	return err
}

// failed says of which operation and host an error is.
func (h *Host) failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if path != "" {
		err = &fs.PathError{Op: op, Path: path, Err: err}
	} else {
		err = fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w", h.config.Name, err)
}
