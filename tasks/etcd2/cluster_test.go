package etcd2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
)

// TestMain lets the test binary be what etcdplay's own binary is to a sandbox.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "sandbox" && os.Args[2] == "supervise" {
		if err := sandbox.Supervise(context.Background(), os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// quick is how long the tests wait for a change that does not come: nothing here
// loses one on its way.
const quick = 300 * time.Millisecond

// cluster is a sandbox of genuine etcd 3.4 that serves API 2: three members on
// the hosts 0 to 2, and a spare.
type cluster struct {
	t    *testing.T
	box  *sandbox.Sandbox
	dial func(ctx context.Context, addr string) (net.Conn, error) // nil means net.Dialer
}

func boot(t *testing.T) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts etcd")
	}
	etcd := filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), "3.4", "etcd")
	if _, err := os.Stat(etcd); err != nil {
		conntest.Skip(t, "needs etcd 3.4: make etcds")
	}
	box, err := sandbox.Up(t.Context(), sandbox.Options{Dir: filepath.Join(t.TempDir(), "box"), Members: 3, Spares: 1, Etcd: etcd, API: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	return &cluster{t: t, box: box}
}

func (c *cluster) host(i int) conn.Host {
	c.t.Helper()
	h, err := c.box.Host(c.t.Context(), c.box.Hosts()[i].Name)
	if err != nil {
		c.t.Fatal(err)
	}
	return h
}

func (c *cluster) peer(i int) string { return c.box.Hosts()[i].PeerURL() }

func (c *cluster) look() engine.Look {
	inv := engine.Cluster{Name: "demo", API: 2, Unit: sandbox.Unit, DataDir: sandbox.DataDir, PeerURLs: map[string][]string{}}
	for _, h := range c.box.Hosts() {
		inv.PeerURLs[h.Name] = []string{h.PeerURL()}
		if !h.Spare {
			inv.Members = append(inv.Members, h.Name)
			inv.Endpoints = append(inv.Endpoints, h.ClientURL())
		}
	}
	dial := c.dial
	if dial == nil {
		dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	return engine.Look{
		Cluster: inv, RunID: "r1", Dial: dial, Say: func(string, ...any) {}, Progress: func(int64, int64) {},
		At: func(_ context.Context, name string) (conn.Reader, error) { return c.box.Host(c.t.Context(), name) },
	}
}

func (c *cluster) survey() world.Cluster {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	return Survey(ctx, c.look(), nil)
}

// id is that of the member on host i.
func (c *cluster) id(i int) string {
	c.t.Helper()
	s := c.survey()
	m := s.AtURLs([]string{c.peer(i)})
	if m == nil {
		c.t.Fatalf("no member at %s in %+v", c.peer(i), s)
	}
	return m.ID
}

// hold holds a type to the suite that every type passes. on is the host it runs
// on, -1 for none.
func (c *cluster) hold(typ *engine.Type, on int, already bool, given map[string]cty.Value, print func() string) {
	c.t.Helper()
	l := c.look()
	k := enginetest.Case{
		Cluster: l.Cluster, Dial: l.Dial, Args: given, World: &world.World{Cluster: c.survey()}, Already: already, Timeout: time.Minute,
		Again:       typ.Name == "etcd2_member_add", // the second time, it is there and not ours
		Fingerprint: func(testing.TB) string { return print() },
	}
	if on >= 0 {
		k.Host = c.host(on)
	}
	enginetest.Run(c.t, typ, k)
}

// members is the list as host 0 remembers it.
func (c *cluster) members() string {
	c.t.Helper()
	acc, err := newAccess(c.look(), Reach{})
	if err != nil {
		c.t.Fatal(err)
	}
	s := acc.members(c.t.Context(), c.box.Hosts()[0].ClientURL())
	if s.err != nil {
		return s.err.Error()
	}
	return fmt.Sprint(s.Members)
}

// tree is the names of all below a directory of host 0.
func (c *cluster) tree(dir string) string {
	var names []string
	// What is not there has no names.
	_ = filepath.Walk(filepath.Join(c.box.Dir, "hosts", c.box.Hosts()[0].Name, dir), func(path string, info os.FileInfo, err error) error {
		if err == nil {
			names = append(names, fmt.Sprint(path, info.Mode(), info.ModTime()))
		}
		return err
	})
	return strings.Join(names, "\n")
}

func str(s string) cty.Value { return cty.StringVal(s) }

func strs(ss ...string) cty.Value {
	var vs []cty.Value
	for _, s := range ss {
		vs = append(vs, str(s))
	}
	return cty.ListVal(vs)
}

func (c *cluster) stop(i int) {
	c.t.Helper()
	if err := c.host(i).Units().Stop(c.t.Context(), sandbox.Unit); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) dropin(i int, path, text string) {
	c.t.Helper()
	full := filepath.Join(c.box.Dir, "hosts", c.box.Hosts()[i].Name, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := c.host(i).Units().Reload(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// eventually waits until ok.
func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	if err := engine.Poll(ctx, 200*time.Millisecond, func(context.Context) (bool, error) { return ok(), nil }); err != nil {
		c.t.Fatalf("%s: %v; the cluster is %+v", what, err, c.survey())
	}
}

// cutter loses the first answer to a POST: the request arrives, and its
// connection is closed before what comes back is read.
type cutter struct {
	net.Conn
	cut  *atomic.Int32
	mine bool
}

func (c *cutter) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("POST ")) && c.cut.CompareAndSwap(0, 1) {
		c.mine = true
	}
	return c.Conn.Write(p)
}

func (c *cutter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.mine && err == nil {
		return 0, errors.New("connection reset by the test")
	}
	return n, err
}
