package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/file"
)

// refusal is what the type says of these arguments before anything is done:
// Check's complaint, an error of looking, or the IDs of the checks that fail.
func refusal(t *testing.T, typ *engine.Type, cluster engine.Cluster, given arguments) string {
	t.Helper()
	args := enginetest.Args(typ, given)
	if err := typ.Check(args); err != nil {
		return err.Error()
	}
	s, err := typ.Observe(t.Context(), look(t, cluster), args)
	if err != nil {
		return err.Error()
	}
	var r *world.Refusal
	if !errors.As(typ.Guard("localhost", args, s, &world.World{}).Err(), &r) {
		return ""
	}
	var ids []string
	for _, c := range r.Failed {
		if c.Help == "" {
			ids = append(ids, "(without help)")
		}
		ids = append(ids, c.ID)
	}
	return strings.Join(ids, " ")
}

func TestRemoveRefuses(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "etcd")
	write(t, data+"/member/db", "data", 0o600)
	write(t, data+".old/member/db", "data", 0o600)
	write(t, data+"x/f", "data", 0o600)
	write(t, dir+"/elsewhere/f", "data", 0o600)
	if err := os.Symlink(dir+"/elsewhere", data+"/link"); err != nil {
		t.Fatal(err)
	}
	cluster := engine.Cluster{DataDir: data}
	elsewhere := engine.Cluster{DataDir: data, RemoveRoots: []string{dir + "/elsewhere"}}
	tests := []struct {
		path      string
		recursive bool
		cluster   engine.Cluster
		want      string
	}{
		{"/etc", true, cluster, "argument path: \"/etc\" is a directory of the root"},
		{"/etc/passwd", false, cluster, "within-remove-roots"},
		{"/usr/bin", true, cluster, "within-remove-roots"},
		{dir, true, cluster, "within-remove-roots"},
		{data + "x", true, cluster, "within-remove-roots"},
		{data + "x/f", false, cluster, "within-remove-roots"},
		{dir + "/elsewhere/f", false, cluster, "within-remove-roots"},
		{data + "/link/f", false, cluster, "no-symbolic-link"},
		{data + "/member", false, cluster, "empty"},
		{data + "/member", true, engine.Cluster{}, "within-remove-roots"},
		{data + "/member", true, elsewhere, "within-remove-roots"},
		{dir + "/elsewhere/f", false, elsewhere, ""},
		{data + "/member", true, cluster, ""},
		{data + ".old", true, cluster, ""},
		{data + ".old/member/db", false, cluster, ""},
		{data + "/link", false, cluster, ""}, // the link itself, not what it leads to
		{data + ".gone", true, cluster, ""},
	}
	for _, test := range tests {
		got := refusal(t, file.Remove(), test.cluster, arguments{"path": str(test.path), "recursive": cty.BoolVal(test.recursive)})
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s, recursive %t: got %q, want %q", test.path, test.recursive, got, test.want)
		}
	}
}

func TestMountPointsAreRefused(t *testing.T) {
	const mounted = "/dev/shm"
	if i, err := here(t).Stat(t.Context(), mounted); err != nil || !i.Mount {
		skip(t, mounted+" is no mount point here")
	}
	got := refusal(t, file.Remove(), engine.Cluster{RemoveRoots: []string{"/dev"}}, arguments{"path": str(mounted), "recursive": cty.True})
	if got != "no-mount-point" {
		t.Errorf("remove: got %q, want no-mount-point", got)
	}
	got = refusal(t, file.Move(), engine.Cluster{}, arguments{"from": str(mounted), "to": str(mounted + ".old")})
	if got != "source-is-no-mount" {
		t.Errorf("move: got %q, want source-is-no-mount", got)
	}
}

func TestMoveRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a/f", "data", 0o600)
	write(t, dir+"/b", "data", 0o600)
	tests := []struct{ from, to, want string }{
		{dir + "/a", dir + "/a", "argument to:"},
		{dir + "/a", dir + "/a/b", "argument to:"},
		{dir + "/a", dir + "/b", "target-is-free"},
		{dir + "/gone", dir + "/c", "source-exists"},
		{dir + "/a", dir + "/none/c", "target-directory-exists"},
		{dir + "/a", dir + "/b/c", "not a directory"},
		{dir + "/a", dir + "/ab", ""},
	}
	shm, err := here(t).Stat(t.Context(), "/dev/shm")
	top, terr := here(t).Stat(t.Context(), dir)
	if err == nil && terr == nil && shm.Device != top.Device {
		tests = append(tests, struct{ from, to, want string }{dir + "/a", "/dev/shm/etcdplay-never", "one-file-system"})
	}
	for _, test := range tests {
		got := refusal(t, file.Move(), engine.Cluster{}, arguments{"from": str(test.from), "to": str(test.to)})
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s -> %s: got %q, want %q", test.from, test.to, got, test.want)
		}
	}
}

func TestDirectoryRefusesAFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/f", "data", 0o600)
	if got := refusal(t, file.Directory(), engine.Cluster{}, arguments{"path": str(dir + "/f")}); got != "is-directory" {
		t.Errorf("got %q, want is-directory", got)
	}
}

func TestChownRefusesNothing(t *testing.T) {
	owner, _, _ := me(t)
	got := refusal(t, file.Chown(), engine.Cluster{}, arguments{"path": str(t.TempDir() + "/f"), "owner": str(owner)})
	if got != "path-exists" {
		t.Errorf("got %q, want path-exists", got)
	}
}

func TestMoveSettlesByInode(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a", "mine", 0o600)
	typ := file.Move()
	args := enginetest.Args(typ, arguments{"from": str(dir + "/a"), "to": str(dir + "/b")})
	before, err := typ.Observe(t.Context(), look(t, engine.Cluster{}), args)
	if err != nil {
		t.Fatal(err)
	}
	settle := func(what string, want engine.Settlement) {
		t.Helper()
		if got, _, err := typ.Settle(t.Context(), look(t, engine.Cluster{}), args, before); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
		}
	}
	if err := os.Rename(dir+"/a", dir+"/kept"); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/b", "mine", 0o600)
	settle("another file at the new path", engine.Conflict)
	if err := os.Remove(dir + "/b"); err != nil {
		t.Fatal(err)
	}
	settle("nothing at either path", engine.Conflict)
	if err := os.Rename(dir+"/kept", dir+"/b"); err != nil {
		t.Fatal(err)
	}
	settle("the very file at the new path", engine.Done)
}

// TestRemoveSettlesHalfDone expects that a removal that was interrupted is gone
// on with.
func TestRemoveSettlesHalfDone(t *testing.T) {
	data := t.TempDir() + "/etcd"
	write(t, data+"/a/f", "data", 0o600)
	write(t, data+"/b/f", "data", 0o600)
	typ := file.Remove()
	l := look(t, engine.Cluster{DataDir: data})
	args := enginetest.Args(typ, arguments{"path": str(data), "recursive": cty.True})
	before, err := typ.Observe(t.Context(), l, args)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(data + "/a"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := typ.Settle(t.Context(), l, args, before); err != nil || got != engine.Partial {
		t.Errorf("got %q, %v; want %q", got, err, engine.Partial)
	}
	if err := os.Rename(data, data+".kept"); err != nil {
		t.Fatal(err)
	}
	mkdir(t, data, 0o700)
	if got, _, err := typ.Settle(t.Context(), l, args, before); err != nil || got != engine.Conflict {
		t.Errorf("with another directory there: got %q, %v; want %q", got, err, engine.Conflict)
	}
}

func TestDownloadRefuses(t *testing.T) {
	tgz := tarball(t, "binary")
	url := served(t, map[string][]byte{"/etcd.tar.gz": tgz, "/etcd": []byte("x")})
	tests := []struct{ url, sha, member, want string }{
		{"/etcd", sum([]byte("y")), "", "not " + sum([]byte("y"))},
		{"/none", sum(nil), "", "404 Not Found"},
		{"/etcd.tar.gz", sum(tgz), "none", `the archive has no file "none"`},
		{"/etcd.tar.gz", sum(tgz), "etcd-v3.6.0/link", "not a plain file"},
		{"/etcd", sum([]byte("x")), "etcd", "argument member"},
	}
	typ := file.Download()
	for _, test := range tests {
		dir := t.TempDir()
		given := arguments{"url": str(url + test.url), "sha256": str(test.sha), "path": str(dir + "/etcd")}
		if test.member != "" {
			given["member"] = str(test.member)
		}
		args := enginetest.Args(typ, given)
		err := typ.Check(args)
		if err == nil {
			l := look(t, engine.Cluster{})
			s, oerr := typ.Observe(t.Context(), l, args)
			if oerr != nil {
				t.Fatal(oerr)
			}
			if _, err = typ.Apply(t.Context(), engine.Hands{Look: l, Host: here(t)}, args, s); !errors.Is(err, engine.ErrDefinite) {
				t.Errorf("%s: got %v, want an error that is definite", test.url, err)
			}
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, member %q: got %v, want %q", test.url, test.member, err, test.want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: got %v written, want nothing", test.url, left)
		}
	}
}

// TestInAPlan follows the data directory of a member that is replaced through
// the model: moved aside, made anew, asked about.
func TestInAPlan(t *testing.T) {
	const dir, data = "/var/lib", "/var/lib/etcd"
	w := &world.World{}
	move := enginetest.Args(file.Move(), arguments{"from": str(data), "to": str(data + ".old")})
	file.Move().Advance("localhost", "task.move", move, cty.ObjectVal(arguments{
		"from": str(data), "to": str(data + ".old"), "moved": cty.True,
	}), w)

	made := enginetest.Args(file.Directory(), arguments{"path": str(data)})
	file.Directory().Advance("localhost", "task.dir", made, cty.ObjectVal(arguments{"changed": cty.True, "path": str(data)}), w)

	stat := file.Stat()
	for path, want := range map[string]string{
		data: "true", data + "/member": "false", data + ".old": "unknown", dir + "/other": "unknown",
	} {
		got := "unknown"
		if v, ok := stat.Model("localhost", enginetest.Args(stat, arguments{"path": str(path)}), w); ok {
			got = map[bool]string{true: "true", false: "false"}[v.GetAttr("exists").True()]
		}
		if got != want {
			t.Errorf("stat %s by the model: exists %s, want %s", path, got, want)
		}
	}
}
