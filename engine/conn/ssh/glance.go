package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine/conn"
)

var _ conn.Glancer = (*Host)(nil)

// Glance takes all these looks in one script.
func (h *Host) Glance(ctx context.Context, all []*conn.Glance) {
	var asked []*conn.Glance
	mark := newMark()
	var script strings.Builder
	script.WriteString("glances=1\n")
	for _, g := range all {
		dir, name := split(g.Path)
		words := []string{"lstat", dir, name}
		switch g.What {
		case conn.ReadDir:
			words = []string{"list", g.Path}
		case conn.ReadFile:
			words = []string{"content", g.Path, strconv.Itoa(conn.MaxFile)}
		}
		if err := checkPath(g.Path); err != nil {
			g.Err = h.failed(opOf(g), g.Path, err)
			continue
		}
		asked = append(asked, g)
		script.WriteString("glance " + mark + " " + quote(words...) + "\n")
	}
	if len(asked) == 0 {
		return
	}
	script.WriteString("mounts\n")
	a, err := h.ask(ctx, script.String(), maxListing)
	if err == nil && a.cut {
		// Each has bounds of its own.
		for _, g := range asked {
			g.Take(ctx, h)
		}
		return
	}
	outs, errs := cutAnswers(a.out, mark), cutAnswers(a.err, mark)
	if err == nil && (len(outs) != len(asked)+1 || len(errs) != len(asked)+1) {
		err = errors.New("the host's answer is cut off")
	}
	for i, g := range asked {
		if err != nil {
			g.Err = h.failed(opOf(g), g.Path, err)
			continue
		}
		h.seen(g, outs[i], errs[i].data, outs[len(asked)].data)
	}
}

// part is what one of several looks said, and how it ended.
type part struct {
	data   []byte
	status string // of the last part, ""
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

// seen puts what was seen into g.
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
		switch {
		case err != nil:
		case g.What == conn.ReadDir:
			g.Infos = listed(g.Path, infos)
		case len(infos) != 1:
			err = fmt.Errorf("the host described %d files", len(infos))
		default:
			g.Info = infos[0]
			g.Info.Path = g.Path
		}
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
