package conntest

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

func testWriteFile(t *testing.T, f Fixture) {
	p := f.write(t, "a", "one", conn.Attr{Mode: 0o640})
	if got := f.read(t, p); got != "one" {
		t.Errorf("content: got %q, want %q", got, "one")
	}
	first := f.stat(t, p)
	if first.Mode != 0o640 || first.Size != 3 || first.Owner != f.User || first.Group != f.Group {
		t.Errorf("new file: got %+v, want mode 0640, 3 bytes, %s:%s", first, f.User, f.Group)
	}

	// What the caller leaves open stays; the file itself is another one.
	f.write(t, "a", strings.Repeat("x", 300_000), conn.Attr{})
	second := f.stat(t, p)
	if second.Mode != 0o640 || second.Size != 300_000 || second.Inode == first.Inode {
		t.Errorf("replaced file: got %+v, want mode 0640, 300000 bytes, another inode than %d", second, first.Inode)
	}
	if got := f.stat(t, f.write(t, "new", "", conn.Attr{})); got.Mode != 0o600 || got.Size != 0 {
		t.Errorf("new file without attributes: got %+v, want mode 0600, empty", got)
	}

	// Progress tells how far it is, never too far, and comes to the end.
	var progress []int64
	big := file(strings.Repeat("y", 2<<20), conn.Attr{})
	big.Progress = func(n int64) { progress = append(progress, n) }
	if err := f.Host.WriteFile(t.Context(), path.Join(f.Dir, "big"), big); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(progress) || len(progress) == 0 || progress[len(progress)-1] != 2<<20 {
		t.Errorf("progress: got %v, want it to grow to %d", progress, 2<<20)
	}

	// A symbolic link is replaced, not followed.
	f.sh(t, "ln -s a link")
	f.write(t, "link", "not a link", conn.Attr{})
	if got := f.stat(t, path.Join(f.Dir, "link")); !got.Mode.IsRegular() || got.Mode != 0o600 {
		t.Errorf("written link: got mode %v, want a regular file with mode 0600", got.Mode)
	}
	if got := f.stat(t, p).Size; got != 300_000 {
		t.Errorf("target of the link: got %d bytes, want it untouched", got)
	}
	if got, want := f.names(t, f.Dir), []string{"a", "big", "link", "new"}; !slices.Equal(got, want) {
		t.Errorf("directory: got %q, want %q", got, want)
	}
}

func testWriteFileRefused(t *testing.T, f Fixture) {
	p := f.write(t, "a", "old", conn.Attr{Mode: 0o640})
	sub := f.mkdir(t, "dir")
	before := f.stat(t, p)
	short, long, wrong, broken := file("new", conn.Attr{}), file("new", conn.Attr{}), file("new", conn.Attr{}), file("new", conn.Attr{})
	short.Size, long.Size = 4, 2
	wrong.SHA256 = strings.Repeat("0", 64)
	broken.Content = io.MultiReader(strings.NewReader("n"), failing{})
	for what, c := range map[string]conn.File{
		"content shorter than its size": short, "content longer than its size": long,
		"another SHA-256": wrong, "content that fails": broken,
	} {
		if err := f.Host.WriteFile(t.Context(), p, c); err == nil || errors.Is(err, conn.ErrOutcomeUnknown) {
			t.Errorf("%s: got %v, want a definite error", what, err)
		}
	}
	want(t, "missing folder", f.Host.WriteFile(t.Context(), path.Join(f.Dir, "no/file"), file("x", conn.Attr{})), fs.ErrNotExist)
	want(t, "ended context", f.Host.WriteFile(ended(), p, file("new", conn.Attr{})), ended().Err())
	if err := f.Host.WriteFile(t.Context(), sub, file("x", conn.Attr{})); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if err := f.Host.WriteFile(t.Context(), path.Join(f.Dir, "b"), file("x", conn.Attr{Owner: "no-such-user-here"})); err == nil {
		t.Error("an owner that does not exist was accepted")
	}
	if got := f.stat(t, p); got != before {
		t.Errorf("after refused writes: got %+v, want %+v", got, before)
	}
	if got, want := f.names(t, f.Dir), []string{"a", "dir"}; !slices.Equal(got, want) {
		t.Errorf("after refused writes the directory has %q, want %q", got, want)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("cannot be read") }

// testWriteFileAttr looks at a path all the time while it is written again and
// again, and must never see it with other than its final mode and size.
func testWriteFileAttr(t *testing.T, f Fixture) {
	own := conn.Attr{Mode: 0o604, Owner: f.User, Group: f.Group}
	if got := f.stat(t, f.write(t, "own", "x", own)); got.Mode != 0o604 || got.Owner != f.User || got.Group != f.Group {
		t.Errorf("own file: got %+v", got)
	}
	other := conn.Attr{Mode: 0o640, Owner: f.OtherUser}
	if f.OtherUser == "" {
		want(t, "another owner", f.Host.WriteFile(t.Context(), path.Join(f.Dir, "other"), file("x", conn.Attr{Owner: f.stranger()})), fs.ErrPermission)
		other.Owner = f.User
	}
	p := path.Join(f.Dir, "watched")
	stop, seen := make(chan struct{}), make(chan []conn.Info)
	go func() {
		var all []conn.Info
		for {
			select {
			case <-stop:
				seen <- all
				return
			default:
			}
			if info, err := f.Host.Stat(t.Context(), p); err == nil {
				all = append(all, info)
			}
		}
	}()
	for range 30 {
		f.write(t, "watched", strings.Repeat("z", 5000), other)
		if err := f.Host.Remove(t.Context(), p, false); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	for _, info := range <-seen {
		if info.Mode != other.Mode || info.Size != 5000 || info.Owner != other.Owner {
			t.Fatalf("seen while it was written: %+v, want only mode %v, 5000 bytes, owner %s", info, other.Mode, other.Owner)
		}
	}
}

func testReadFile(t *testing.T, f Fixture) {
	ctx := t.Context()
	p := f.write(t, "a", "text", conn.Attr{})
	f.sh(t, "ln -s a link; mkfifo pipe; truncate -s 16777217 huge; truncate -s 16777216 fits")
	if got := f.read(t, path.Join(f.Dir, "link")); got != "text" {
		t.Errorf("through a link: got %q, want %q", got, "text")
	}
	if got := len(f.read(t, path.Join(f.Dir, "fits"))); got != conn.MaxFile {
		t.Errorf("largest file: got %d bytes, want %d", got, conn.MaxFile)
	}
	_, err := f.Host.ReadFile(ctx, path.Join(f.Dir, "huge"))
	want(t, "a file that is too big", err, conn.ErrTooBig)
	_, err = f.Host.ReadFile(ctx, path.Join(f.Dir, "none"))
	want(t, "a missing file", err, fs.ErrNotExist)
	for _, name := range []string{".", "pipe"} {
		if _, err := f.Host.ReadFile(ctx, path.Join(f.Dir, name)); err == nil {
			t.Errorf("%s was read like a file", name)
		}
	}
	_, err = f.Host.ReadFile(ended(), p)
	want(t, "ended context", err, ended().Err())
}

func testStat(t *testing.T, f Fixture) {
	begin := time.Now().Add(-time.Minute)
	p := f.write(t, "a", "text", conn.Attr{Mode: 0o644})
	f.sh(t, "ln -s nowhere link")
	dir := f.stat(t, f.Dir)
	if !dir.Mode.IsDir() || dir.Path != f.Dir || dir.Mount {
		t.Errorf("directory: got %+v", dir)
	}
	if got := f.stat(t, p); got.Path != p || got.Device != dir.Device || got.Inode == 0 || got.Mount ||
		got.MTime.Before(begin) || got.MTime.After(begin.Add(time.Hour)) {
		t.Errorf("file: got %+v", got)
	}
	if got := f.stat(t, path.Join(f.Dir, "link")); got.Mode.Type() != fs.ModeSymlink {
		t.Errorf("link: got mode %v, want a symbolic link", got.Mode)
	}
	if got := f.stat(t, "/"); !got.Mode.IsDir() || !got.Mount {
		t.Errorf("/: got %+v, want a mounted directory", got)
	}
	_, err := f.Host.Stat(t.Context(), path.Join(f.Dir, "none"))
	want(t, "a missing file", err, fs.ErrNotExist)
}

func testReadDir(t *testing.T, f Fixture) {
	for _, name := range []string{"b", "a b", "ü", "-n", ".hidden", "line\nbreak"} {
		f.write(t, name, name, conn.Attr{})
	}
	f.mkdir(t, "sub")
	f.write(t, "sub/below", "", conn.Attr{})
	got, want1 := f.names(t, f.Dir), []string{"-n", ".hidden", "a b", "b", "line\nbreak", "sub", "ü"}
	if !slices.Equal(got, want1) {
		t.Errorf("names: got %q, want %q", got, want1)
	}
	infos, err := f.Host.ReadDir(t.Context(), f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if one := f.stat(t, i.Path); one != i {
			t.Errorf("%s: ReadDir says %+v, Stat %+v", i.Path, i, one)
		}
	}
	_, err = f.Host.ReadDir(t.Context(), path.Join(f.Dir, "none"))
	want(t, "a missing directory", err, fs.ErrNotExist)
	if _, err := f.Host.ReadDir(t.Context(), path.Join(f.Dir, "b")); err == nil {
		t.Error("a file was read like a directory")
	}
}

func testMkdir(t *testing.T, f Fixture) {
	ctx := t.Context()
	p := path.Join(f.Dir, "x/y/z")
	if err := f.Host.Mkdir(ctx, p, conn.Attr{Mode: 0o711}); err != nil {
		t.Fatal(err)
	}
	if got := f.stat(t, p); got.Mode != fs.ModeDir|0o711 {
		t.Errorf("got mode %v, want 0711", got.Mode)
	}
	if got := f.stat(t, path.Join(f.Dir, "x")); got.Mode == fs.ModeDir|0o711 {
		t.Errorf("a parent got the attributes too: %v", got.Mode)
	}
	if got := f.stat(t, f.mkdir(t, "plain")); got.Mode != fs.ModeDir|0o700 {
		t.Errorf("without attributes: got mode %v, want 0700", got.Mode)
	}
	f.write(t, "x/y/z/keep", "kept", conn.Attr{})
	if err := f.Host.Mkdir(ctx, p, conn.Attr{Mode: 0o700, Owner: f.User, Group: f.Group}); err != nil {
		t.Fatal(err)
	}
	if got := f.stat(t, p); got.Mode != fs.ModeDir|0o700 {
		t.Errorf("an existing directory: got mode %v, want 0700", got.Mode)
	}
	if got := f.read(t, path.Join(p, "keep")); got != "kept" {
		t.Errorf("its content: got %q", got)
	}
	f.write(t, "file", "", conn.Attr{})
	for _, bad := range []string{"file", "file/below"} {
		if err := f.Host.Mkdir(ctx, path.Join(f.Dir, bad), conn.Attr{}); err == nil {
			t.Errorf("mkdir %s: got no error", bad)
		}
	}
}

func testSetAttr(t *testing.T, f Fixture) {
	ctx := t.Context()
	tree := f.mkdir(t, "tree")
	f.mkdir(t, "tree/sub")
	inside := f.write(t, "tree/sub/file", "", conn.Attr{Mode: 0o600})
	outside := f.write(t, "outside", "", conn.Attr{Mode: 0o600})
	f.sh(t, "ln -s ../outside tree/link; ln -s tree toTree")
	a := conn.Attr{Mode: 0o750, Owner: f.User, Group: f.Group}
	if f.OtherUser != "" {
		a.Owner = f.OtherUser
	}
	if err := f.Host.SetAttr(ctx, tree, a, true); err != nil {
		t.Fatal(err)
	}
	if got := f.stat(t, tree); got.Mode != fs.ModeDir|0o750 || got.Owner != a.Owner {
		t.Errorf("tree: got %+v", got)
	}
	if got := f.stat(t, inside); got.Mode != 0o600 || got.Owner != a.Owner {
		t.Errorf("file below: got %+v, want its own mode and owner %s", got, a.Owner)
	}
	if got := f.stat(t, outside); got.Mode != 0o600 || got.Owner != f.User {
		t.Errorf("target of a link below: got %+v, want it untouched", got)
	}
	if err := f.Host.SetAttr(ctx, path.Join(f.Dir, "toTree"), conn.Attr{Mode: 0o777, Owner: f.User}, true); err != nil {
		t.Fatal(err)
	}
	if got := f.stat(t, tree); got.Mode != fs.ModeDir|0o750 || got.Owner != a.Owner {
		t.Errorf("target of a link: got %+v, want it untouched", got)
	}
	want(t, "a missing path", f.Host.SetAttr(ctx, path.Join(f.Dir, "none"), a, false), fs.ErrNotExist)
	if f.OtherUser == "" {
		want(t, "another owner", f.Host.SetAttr(ctx, inside, conn.Attr{Owner: f.stranger()}, false), fs.ErrPermission)
	}
}

func testRename(t *testing.T, f Fixture) {
	ctx := t.Context()
	a, b := f.write(t, "a", "a", conn.Attr{}), f.write(t, "b", "b", conn.Attr{})
	dir := f.mkdir(t, "dir")
	f.write(t, "dir/file", "below", conn.Attr{})
	before := f.stat(t, dir)
	moved := path.Join(f.Dir, "moved dir")
	if err := f.Host.Rename(ctx, dir, moved); err != nil {
		t.Fatal(err)
	}
	if got := f.stat(t, moved); got.Inode != before.Inode {
		t.Errorf("moved directory: got inode %d, want %d", got.Inode, before.Inode)
	}
	empty := f.mkdir(t, "empty")
	for _, to := range []string{b, empty, moved} {
		want(t, "rename over "+to, f.Host.Rename(ctx, a, to), fs.ErrExist)
	}
	want(t, "rename a directory over an empty one", f.Host.Rename(ctx, moved, empty), fs.ErrExist)
	want(t, "rename a missing file", f.Host.Rename(ctx, path.Join(f.Dir, "none"), path.Join(f.Dir, "c")), fs.ErrNotExist)
	want(t, "rename into a missing folder", f.Host.Rename(ctx, a, path.Join(f.Dir, "no/c")), fs.ErrNotExist)
	f.sh(t, "ln -s nowhere dangling")
	want(t, "rename over a dangling link", f.Host.Rename(ctx, a, path.Join(f.Dir, "dangling")), fs.ErrExist)
	if err := f.Host.Rename(ctx, path.Join(f.Dir, "dangling"), path.Join(f.Dir, "link")); err != nil {
		t.Errorf("rename a link: %v", err)
	}
	if f.read(t, a) != "a" || f.read(t, b) != "b" {
		t.Error("a refused rename changed a file")
	}
}

func testRenameAcross(t *testing.T, f Fixture) {
	if f.OtherFS == "" {
		t.Skip(f.NoOtherFS) // the fixture says so, so it is no accident of this machine
	}
	a := f.write(t, "a", "a", conn.Attr{})
	want(t, "rename to another file system", f.Host.Rename(t.Context(), a, path.Join(f.OtherFS, "a")), syscall.EXDEV)
	if f.read(t, a) != "a" {
		t.Error("a refused rename changed the file")
	}
	if got := f.names(t, f.OtherFS); len(got) != 0 {
		t.Errorf("the other file system has %q, want nothing", got)
	}
}

func testRemove(t *testing.T, f Fixture) {
	ctx := t.Context()
	keep := f.mkdir(t, "keep")
	f.write(t, "keep/file", "kept", conn.Attr{})
	tree := f.mkdir(t, "tree")
	f.mkdir(t, "tree/a/b")
	f.write(t, "tree/a/b/file", "", conn.Attr{})
	f.sh(t, "ln -s ../keep tree/link; ln -s keep link")
	if err := f.Host.Remove(ctx, tree, false); err == nil {
		t.Error("a full directory was removed without recursive")
	}
	if err := f.Host.Remove(ctx, tree, true); err != nil {
		t.Fatal(err)
	}
	for _, recursive := range []bool{true, false} {
		want(t, "remove what is gone", f.Host.Remove(ctx, tree, recursive), fs.ErrNotExist)
	}
	if err := f.Host.Remove(ctx, path.Join(f.Dir, "link"), true); err != nil {
		t.Errorf("remove a link: %v", err)
	}
	if got := f.read(t, path.Join(keep, "file")); got != "kept" {
		t.Errorf("target of a link: got %q", got)
	}
	if err := f.Host.Remove(ctx, f.mkdir(t, "empty"), false); err != nil {
		t.Errorf("remove an empty directory: %v", err)
	}
	if err := f.Host.Remove(ctx, "/", true); err == nil {
		t.Error("/ was removed")
	}
}

// testPaths gives every method paths that are no absolute, clean ones.
func testPaths(t *testing.T, f Fixture) {
	ctx := t.Context()
	for _, bad := range []string{"", ".", "relative", f.Dir + "/", f.Dir + "/../x", f.Dir + "//x", f.Dir + "/a\x00b"} {
		errs := map[string]error{
			"WriteFile": f.Host.WriteFile(ctx, bad, file("x", conn.Attr{})),
			"Mkdir":     f.Host.Mkdir(ctx, bad, conn.Attr{}),
			"SetAttr":   f.Host.SetAttr(ctx, bad, conn.Attr{Mode: 0o700}, false),
			"Remove":    f.Host.Remove(ctx, bad, true),
			"Rename":    f.Host.Rename(ctx, bad, path.Join(f.Dir, "to")),
			"Rename to": f.Host.Rename(ctx, f.Dir, bad),
		}
		_, errs["ReadFile"] = f.Host.ReadFile(ctx, bad)
		_, errs["Stat"] = f.Host.Stat(ctx, bad)
		_, errs["ReadDir"] = f.Host.ReadDir(ctx, bad)
		for method, err := range errs {
			if err == nil {
				t.Errorf("%s(%q): got no error", method, bad)
			}
		}
	}
	if got := f.names(t, f.Dir); len(got) != 0 {
		t.Errorf("they left %q", got)
	}
}

func testFreeBytes(t *testing.T, f Fixture) {
	here, err := f.Host.FreeBytes(t.Context(), f.Dir)
	if err != nil || here == 0 {
		t.Fatalf("got %d, %v", here, err)
	}
	below, err := f.Host.FreeBytes(t.Context(), path.Join(f.Dir, "not/yet/there"))
	if err != nil || below == 0 {
		t.Errorf("below a missing folder: got %d, %v", below, err)
	}
}
