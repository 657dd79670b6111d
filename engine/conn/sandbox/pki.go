package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox/supervisor"
)

// Files of a sandbox with TLS, below its folder: what an operator would have.
// The authority's own key is there too, so that more can be issued.
const (
	pkiDir       = "pki"
	caFile       = "ca.pem"
	caKeyFile    = "ca-key.pem"
	clientFile   = "client.pem"
	clientKey    = "client-key.pem"
	passwordFile = "etcd-password"
)

// certDir is where a member's certificates are on its host. Container Linux's
// wrapper shows its container this folder under the same name.
const certDir = "/etc/ssl/certs/etcd"

// certLife is how long the certificates of a sandbox are valid.
const certLife = 365 * 24 * time.Hour

// authority issues the certificates of one sandbox.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// PKI is the folder with the client's certificates and the authority's; empty
// in a sandbox without TLS.
func (s *Sandbox) PKI() string {
	if !s.meta.TLS {
		return ""
	}
	return filepath.Join(s.Dir, pkiDir)
}

// ClientFiles are the paths of the certificates that those of the members are
// checked against, of the client's certificate and of its key; empty in a
// sandbox without TLS.
func (s *Sandbox) ClientFiles() (ca, cert, key string) {
	if !s.meta.TLS {
		return "", "", ""
	}
	dir := s.PKI()
	return filepath.Join(dir, caFile), filepath.Join(dir, clientFile), filepath.Join(dir, clientKey)
}

// PasswordFile holds the password of etcd's user root; "" in a sandbox whose
// clients need none.
func (s *Sandbox) PasswordFile() string {
	if !s.meta.Auth {
		return ""
	}
	return filepath.Join(s.Dir, passwordFile)
}

// certify makes the authority, the client's certificate, and those of every
// host, also of the spare ones.
func (s *Sandbox) certify() error {
	dir := s.PKI()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "CA of sandbox " + s.Name()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLife), KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{cert: template}
	var err error
	if a.key, err = a.issue(template, filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile)); err != nil {
		return err
	}
	// etcd takes the name in a client's certificate for its user, where auth is
	// on and no other is given: this one is nobody's.
	_, err = a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "etcdplay"}, NotBefore: template.NotBefore, NotAfter: template.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, filepath.Join(dir, clientFile), filepath.Join(dir, clientKey))
	if err != nil {
		return err
	}
	for _, h := range s.meta.Hosts {
		if err := a.certifyHost(h, filepath.Join(s.Dir, supervisor.HostsDir, h.Name, certDir)); err != nil {
			return err
		}
	}
	return nil
}

// certifyHost makes the certificate that a host's member shows its clients, and
// the one for its peers, which is a client's at the same time.
func (a *authority) certifyHost(h Host, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, caFile), "CERTIFICATE", a.cert.Raw, 0o644); err != nil {
		return err
	}
	for _, name := range []string{"server", "peer"} {
		_, err := a.issue(&x509.Certificate{
			Subject: pkix.Name{CommonName: h.Name + " " + name}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			DNSNames:    []string{h.Name, "localhost"},
			// What is sent from a host of a sandbox comes from 127.0.0.1, and peers
			// compare that with the certificate.
			IPAddresses: []net.IP{net.ParseIP(h.Address), net.IPv4(127, 0, 0, 1)},
		}, filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem"))
		if err != nil {
			return err
		}
	}
	return nil
}

// issue makes a key, and a certificate of it that the authority signs; its own
// it signs with the key that is made.
func (a *authority) issue(c *x509.Certificate, certPath, keyPath string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	signer := a.key
	if c == a.cert {
		signer = key
	} else {
		c.KeyUsage = x509.KeyUsageDigitalSignature
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	if c == a.cert {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(certPath, "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	return key, writePEM(keyPath, "PRIVATE KEY", keyDER, 0o600)
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// writePassword makes up the password of etcd's user root.
func (s *Sandbox) writePassword() error {
	var raw [16]byte
	rand.Read(raw[:])
	return os.WriteFile(s.PasswordFile(), []byte(hex.EncodeToString(raw[:])+"\n"), 0o600)
}

// certificateFlags are the flags of a member that shows certificates and asks
// for them, on both of its sides.
func certificateFlags() [][2]string {
	return [][2]string{
		{"cert-file", certDir + "/server.pem"},
		{"key-file", certDir + "/server-key.pem"},
		{"client-cert-auth", "true"},
		{"trusted-ca-file", certDir + "/" + caFile},
		{"peer-cert-file", certDir + "/peer.pem"},
		{"peer-key-file", certDir + "/peer-key.pem"},
		{"peer-client-cert-auth", "true"},
		{"peer-trusted-ca-file", certDir + "/" + caFile},
	}
}

// securityBlocks is what the block of the cluster in the inventory says of
// certificates and of etcd's user.
func (s *Sandbox) securityBlocks() string {
	var b strings.Builder
	if s.meta.TLS {
		fmt.Fprintf(&b, `
  tls {
    ca_file   = %q
    cert_file = %q
    key_file  = %q
  }

  server_tls {
    cert_file      = "%[4]s/server.pem"
    key_file       = "%[4]s/server-key.pem"
    ca_file        = "%[4]s/%[5]s"
    peer_cert_file = "%[4]s/peer.pem"
    peer_key_file  = "%[4]s/peer-key.pem"
    peer_ca_file   = "%[4]s/%[5]s"
  }
`, pkiDir+"/"+caFile, pkiDir+"/"+clientFile, pkiDir+"/"+clientKey, certDir, caFile)
	}
	if s.meta.Auth {
		fmt.Fprintf(&b, `
  auth {
    username      = "root"
    password_file = %q
  }
`, passwordFile)
	}
	return b.String()
}
