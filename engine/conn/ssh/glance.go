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
	var files, folders, places []*conn.Glance
	var dirs, paths []string
	script := "glances=1\n"
	for _, g := range all {
		if err := checkPath(g.Path); err != nil {
			g.Err = h.failed(opOf(g), g.Path, err)
			continue
		}
		switch g.What {
		case conn.ReadDir:
			dirs, folders = append(dirs, g.Path), append(folders, g)
		case conn.ReadFile:
			script += "glance " + mark + " " + quote("content", g.Path, strconv.Itoa(conn.MaxFile)) + "\n"
			files = append(files, g)
		default:
			dir, name := split(g.Path)
			paths, places = append(paths, dir, name), append(places, g)
		}
	}
	asked := slices.Concat(files, folders, places)
	if len(asked) == 0 {
		return
	}
	words := slices.Concat([]string{mark, strconv.Itoa(len(folders)), strconv.Itoa(len(places))}, dirs, paths)
	a, err := h.ask(ctx, script+"looks "+quote(words...)+"\nmounts\n", maxListing)
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
		switch said := errs[i].data; g.What {
		case conn.ReadDir:
			h.listed(g, outs[i], said, mounted, found, err)
		case conn.ReadFile:
			h.read(g, outs[i], said)
		default:
			h.statted(ctx, g, outs[i], said, found, err)
		}
	}
}

// statted puts what was found at a path into g.
func (h *Host) statted(ctx context.Context, g *conn.Glance, out part, said []byte, found []conn.Info, err error) {
	switch ended := out.ended(said); {
	case ended != nil:
		err = ended
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

// ended is how the look failed, which said that on standard error; nil if it did
// not.
func (p part) ended(said []byte) error {
	status, err := strconv.Atoi(p.status)
	if err == nil && status != 0 {
		err = scriptError(status, string(said))
	}
	return err
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

// read puts what was read into g.
func (h *Host) read(g *conn.Glance, out part, said []byte) {
	err := out.ended(said)
	switch {
	case err != nil:
	case len(out.data) > conn.MaxFile:
		err = conn.ErrTooBig
	default:
		g.Data = out.data
	}
	g.Err = h.failed(opOf(g), g.Path, err)
}

// listed puts what is in a folder into g: of a folder with few files it is among
// what was found, of one with many it was described by itself.
func (h *Host) listed(g *conn.Glance, out part, said, mounted []byte, found []conn.Info, err error) {
	switch ended := out.ended(said); {
	case ended != nil:
		err = ended
	case bytes.IndexByte(out.data, 0) >= 0:
		found, err = parseEntries(slices.Concat(out.data, mounted))
		g.Infos = listed(g.Path, found)
	case err == nil:
		g.Infos = listed(g.Path, within(string(out.data), found))
	}
	g.Err = h.failed(opOf(g), g.Path, err)
}

// within are those that are in the folder dir, each once and by its name alone.
func within(dir string, found []conn.Info) []conn.Info {
	var infos []conn.Info
	for _, i := range found {
		name := path.Base(i.Path)
		if i.Path == "/" || path.Dir(i.Path) != dir || slices.ContainsFunc(infos, func(i conn.Info) bool { return i.Path == name }) {
			continue
		}
		i.Path = name
		infos = append(infos, i)
	}
	return infos
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
