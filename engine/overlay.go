package engine

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// ErrImagined says that a plan has changed what was asked for in a way that only
// the run can tell. An Observe that gets it returns it.
var ErrImagined = errors.New("only the run can tell")

// readOnly is a host without the methods that change it: what embeds a
// conn.Host as a conn.Reader cannot be asked for the rest.
type readOnly struct{ conn.Reader }

// Glance takes all these looks at once, as the host does.
func (r readOnly) Glance(ctx context.Context, all []*conn.Glance) {
	conn.LookAt(ctx, r.Reader, all...)
}

// planReader is a host as the plan imagines it: files and units that the plan
// has changed are answered from the model, everything else by the real host.
type planReader struct {
	conn.Reader
	host *world.Host // as the plan imagines it so far; nil if untouched
}

func notExist(op, path string) error {
	return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

// Glance asks the host at once for all that the model passes on to it.
func (r planReader) Glance(ctx context.Context, all []*conn.Glance) {
	f := fetched{Reader: r.Reader}
	for _, g := range all {
		switch state, origin, _ := r.host.Look(g.Path); state {
		case world.Real:
			f.glances = append(f.glances, &conn.Glance{What: g.What, Path: g.Path})
		case world.Moved:
			f.glances = append(f.glances, &conn.Glance{What: g.What, Path: origin})
		}
	}
	conn.LookAt(ctx, r.Reader, f.glances...)
	for _, g := range all {
		g.Take(ctx, planReader{Reader: f, host: r.host})
	}
}

// fetched is a host of which some looks have been taken already.
type fetched struct {
	conn.Reader
	glances []*conn.Glance
}

func (f fetched) find(what conn.GlanceKind, path string) *conn.Glance {
	for _, g := range f.glances {
		if g.What == what && g.Path == path {
			return g
		}
	}
	return nil
}

func (f fetched) Stat(ctx context.Context, path string) (conn.Info, error) {
	if g := f.find(conn.Stat, path); g != nil {
		return g.Info, g.Err
	}
	return f.Reader.Stat(ctx, path)
}

func (f fetched) ReadDir(ctx context.Context, path string) ([]conn.Info, error) {
	if g := f.find(conn.ReadDir, path); g != nil {
		return g.Infos, g.Err
	}
	return f.Reader.ReadDir(ctx, path)
}

func (f fetched) ReadFile(ctx context.Context, path string) ([]byte, error) {
	if g := f.find(conn.ReadFile, path); g != nil {
		return g.Data, g.Err
	}
	return f.Reader.ReadFile(ctx, path)
}

func (r planReader) ReadFile(ctx context.Context, path string) ([]byte, error) {
	switch state, origin, content := r.host.Look(path); state {
	case world.Absent:
		return nil, notExist("read", path)
	case world.File:
		if content == nil {
			return nil, ErrImagined
		}
		return content, nil
	case world.Moved:
		return r.Reader.ReadFile(ctx, origin)
	case world.Dir, world.Opaque:
		return nil, ErrImagined
	}
	return r.Reader.ReadFile(ctx, path)
}

func (r planReader) Stat(ctx context.Context, path string) (conn.Info, error) {
	switch state, origin, content := r.host.Look(path); state {
	case world.Absent:
		return conn.Info{}, notExist("stat", path)
	case world.File:
		if content == nil {
			return conn.Info{}, ErrImagined
		}
		return conn.Info{Path: path, Mode: 0o600, Size: int64(len(content))}, nil
	case world.Dir:
		return conn.Info{Path: path, Mode: fs.ModeDir | 0o700}, nil
	case world.Moved:
		info, err := r.Reader.Stat(ctx, origin)
		info.Path = path
		return info, err
	case world.Opaque:
		return conn.Info{}, ErrImagined
	}
	return r.Reader.Stat(ctx, path)
}

func (r planReader) ReadDir(ctx context.Context, path string) ([]conn.Info, error) {
	if r.host == nil || r.host.Files == nil {
		return r.Reader.ReadDir(ctx, path)
	}
	switch state, origin, _ := r.host.Look(path); state {
	case world.Absent:
		return nil, notExist("readdir", path)
	case world.Moved:
		infos, err := r.Reader.ReadDir(ctx, origin)
		for i := range infos {
			infos[i].Path = path + strings.TrimPrefix(infos[i].Path, origin)
		}
		return infos, err
	case world.File, world.Opaque, world.Dir:
		// What the plan wrote into a directory of its own is not listed there.
		return nil, ErrImagined
	}
	infos, err := r.Reader.ReadDir(ctx, path)
	if err != nil {
		return nil, err
	}
	var kept []conn.Info
	for _, info := range infos {
		switch state, _, _ := r.host.Look(info.Path); state {
		case world.Absent:
		case world.Real:
			kept = append(kept, info)
		default:
			return nil, ErrImagined
		}
	}
	return kept, nil
}

// Query runs only on a host that the plan has left alone: no program can be
// told what the plan imagines.
func (r planReader) Query(ctx context.Context, c conn.Command) (conn.Result, error) {
	if r.touched() {
		return conn.Result{}, ErrImagined
	}
	return r.Reader.Query(ctx, c)
}

func (r planReader) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if r.touched() {
		return nil, ErrImagined
	}
	return r.Reader.Dial(ctx, addr)
}

func (r planReader) Unit(ctx context.Context, name string) (conn.Unit, error) {
	u, err := r.Reader.Unit(ctx, name)
	if r.host == nil || err != nil {
		return u, err
	}
	switch r.host.Units[name] {
	case "started":
		if u.ActiveState != "active" {
			u.ActiveState, u.SubState, u.Result = "active", "running", "success"
		}
	case "starting":
		u.ActiveState, u.SubState, u.Result = "activating", "start", "success"
	case "stopped":
		if u.ActiveState != "inactive" && u.ActiveState != "failed" {
			u.ActiveState, u.SubState, u.MainPID = "inactive", "dead", 0
		}
	}
	if masked, ok := r.host.Masked[name]; ok && masked {
		u.LoadState, u.UnitFileState = "masked", "masked-runtime"
	} else if ok && u.LoadState == "masked" {
		u.LoadState, u.UnitFileState = "loaded", "enabled"
	}
	return u, nil
}

func (r planReader) touched() bool {
	return r.host != nil && (r.host.Files != nil || len(r.host.Units)+len(r.host.Masked) > 0)
}
