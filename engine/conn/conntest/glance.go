package conntest

import (
	"io/fs"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// testGlance holds that several looks at once say what each of them says alone.
func testGlance(t *testing.T, f Fixture) {
	f.write(t, "a", "one\n", conn.Attr{Mode: 0o640})
	f.write(t, "binary", "\x00\n\x1b[2J\xff"+strings.Repeat("x", 100_000), conn.Attr{})
	f.mkdir(t, "dir")
	f.mkdir(t, "empty")
	f.write(t, "dir/b c", "", conn.Attr{})
	f.sh(t, "ln -s no/where dangling; ln -s dir link")
	paths := []string{"a", "binary", "dir", "empty", "dir/b c", "dangling", "link", "link/b c", "no", "no/file", "a/file", "dangling/file", strings.Repeat("n", 300), "../" + path.Base(f.Dir)}
	var all []*conn.Glance
	for _, p := range paths {
		for _, what := range []conn.GlanceKind{conn.Stat, conn.ReadDir, conn.ReadFile} {
			all = append(all, &conn.Glance{What: what, Path: f.Dir + "/" + p})
		}
	}
	all = append(all, &conn.Glance{What: conn.Stat, Path: "/"}, &conn.Glance{What: conn.ReadDir, Path: "relative"})
	conn.LookAt(t.Context(), f.Host, all...)
	for _, g := range all {
		alone := conn.Glance{What: g.What, Path: g.Path}
		alone.Take(t.Context(), f.Host)
		text := func(err error) string {
			if err == nil {
				return ""
			}
			return err.Error()
		}
		if text(g.Err) != text(alone.Err) {
			t.Errorf("%d of %s: got the error %v, alone %v", g.What, g.Path, g.Err, alone.Err)
		}
		if string(g.Data) != string(alone.Data) || !reflect.DeepEqual(g.Info, alone.Info) || len(g.Infos) != len(alone.Infos) ||
			len(g.Infos) > 0 && !reflect.DeepEqual(g.Infos, alone.Infos) {
			t.Errorf("%d of %s: got %+v, alone %+v", g.What, g.Path, g, alone)
		}
	}
	want(t, "nothing there", all[3*8].Err, fs.ErrNotExist)
	conn.LookAt(t.Context(), f.Host) // nothing to look at

	late := &conn.Glance{What: conn.Stat, Path: f.Dir}
	conn.LookAt(ended(), f.Host, late)
	want(t, "ended context", late.Err, ended().Err())
}
