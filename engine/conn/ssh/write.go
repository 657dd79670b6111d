package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// alter changes a file on the host.
func (h *Host) alter(ctx context.Context, op, p string, c change) error {
	e, err := h.change(ctx, c)
	switch {
	case err != nil && !errors.Is(err, errNotBegun):
		return h.failed(op, p, err)
	case err != nil || e.status != 0:
		return h.hostError(op, p, e.status, e.err)
	}
	return nil
}

// simple is a change that is one function of the host's script.
func simple(words ...string) change {
	return change{script: func(_, op string) string { return "op " + op + " " + quote(words...) }, keep: 256}
}

func octal(a conn.Attr) string { return strconv.FormatUint(uint64(a.Mode.Perm()), 8) }

// checkAttr refuses names that chown would read as something else.
func checkAttr(a conn.Attr) error {
	for _, name := range []string{a.Owner, a.Group} {
		if strings.ContainsAny(name, ":\x00\n") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "+") {
			return fmt.Errorf("%q is no name of a user or group", name)
		}
	}
	return nil
}

func check(p string, a conn.Attr) error {
	if err := checkPath(p); err != nil {
		return err
	}
	return checkAttr(a)
}

// WriteFile replaces a file, whole or not at all.
func (h *Host) WriteFile(ctx context.Context, p string, f conn.File) error {
	if err := check(p, f.Attr); err != nil {
		return h.failed("write", p, err)
	}
	if p == "/" {
		return h.failed("write", p, syscall.EISDIR)
	}
	if len(f.SHA256) != 64 || f.Size < 0 {
		return h.failed("write", p, errors.New("size or SHA-256 of the content is missing"))
	}
	dir, name := split(p)
	c := change{
		script: func(_, op string) string {
			return "put " + op + " " + quote(dir, name, strconv.FormatInt(f.Size, 10), f.SHA256, octal(f.Attr), f.Owner, f.Group, mask(f.Mode))
		},
		payload: func() *payload { return &payload{content: f.Content, size: f.Size, progress: f.Progress} },
		clear: func(id string) string {
			return "cd -P -- " + quote(dir) + " && rm -f -- " + quote("./.etcdplay-"+id) + "-*.tmp"
		},
		once: true,
		keep: 256,
	}
	if f.Size <= maxText && h.prints.Load() {
		text, err := whole(f)
		if err != nil {
			return h.failed("write", p, err)
		}
		if bytes.IndexByte(text, 0) < 0 {
			put := c.script
			c.script = func(id, op string) string { return "text=" + quote(string(text)) + "\n" + put(id, op) }
			c.payload, c.once = nil, false
		} else {
			f.Content = bytes.NewReader(text)
		}
	}
	err := h.alter(ctx, "write", p, c)
	if err == nil && c.payload == nil && f.Progress != nil {
		f.Progress(f.Size)
	}
	return err
}

// maxText is the most that goes to the host within a script.
const maxText = 32 << 10

// whole reads the content, and holds it against its size.
func whole(f conn.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f.Content, f.Size+1))
	switch n := int64(len(text)); {
	case err != nil:
		return nil, err
	case n > f.Size:
		return nil, fmt.Errorf("content is longer than its %d bytes", f.Size)
	case n < f.Size:
		return nil, fmt.Errorf("content has %d bytes instead of %d", n, f.Size)
	}
	return text, nil
}

// mask is the umask with which a new file has this mode at once; "" where no
// umask does that and leaves the file readable to who writes it.
func mask(m fs.FileMode) string {
	if m&^0o666 != 0 || m&0o600 != 0o600 {
		return ""
	}
	return strconv.FormatUint(uint64(0o666&^m), 8)
}

// Mkdir makes a directory and the parents it lacks.
func (h *Host) Mkdir(ctx context.Context, p string, a conn.Attr) error {
	if err := check(p, a); err != nil {
		return h.failed("mkdir", p, err)
	}
	return h.alter(ctx, "mkdir", p, simple("makedir", p, octal(a), a.Owner, a.Group))
}

// SetAttr sets mode and owner.
func (h *Host) SetAttr(ctx context.Context, p string, a conn.Attr, recursive bool) error {
	if err := check(p, a); err != nil {
		return h.failed("chown", p, err)
	}
	dir, name := split(p)
	return h.alter(ctx, "chown", p, simple("setattr", dir, name, octal(a), a.Owner, a.Group, flag(recursive)))
}

// Rename moves a file without overwriting another.
func (h *Host) Rename(ctx context.Context, from, to string) error {
	for _, p := range []string{from, to} {
		if err := checkPath(p); err != nil {
			return h.failed("rename", p, err)
		}
		if p == "/" {
			return h.failed("rename", p, syscall.EBUSY)
		}
	}
	if strings.HasPrefix(to, from+"/") {
		return h.failed("rename", from, fmt.Errorf("%s is below it: %w", to, syscall.EINVAL))
	}
	return h.alter(ctx, "rename", from, simple("move", path.Dir(from), path.Base(from), path.Dir(to), path.Base(to)))
}

// Remove removes a file or directory.
func (h *Host) Remove(ctx context.Context, p string, recursive bool) error {
	if err := checkPath(p); err != nil {
		return h.failed("remove", p, err)
	}
	if p == "/" {
		return h.failed("remove", p, syscall.EBUSY)
	}
	dir, name := split(p)
	return h.alter(ctx, "remove", p, simple("remove", dir, name, flag(recursive)))
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
