package main

import (
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
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// faults is what may be wrong with a certificate that certify issues.
var faults = map[string]func(c *x509.Certificate){
	"good":       func(*x509.Certificate) {},
	"wrong-name": func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(10, 9, 8, 7)}, nil },
	"expired":    func(c *x509.Certificate) { c.NotBefore, c.NotAfter = daysFromNow(-20), daysFromNow(-10) },
	"too-early":  func(c *x509.Certificate) { c.NotBefore = daysFromNow(5) },
	"ends-soon":  func(c *x509.Certificate) { c.NotAfter = time.Now().Add(2 * time.Hour) },
	"no-client":  func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
	"no-server":  func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
	"stranger":   func(*x509.Certificate) {},
}

func daysFromNow(n int) time.Time { return time.Now().AddDate(0, 0, n) }

// certify issues the certificate of one side of a host's member anew, with the
// authority of the script's sandbox, or with another one for a stranger. It holds
// the host's addresses, and the names given.
func certify(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 || neg || faults[args[2]] == nil {
		ts.Fatalf("usage: certify HOST server|peer FAULT [NAME…]")
	}
	s := box(ts)
	block := func(file string) []byte {
		text, err := os.ReadFile(file)
		ts.Check(err)
		b, _ := pem.Decode(text)
		return b.Bytes
	}
	ca, err := x509.ParseCertificate(block(filepath.Join(s.PKI(), "ca.pem")))
	ts.Check(err)
	signer, err := x509.ParsePKCS8PrivateKey(block(filepath.Join(s.PKI(), "ca-key.pem")))
	ts.Check(err)
	if args[2] == "stranger" {
		ca = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a stranger"}, IsCA: true, BasicConstraintsValid: true}
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
	}
	address := ""
	for _, h := range s.Hosts() {
		if h.Name == args[0] {
			address = h.Address
		}
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: args[0]},
		NotBefore: daysFromNow(-1), NotAfter: daysFromNow(100), KeyUsage: x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.ParseIP(address), net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    args[3:],
	}
	faults[args[2]](c)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, signer)
	ts.Check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	file := filepath.Join(s.Dir, "hosts", args[0], "etc/ssl/certs/etcd", args[1])
	ts.Check(os.WriteFile(file+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(file+"-key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}
