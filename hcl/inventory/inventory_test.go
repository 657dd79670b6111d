package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/etcdplay/etcdplay/engine"
)

func load(t *testing.T, src string) (*Inventory, engine.Diagnostics) {
	t.Helper()
	return Load("/site/inventory.hcl", []byte(src))
}

func choose(t *testing.T, inv *Inventory, name string) engine.Cluster {
	t.Helper()
	c, err := inv.Choose(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDemo(t *testing.T) {
	src, err := os.ReadFile("testdata/demo.hcl")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", "/home/op")
	inv, found := load(t, string(src))
	if len(found) > 0 {
		t.Fatalf("got findings %v, want none", found)
	}
	cluster := choose(t, inv, "")
	wantCluster := engine.Cluster{
		Name: "demo", Token: "demo-etcd-token", API: 3, Scheme: "http",
		Layout: "etcd-member", Unit: "etcd-member.service", Dropin: "20-clct-etcd-member.conf", EnvFile: "/etc/default/etcd",
		DataDir: "/var/lib/etcd", User: "etcd", Group: "etcd",
		Members:     []string{"demo-etcd-1", "demo-etcd-2", "demo-etcd-3"},
		Endpoints:   []string{"http://10.240.0.1:2379", "http://10.240.0.2:2379", "http://10.240.0.3:2379"},
		RemoveRoots: []string{"/var/lib/etcd", "/var/lib/etcd.*"},
	}
	if d := cmp.Diff(wantCluster, cluster); d != "" {
		t.Errorf("cluster (-want +got):\n%s", d)
	}
	hosts := inv.Hosts(cluster)
	want := engine.HostSpec{
		Name: "node4", Address: "10.240.0.4", Labels: map[string]string{},
		Member: engine.MemberSpec{
			Name:             "node4",
			PeerURLs:         []string{"http://10.240.0.4:2380"},
			ClientURLs:       []string{"http://10.240.0.4:2379"},
			ListenPeerURLs:   []string{"http://0.0.0.0:2380"},
			ListenClientURLs: []string{"http://10.240.0.4:2379", "http://0.0.0.0:4001"},
		},
		Connection: engine.Connection{
			Kind: "ssh", User: "core", HostKeyPolicy: "strict", Become: "sudo",
			KnownHosts: "/home/op/.ssh/known_hosts", IdentityFiles: []string{"/home/op/.ssh/id_ed25519"},
			ConnectTimeout: 10 * time.Second, Transport: "native",
		},
	}
	if d := cmp.Diff(want, hosts[3], cmpopts.IgnoreFields(engine.HostSpec{}, "Range")); d != "" {
		t.Errorf("node4 (-want +got):\n%s", d)
	}
	if got := inv.HostNames(); !slices.Equal(got, []string{"demo-etcd-1", "demo-etcd-2", "demo-etcd-3", "node4", "localhost"}) {
		t.Errorf("got hosts %q", got)
	}
}

const (
	head = "inventory {\n  language = 1\n}\n"
	good = `cluster "c" {
  members = ["a"]
}
host "a" {
  address = "10.0.0.1"
}
`
)

func TestDigestIgnoresComments(t *testing.T) {
	a, _ := load(t, head+good)
	b, _ := load(t, "# a word\n"+head+"\n\n"+good)
	c, _ := load(t, head+strings.ReplaceAll(good, "10.0.0.1", "10.0.0.9"))
	if a == nil || b == nil || c == nil {
		t.Fatal("one of the inventories has findings")
	}
	if a.Digest != b.Digest {
		t.Error("a comment changes the digest")
	}
	if a.Digest == c.Digest {
		t.Error("an address does not change the digest")
	}
}

const full = head + `
locals {
  net = "10.0.${local.third}"
  third = convert("7", number)
}
cluster "a" {
  id = "1f"
  api = 2
  scheme = "https"
  token = "t"
  members = ["a1"]
  endpoints = ["https://lb.example.com:2379"]
  remove_roots = ["/data/etcd", "/data/etcd.*"]
  data_dir = "/data/etcd"
  tls {
    ca_file = "pki/ca.pem"
    cert_file = "pki/c.pem"
    key_file = "/pki/c.key"
  }
  auth {
    username = "root"
    password_env = "PW"
  }
}
cluster "b" {
  members = ["b3", "b1", "b2"]
}
host "a1" {
  address = "fd00::1"
  labels = { rack = "r1" }
  connection "ssh" {
    port = 22
    become = "none"
    become_password_env = null
  }
}
host "b1" {
  address = "${local.net}.1"
  connection "local" {}
}
host "b2" {
  address = "127.0.0.1"
  connection "sandbox" {
    dir = "hosts/b2"
  }
  member {
    name = "etcd-b2"
    peer_urls = ["http://127.0.0.1:12380"]
    client_urls = ["http://127.0.0.1:12379"]
    listen_peer_urls = ["http://127.0.0.1:12380"]
    listen_client_urls = ["http://127.0.0.1:12379"]
  }
}
host "b3" { address = "b3.example.com" }
host "spare" { address = "10.0.7.9" }
group "spares" { hosts = ["spare", "b3"] }
group "none" { hosts = [] }
connection "ssh" {
  user = "core"
  port = 2222
  identity_files = ["keys/id"]
  host_key_policy = "accept-new"
  proxy_jump = "op@bastion:22,other"
  become = "sudo"
  become_password_env = "SUDO"
  connect_timeout = "3s"
  keepalive = "4s"
  reconnect = "2m"
}
`

func loadFull(t *testing.T) *Inventory {
	t.Helper()
	inv, found := load(t, full)
	if len(found) > 0 {
		t.Fatalf("got findings, want none:\n%s", texts(found))
	}
	return inv
}

func TestClusters(t *testing.T) {
	inv := loadFull(t)
	if _, err := inv.Choose(""); err == nil || !strings.Contains(err.Error(), "--cluster") {
		t.Errorf("got %v, want the advice to name one", err)
	}
	if _, err := inv.Choose("aa"); err == nil {
		t.Error("got no error for an unknown cluster")
	}
	a := choose(t, inv, "a")
	if want := (engine.TLS{CAFile: "/site/pki/ca.pem", CertFile: "/site/pki/c.pem", KeyFile: "/pki/c.key"}); a.TLS != want {
		t.Errorf("got %+v, want %+v", a.TLS, want)
	}
	if want := (engine.Auth{Username: "root", PasswordEnv: "PW"}); a.Auth != want {
		t.Errorf("got %+v, want %+v", a.Auth, want)
	}
	if !slices.Equal(a.Endpoints, []string{"https://lb.example.com:2379"}) || a.API != 2 || a.ID != "1f" {
		t.Errorf("got %+v", a)
	}
	b := choose(t, inv, "b")
	if want := []string{"http://b3.example.com:2379", "http://10.0.7.1:2379", "http://127.0.0.1:12379"}; !slices.Equal(b.Endpoints, want) {
		t.Errorf("got endpoints %q, want %q", b.Endpoints, want)
	}
	if got := inv.GroupHosts(); !cmp.Equal(got, map[string][]string{"spares": {"spare", "b3"}, "none": nil}, cmpopts.EquateEmpty()) {
		t.Errorf("got groups %v", got)
	}
}

// A spare has the URLs it would have in the cluster of the run; a member keeps
// those of its own.
func TestMemberURLs(t *testing.T) {
	inv := loadFull(t)
	for _, test := range []struct{ cluster, host, peer, clients string }{
		{"a", "a1", "https://[fd00::1]:2380", "https://[fd00::1]:2379"},
		{"b", "a1", "https://[fd00::1]:2380", "https://[fd00::1]:2379"},
		{"a", "spare", "https://10.0.7.9:2380", "https://10.0.7.9:2379"},
		{"b", "spare", "http://10.0.7.9:2380", "http://10.0.7.9:2379,http://0.0.0.0:4001"},
		{"b", "b1", "http://10.0.7.1:2380", "http://10.0.7.1:2379,http://0.0.0.0:4001"},
		{"b", "b2", "http://127.0.0.1:12380", "http://127.0.0.1:12379"},
	} {
		hosts := inv.Hosts(choose(t, inv, test.cluster))
		h := hosts[slices.IndexFunc(hosts, func(h engine.HostSpec) bool { return h.Name == test.host })]
		if got := h.Member.PeerURLs[0]; got != test.peer {
			t.Errorf("%s in %s: got peer %s, want %s", test.host, test.cluster, got, test.peer)
		}
		if got := strings.Join(h.Member.ListenClientURLs, ","); got != test.clients {
			t.Errorf("%s in %s: got %s, want %s", test.host, test.cluster, got, test.clients)
		}
	}
}

func TestConnections(t *testing.T) {
	inv := loadFull(t)
	hosts := inv.Hosts(inv.Clusters[0])
	if got, want := hosts[0].Connection, (engine.Connection{
		Kind: "ssh", User: "core", Port: 22, IdentityFiles: []string{"/site/keys/id"}, HostKeyPolicy: "accept-new",
		ProxyJump: "op@bastion:22,other", Become: "none", BecomePasswordEnv: "SUDO", ConnectTimeout: 3 * time.Second, Keepalive: 4 * time.Second, Reconnect: 2 * time.Minute, Transport: "native",
	}); !cmp.Equal(got, want) {
		t.Errorf("a1 (-want +got): %s", cmp.Diff(want, got))
	}
	if got := hosts[1].Connection; got.Kind != "local" || got.User != "" {
		t.Errorf("b1: got %+v", got)
	}
	if got := hosts[2].Connection; got.Kind != "sandbox" || got.Dir != "/site/hosts/b2" {
		t.Errorf("b2: got %+v", got)
	}
	shared, found := load(t, head+"connection \"sandbox\" {\n  dir = \"box\"\n}\n"+good)
	if len(found) > 0 {
		t.Fatal(found)
	}
	if got := shared.Hosts(shared.Clusters[0])[0].Connection.Dir; got != "/site/box" {
		t.Errorf("got %q, want the folder of the sandbox", got)
	}
}

// texts is findings with code and place.
func texts(ds engine.Diagnostics) string {
	var b strings.Builder
	for _, d := range ds {
		at := "-"
		if d.Subject != nil {
			at = fmt.Sprintf("%d:%d-%d", d.Subject.Start.Line, d.Subject.Start.Column, d.Subject.End.Column)
		}
		fmt.Fprintf(&b, "%s %s %s %s\n    %s: %s\n", d.Code, d.Severity, at, d.In, d.Summary, d.Detail)
	}
	return b.String()
}

// Every file in testdata/bad gives the findings beside it. With
// ETCDPLAY_UPDATE=1 they are written anew.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.hcl")
	if err != nil || len(files) < 14 {
		t.Fatalf("got %d files, want the whole corpus: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			inv, found := Load(filepath.Base(file), src)
			if len(found) == 0 || found.HasErrors() != (inv == nil) {
				t.Errorf("got %d findings and the inventory %v", len(found), inv)
			}
			got := texts(found)
			golden := strings.TrimSuffix(file, ".hcl") + ".txt"
			if os.Getenv("ETCDPLAY_UPDATE") == "1" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
		})
	}
}

func FuzzInventory(f *testing.F) {
	f.Add([]byte(full))
	for _, glob := range []string{"testdata/*.hcl", "testdata/bad/*.hcl"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		inv, found := Load("inventory.hcl", src)
		if found.HasErrors() != (inv == nil) {
			t.Fatalf("got inventory %v with findings %v", inv, found)
		}
		for _, d := range found {
			if d.Code == "" || d.Summary == "" || d.Detail == "" {
				t.Errorf("incomplete finding %+v", d)
			}
		}
		if inv == nil {
			return
		}
		for _, c := range inv.Clusters {
			if len(c.Members) == 0 || len(c.Endpoints) == 0 {
				t.Errorf("got cluster %+v", c)
			}
			for _, h := range inv.Hosts(c) {
				if h.Name == "" || h.Address == "" || len(h.Member.PeerURLs) == 0 || h.Connection.Kind == "" {
					t.Errorf("got host %+v", h)
				}
			}
		}
	})
}
