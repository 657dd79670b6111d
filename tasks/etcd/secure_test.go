package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/transport"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// authority writes a CA and one certificate for loopback, of server and client.
func authority(t *testing.T) engine.TLS {
	t.Helper()
	dir := t.TempDir()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	caKey, leafKey := key(), key()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "etcd"}, IPAddresses: []net.IP{net.IPv4(127, 0, 4, 1)},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return engine.TLS{
		CAFile: write("ca.pem", "CERTIFICATE", caDER), CertFile: write("cert.pem", "CERTIFICATE", leafDER),
		KeyFile: write("key.pem", "EC PRIVATE KEY", keyDER),
	}
}

// TestSecured reads a cluster that wants a client certificate and a password,
// and has an alarm.
func TestSecured(t *testing.T) {
	t.Setenv("ETCD_TEST_PASSWORD", "s3cret")
	c := &cluster{t: t}
	n := c.newNode("a")
	files := authority(t)
	n.client = strings.Replace(n.client, "http:", "https:", 1)
	n.tls = &transport.TLSInfo{TrustedCAFile: files.CAFile, CertFile: files.CertFile, KeyFile: files.KeyFile, ClientCertAuth: true}
	n.start(t, "a="+n.peer, "new")

	ctx, l := within(t, 30*time.Second), c.look()
	if s := Survey(ctx, l, nil); s.Known {
		t.Errorf("without a certificate: got %+v", s)
	}
	l.Cluster.TLS = files
	if s := Survey(ctx, l, nil); !s.Known || s.Budget().Healthy != 1 || s.Members[0].Host != "host-a" || s.Leader != s.Members[0].ID {
		t.Fatalf("with a certificate: got %+v", s)
	}

	acc, err := newAccess(l, Reach{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := acc.open(ctx, n.client)
	if err != nil {
		t.Fatal(err)
	}
	defer root.close()
	if _, err := root.UserAdd(ctx, "root", "s3cret"); err != nil {
		t.Fatal(err)
	}
	if _, err := root.UserGrantRole(ctx, "root", "root"); err != nil {
		t.Fatal(err)
	}
	alarm := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: uint64(n.etcd.Server.MemberID()), Alarm: pb.AlarmType_NOSPACE}
	if _, err := pb.NewMaintenanceClient(root.ActiveConnection()).Alarm(ctx, alarm); err != nil {
		t.Fatal(err)
	}
	if _, err := root.AuthEnable(ctx); err != nil {
		t.Fatal(err)
	}
	if s := Survey(ctx, l, nil); s.Known && s.Budget().Healthy > 0 {
		t.Errorf("without a password: got %+v", s)
	}
	l.Cluster.Auth = engine.Auth{Username: "root", PasswordEnv: "ETCD_TEST_PASSWORD"}
	s := Survey(ctx, l, nil)
	if !s.Known || s.Members[0].Why != "has the alarm NOSPACE" {
		t.Fatalf("with an alarm: got %+v", s)
	}
	r := healthOf(surveyed{Cluster: s})
	if r.OK || len(r.Alarms) != 1 || r.Alarms[0] != "a: NOSPACE" {
		t.Errorf("with an alarm: got %+v", r)
	}
	add := memberAdd(settleFor)
	a := args(add, map[string]cty.Value{"name": str("b"), "peer_urls": strs("http://127.0.4.9:1")})
	if err := add.Guard("", a, engine.State{}, &world.World{Cluster: s}).Err(); err == nil {
		t.Error("adding to a cluster with an alarm: allowed")
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.Cluster.Auth = engine.Auth{Username: "root", PasswordFile: password}
	if s := Survey(ctx, l, nil); s.Known || !strings.Contains(s.Why, "authentication failed") || strings.Contains(s.Why, "wrong") {
		t.Errorf("with a wrong password: got %+v", s)
	}
}

// TestWrongCluster holds that two clusters are never taken for one, nor one for
// another.
func TestWrongCluster(t *testing.T) {
	t.Parallel()
	one, two := boot(t, 1), boot(t, 1)
	ctx, l := within(t, 30*time.Second), one.look()
	s := Survey(ctx, l, nil)
	if !s.Known {
		t.Fatalf("got %+v", s)
	}
	l.Cluster.ID = s.ID
	if s := Survey(ctx, l, nil); !s.Known {
		t.Errorf("the cluster that is expected: got %+v", s)
	}
	l.Cluster.ID = "abc"
	if s := Survey(ctx, l, nil); s.Known || !strings.Contains(s.Why, "the inventory expects cluster abc") {
		t.Errorf("another one is expected: got %+v", s)
	}
	l.Cluster.ID = ""
	if s := Survey(ctx, l, []string{one.nodes[0].client, two.nodes[0].client}); s.Known || !strings.Contains(s.Why, "different clusters") {
		t.Errorf("two clusters: got %+v", s)
	}
	// An endpoint that takes the connection and says nothing holds nobody up.
	mute, err := net.Listen("tcp", "127.0.4.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	begun := time.Now()
	s = Survey(ctx, l, []string{"http://" + mute.Addr().String(), one.nodes[0].client})
	if took := time.Since(begun); !s.Known || s.Budget().Healthy != 1 || took > 10*lookFor {
		t.Errorf("with a mute endpoint: got %+v after %s", s, took)
	}
	if s := Survey(ctx, l, []string{"http://" + mute.Addr().String()}); s.Known || !strings.Contains(s.Why, "does not answer") {
		t.Errorf("a mute endpoint alone: got %+v", s)
	}
	// A host of the inventory reaches the endpoints, where via says so.
	from := ""
	l.DialFrom = func(ctx context.Context, host, addr string) (net.Conn, error) {
		from = host
		return dialTCP(ctx, addr)
	}
	l.Dial = nil
	acc, err := newAccess(l, Reach{Via: &Via{Name: "bastion"}})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := acc.agreed(ctx); err != nil || len(list.Members) != 1 || from != "bastion" {
		t.Errorf("via bastion: got %+v, %v, from %q", list, err, from)
	}
}
