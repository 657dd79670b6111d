package snapshot

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	clientsnapshot "go.etcd.io/etcd/client/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/local"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// TestMain makes this test binary the program that runs on a host.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == onhost.Command {
		os.Exit(onhost.Serve(context.Background(), Verbs(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// server is a genuine etcd of one member in this process.
type server struct {
	dir, peer, client string
	etcd              *embed.Etcd
}

// freeURL is an address that nobody else has: one of its own, since connections
// to an address go out from it too, and would take ports away that are free now.
func freeURL(t testing.TB) string {
	t.Helper()
	n := given.Add(1)
	l, err := net.Listen("tcp", fmt.Sprintf("127.5.%d.%d:0", 1+n/250%250, 1+n%250))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

var given atomic.Int64

// start starts etcd as member m1 on dir, with what change makes of its settings.
func start(t testing.TB, dir string, change func(*embed.Config)) *server {
	t.Helper()
	s := &server{dir: dir, peer: freeURL(t), client: freeURL(t)}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "m1", dir
	cfg.TickMs, cfg.ElectionMs = 20, 400
	cfg.UnsafeNoFsync, cfg.BcryptCost = true, 4
	cfg.ZapLoggerBuilder, cfg.LogLevel = embed.NewZapLoggerBuilder(zap.NewNop()), "panic"
	address := func(text string) []url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return []url.URL{*u}
	}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = address(s.peer), address(s.peer)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = address(s.client), address(s.client)
	cfg.InitialCluster = "m1=" + s.peer
	if change != nil {
		change(cfg)
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.etcd = e
	t.Cleanup(s.stop)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(30 * time.Second):
		t.Fatal("etcd does not become ready")
	}
	return s
}

func (s *server) stop() {
	if s.etcd != nil {
		s.etcd.Close()
		s.etcd = nil
	}
}

func (s *server) dial(t testing.TB, user ...string) *clientv3.Client {
	t.Helper()
	cfg := clientv3.Config{Endpoints: []string{s.client}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()}
	if len(user) > 0 {
		cfg.Username, cfg.Password = user[0], user[1]
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// fill writes n keys, of which the last is deleted again: n+2 revisions.
func (s *server) fill(t testing.TB, n int) {
	t.Helper()
	c, ctx := s.dial(t), within(t, 30*time.Second)
	for i := range n {
		if _, err := c.Put(ctx, fmt.Sprintf("key/%d", i), fmt.Sprintf("value %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Delete(ctx, fmt.Sprintf("key/%d", n-1)); err != nil {
		t.Fatal(err)
	}
}

// save has etcd's own client save a snapshot, and has it save another until that
// tells its version: a new cluster writes the version down after a moment.
func (s *server) save(t testing.TB, path string) {
	t.Helper()
	cfg := clientv3.Config{Endpoints: []string{s.client}, Logger: zap.NewNop()}
	for ctx, version := within(t, 30*time.Second), ""; version == ""; {
		var err error
		if version, err = clientsnapshot.SaveWithVersion(ctx, zap.NewNop(), cfg, path); err != nil {
			t.Fatal(err)
		}
	}
}

// taken is a snapshot of a genuine etcd with ten keys, nine of them live.
func taken(t testing.TB) string {
	t.Helper()
	s := start(t, t.TempDir(), nil)
	s.fill(t, 10)
	path := filepath.Join(t.TempDir(), "backup.db")
	s.save(t, path)
	s.stop()
	return path
}

func here(t testing.TB) conn.Host {
	t.Helper()
	h, err := local.Dial("localhost")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func text(s string) cty.Value { return cty.StringVal(s) }

func texts(ss ...string) cty.Value {
	var vs []cty.Value
	for _, s := range ss {
		vs = append(vs, cty.StringVal(s))
	}
	return cty.ListVal(vs)
}

const peer = "http://10.240.0.1:2380"

// restoreArguments are right ones for a member of a new cluster of two.
func restoreArguments(snapshot, dir string) map[string]cty.Value {
	return map[string]cty.Value{
		"snapshot": text(snapshot), "data_dir": text(dir), "name": text("m1"), "peer_urls": texts(peer),
		"initial_cluster": text("m1=" + peer + ",m2=http://10.240.0.2:2380"), "initial_cluster_token": text("new-token"),
	}
}

func TestLaws(t *testing.T) {
	path := taken(t)
	t.Run("status", func(t *testing.T) {
		for name, h := range map[string]conn.Host{"host": here(t), "controller": nil} {
			t.Run(name, func(t *testing.T) {
				enginetest.Run(t, Status(), enginetest.Case{
					Host: h, Args: map[string]cty.Value{"path": text(path), "server_version": text("3.7")},
					Fingerprint: func(t testing.TB) string { return enginetest.Tree(t, filepath.Dir(path)) },
				})
			})
		}
	})
	t.Run("save", func(t *testing.T) {
		s := start(t, t.TempDir(), nil)
		s.fill(t, 10)
		for name, h := range map[string]conn.Host{"host": here(t), "controller": nil} {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				enginetest.Run(t, Save(), enginetest.Case{
					Host: h, Args: map[string]cty.Value{"endpoint": text(s.client), "path": text(filepath.Join(dir, "backup.db"))},
					Dial:        dialer,
					Fingerprint: func(t testing.TB) string { return enginetest.Tree(t, dir) },
				})
			})
		}
	})
	t.Run("trial", func(t *testing.T) {
		for name, h := range map[string]conn.Host{"host": here(t), "controller": nil} {
			t.Run(name, func(t *testing.T) {
				copied := copyOf(t, path)
				enginetest.Run(t, Trial(), enginetest.Case{
					Host: h, Args: map[string]cty.Value{"path": text(copied)}, Timeout: time.Minute,
					Fingerprint: func(t testing.TB) string { return enginetest.Tree(t, filepath.Dir(copied)) },
				})
			})
		}
	})
	t.Run("restore", func(t *testing.T) {
		dir := t.TempDir()
		args := restoreArguments(path, filepath.Join(dir, "etcd"))
		args["revision_bump"], args["mark_compacted"] = cty.NumberIntVal(1000), cty.True
		enginetest.Run(t, Restore(), enginetest.Case{
			Host: here(t), Cluster: engine.Cluster{Token: "old-token", DataDir: filepath.Join(dir, "etcd")}, Args: args,
			Fingerprint: func(t testing.TB) string { return enginetest.Tree(t, dir) },
		})
	})
}

// copyOf is a snapshot in a directory of its own.
func copyOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
