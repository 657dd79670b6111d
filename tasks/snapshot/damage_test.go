package snapshot

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// refusedAs fails unless the file is refused with this code.
func refusedAs(t *testing.T, path string, unhashed bool, code string) {
	t.Helper()
	_, err := inspect(t.Context(), "", path, unhashed)
	var said *onhost.Error
	if !errors.As(err, &said) || said.Code != code {
		t.Errorf("%s: got %v, want %s", filepath.Base(path), err, code)
	}
}

func store(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDamage flips a thousand bits, one at a time, and cuts the file at every
// sector: nothing of that is a snapshot any more.
func TestDamage(t *testing.T) {
	good, err := os.ReadFile(taken(t))
	if err != nil {
		t.Fatal(err)
	}
	path := store(t, good)
	if _, err := inspect(t.Context(), "", path, false); err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 1000 {
		at, bit := random.Int64N(int64(len(good))), byte(1)<<random.IntN(8)
		if _, err := f.WriteAt([]byte{good[at] ^ bit}, at); err != nil {
			t.Fatal(err)
		}
		for _, unhashed := range []bool{false, true} { // skip_hash_check does not excuse a wrong checksum
			_, err := inspect(t.Context(), "", path, unhashed)
			var said *onhost.Error
			if !errors.As(err, &said) {
				t.Fatalf("bit %#x of byte %d flipped (seed %d): %v", bit, at, seed, err)
			}
		}
		if _, err := f.WriteAt(good[at:at+1], at); err != nil {
			t.Fatal(err)
		}
	}
	for n := (len(good) - 1) / sector * sector; n >= 0; n -= sector {
		for _, size := range []int{n, n + sumSize} {
			if size >= len(good) {
				continue
			}
			if err := os.Truncate(path, int64(size)); err != nil {
				t.Fatal(err)
			}
			if _, err := inspect(t.Context(), "", path, false); err == nil {
				t.Errorf("cut to %d of %d bytes: taken for a snapshot", size, len(good))
			}
		}
	}
}

// TestOtherKinds gives what is no snapshot, and wants to be told what it is.
func TestOtherKinds(t *testing.T) {
	good, err := os.ReadFile(taken(t))
	if err != nil {
		t.Fatal(err)
	}
	bare := good[:len(good)-sumSize]
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(good); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(foreign)
	damaged := bytes.Clone(bare)
	copy(damaged[8192:], bytes.Repeat([]byte{0xff}, len(damaged)))

	for _, c := range []struct {
		name     string
		content  []byte
		unhashed bool
		code     string
	}{
		{"empty", nil, false, codeFormat},
		{"text", []byte("not a snapshot\n"), false, codeFormat},
		{"text of 32 bytes", bytes.Repeat([]byte("x"), 32), false, codeHash},
		{"gzip", packed.Bytes(), false, codeFormat},
		{"without checksum", bare, false, codeNoHash},
		{"another database", foreign, true, codeFormat},
		{"another database with a checksum", append(foreign, sum[:]...), false, codeFormat},
	} {
		t.Run(c.name, func(t *testing.T) { refusedAs(t, store(t, c.content), c.unhashed, c.code) })
	}
	t.Run("directory", func(t *testing.T) { refusedAs(t, t.TempDir(), false, codeFormat) })
	t.Run("missing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none")
		refusedAs(t, path, false, codeFormat)
		if err := onhost.Here(t.Context(), "snapshot-status", statusRequest{Path: path}, &Contents{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want one that is fs.ErrNotExist", err)
		}
	})
	t.Run("without checksum, and that is said", func(t *testing.T) {
		c, err := inspect(t.Context(), "", store(t, bare), true)
		if err != nil || c.TotalKeys != 9 || c.Sum != "" {
			t.Errorf("got %+v, %v", c, err)
		}
	})
	t.Run("without checksum, and damaged", func(t *testing.T) {
		// What reading it does to the reader is the reader's own end.
		l := engine.Look{Say: func(string, ...any) {}}
		var c Contents
		err := ask(t.Context(), l, "backup.db", "snapshot-status", statusRequest{Path: store(t, damaged), Unhashed: true}, &c)
		var said *onhost.Error
		if !errors.As(err, &said) || said.Code != codeCorrupt && said.Code != codeFormat {
			t.Errorf("got %+v, %v", c, err)
		}
	})
}

// TestTooNew gives versions of snapshots and servers.
func TestTooNew(t *testing.T) {
	for _, c := range []struct {
		snapshot, server string
		fits             bool
	}{
		{"3.7.0", "3.6", false},
		{"3.7.0", "3.6.16", false},
		{"4.0.0", "3.9", false},
		{"3.6.0", "3.6", true},
		{"3.6.0", "3.7.3", true},
		{"", "3.4.23", true},
		{"3.7.0", "", true},
	} {
		if err := fits(c.snapshot, c.server); (err == nil) != c.fits {
			t.Errorf("%q on %q: %v", c.snapshot, c.server, err)
		}
	}
	path := taken(t)
	dir := filepath.Join(t.TempDir(), "etcd")
	a := restoreArgs{Snapshot: path, DataDir: dir, Name: "m1", PeerURLs: []string{peer}, InitialCluster: "m1=" + peer, Token: "new"}
	q := restoreRequest{Marker: a.marker("run", stateOf(t, path)), Staging: dir, ServerVersion: "3.6"}
	if _, err := restore(t.Context(), "", q); err == nil || !strings.Contains(err.Error(), "the snapshot is of etcd 3.7") {
		t.Errorf("restored for a server that is too old: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused restore leaves %s", dir)
	}
}

// stateOf is what a look at the snapshot finds.
func stateOf(t *testing.T, path string) restoreState {
	t.Helper()
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := saidSum(t.Context(), here(t), path, i.Size())
	if err != nil {
		t.Fatal(err)
	}
	return restoreState{Snapshot: seenFile(i.Size()), Sum: sum}
}

// TestReadOnly reads a snapshot that nobody may write, with the rights of a user
// who can only read it, and holds it to leaving the file as it is.
func TestReadOnly(t *testing.T) {
	path := taken(t)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		const nobody = 65534
		for dir := filepath.Dir(path); strings.Contains(dir, t.Name()); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }() // what this thread opens afterwards would tell
	}
	if f, err := os.OpenFile(path, os.O_RDWR, 0); !errors.Is(err, fs.ErrPermission) {
		f.Close()
		t.Fatalf("it can be written: %v", err)
	}
	before := enginetest.Tree(t, filepath.Dir(path))
	if c, err := inspect(t.Context(), "", path, false); err != nil || c.TotalKeys != 9 {
		t.Errorf("got %+v, %v", c, err)
	}
	if after := enginetest.Tree(t, filepath.Dir(path)); after != before {
		t.Errorf("it is another file than before:\n%s\n%s", before, after)
	}
}

// TestWhatComesAlong takes a snapshot of a cluster with users, leases and an
// alarm, which a restored cluster has again.
func TestWhatComesAlong(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	s.fill(t, 3)
	c, ctx := s.dial(t), within(t, 30*time.Second)
	lease, err := c.Grant(ctx, 3600)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { _, err := c.Put(ctx, "lock", "held", clientv3.WithLease(lease.ID)); return err },
		func() error { _, err := c.RoleAdd(ctx, "root"); return err },
		func() error { _, err := c.UserAdd(ctx, "root", "secret"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.UserAdd(ctx, "guest", "guest"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	save1 := func(user, password string) (Record, error) {
		q := saveRequest{Source: source{Endpoint: s.client, Username: user, Password: password}, Path: path, Run: "run"}
		return save(within(t, 30*time.Second), "", q, dialer, func(int64, int64) {}, pages)
	}
	for user, password := range map[string]string{"": "", "guest": "guest", "root": "wrong"} {
		_, err := save1(user, password)
		if err == nil || user != "root" && !strings.Contains(err.Error(), "only a user with the role root may take a snapshot") ||
			user == "root" && !strings.Contains(err.Error(), "user or password is wrong") {
			t.Errorf("as %q: %v", user, err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
			t.Errorf("as %q: it leaves %q", user, left)
		}
	}
	r, err := save1("root", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if !r.Auth || r.Users != 2 || r.Leases != 1 || r.TotalKeys != 3 {
		t.Errorf("got %+v", r.Contents)
	}
	trial, err := try(within(t, time.Minute), "", trialRequest{Snapshot: path, Run: "run", Scratch: filepath.Join(t.TempDir(), "scratch")})
	if err != nil || trial.TotalKeys != 3 {
		t.Errorf("a trial without a login: %+v, %v", trial, err)
	}
	if ws := strings.Join(r.warnings(), "; "); !strings.Contains(ws, "clients will have to log in, as one of the 2 users in it") {
		t.Errorf("warnings: %s", ws)
	}
}

// TestAlarm takes a snapshot of a cluster that has run out of space.
func TestAlarm(t *testing.T) {
	s := start(t, t.TempDir(), nil)
	s.fill(t, 3)
	_, err := s.etcd.Server.Alarm(within(t, time.Minute), &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: uint64(s.etcd.Server.MemberID()),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	s.save(t, path)
	c, err := inspect(t.Context(), "", path, false)
	if err != nil || len(c.Alarms) != 1 || !strings.HasPrefix(c.Alarms[0], "NOSPACE of member ") {
		t.Errorf("got %+v, %v", c, err)
	}
	if ws := strings.Join(c.warnings(), "; "); !strings.Contains(ws, "disarm them after the restore") {
		t.Errorf("warnings: %s", ws)
	}
}
