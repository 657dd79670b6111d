package etcd

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
)

// node is one genuine etcd in this process.
type node struct {
	name, peer, client string
	dir                string
	tls                *transport.TLSInfo // of the client side; nil for none
	election           uint               // its timeout in milliseconds; zero is 400
	etcd               *embed.Etcd
}

// cluster is genuine etcd members on loopback addresses, and an inventory that
// knows them.
type cluster struct {
	t        *testing.T
	nodes    []*node
	election uint                                                     // of nodes to come
	dial     func(ctx context.Context, addr string) (net.Conn, error) // nil means net.Dialer

	mu   sync.Mutex
	said []string
}

func freeURL(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// newNode is a member to be, on a loopback address of its own.
func (c *cluster) newNode(name string) *node {
	c.t.Helper()
	host := fmt.Sprintf("127.0.4.%d", len(c.nodes)+1)
	n := &node{name: name, peer: freeURL(c.t, host), client: freeURL(c.t, host), dir: c.t.TempDir(), election: c.election}
	c.nodes = append(c.nodes, n)
	return n
}

// boot starts a cluster of n members, named a, b, c, …
func boot(t *testing.T, n int) *cluster {
	t.Helper()
	return bootSteady(t, n, 0)
}

// bootSteady is boot with an election timeout in milliseconds.
func bootSteady(t *testing.T, n int, election uint) *cluster {
	t.Helper()
	c := &cluster{t: t, election: election}
	var initial []string
	for i := range n {
		m := c.newNode(string(rune('a' + i)))
		initial = append(initial, m.name+"="+m.peer)
	}
	var wg sync.WaitGroup
	for _, m := range c.nodes {
		wg.Go(func() { m.start(t, strings.Join(initial, ","), "new") })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// start starts the member and waits until it serves.
func (n *node) start(t *testing.T, initial, state string) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = n.name, n.dir
	cfg.TickMs, cfg.ElectionMs = 20, cmp.Or(n.election, 400)
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the least, or a login takes longer than the rest of a test
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.LogLevel = "panic"
	peer, client := mustURL(t, n.peer), mustURL(t, n.client)
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.InitialCluster, cfg.ClusterState = initial, state
	if n.tls != nil {
		cfg.ClientTLSInfo = *n.tls
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Errorf("start %s: %v", n.name, err)
		return
	}
	n.etcd = e
	t.Cleanup(func() { n.stop() })
	select {
	case <-e.Server.ReadyNotify():
	case <-e.Server.StopNotify():
		t.Errorf("%s stopped at once", n.name)
	case <-time.After(30 * time.Second):
		t.Errorf("%s does not become ready", n.name)
	}
}

func (n *node) stop() {
	if n.etcd != nil {
		n.etcd.Close()
		n.etcd = nil
	}
}

func mustURL(t *testing.T, text string) url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return *u
}

func (c *cluster) inventory() engine.Cluster {
	inv := engine.Cluster{Name: "test", API: 3, Unit: "etcd.service", PeerURLs: map[string][]string{}}
	for _, n := range c.nodes {
		inv.Members = append(inv.Members, "host-"+n.name)
		inv.Endpoints = append(inv.Endpoints, n.client)
		inv.PeerURLs["host-"+n.name] = []string{n.peer}
	}
	return inv
}

func (c *cluster) look() engine.Look {
	dial := c.dial
	if dial == nil {
		dial = dialTCP
	}
	return engine.Look{
		Cluster: c.inventory(), RunID: "r1", Dial: dial, Progress: func(int64, int64) {},
		Say: func(format string, args ...any) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.said = append(c.said, fmt.Sprintf(format, args...))
		},
	}
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

func (c *cluster) heard(part string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(strings.Join(c.said, "\n"), part)
}

// args is an object of the type's arguments; what is not given is null.
func args(t *engine.Type, given map[string]cty.Value) cty.Value {
	attrs := map[string]cty.Value{}
	for name, at := range t.ArgType().AttributeTypes() {
		attrs[name] = cty.NullVal(at)
		if v, ok := given[name]; ok {
			attrs[name] = v
		}
	}
	return cty.ObjectVal(attrs)
}

func str(s string) cty.Value { return cty.StringVal(s) }

func strs(ss ...string) cty.Value {
	var vs []cty.Value
	for _, s := range ss {
		vs = append(vs, str(s))
	}
	return cty.ListVal(vs)
}

// result is one attribute of a task's results, as a string list or a string.
func texts(v cty.Value, name string) string {
	attr := v.GetAttr(name)
	if !attr.Type().IsListType() {
		return attr.AsString()
	}
	var parts []string
	for _, e := range attr.AsValueSlice() {
		parts = append(parts, e.AsString())
	}
	return strings.Join(parts, " ")
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// act carries a task out as the engine does: survey, observe, plan, guard, apply,
// verify; then it holds that a second plan is empty where the type can tell, and
// that the model and the cluster agree.
func (c *cluster) act(typ *engine.Type, given map[string]cty.Value) cty.Value {
	c.t.Helper()
	ctx, l, a := within(c.t, time.Minute), c.look(), args(typ, given)
	if err := typ.Check(a); err != nil {
		c.t.Fatalf("%s: check: %v", typ.Name, err)
	}
	w := &world.World{Cluster: Survey(ctx, l, nil)}
	s, err := typ.Observe(ctx, l, a)
	if err != nil {
		c.t.Fatalf("%s: observe: %v", typ.Name, err)
	}
	planned, predicted := typ.Plan(engine.Planning{World: w, Cluster: l.Cluster, Address: "task.x"}, a, s)
	if !planned.Needed || planned.Summary == "" {
		c.t.Fatalf("%s: planned %+v", typ.Name, planned)
	}
	if err := typ.Guard("", a, s, w).Err(); err != nil {
		c.t.Fatalf("%s: guard: %v", typ.Name, err)
	}
	r, err := typ.Apply(ctx, engine.Hands{Look: l}, a, s)
	if err != nil {
		c.t.Fatalf("%s: apply: %v", typ.Name, err)
	}
	if err := typ.Verify(ctx, l, a, r); err != nil {
		c.t.Fatalf("%s: verify: %v", typ.Name, err)
	}
	for name := range r.Type().AttributeTypes() {
		want, got := predicted.GetAttr(name), r.GetAttr(name)
		if want.IsWhollyKnown() && !want.RawEquals(got) {
			c.t.Errorf("%s: %s was predicted as %#v and is %#v", typ.Name, name, want, got)
		}
	}
	typ.Advance("", "task.x", a, r, w)
	after := Survey(ctx, l, nil)
	if got, want := len(w.Cluster.Members), len(after.Members); got != want {
		c.t.Errorf("%s: the model has %d members, the cluster %d", typ.Name, got, want)
	}
	if got, want := w.Cluster.Budget().Voters, after.Budget().Voters; got != want {
		c.t.Errorf("%s: the model has %d voters, the cluster %d", typ.Name, got, want)
	}
	return r
}

// hold holds a type to the suite that every type passes, in the situation that
// the cluster is in, and returns the cluster as it is after it.
func (c *cluster) hold(typ *engine.Type, given map[string]cty.Value) world.Cluster {
	c.t.Helper()
	ctx, l := within(c.t, time.Minute), c.look()
	enginetest.Run(c.t, typ, enginetest.Case{
		Cluster: l.Cluster, Dial: l.Dial, Args: given, World: &world.World{Cluster: Survey(ctx, l, nil)},
		Again: typ.Name == "etcd_member_add", // the second time, it is there and not ours
		Fingerprint: func(t testing.TB) string {
			list, err := c.client().MemberList(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(listedFrom(list.Members))
		},
	})
	return Survey(ctx, l, nil)
}

// read carries out a read, and returns its summary and its results.
func (c *cluster) read(typ *engine.Type, given map[string]cty.Value) (string, cty.Value, error) {
	c.t.Helper()
	ctx, l, a := within(c.t, time.Minute), c.look(), args(typ, given)
	s, err := typ.Observe(ctx, l, a)
	if err != nil {
		return "", cty.NilVal, err
	}
	planned, _ := typ.Plan(engine.Planning{World: &world.World{}, Cluster: l.Cluster}, a, s)
	return planned.Summary, typ.Report(a, s), nil
}

func (c *cluster) client() *clientv3.Client {
	c.t.Helper()
	var endpoints []string
	for _, n := range c.nodes {
		if n.etcd != nil {
			endpoints = append(endpoints, n.client)
		}
	}
	cl, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = cl.Close() })
	return cl
}
