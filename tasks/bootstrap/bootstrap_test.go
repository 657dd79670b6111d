package bootstrap

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
	clientv2 "go.etcd.io/etcd/client/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/etcdserver"
	"github.com/etcdplay/etcdplay/engine/enginetest"
)

// TestMain lets the test binary be what etcdplay's own binary is to a sandbox.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "sandbox" {
		switch os.Args[2] {
		case "supervise":
			if err := sandbox.Supervise(context.Background(), os.Args[3]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "etcd":
			etcdserver.Main(os.Args[4:])
		}
	}
	os.Exit(m.Run())
}

// up is a member, whose etcd can keep registries, and a host that has none.
func up(t *testing.T) (member, spare conn.Host, urls [2]string) {
	t.Helper()
	s, err := sandbox.Up(t.Context(), sandbox.Options{Dir: filepath.Join(t.TempDir(), "box"), Members: 1, Spares: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	})
	var hosts [2]conn.Host
	for i, h := range s.Hosts() {
		if hosts[i], err = s.Host(t.Context(), h.Name); err != nil {
			t.Fatal(err)
		}
		urls[i] = h.ClientURL()
	}
	return hosts[0], hosts[1], urls
}

// api2 runs an etcd of an old release, which keeps registries for API 2.
func api2(t *testing.T) string {
	t.Helper()
	program := filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), "3.5", "etcd")
	if _, err := os.Stat(program); err != nil {
		conntest.Skip(t, "needs etcd 3.5 below ETCDPLAY_ETCDS")
	}
	var b [2]byte
	rand.Read(b[:])
	at := fmt.Sprintf("http://127.66.%d.%d:", b[0], b[1]|1)
	cmd := exec.Command(program, "--name=x", "--data-dir="+t.TempDir(), "--enable-v2", "--log-level=error",
		"--listen-client-urls="+at+"2379", "--advertise-client-urls="+at+"2379",
		"--listen-peer-urls="+at+"2380", "--initial-advertise-peer-urls="+at+"2380", "--initial-cluster=x="+at+"2380")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := engine.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		_, err := token2{line{dial: dialHere}, at + "2379/v2/keys" + prefix + "none"}.read(ctx)
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at + "2379"
}

func strs(words ...string) cty.Value {
	var vs []cty.Value
	for _, w := range words {
		vs = append(vs, cty.StringVal(w))
	}
	return cty.ListVal(vs)
}

// TestDiscoveryLaws holds etcd_discovery to what every type promises, for a token
// of its own and for one that is named, with both APIs.
func TestDiscoveryLaws(t *testing.T) {
	_, spare, urls := up(t)
	old := api2(t)
	for _, test := range []struct {
		name string
		args map[string]cty.Value
	}{
		{"api 3, new", map[string]cty.Value{"api": cty.NumberIntVal(3), "endpoints": strs(urls[0])}},
		{"api 3, named", map[string]cty.Value{"api": cty.NumberIntVal(3), "endpoints": strs(urls[0]), "token": cty.StringVal("mine")}},
		{"api 2, new", map[string]cty.Value{"api": cty.NumberIntVal(2), "endpoints": strs(old)}},
		{"api 2, named", map[string]cty.Value{"api": cty.NumberIntVal(2), "endpoints": strs(old), "token": cty.StringVal("mine")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.args["size"] = cty.NumberIntVal(3)
			_, named := test.args["token"]
			enginetest.Run(t, discovery(), enginetest.Case{
				Host: spare, Args: test.args, Again: !named,
				Fingerprint: func(t testing.TB) string { return registries(t, urls[0], old) },
			})
		})
	}
	t.Run("a URL that was given", func(t *testing.T) {
		url := old + "/v2/keys" + prefix + "mine"
		args := map[string]cty.Value{"api": cty.NumberIntVal(2), "size": cty.NumberIntVal(3), "url": cty.StringVal(url)}
		enginetest.Run(t, discovery(), enginetest.Case{
			Host: spare, Args: args, Already: true,
			Fingerprint: func(t testing.TB) string { return registries(t, urls[0], old) },
		})
	})
}

// registries is all that stands in the registries of both.
func registries(t testing.TB, new3, old2 string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c3, err := clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{new3}, DialTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c3.Close()
	all, err := c3.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, kv := range all.Kvs {
		fmt.Fprintf(&b, "%s %s %d\n", kv.Key, kv.Value, kv.ModRevision)
	}
	c2, err := clientv2.New(clientv2.Config{Endpoints: []string{old2}})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := clientv2.NewKeysAPI(c2).Get(ctx, strings.TrimSuffix(prefix, "/"), &clientv2.GetOptions{Recursive: true, Sort: true})
	if clientv2.IsKeyNotFound(err) {
		return b.String()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tree.Node.Nodes {
		// What is hidden is not listed; the directory's own index tells of its making.
		fmt.Fprintf(&b, "%s %d\n", n.Key, n.ModifiedIndex)
	}
	return b.String()
}

// TestSpentToken holds that a token at which somebody has registered, or which is
// for another size, is refused whichever way it is named.
func TestSpentToken(t *testing.T) {
	_, spare, urls := up(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	one := token3{line{dial: spare.Dial}, []string{urls[0]}, "one"}
	if err := one.create(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := one.create(ctx, 1); err == nil {
		t.Error("the same token was made twice")
	}
	err := one.with(ctx, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Put(ctx, one.members()+"abc", "x=http://10.0.0.1:2380")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	name := "one"
	for size, want := range map[int]string{1: "used up: 1 of 1 members", 3: `waits for "1" members, and there will be 3`} {
		a := DiscoveryArgs{API: 3, Size: size, Endpoints: []string{urls[0]}, Token: &name}
		s, err := observeDiscovery(ctx, engine.Look{Host: spare}, a)
		if err != nil {
			t.Fatal(err)
		}
		if err := guardDiscovery("", a, s, nil).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("size %d: got %v, want %q", size, err, want)
		}
		if p, _ := planDiscovery(engine.Planning{Observed: true}, a, s); !p.Needed {
			t.Errorf("size %d: the plan takes it for usable: %s", size, p.Summary)
		}
	}
}

// TestNewToken asks discovery services that answer well and badly.
func TestNewToken(t *testing.T) {
	answer, status := "", http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/new?size=5" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer s.Close()
	for _, test := range []struct {
		answer string
		status int
		want   string // or what the error has to say
	}{
		{"https://discovery.example.com/3e86b59982e49066c5d813af1c2e2579cbf573de\n", 200, "https://discovery.example.com/3e86b59982e49066c5d813af1c2e2579cbf573de"},
		{"no more tokens", 503, "answers 503 Service Unavailable: no more tokens"},
		{"<html>", 200, "which is no URL of a token"},
		{"https://discovery.example.com/", 200, "which is no URL of a token"},
	} {
		answer, status = test.answer, test.status
		got, err := line{dial: dialHere}.newToken(t.Context(), s.URL+"/", 5)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.answer, got, test.want)
		}
	}
}

// TestHost looks at a host on which nothing is, and at one with a member.
func TestHost(t *testing.T) {
	member, spare, urls := up(t)
	cluster := engine.Cluster{Unit: sandbox.Unit, DataDir: sandbox.DataDir}
	for i, h := range []conn.Host{member, spare} {
		peer := strings.Replace(urls[i], ":2379", ":2380", 1)
		enginetest.Run(t, host(), enginetest.Case{
			Host: h, Cluster: cluster, Fingerprint: func(testing.TB) string { return "" },
			Args: map[string]cty.Value{"listen_peer_urls": strs(peer), "listen_client_urls": strs(urls[i])},
		})
		s, err := observeHost(t.Context(), engine.Look{Host: h, Cluster: cluster}, HostArgs{Peers: []string{peer}, Clients: []string{urls[i]}})
		if err != nil {
			t.Fatal(err)
		}
		// The member's peer URL is on the loopback, as that of a package's is.
		if s.Ready != (h == spare) || s.Data == s.Ready || s.Untouched == s.Ready || !strings.HasPrefix(s.Version, "3.") {
			t.Errorf("%s: got %+v", h.Name(), s)
		}
	}
}

func dialHere(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}
