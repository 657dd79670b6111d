package ssh_test

import (
	"bytes"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// held is content of which a part comes at once, and the rest when it is let go.
type held struct {
	io.Reader
	free chan struct{}
	seen bool
}

func (h *held) Read(p []byte) (int, error) {
	if h.seen {
		<-h.free
		return h.Reader.Read(p)
	}
	h.seen = true
	return h.Reader.Read(p[:10])
}

// TestTidy writes into a folder in which one writer is at work and another was
// killed: what that one left is removed, and the other ends its work.
func TestTidy(t *testing.T) {
	s := startServer(t)
	dir := t.TempDir()
	temporary := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, ".etcdplay-*.tmp"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	data := bytes.Repeat([]byte("x"), 1000)
	begin := func(h *ssh.Host, name string, files int) (*held, chan error) {
		file := content(data, nil)
		c := &held{Reader: file.Content, free: make(chan struct{})}
		file.Content = c
		ended := make(chan error, 1)
		go func() { ended <- h.WriteFile(t.Context(), filepath.Join(dir, name), file) }()
		for deadline := time.Now().Add(time.Minute); len(temporary()) < files; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no temporary file was made")
			}
		}
		return c, ended
	}
	killed, alive := open(t, s.config()), open(t, s.config())
	_, lost := begin(killed, "lost", 1)
	left := temporary()[0]
	c, ended := begin(alive, "slow", 2)
	pid, err := strconv.Atoi(strings.Split(strings.TrimPrefix(filepath.Base(left), ".etcdplay-"), "-")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-lost; err == nil {
		t.Error("a writer that was killed says that it has written")
	}
	if !exists(left) {
		t.Fatal("nothing was left, so nothing is tested")
	}
	write(t, filepath.Join(dir, ".etcdplay-mine.tmp"), "not by us")
	if err := open(t, s.config()).WriteFile(t.Context(), filepath.Join(dir, "quick"), content(data, nil)); err != nil {
		t.Fatal(err)
	}
	if exists(left) {
		t.Errorf("%s is still there", left)
	}
	close(c.free)
	if err := <-ended; err != nil {
		t.Errorf("the other writer: %v", err)
	}
	if got := temporary(); len(got) != 1 || filepath.Base(got[0]) != ".etcdplay-mine.tmp" {
		t.Errorf("left %q, want only what is not ours", got)
	}
}
