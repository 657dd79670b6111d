package files_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/internal/files"
)

func text(s string) conn.File {
	sum := sha256.Sum256([]byte(s))
	return conn.File{Content: strings.NewReader(s), Size: int64(len(s)), SHA256: hex.EncodeToString(sum[:])}
}

// pair makes a root and a folder beside it that nothing may get into.
func pair(t *testing.T) (r *files.Root, inside, outside string) {
	t.Helper()
	dir := t.TempDir()
	inside, outside = filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	for _, d := range []string{inside, outside, filepath.Join(inside, "real")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := files.Open(inside)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, inside, outside
}

// untouched checks that the folder outside is as pair made it.
func untouched(t *testing.T, outside string) {
	t.Helper()
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Fatalf("outside: got %v, %v, want only the secret", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode() != 0o600 || info.Size() != 6 {
		t.Fatalf("the secret: got %v, %v", info, err)
	}
}

func TestLinksStayInside(t *testing.T) {
	r, inside, outside := pair(t)
	ctx := t.Context()
	for name, target := range map[string]string{
		"absolute": outside, "relative": "../outside", "far": strings.Repeat("../", 40) + strings.TrimPrefix(outside, "/"),
		"machine": "/etc", "inside": "/real",
	} {
		if err := os.Symlink(target, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"absolute", "relative", "far", "machine"} {
		p := "/" + link
		for what, err := range map[string]error{
			"WriteFile": r.WriteFile(ctx, p+"/x", text("x")),
			"Remove":    r.Remove(ctx, p+"/secret", true),
			"Rename":    r.Rename(ctx, p+"/secret", "/stolen"),
			"SetAttr":   r.SetAttr(ctx, p+"/secret", conn.Attr{Mode: 0o777}, false),
			"Symlink":   r.Symlink(ctx, "x", p+"/link"),
		} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s below %s: got %v, want that there is nothing", what, link, err)
			}
		}
		if data, err := r.ReadFile(ctx, p+"/secret", 100); err == nil {
			t.Errorf("read %q through %s", data, link)
		}
		if got, err := r.Resolve(p + "/secret"); err == nil {
			t.Errorf("%s leads to %s", link, got)
		}
	}
	// An absolute link means what it means on the host.
	if err := r.WriteFile(ctx, "/inside/x", text("x")); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(filepath.Join(inside, "real", "x")); err != nil || string(data) != "x" {
		t.Errorf("through a link to /real: got %q, %v", data, err)
	}
	untouched(t, outside)
}

// TestSwap exchanges a directory and a link that leads out, again and again,
// while the directory is written to.
func TestSwap(t *testing.T) {
	r, inside, outside := pair(t)
	dir, link, spare := filepath.Join(inside, "dir"), filepath.Join(inside, "link"), filepath.Join(inside, "spare")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			// A step that fails is made up for by the next round.
			_ = os.Rename(dir, spare)
			_ = os.Rename(link, dir)
			_ = os.Rename(dir, link)
			_ = os.Rename(spare, dir)
		}
	}()
	written := 0
	for range 2000 {
		if r.WriteFile(t.Context(), "/dir/x", text("x")) == nil {
			written++
		}
		// Errors are expected: the directory is often away.
		_ = r.SetAttr(t.Context(), "/dir/secret", conn.Attr{Mode: 0o777}, false)
		_ = r.SetAttr(t.Context(), "/dir", conn.Attr{Mode: 0o755, Owner: "0"}, true)
		_ = r.Remove(t.Context(), "/dir/secret", true)
	}
	close(stop)
	<-stopped
	if written == 0 {
		t.Error("not one write met the directory: nothing was tried")
	}
	untouched(t, outside)
}

func TestOwnOnly(t *testing.T) {
	r, _, _ := pair(t)
	r.OwnOnly = true
	f := text("x")
	f.Owner = "nobody"
	for what, err := range map[string]error{
		"WriteFile": r.WriteFile(t.Context(), "/x", f),
		"Mkdir":     r.Mkdir(t.Context(), "/y", f.Attr),
		"SetAttr":   r.SetAttr(t.Context(), "/real", f.Attr, true),
		"group":     r.SetAttr(t.Context(), "/real", conn.Attr{Group: "65534"}, false),
	} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: got %v, want ErrPermission", what, err)
		}
	}
	for _, p := range []string{"/x", "/y"} {
		if _, err := r.Stat(t.Context(), p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want that it was not made", p, err)
		}
	}
}
