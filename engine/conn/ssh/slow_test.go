package ssh_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A line of 50 kbit/s on which every answer takes half a second is slow, and not
// broken: each change happens once and says so, and an upload takes as long as it
// takes.
func TestSlowLine(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a slow line")
	}
	t.Parallel()
	h, p := faulty(t)
	dir := t.TempDir()
	p.slow(250*time.Millisecond, 50_000/8)
	for _, e := range effects {
		if err := e.reset(dir); err != nil {
			t.Fatal(err)
		}
		if err := e.do(h, t.Context(), dir); err != nil {
			t.Errorf("%s: %v", e.name, err)
		}
		if n := e.done(dir); n != 1 {
			t.Errorf("%s happened %d times", e.name, n)
		}
	}
	data := make([]byte, 96<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	var told []int64
	begun := time.Now()
	file := filepath.Join(dir, "big")
	if err := h.WriteFile(t.Context(), file, content(data, func(n int64) { told = append(told, n) })); err != nil {
		t.Fatalf("after %v: %v", time.Since(begun), err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the file on the host is another: %d bytes, %v", len(got), err)
	}
	if took := time.Since(begun); took < 10*time.Second {
		t.Errorf("the upload took %v: the line was not slow", took)
	}
	for i := 1; i < len(told); i++ {
		if told[i] < told[i-1] {
			t.Errorf("progress goes back: %v", told)
		}
	}
	if _, _, cuts := p.passed(); cuts > 0 {
		t.Errorf("the connection was cut %d times", cuts)
	}
}
