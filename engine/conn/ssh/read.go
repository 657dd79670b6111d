package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/internal/files"
)

// maxListing is the most that a directory's description may take, in bytes.
const maxListing = 64 << 20

// checkPath refuses what is no absolute, clean path.
func checkPath(p string) error {
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

// split is the folder of p and the name in it, which for the root is ".".
func split(p string) (dir, name string) {
	if p == "/" {
		return "/", "."
	}
	return path.Dir(p), path.Base(p)
}

// look asks the host something about the path p.
func (h *Host) look(ctx context.Context, op, p, script string, keep int) ([]byte, error) {
	if err := checkPath(p); err != nil {
		return nil, h.failed(op, p, err)
	}
	a, err := h.ask(ctx, script, keep)
	switch {
	case err != nil:
		return nil, h.failed(op, p, err)
	case a.status != 0:
		return nil, h.hostError(op, p, a.status, a.err)
	case a.cut:
		return nil, h.failed(op, p, conn.ErrTooBig)
	}
	return a.out, nil
}

// ReadFile returns the content of a regular file.
func (h *Host) ReadFile(ctx context.Context, p string) ([]byte, error) {
	data, err := h.look(ctx, "read", p, "content "+quote(p, strconv.Itoa(conn.MaxFile)), conn.MaxFile+1)
	if err != nil {
		return nil, err
	}
	if len(data) > conn.MaxFile {
		return nil, h.failed("read", p, conn.ErrTooBig)
	}
	return data, nil
}

// Stat describes p itself.
func (h *Host) Stat(ctx context.Context, p string) (conn.Info, error) {
	dir, name := split(p)
	out, err := h.look(ctx, "stat", p, "lstat "+quote(dir, name), 1<<20)
	if err != nil {
		return conn.Info{}, err
	}
	infos, err := parseEntries(out)
	if err == nil && len(infos) != 1 {
		err = fmt.Errorf("the host described %d files", len(infos))
	}
	if err != nil {
		return conn.Info{}, h.failed("stat", p, err)
	}
	infos[0].Path = p
	return infos[0], nil
}

// ReadDir describes what is in a directory.
func (h *Host) ReadDir(ctx context.Context, p string) ([]conn.Info, error) {
	out, err := h.look(ctx, "readdir", p, "list "+quote(p), maxListing)
	if err != nil {
		return nil, err
	}
	infos, err := parseEntries(out)
	if err != nil {
		return nil, h.failed("readdir", p, err)
	}
	return listed(p, infos), nil
}

// FreeBytes is the space on the file system of p.
func (h *Host) FreeBytes(ctx context.Context, p string) (uint64, error) {
	out, err := h.look(ctx, "statfs", p, "free "+quote(p), 256)
	if err != nil {
		return 0, err
	}
	var blocks, size uint64
	if _, err := fmt.Sscan(string(out), &blocks, &size); err != nil {
		return 0, h.failed("statfs", p, err)
	}
	if size != 0 && blocks > math.MaxUint64/size {
		return math.MaxUint64, nil
	}
	return blocks * size, nil
}

// fields is how many fields the host prints of a file.
const fields = 10

// parseEntries reads what lstat and list print: the folder, then ten fields of
// each file, an empty field, and what is mounted; a NUL after each field.
// Path is the name of the file in its folder.
func parseEntries(out []byte) ([]conn.Info, error) {
	next := func() (string, bool) {
		field, rest, found := bytes.Cut(out, []byte{0})
		out = rest
		return string(field), found
	}
	folder, ok := next()
	var infos []conn.Info
	for ok {
		var f [fields]string
		if f[0], ok = next(); !ok || f[0] == "" {
			break
		}
		for i := 1; i < fields && ok; i++ {
			f[i], ok = next()
		}
		info, err := parseFields(f)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	if !ok {
		return nil, errors.New("the host's description of files is cut off")
	}
	mounts := mountPoints(string(out))
	for i := range infos {
		infos[i].Mount = mounts[path.Join(folder, infos[i].Path)]
	}
	return infos, nil
}

func parseFields(f [fields]string) (conn.Info, error) {
	info := conn.Info{Path: strings.TrimPrefix(f[0], "./"), Owner: f[8], Group: f[9]}
	raw, err1 := strconv.ParseUint(f[1], 16, 32)
	size, err2 := strconv.ParseInt(f[2], 10, 64)
	device, err3 := strconv.ParseUint(f[5], 10, 64)
	inode, err4 := strconv.ParseUint(f[6], 10, 64)
	seconds, nanos, _ := strings.Cut(f[7], ".")
	s, err5 := strconv.ParseInt(seconds, 10, 64)
	n, err6 := strconv.ParseInt(nanos, 10, 64)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return info, fmt.Errorf("the host's description of %q cannot be read: %w", f[0], err)
	}
	info.Mode, info.Size, info.Device, info.Inode, info.MTime = files.Mode(uint32(raw)), size, device, inode, time.Unix(s, n)
	if info.Owner == "UNKNOWN" { // the number has no name
		info.Owner = f[3]
	}
	if info.Group == "UNKNOWN" {
		info.Group = f[4]
	}
	return info, nil
}

// mountPoints reads /proc/self/mountinfo.
func mountPoints(text string) map[string]bool {
	points := make(map[string]bool)
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 4 {
			points[unescape.Replace(words[4])] = true
		}
	}
	return points
}
