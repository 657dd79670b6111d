package file_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/local"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/tasks/file"
)

// here is this machine as a host.
func here(t *testing.T) conn.Host {
	t.Helper()
	h, err := local.Dial("localhost")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// look is what a task sees of this machine.
func look(t *testing.T, cluster engine.Cluster) engine.Look {
	return engine.Look{
		Host: here(t), Cluster: cluster,
		Say: func(string, ...any) {}, Progress: func(int64, int64) {},
	}
}

func me(t *testing.T) (name, uid, group string) {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return u.Username, u.Uid, g.Name
}

// skip says why a test is not run, and fails it where skips are forbidden.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("ETCDPLAY_NOSKIP") == "1" {
		t.Fatal("not run: " + why)
	}
	t.Skip(why)
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func str(s string) cty.Value { return cty.StringVal(s) }

type arguments = map[string]cty.Value

// situation is a type on a fresh directory; setup fills that and returns the
// arguments.
type situation struct {
	name    string
	typ     *engine.Type
	already bool
	setup   func(t *testing.T, dir string) arguments
}

func run(t *testing.T, situations []situation) {
	for _, s := range situations {
		t.Run(s.typ.Name+"/"+s.name, func(t *testing.T) {
			dir := t.TempDir()
			args := s.setup(t, dir)
			enginetest.Run(t, s.typ, enginetest.Case{
				Host: here(t), Cluster: engine.Cluster{DataDir: filepath.Join(dir, "etcd")}, Args: args,
				Fingerprint: func(t testing.TB) string { return enginetest.Tree(t, dir) },
				Already:     s.already,
			})
		})
	}
}

func TestLaws(t *testing.T) {
	owner, uid, group := me(t)
	run(t, []situation{
		{"makes it with its parents", file.Directory(), false, func(_ *testing.T, dir string) arguments {
			return arguments{"path": str(dir + "/a/b"), "mode": str("0750"), "owner": str(owner), "group": str(group)}
		}},
		{"changes its mode", file.Directory(), false, func(t *testing.T, dir string) arguments {
			mkdir(t, dir+"/a", 0o755)
			return arguments{"path": str(dir + "/a"), "mode": str("0700")}
		}},
		{"is there", file.Directory(), true, func(t *testing.T, dir string) arguments {
			mkdir(t, dir+"/a", 0o700)
			return arguments{"path": str(dir + "/a"), "mode": str("0700"), "owner": str(uid), "group": str(group)}
		}},
		{"sends it", file.Upload(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/here", strings.Repeat("data ", 1<<18), 0o600)
			return arguments{"from": str(dir + "/here"), "path": str(dir + "/there"), "mode": str("0640")}
		}},
		{"replaces it", file.Upload(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/here", "data", 0o600)
			write(t, dir+"/there", "atad", 0o600)
			return arguments{"from": str(dir + "/here"), "path": str(dir + "/there")}
		}},
		{"is there", file.Upload(), true, func(t *testing.T, dir string) arguments {
			write(t, dir+"/here", "data", 0o600)
			write(t, dir+"/there", "data", 0o600)
			return arguments{"from": str(dir + "/here"), "path": str(dir + "/there")}
		}},
		{"a directory", file.Move(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd/member/snap/db", "data", 0o600)
			return arguments{"from": str(dir + "/etcd"), "to": str(dir + "/etcd.old"), "missing_ok": cty.True}
		}},
		{"a file", file.Move(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/f", "data", 0o600)
			return arguments{"from": str(dir + "/f"), "to": str(dir + "/g")}
		}},
		{"nothing", file.Move(), true, func(_ *testing.T, dir string) arguments {
			return arguments{"from": str(dir + "/f"), "to": str(dir + "/g"), "missing_ok": cty.True}
		}},
		{"a tree", file.Remove(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd.old/member/snap/db", "data", 0o600)
			return arguments{"path": str(dir + "/etcd.old"), "recursive": cty.True}
		}},
		{"a file", file.Remove(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd/f", "data", 0o600)
			return arguments{"path": str(dir + "/etcd/f")}
		}},
		{"nothing", file.Remove(), true, func(_ *testing.T, dir string) arguments {
			return arguments{"path": str(dir + "/etcd.old"), "recursive": cty.True}
		}},
		{"mine already", file.Chown(), true, func(t *testing.T, dir string) arguments {
			write(t, dir+"/a/b", "data", 0o600)
			return arguments{"path": str(dir + "/a"), "owner": str(owner), "group": str(group), "recursive": cty.True}
		}},
		{"a new one", file.Write(), false, func(_ *testing.T, dir string) arguments {
			return arguments{"path": str(dir + "/f"), "content": str("a\n"), "mode": str("0600"), "owner": str(owner), "group": str(group)}
		}},
		{"another content", file.Write(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/f", "data", 0o640)
			return arguments{"path": str(dir + "/f"), "content": str("")}
		}},
		{"another mode", file.Write(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/f", "data", 0o640)
			return arguments{"path": str(dir + "/f"), "content": str("data"), "mode": str("0600")}
		}},
		{"there", file.Write(), true, func(t *testing.T, dir string) arguments {
			write(t, dir+"/f", "data", 0o640)
			return arguments{"path": str(dir + "/f"), "content": str("data"), "owner": str(uid)}
		}},
		{"of a file", file.Stat(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/f", "data", 0o600)
			return arguments{"path": str(dir + "/f")}
		}},
		{"of nothing", file.Stat(), false, func(_ *testing.T, dir string) arguments {
			return arguments{"path": str(dir + "/f/g")}
		}},
	})
}

// TestChownLaws gives files away, which takes root.
func TestChownLaws(t *testing.T) {
	if os.Getuid() != 0 {
		skip(t, "only root can give files away")
	}
	const them = "12345" // an id that has no name
	run(t, []situation{
		{"a file to a uid", file.Chown(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/f", "data", 0o600)
			return arguments{"path": str(dir + "/f"), "owner": str(them), "group": str(them)}
		}},
		{"a tree, half of it done", file.Chown(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/a/b/c", "data", 0o600)
			for _, p := range []string{"/a", "/a/b"} {
				if err := os.Chown(dir+p, 12345, -1); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("/etc/passwd", dir+"/a/link"); err != nil {
				t.Fatal(err)
			}
			return arguments{"path": str(dir + "/a"), "owner": str(them), "recursive": cty.True}
		}},
		{"a directory alone", file.Chown(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/a/b", "data", 0o600)
			return arguments{"path": str(dir + "/a"), "owner": str(them)}
		}},
		{"a directory of theirs", file.Directory(), false, func(_ *testing.T, dir string) arguments {
			return arguments{"path": str(dir + "/a"), "owner": str(them), "group": str(them)}
		}},
	})
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

const inArchive = "etcd-v3.6.0/etcd"

func tarball(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range []tar.Header{
		{Name: "etcd-v3.6.0/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "etcd-v3.6.0/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "./" + inArchive, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))},
	} {
		if err := w.WriteHeader(&f); err != nil {
			t.Fatal(err)
		}
		if f.Typeflag == tar.TypeReg {
			fmt.Fprint(w, content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(inArchive)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// served serves contents on the loopback by the paths given.
func served(t *testing.T, contents map[string][]byte) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := contents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content) // the client may have gone
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestDownloadLaws(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // is not to be asked
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	plain := []byte(strings.Repeat("etcd", 1000))
	tgz, zipfile := tarball(t, "binary"), zipped(t, "binary")
	url := served(t, map[string][]byte{"/etcd": plain, "/etcd.tar.gz": tgz, "/etcd.zip": zipfile})
	args := func(dir, name string, content []byte, more arguments) arguments {
		m := arguments{"url": str(url + name), "sha256": str(sum(content)), "path": str(dir + "/etcd")}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	member := arguments{"member": str(inArchive), "mode": str("0755")}
	run(t, []situation{
		{"a file", file.Download(), false, func(_ *testing.T, dir string) arguments {
			return args(dir, "/etcd", plain, nil)
		}},
		{"over another", file.Download(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd", "older", 0o755)
			return args(dir, "/etcd", plain, nil)
		}},
		{"only the mode is wrong", file.Download(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd", string(plain), 0o600)
			return args(dir, "/etcd", plain, arguments{"mode": str("0755")})
		}},
		{"is there", file.Download(), true, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd", string(plain), 0o600)
			return args(dir, "/etcd", plain, nil)
		}},
		{"out of a tarball", file.Download(), false, func(_ *testing.T, dir string) arguments {
			return args(dir, "/etcd.tar.gz", tgz, member)
		}},
		{"out of a tarball, over another", file.Download(), false, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd", "older", 0o755)
			return args(dir, "/etcd.tar.gz", tgz, member)
		}},
		{"out of a zip", file.Download(), false, func(_ *testing.T, dir string) arguments {
			return args(dir, "/etcd.zip", zipfile, member)
		}},
		{"out of a zip, is there", file.Download(), true, func(t *testing.T, dir string) arguments {
			write(t, dir+"/etcd", "binary", 0o755)
			return args(dir, "/etcd.zip", zipfile, member)
		}},
	})
	left, err := filepath.Glob(scratch + "/etcdplay-download-*")
	if err != nil || len(left) > 0 {
		t.Errorf("got %v, %v in the temporary folder, want nothing left", left, err)
	}
}
