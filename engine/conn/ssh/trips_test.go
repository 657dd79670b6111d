package ssh_test

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// TestTrips holds how often something is sent to a host for one operation, and
// in how many sessions.
func TestTrips(t *testing.T) {
	s := startServer(t)
	h := open(t, s.config())
	w := ssh.Watch(h)
	if err := h.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.Sent.Load(); got > 2 {
		t.Errorf("connecting sent %d times, want at most 2", got)
	}
	dir := t.TempDir()
	text := "[Service]\nEnvironment=A='b c'\n"
	sum := sha256.Sum256([]byte(text))
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string) {
		must(h.WriteFile(t.Context(), at(name), conn.File{
			Content: strings.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Attr: conn.Attr{Mode: 0o644},
		}))
	}
	put("a")
	for _, c := range []struct {
		name string
		sent int64
		do   func()
	}{
		{"Stat", 1, func() { _, err := h.Stat(t.Context(), at("a")); must(err) }},
		{"eight looks", 1, func() {
			var all []*conn.Glance
			for _, p := range []string{"a", "b", "c", "d"} {
				all = append(all, &conn.Glance{What: conn.Stat, Path: at(p)}, &conn.Glance{What: conn.ReadFile, Path: at(p)})
			}
			conn.LookAt(t.Context(), h, all...)
			must(all[0].Err)
			must(all[1].Err)
		}},
		{"WriteFile", 1, func() { put("a") }},
		{"Rename", 1, func() { must(h.Rename(t.Context(), at("a"), at("b"))) }},
		{"Mkdir", 1, func() { must(h.Mkdir(t.Context(), at("dir"), conn.Attr{Mode: 0o755})) }},
		{"Remove", 1, func() { must(h.Remove(t.Context(), at("b"), false)) }},
		{"Run", 1, func() { _, err := h.Run(t.Context(), conn.Command{Argv: []string{"true"}}); must(err) }},
		{"Fence", 1, func() { _, err := h.Fence(t.Context()); must(err) }},
	} {
		before := w.Sent.Load()
		c.do()
		if got := w.Sent.Load() - before; got != c.sent {
			t.Errorf("%s sent %d times, want %d", c.name, got, c.sent)
		}
	}
	for range 5 { // who wants a shell while one ends a turn waits for that one
		release, err := ssh.Turn(t.Context(), h)
		must(err)
		release()
		_, err = h.Stat(t.Context(), dir)
		must(err)
	}
	if got := w.Shells.Load(); got != 1 {
		t.Errorf("%d sessions were opened, want 1", got)
	}
}
