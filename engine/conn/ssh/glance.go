package ssh

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine/conn"
)

var _ conn.Glancer = (*Host)(nil)

// Glance takes all these looks in one script.
func (h *Host) Glance(ctx context.Context, all []*conn.Glance) {
	mark := newMark()
	var stats, others []*conn.Glance
	paths, script := []string{mark}, "glances=1\n"
	for _, g := range all {
		if err := checkPath(g.Path); err != nil {
			g.Err = h.failed(opOf(g), g.Path, err)
			continue
		}
		switch g.What {
		case conn.ReadDir:
			script += "glance " + mark + " " + quote("list", g.Path) + "\n"
			others = append(others, g)
		case conn.ReadFile:
			script += "glance " + mark + " " + quote("content", g.Path, strconv.Itoa(conn.MaxFile)) + "\n"
			others = append(others, g)
		default:
			dir, name := split(g.Path)
			paths = append(paths, dir, name)
			stats = append(stats, g)
		}
	}
	asked := slices.Concat(others, stats)
	if len(asked) == 0 {
		return
	}
	a, err := h.ask(ctx, script+"lstats "+quote(paths...)+"\nmounts\n", maxListing)
	if err == nil && a.cut {
		// Each has bounds of its own.
		for _, g := range asked {
			g.Take(ctx, h)
		}
		return
	}
	outs, errs := cutAnswers(a.out, mark), cutAnswers(a.err, mark)
	if err == nil && (len(outs) != len(asked)+2 || len(errs) != len(outs)) {
		err = errors.New("the host's answer is cut off")
	}
	if err != nil {
		for _, g := range asked {
			g.Err = h.failed(opOf(g), g.Path, err)
		}
		return
	}
	mounted := outs[len(asked)+1].data
	found, err := parseEntries(slices.Concat(outs[len(asked)].data, mounted))
	for i, g := range asked {
		if i < len(others) {
			h.seen(g, outs[i], errs[i].data, mounted)
		} else {
			h.statted(ctx, g, outs[i], errs[i].data, found, err)
		}
	}
}

// statted puts what was found at a path into g.
func (h *Host) statted(ctx context.Context, g *conn.Glance, out part, said []byte, found []conn.Info, err error) {
	status, numErr := strconv.Atoi(out.status)
	switch {
	case numErr != nil:
		err = numErr
	case status != 0:
		err = scriptError(status, string(said))
	case err == nil:
		i := slices.IndexFunc(found, func(i conn.Info) bool { return i.Path == string(out.data) })
		if i < 0 {
			g.Take(ctx, h)
			return
		}
		g.Info = found[i]
		g.Info.Path = g.Path
	}
	g.Err = h.failed(opOf(g), g.Path, err)
}

// part is what one of several looks said, and how it ended.
type part struct {
	data   []byte
	status string // "" of what follows the last one
}

// cutAnswers cuts at lines of the mark and a status. What follows the last one
// is the last part.
func cutAnswers(out []byte, mark string) []part {
	var parts []part
	for {
		data, rest, more := bytes.Cut(out, []byte("\n"+mark+" "))
		if !more {
			return append(parts, part{data: out})
		}
		status, after, _ := bytes.Cut(rest, []byte("\n"))
		parts = append(parts, part{data, string(status)})
		out = after
	}
}

// seen puts what was read, or listed, into g.
func (h *Host) seen(g *conn.Glance, out part, said, mounted []byte) {
	status, err := strconv.Atoi(out.status)
	switch {
	case err != nil:
	case status != 0:
		err = scriptError(status, string(said))
	case g.What == conn.ReadFile && len(out.data) > conn.MaxFile: // it grew meanwhile
		err = conn.ErrTooBig
	case g.What == conn.ReadFile:
		g.Data = out.data
	default:
		var infos []conn.Info
		infos, err = parseEntries(slices.Concat(out.data, mounted))
		g.Infos = listed(g.Path, infos)
	}
	g.Err = h.failed(opOf(g), g.Path, err)
}

func opOf(g *conn.Glance) string {
	return map[conn.GlanceKind]string{conn.Stat: "stat", conn.ReadDir: "readdir", conn.ReadFile: "read"}[g.What]
}

// listed is what is in the directory p, in the order of names.
func listed(p string, infos []conn.Info) []conn.Info {
	for i := range infos {
		infos[i].Path = path.Join(p, infos[i].Path)
	}
	slices.SortFunc(infos, func(a, b conn.Info) int { return strings.Compare(a.Path, b.Path) })
	return infos
}
