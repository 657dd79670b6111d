package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// labCerts is where members have their certificates, which their drop-ins name.
const labCerts = "/etc/ssl/certs/etcd"

// certificates makes an authority, the client's certificate, and those of every
// host, where only etcd's user may read the keys.
func (l *lab) certificates() {
	l.t.Helper()
	l.pki = filepath.Join(l.files, "pki")
	check := func(err error) {
		l.t.Helper()
		if err != nil {
			l.t.Fatal(err)
		}
	}
	check(os.Mkdir(l.pki, 0o700))
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: daysFromNow(-1), NotAfter: daysFromNow(100), KeyUsage: x509.KeyUsageCertSign,
	}
	issue := func(c *x509.Certificate) (cert, key []byte) {
		own := caKey
		if c != ca {
			own, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			check(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &own.PublicKey, caKey)
		check(err)
		keyDER, err := x509.MarshalPKCS8PrivateKey(own)
		check(err)
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	}
	leaf := func(name string, usages ...x509.ExtKeyUsage) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: usages,
			NotBefore: daysFromNow(-1), NotAfter: daysFromNow(100), KeyUsage: x509.KeyUsageDigitalSignature,
		}
	}
	caPEM, _ := issue(ca)
	client, clientKey := issue(leaf("operator", x509.ExtKeyUsageClientAuth))
	for name, text := range map[string][]byte{"ca.pem": caPEM, "client.pem": client, "client-key.pem": clientKey} {
		check(os.WriteFile(filepath.Join(l.pki, name), text, 0o600))
	}
	l.env = append(l.env, "LAB_ETCD_PASSWORD="+labPassword)
	for host := 1; host <= l.hosts; host++ {
		c := leaf(hostName(host), x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
		c.IPAddresses = []net.IP{net.ParseIP(address(host))}
		cert, key := issue(c)
		script := "set -e\nmkdir -p " + labCerts + "\ncd " + labCerts + "\n"
		for name, text := range map[string][]byte{"ca.pem": caPEM, "member.pem": cert, "member-key.pem": key} {
			script += fmt.Sprintf("echo %s | base64 -d >%s\n", base64.StdEncoding.EncodeToString(text), name)
		}
		l.ssh(host, script+"chown etcd:etcd member-key.pem\nchmod 0400 member-key.pem")
	}
}

// securityBlocks is what the inventory says of certificates and of etcd's user.
func (l *lab) securityBlocks() string {
	if l.pki == "" {
		return ""
	}
	return fmt.Sprintf(`  scheme = "https"

  tls {
    ca_file   = "%[1]s/ca.pem"
    cert_file = "%[1]s/client.pem"
    key_file  = "%[1]s/client-key.pem"
  }

  server_tls {
    cert_file      = "%[2]s/member.pem"
    key_file       = "%[2]s/member-key.pem"
    ca_file        = "%[2]s/ca.pem"
    peer_cert_file = "%[2]s/member.pem"
    peer_key_file  = "%[2]s/member-key.pem"
    peer_ca_file   = "%[2]s/ca.pem"
  }

  auth {
    username     = "root"
    password_env = "LAB_ETCD_PASSWORD"
  }
`, l.pki, labCerts)
}

// bootstrapTLS makes a cluster of the first hosts that wants certificates of
// clients and peers.
func (l *lab) bootstrapTLS(members int) {
	l.t.Helper()
	var initial []string
	for host := 1; host <= members; host++ {
		initial = append(initial, fmt.Sprintf("%s=https://%s:2380", hostName(host), address(host)))
	}
	flags := ""
	for _, side := range []string{"", "peer-"} {
		flags += fmt.Sprintf("  --%[1]scert-file=%[2]s/member.pem --%[1]skey-file=%[2]s/member-key.pem --%[1]sclient-cert-auth=true --%[1]strusted-ca-file=%[2]s/ca.pem \\\n", side, labCerts)
	}
	for host := 1; host <= members; host++ {
		text := strings.ReplaceAll(dropin(host, initial, "new", "https://"+address(host)+":2379"), "http://", "https://")
		text = strings.Replace(text, "  --initial-cluster-token", flags+"  --initial-cluster-token", 1)
		l.ssh(host, fmt.Sprintf("mkdir -p %s && echo %s | base64 -d >%s && systemctl daemon-reload && systemctl start --no-block etcd-member",
			filepath.Dir(dropinPath), base64.StdEncoding.EncodeToString([]byte(text)), dropinPath))
	}
	for host := 1; host <= members; host++ {
		l.eventually(hostName(host)+" serves", func() bool {
			_, err := l.try(host, "endpoint", "health")
			return err == nil
		})
	}
}

// lock wants a password of everybody from now on.
func (l *lab) lock() {
	l.t.Helper()
	// Some releases of etcdctl know that the role root is there without being made.
	for _, args := range [][]string{{"user", "add", "root:" + labPassword}, {"role", "add", "root"}, {"user", "grant-role", "root", "root"}, {"auth", "enable"}} {
		if out, err := l.try(1, args...); err != nil && args[0] != "role" {
			l.t.Fatalf("etcdctl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
