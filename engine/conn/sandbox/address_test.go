package sandbox

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestClaim: a port that something holds on every address is not used, a block
// that is claimed is not given twice, and a claim ends with its sandbox.
func TestClaim(t *testing.T) {
	held, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	port := held.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	b, err := claim(dir, 3, []int{port, 52379})
	if err != nil {
		t.Fatal(err)
	}
	if b.clientPort != 52379 || b.peerPort != 52380 {
		t.Errorf("got ports %d and %d, want 52379 and 52380: %d is held", b.clientPort, b.peerPort, port)
	}
	if owner, err := os.ReadFile(b.claim); err != nil || string(owner) != dir {
		t.Errorf("claim: got %q, %v, want %q", owner, err, dir)
	}
	if err := b.free(3); err != nil {
		t.Errorf("the block is not free: %v", err)
	}
	// Young, old with a sandbox, old without one: only the last is given away.
	if taken, err := take(b.claim, "another"); taken || err != nil {
		t.Errorf("young: taken %v, %v", taken, err)
	}
	old := time.Now().Add(-time.Hour)
	for _, live := range []bool{true, false} {
		if live {
			if err := (meta{Version: metaVersion}).write(dir); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(filepath.Join(dir, metaFile)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(b.claim, old, old); err != nil {
			t.Fatal(err)
		}
		if taken, err := take(b.claim, "another"); taken || err != nil {
			t.Errorf("old: taken %v, %v", taken, err)
		}
		if _, err := os.Stat(b.claim); (err == nil) != live {
			t.Errorf("an old claim whose sandbox lives (%v): got %v", live, err)
		}
	}
	if b, err := claim(dir, 3, []int{port}); err == nil {
		t.Errorf("without any free port: got %+v", b)
	}
}
