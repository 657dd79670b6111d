package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
)

const run = "20261122T095500Z-7f3a"

func hands(t *testing.T, cluster engine.Cluster) engine.Hands {
	h := here(t)
	return engine.Hands{Host: h, Look: engine.Look{
		Host: h, Cluster: cluster, RunID: run, Dial: dialer,
		Say: func(string, ...any) {}, Progress: func(int64, int64) {},
	}}
}

// TestRestoreGoesOn cuts a restore short at each of its steps and has it begun
// again: the data directory comes about all the same, and nothing else is left.
func TestRestoreGoesOn(t *testing.T) {
	path := taken(t)
	for name, cut := range map[string]struct {
		leave func(t *testing.T, h engine.Hands, a restoreArgs, s restoreState)
		want  engine.Settlement
	}{
		"before it began": {func(*testing.T, engine.Hands, restoreArgs, restoreState) {}, engine.NotDone},
		"in the middle": {func(t *testing.T, h engine.Hands, a restoreArgs, _ restoreState) {
			half := filepath.Join(a.staging(run), "member", "snap")
			if err := os.MkdirAll(half, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(half, "db"), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, engine.Partial},
		"before it got its name": {func(t *testing.T, h engine.Hands, a restoreArgs, s restoreState) {
			if _, err := stage(t.Context(), h, a, a.marker(run, s), a.staging(run)); err != nil {
				t.Fatal(err)
			}
		}, engine.Partial},
		"at its end": {func(t *testing.T, h engine.Hands, a restoreArgs, s restoreState) {
			if _, err := applyRestore(t.Context(), h, a, s); err != nil {
				t.Fatal(err)
			}
		}, engine.Done},
		"by somebody else": {func(t *testing.T, _ engine.Hands, a restoreArgs, _ restoreState) {
			if err := os.Mkdir(a.DataDir, 0o700); err != nil {
				t.Fatal(err)
			}
		}, engine.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := restoreArgs{Snapshot: path, DataDir: filepath.Join(dir, "etcd"), Name: "m1", PeerURLs: []string{peer}, InitialCluster: "m1=" + peer, Token: "new"}
			h := hands(t, engine.Cluster{Token: "old", DataDir: a.DataDir})
			before, err := observeRestore(t.Context(), h.Look, a)
			if err != nil {
				t.Fatal(err)
			}
			cut.leave(t, h, a, before)
			got, _, err := settleRestore(t.Context(), h.Look, a, before)
			if err != nil || got != cut.want {
				t.Fatalf("settled as %q, %v; want %q", got, err, cut.want)
			}
			if got == engine.Conflict {
				return
			}
			now, err := observeRestore(t.Context(), h.Look, a)
			if err != nil {
				t.Fatal(err)
			}
			r, err := applyRestore(t.Context(), h, a, now)
			if err != nil || r.Revision != 12 {
				t.Fatalf("got %+v, %v", r, err)
			}
			if err := verifyRestore(t.Context(), h.Look, a, r); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("beside the data directory: %v, %v", left, err)
			}
		})
	}
}

// TestTokenIsNew refuses the token of the cluster as it is, and one that another
// run has restored with.
func TestTokenIsNew(t *testing.T) {
	path, dir := taken(t), t.TempDir()
	old := filepath.Join(dir, "etcd.before")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	marker, err := json.Marshal(Marker{Format: markerFormat, Run: "20200101T000000Z-0000", Token: "used"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, MarkerName), marker, 0o600); err != nil {
		t.Fatal(err)
	}
	for token, fine := range map[string]bool{"current": false, "used": false, "new": true} {
		a := restoreArgs{Snapshot: path, DataDir: filepath.Join(dir, "etcd"), Name: "m1", PeerURLs: []string{peer}, InitialCluster: "m1=" + peer, Token: token}
		s, err := observeRestore(t.Context(), hands(t, engine.Cluster{Token: "current", DataDir: a.DataDir}).Look, a)
		if err != nil {
			t.Fatal(err)
		}
		if v := guardRestore("h", a, s, &world.World{}); v.OK() != fine {
			t.Errorf("%q: %v", token, v.Err())
		}
	}
}

// TestRestoreRefuses gives arguments that etcd would take for something else, or
// not at all.
func TestRestoreRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]cty.Value
		want   string
	}{
		"name that is not in it":     {map[string]cty.Value{"name": text("m3")}, `initial_cluster has no member "m3"`},
		"other peer URL":             {map[string]cty.Value{"peer_urls": texts("http://10.0.0.9:2380")}, "initial_cluster says that m1 has " + peer},
		"bump without compaction":    {map[string]cty.Value{"revision_bump": cty.NumberIntVal(5)}, "write mark_compacted = true"},
		"compaction without bump":    {map[string]cty.Value{"mark_compacted": cty.True}, "goes with a revision_bump above 0"},
		"negative bump":              {map[string]cty.Value{"revision_bump": cty.NumberIntVal(-5)}, "can only be raised"},
		"empty token":                {map[string]cty.Value{"initial_cluster_token": text("")}, "never used before"},
		"not an initial cluster":     {map[string]cty.Value{"initial_cluster": text("m1")}, "Write name=http://host:2380"},
		"version that is none":       {map[string]cty.Value{"server_version": text("latest")}, "is not a version of etcd"},
		"data directory of the root": {map[string]cty.Value{"data_dir": text("/etcd")}, "Name a path further down"},
	} {
		t.Run(name, func(t *testing.T) {
			args := restoreArguments("/backup.db", "/var/lib/etcd")
			for k, v := range c.change {
				args[k] = v
			}
			if err := Restore().Check(enginetest.Args(Restore(), args)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestBumpIsEnough refuses one that clients would see as going back.
func TestBumpIsEnough(t *testing.T) {
	path := taken(t)
	for bump, fine := range map[int64]bool{988: false, 989: true} {
		dir := filepath.Join(t.TempDir(), "etcd")
		a := restoreArgs{Snapshot: path, DataDir: dir, Name: "m1", PeerURLs: []string{peer}, InitialCluster: "m1=" + peer, Token: "new", RevisionBump: &bump, MarkCompacted: true}
		m, err := restore(t.Context(), "", restoreRequest{Marker: a.marker(run, stateOf(t, path)), Staging: dir, LastRevision: 1000})
		switch {
		case fine && (err != nil || m.Revision != 1001):
			t.Errorf("bump %d: %+v, %v", bump, m, err)
		case !fine && (err == nil || !strings.Contains(err.Error(), "at least 989 are needed")):
			t.Errorf("bump %d: %v", bump, err)
		}
	}
}

// TestRestoreOfDamage gives snapshots that look right from outside: each is
// refused for what it is, also where it ends the process that opens it, and
// nothing is left.
func TestRestoreOfDamage(t *testing.T) {
	good, err := os.ReadFile(taken(t))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[9000] ^= 1
	spoilt := bytes.Clone(good)
	copy(spoilt[8192:len(spoilt)-sumSize], bytes.Repeat([]byte{0xff}, len(spoilt)))
	proved := bytes.Clone(spoilt)
	sum := sha256.Sum256(proved[:len(proved)-sumSize])
	copy(proved[len(proved)-sumSize:], sum[:])
	for _, c := range []struct {
		name, want string
		content    []byte
	}{
		{"a bit", "is damaged: its content has sha256", flipped},
		{"all pages", "is damaged: its content has sha256", spoilt},
		{"all pages, with a checksum", "is damaged: reading its pages made the reader fail", proved},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			a := restoreArgs{
				Snapshot: store(t, c.content), DataDir: filepath.Join(dir, "etcd"), Name: "m1",
				PeerURLs: []string{peer}, InitialCluster: "m1=" + peer, Token: "new",
			}
			h := hands(t, engine.Cluster{})
			s, err := observeRestore(t.Context(), h.Look, a)
			if err != nil {
				t.Fatal(err)
			}
			_, err = applyRestore(t.Context(), h, a, s)
			if !errors.Is(err, engine.ErrDefinite) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("it leaves %v, %v", left, err)
			}
		})
	}
}

// TestSaveCut loses the connection after so many bytes: the final path stays
// free, nothing is left, and the next attempt succeeds.
func TestSaveCut(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	s.fill(t, 400)
	dir := t.TempDir()
	q := saveRequest{Source: source{Endpoint: s.client}, Path: filepath.Join(dir, "backup.db"), Run: run}
	for limit := int64(1000); ; limit *= 2 {
		var left atomic.Int64
		left.Store(limit)
		_, err := save(within(t, 30*time.Second), "", q, func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := dialer(ctx, addr)
			return &leaky{c, &left}, err
		}, func(int64, int64) {}, pages)
		_, lerr := os.Lstat(q.Path)
		if err == nil {
			if lerr != nil {
				t.Error(lerr)
			}
			break
		}
		if !errors.Is(lerr, fs.ErrNotExist) {
			t.Fatalf("cut after %d bytes: there is a file at the final path", limit)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
			t.Fatalf("cut after %d bytes: it leaves %v, %v", limit, files, err)
		}
	}
	refusedAgain, err := save(within(t, 30*time.Second), "", q, dialer, func(int64, int64) {}, pages)
	if err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("saved over what was there: %+v, %v", refusedAgain, err)
	}
}

// leaky is a connection that ends after so many bytes, for all of a member.
type leaky struct {
	net.Conn
	left *atomic.Int64
}

func (c *leaky) Read(b []byte) (int, error) {
	if c.left.Load() <= 0 {
		c.Close()
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(b[:min(len(b), 4096)])
	c.left.Add(int64(-n))
	return n, err
}

// TestSaveSettles finds a file that is another than its record says.
func TestSaveSettles(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	s.fill(t, 3)
	a := saveArgs{Endpoint: s.client, Path: filepath.Join(t.TempDir(), "backup.db")}
	h := hands(t, engine.Cluster{})
	before, err := observeSave(t.Context(), h.Look, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := applySave(t.Context(), h, a, before); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(a.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 9000); err != nil {
		t.Fatal(err)
	}
	if got, _, err := settleSave(t.Context(), h.Look, a, before); got != engine.Conflict || err != nil {
		t.Errorf("settled as %q, %v; want %q", got, err, engine.Conflict)
	}
}
