package ssh_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// TestCutInLargeUpload cuts uploads of the size of a snapshot, for which the host
// takes other programs than for small files.
func TestCutInLargeUpload(t *testing.T) {
	if testing.Short() {
		t.Skip("sends some hundred MiB")
	}
	h, p := faulty(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	data := make([]byte, 64<<20)
	rand.NewChaCha8([32]byte{64}).Read(data)
	file := content(data, nil)
	for _, cut := range []int64{1 << 20, int64(len(data)) / 3, int64(len(data)) - 1<<16, -1} {
		write(t, path, "old")
		p.arm(-1, -1)
		if err := h.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.arm(cut, -1)
		file.Content = bytes.NewReader(data)
		err := h.WriteFile(t.Context(), path, file)
		got, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		switch {
		case errors.Is(err, conn.ErrOutcomeUnknown), (err == nil) != (cut < 0):
			t.Errorf("cut after %d: %v", cut, err)
		case err != nil && string(got) != "old", err == nil && !bytes.Equal(got, data):
			t.Errorf("cut after %d: the error says %v, and the file has %d bytes", cut, err, len(got))
		}
		if left := leftovers(t, dir); len(left) > 0 {
			t.Errorf("cut after %d: left %q", cut, left)
		}
	}
}

// TestAbove4GiB sends a file of more bytes than 32 bits count, which takes a while
// and the room: ETCDPLAY_LARGE=1 asks for it.
func TestAbove4GiB(t *testing.T) {
	const size = 4<<30 + 5<<20 + 7
	dir := t.TempDir()
	h := open(t, startServer(t).config())
	sparse := filepath.Join(dir, "sparse")
	write(t, sparse, "")
	if err := os.Truncate(sparse, size); err != nil {
		t.Fatal(err)
	}
	if i, err := h.Stat(t.Context(), sparse); err != nil || i.Size != size {
		t.Errorf("got %d bytes, %v, want %d", i.Size, err, int64(size))
	}
	if _, err := h.ReadFile(t.Context(), sparse); !errors.Is(err, conn.ErrTooBig) {
		t.Errorf("got %v, want %v", err, conn.ErrTooBig)
	}
	if os.Getenv("ETCDPLAY_LARGE") == "" {
		return
	}
	f, err := os.Open(sparse)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	told := int64(0)
	err = h.WriteFile(t.Context(), filepath.Join(dir, "large"), conn.File{
		Content: f, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil)), Progress: func(n int64) { told = n },
	})
	if i, statErr := os.Stat(filepath.Join(dir, "large")); err != nil || statErr != nil || i.Size() != size || told != size {
		t.Errorf("got %v, %v, told of %d bytes", err, statErr, told)
	}
}
