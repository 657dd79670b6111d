package ssh_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// attacked is a folder of another user, who does all the time what can be done
// there to have root write elsewhere: into victim, which is root's.
type attacked struct{ home, victim string }

func newAttacked(t *testing.T) attacked {
	t.Helper()
	if os.Geteuid() != 0 {
		skipNotRoot(t)
	}
	a := attacked{home: filepath.Join(t.TempDir(), "home"), victim: filepath.Join(t.TempDir(), "victim")}
	for _, dir := range []string{a.home, a.victim} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(a.victim, "file"), "root's own")
	if err := os.Chown(a.home, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return a
}

// unharmed looks at the victim.
func (a attacked) unharmed(t *testing.T) {
	t.Helper()
	file := filepath.Join(a.victim, "file")
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(a.victim)
	if err != nil {
		t.Fatal(err)
	}
	if info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode() != 0o600 || readFile(t, file) != "root's own" || len(entries) != 1 {
		t.Errorf("the victim has %d files, and %v %v", len(entries), info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
	}
}

// meanwhile does f over and over until the function that it returns is called.
func meanwhile(f func()) func() {
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				f()
				runtime.Gosched() // the others need the processor, too
			}
		}
	})
	return func() {
		close(stop)
		running.Wait()
	}
}

// TestSwappedFolder writes below a folder that is swapped for a link.
func TestSwappedFolder(t *testing.T) {
	a := newAttacked(t)
	h := open(t, startServer(t).config())
	dir, away := filepath.Join(a.home, "dir"), filepath.Join(a.home, "away")
	if err := os.Mkdir(away, 0o755); err != nil {
		t.Fatal(err)
	}
	stop := meanwhile(func() {
		os.Rename(away, dir)
		os.Rename(dir, away)
		os.Symlink(a.victim, dir)
		os.Remove(dir)
	})
	defer stop()
	n := 25
	if testing.Short() {
		n = 5
	}
	for i := range n {
		name := fmt.Sprint("f", i)
		errs := map[string]error{
			"write":   h.WriteFile(t.Context(), filepath.Join(dir, name), content([]byte("x"), nil)),
			"mkdir":   h.Mkdir(t.Context(), filepath.Join(dir, name), conn.Attr{Owner: "nobody"}),
			"setattr": h.SetAttr(t.Context(), filepath.Join(dir, "file"), conn.Attr{Mode: 0o666, Owner: "nobody"}, true),
			"remove":  h.Remove(t.Context(), filepath.Join(dir, "file"), true),
			"rename":  h.Rename(t.Context(), filepath.Join(dir, "file"), filepath.Join(dir, "moved")),
		}
		for what, err := range errs {
			if err == nil {
				t.Errorf("%s below a folder of another user was done", what)
			}
		}
	}
	a.unharmed(t)
}

// TestSwappedFile writes files whose folder belongs to another user, who swaps
// whatever appears there.
func TestSwappedFile(t *testing.T) {
	a := newAttacked(t)
	h := open(t, startServer(t).config())
	stop := meanwhile(func() {
		entries, _ := os.ReadDir(a.home)
		for _, e := range entries {
			p := filepath.Join(a.home, e.Name())
			os.Remove(p)
			os.Symlink(filepath.Join(a.victim, "file"), p)
		}
	})
	defer stop()
	n := 25
	if testing.Short() {
		n = 5
	}
	swapped := 0
	for range n {
		path := filepath.Join(a.home, "f")
		f := content([]byte("x"), nil)
		f.Mode, f.Owner = 0o666, "nobody"
		err := h.WriteFile(t.Context(), path, f)
		if err != nil {
			swapped++
		}
		if err := h.SetAttr(t.Context(), path, conn.Attr{Mode: 0o666, Owner: "nobody"}, false); err != nil && errors.Is(err, conn.ErrUnreachable) {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d writes were found out to be attacked", swapped, n)
	a.unharmed(t)
}
