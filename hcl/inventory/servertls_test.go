package inventory

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdplay/etcdplay/engine"
)

func TestLayout(t *testing.T) {
	inv, found := load(t, head+strings.Replace(good, "members =", "layout = \"debian\"\n  members =", 1))
	if len(found) > 0 {
		t.Fatal(found)
	}
	c := choose(t, inv, "")
	got := []string{c.Layout, c.Unit, c.EnvFile, c.DataDir, c.RemoveRoots[0]}
	want := []string{"debian", "etcd.service", "/etc/default/etcd", "/var/lib/etcd/default", "/var/lib/etcd/default"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{"layout = \"redhat\"", "env_file = \"/etc/sysconfig/etcd\""} {
		if _, found := load(t, head+strings.Replace(good, "members =", bad+"\n  members =", 1)); !found.HasErrors() {
			t.Errorf("%s: no finding", bad)
		}
	}
}

const secured = head + `cluster "c" {
  scheme  = "https"
  members = ["a", "b"]
  server_tls {
    cert_file      = "/pki/m.pem"
    key_file       = "/pki/m-key.pem"
    ca_file        = "/pki/ca.pem"
    peer_cert_file = "/pki/p.pem"
    peer_key_file  = "/pki/p-key.pem"
  }
}
host "a" {
  address = "10.0.0.1"
}
host "b" {
  address = "10.0.0.2"
  member {
    server_tls {
      cert_file        = "/pki/b.pem"
      key_file         = "/pki/b-key.pem"
      ca_file          = "/pki/ca.pem"
      client_cert_auth = false
    }
  }
}
host "spare" {
  address = "10.0.0.3"
}
`

func TestServerTLS(t *testing.T) {
	inv, found := load(t, secured)
	if found.HasErrors() {
		t.Fatal(found)
	}
	common := &engine.ServerTLS{
		CertFile: "/pki/m.pem", KeyFile: "/pki/m-key.pem", CAFile: "/pki/ca.pem", ClientCertAuth: true,
		PeerCertFile: "/pki/p.pem", PeerKeyFile: "/pki/p-key.pem",
	}
	want := map[string]*engine.ServerTLS{
		"a": common, "spare": common,
		"b": {CertFile: "/pki/b.pem", KeyFile: "/pki/b-key.pem", CAFile: "/pki/ca.pem"},
	}
	got := map[string]*engine.ServerTLS{}
	for _, h := range inv.Hosts(choose(t, inv, "")) {
		got[h.Name] = h.Member.ServerTLS
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("server TLS by host (-want +got):\n%s", d)
	}
}

func TestServerTLSRefused(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a certificate alone":      {`key_file       = "/pki/m-key.pem"`, "", "cert_file and key_file belong together"},
		"a peer certificate":       {`peer_key_file  = "/pki/p-key.pem"`, "", "peer_cert_file and peer_key_file belong together"},
		"auth without a CA":        {"client_cert_auth = false", "peer_client_cert_auth = true", "nothing to check them against"},
		"a CA alone":               {`peer_cert_file = "/pki/p.pem"` + "\n    " + `peer_key_file  = "/pki/p-key.pem"`, `peer_ca_file = "/pki/ca.pem"`, "the member has one itself"},
		"http":                     {`scheme  = "https"`, "", "TLS without https"},
		"a relative path":          {`"/pki/b.pem"`, `"pki/b.pem"`, "absolute"},
		"a label":                  {"server_tls {", `server_tls "x" {`, "without a label"},
		"an argument of the block": {"cert_file      =", "trusted_ca_file =", `server_tls has no argument "trusted_ca_file"`},
	} {
		src := strings.Replace(secured, c.old, c.new, 1)
		if src == secured {
			t.Fatalf("%s: the test changes nothing", name)
		}
		_, found := load(t, src)
		all := ""
		for _, d := range found {
			all += d.Summary + ": " + d.Detail + "\n"
		}
		if !found.HasErrors() || !strings.Contains(all, c.want) {
			t.Errorf("%s: findings %q, want one with %q", name, all, c.want)
		}
	}
}
