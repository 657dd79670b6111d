package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
)

// genuine is the folder of the programs of one version of etcd.
func genuine(t *testing.T, version string) string {
	t.Helper()
	dir := filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), version)
	if _, err := os.Stat(filepath.Join(dir, "etcd")); os.Getenv("ETCDPLAY_ETCDS") == "" || err != nil {
		conntest.Skip(t, "needs etcd "+version+": make etcds")
	}
	return dir
}

// process runs a genuine etcd as a process of its own on the data of s.
func (s *trial) process(t *testing.T, program string) *clientv3.Client {
	t.Helper()
	stop, ended, err := s.start("", program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.client}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for ctx := within(t, time.Minute); ; {
		one, cancel := context.WithTimeout(ctx, time.Second)
		_, err := c.Get(one, "x")
		cancel()
		if err == nil {
			return c
		}
		select {
		case <-ended:
			t.Fatalf("etcd has ended: %s", s.why())
		case <-ctx.Done():
			t.Fatalf("etcd does not serve: %v; %s", err, s.why())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func hashKV(t *testing.T, c *clientv3.Client) (hash uint32, revision int64) {
	t.Helper()
	h, err := c.HashKV(within(t, time.Minute), c.Endpoints()[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	return h.Hash, h.Header.Revision
}

// TestVersions saves, checks, tries and restores a snapshot of each version of
// etcd, and has that version's own programs judge what came of it.
func TestVersions(t *testing.T) {
	for _, version := range []string{"3.4", "3.5", "3.6", "3.7"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			bin := genuine(t, version)
			dir := t.TempDir()
			s := newTestTrial(t, filepath.Join(dir, "old"))
			c := s.process(t, filepath.Join(bin, "etcd"))
			for i := range 20 {
				if _, err := c.Put(within(t, time.Minute), fmt.Sprint("key/", i), "value"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Delete(within(t, time.Minute), "key/7"); err != nil {
				t.Fatal(err)
			}
			hash, revision := hashKV(t, c)

			path := filepath.Join(dir, "backup.db")
			q := saveRequest{Source: source{Endpoint: s.client}, Path: path, Run: "run"}
			var seen int64
			r, err := save(within(t, time.Minute), "", q, dialer, func(done, _ int64) { seen = done }, pages)
			if err != nil {
				t.Fatal(err)
			}
			if r.Revision != revision || r.TotalKeys != 19 || seen != r.Size {
				t.Errorf("saved revision %d with %d keys, and told of %d bytes; want %d, 19, %d", r.Revision, r.TotalKeys, seen, revision, r.Size)
			}
			agreesWithEtcd(t, bin, path, r.Contents)

			got, err := try(within(t, time.Minute), "", trialRequest{Snapshot: path, Run: "run", Scratch: filepath.Join(dir, "scratch"), Etcd: filepath.Join(bin, "etcd")})
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%x", hash); got.HashKV != want || got.Etcd[:3] != version {
				t.Errorf("tried: HashKV %s of etcd %s; want %s of %s", got.HashKV, got.Etcd, want, version)
			}

			for _, bump := range []int64{0, 1000} {
				next := newTestTrial(t, filepath.Join(dir, fmt.Sprint("new", bump)))
				a := restoreArgs{
					Snapshot: path, DataDir: next.data, Name: trialName, PeerURLs: []string{next.peer},
					InitialCluster: trialName + "=" + next.peer, Token: fmt.Sprint("token", bump), RevisionBump: &bump, MarkCompacted: bump > 0,
				}
				m, err := restore(within(t, time.Minute), "", restoreRequest{
					Marker: a.marker("run", restoreState{Snapshot: seenFile(r.Size), Sum: r.Sum}), Staging: next.data, ServerVersion: version,
				})
				if err != nil {
					t.Fatal(err)
				}
				c := next.process(t, filepath.Join(bin, "etcd"))
				newHash, newRevision := hashKV(t, c)
				if newRevision != revision+bump || m.Revision != newRevision || bump == 0 && newHash != hash {
					t.Errorf("bump %d: HashKV %x at revision %d (the marker says %d); want %x at %d", bump, newHash, newRevision, m.Revision, hash, revision+bump)
				}
				all, err := c.Get(within(t, time.Minute), "key/", clientv3.WithPrefix())
				if err != nil || all.Count != 19 {
					t.Errorf("bump %d: %v keys, %v; want 19", bump, all, err)
				}
				if m.ClusterID != fmt.Sprintf("%x", all.Header.ClusterId) || m.MemberID != fmt.Sprintf("%x", all.Header.MemberId) {
					t.Errorf("the marker says cluster %s, member %s; got %x, %x", m.ClusterID, m.MemberID, all.Header.ClusterId, all.Header.MemberId)
				}
				_, err = c.Get(within(t, time.Minute), "key/1", clientv3.WithRev(5))
				if compacted := errors.Is(err, rpctypes.ErrCompacted); compacted != (bump > 0) {
					t.Errorf("bump %d: a revision before it: %v", bump, err)
				}
			}
		})
	}
}

// newTestTrial is an etcd of one member on a data directory below dir.
func newTestTrial(t *testing.T, dir string) *trial {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := newTrial(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dialer(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

func seenFile(size int64) seen { return seen{Looked: true, Exists: true, Size: size} }

// agreesWithEtcd compares what we say of a snapshot with what that version's own
// program says. Before 3.6 it counts revisions as keys.
func agreesWithEtcd(t *testing.T, bin, path string, c Contents) {
	t.Helper()
	program := filepath.Join(bin, "etcdutl")
	if _, err := os.Stat(program); err != nil {
		program = filepath.Join(bin, "etcdctl")
	}
	cmd := exec.Command(program, "snapshot", "status", path, "-w", "json")
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var st struct {
		Hash     uint32 `json:"hash"`
		Revision int64  `json:"revision"`
		Version  string `json:"version"`
	}
	if err := json.Unmarshal(out, &st); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%x", st.Hash) != c.Hash || st.Revision != c.Revision || st.Version != c.Version {
		t.Errorf("we say hash %s, revision %d, version %q; etcd says %x, %d, %q", c.Hash, c.Revision, c.Version, st.Hash, st.Revision, st.Version)
	}
}
