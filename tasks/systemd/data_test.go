package systemd

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// log is the beginning of a log that etcd itself has made.
func log(t testing.TB, member, cluster uint64) []byte {
	t.Helper()
	metadata, err := proto.Marshal(&etcdserverpb.Metadata{NodeID: &member, ClusterID: &cluster})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "wal")
	w, err := wal.Create(zap.NewNop(), dir, metadata)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	head, err := os.ReadFile(filepath.Join(dir, "0000000000000000-0000000000000000.wal"))
	if err != nil {
		t.Fatal(err)
	}
	return head[:4096]
}

func TestOwner(t *testing.T) {
	for _, ids := range []struct {
		member, cluster uint64
		m, c            string
	}{
		{0xa721e807fcc65085, 0xcfd77919b3d0896, "a721e807fcc65085", "cfd77919b3d0896"},
		{1, 2, "1", "2"},
	} {
		m, c, err := owner(log(t, ids.member, ids.cluster))
		if m != ids.m || c != ids.c || err != nil {
			t.Errorf("got %s, %s, %v; want %s, %s", m, c, err, ids.m, ids.c)
		}
	}
	head := log(t, 7, 9)
	for n := range 40 {
		if m, c, err := owner(head[:n]); err == nil {
			t.Errorf("cut after %d bytes: got %s, %s", n, m, c)
		}
	}
	if _, _, err := owner(make([]byte, 4096)); err == nil {
		t.Error("a log of zeros has an owner")
	}
}

func FuzzOwner(f *testing.F) {
	f.Add(log(f, 0xa721e807fcc65085, 0xcfd77919b3d0896))
	f.Fuzz(func(t *testing.T, head []byte) {
		m, c, err := owner(head)
		if (err == nil) != (m != "" && c != "") {
			t.Errorf("got %q, %q, %v", m, c, err)
		}
	})
}
