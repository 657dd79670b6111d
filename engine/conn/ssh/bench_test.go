package ssh_test

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// BenchmarkOperation measures one operation each on a warm connection.
func BenchmarkOperation(b *testing.B) {
	s := startServer(b)
	h := open(b, s.config())
	if err := h.Connect(b.Context()); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	text := "[Service]\n"
	sum := sha256.Sum256([]byte(text))
	for _, op := range []struct {
		name string
		do   func() error
	}{
		{"Stat", func() error { _, err := h.Stat(b.Context(), dir); return err }},
		{"ReadFile", func() error { _, err := h.ReadFile(b.Context(), "/etc/hostname"); return err }},
		{"Query", func() error { _, err := h.Query(b.Context(), conn.Command{Argv: []string{"true"}}); return err }},
		{"Run", func() error { _, err := h.Run(b.Context(), conn.Command{Argv: []string{"true"}}); return err }},
		{"Mkdir", func() error { return h.Mkdir(b.Context(), dir, conn.Attr{}) }},
		{"WriteFile", func() error {
			return h.WriteFile(b.Context(), filepath.Join(dir, "f"), conn.File{
				Content: strings.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]),
			})
		}},
	} {
		b.Run(op.name, func(b *testing.B) {
			for range b.N {
				if err := op.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Connect", func(b *testing.B) {
		for range b.N {
			h := open(b, s.config())
			if err := h.Connect(b.Context()); err != nil {
				b.Fatal(err)
			}
			h.Close()
		}
	})
}
