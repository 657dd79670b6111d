package etcd

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// handshake is TLS as a client of etcd does it, with the reason kept why it came
// to nothing: gRPC itself only has a text of it, and goes on trying.
type handshake struct {
	credentials.TransportCredentials
	link  *link
	files engine.TLS
}

func newHandshake(config *tls.Config, files engine.TLS, l *link) *handshake {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &handshake{TransportCredentials: credentials.NewTLS(config), link: l, files: files}
}

// ClientHandshake verifies the server's certificate, for the name or address in
// the URL of the endpoint however it was dialled, or for the one that all have.
func (h *handshake) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := h.TransportCredentials.ClientHandshake(ctx, cmp.Or(h.files.ServerName, authority), raw)
	if err != nil {
		err = h.explain(err)
		h.link.refused(err)
		return nil, nil, err
	}
	return &awaited{Conn: c, h: h}, info, nil
}

func (h *handshake) Clone() credentials.TransportCredentials {
	return &handshake{TransportCredentials: h.TransportCredentials.Clone(), link: h.link, files: h.files}
}

// awaited is a connection whose server has not said anything yet. With TLS 1.3 it
// can still refuse the client's certificate, which the client learns where it
// expects the first bytes; no request is sent to it until those have come.
type awaited struct {
	net.Conn
	h     *handshake
	heard atomic.Bool
}

func (a *awaited) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if n > 0 {
		a.heard.Store(true)
	}
	return n, a.told(err)
}

// Write finds out by reading why a server has closed the connection.
func (a *awaited) Write(p []byte) (int, error) {
	n, err := a.Conn.Write(p)
	if err == nil || a.heard.Load() {
		return n, err
	}
	// Without a deadline it would wait for a server that is merely slow.
	if a.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		if _, why := a.Conn.Read(make([]byte, 1)); why != nil {
			if told := a.told(why); told != why {
				return n, told
			}
		}
	}
	return n, err
}

// told explains the error of a connection on which nothing was heard.
func (a *awaited) told(err error) error {
	if err == nil || a.heard.Load() {
		return err
	}
	explained := a.h.explain(err)
	var refusal *credentialError
	if errors.As(explained, &refusal) {
		a.h.link.refused(refusal)
	}
	return explained
}

// credentialError says that an endpoint and this program did not agree on their
// certificates, or that etcd refused its user. It proves that the request had no
// effect.
type credentialError struct {
	text string
	err  error // etcd's own, if it is one
}

func (e *credentialError) Error() string   { return e.text }
func (e *credentialError) Unwrap() []error { return []error{conn.ErrRefused, e.err} }

// explain says what to look at where the two sides did not agree.
func (h *handshake) explain(err error) error {
	ca := "the roots of this machine do"
	if h.files.CAFile != "" {
		ca = h.files.CAFile + " (ca_file of the inventory's tls block) does"
	}
	own := "the inventory's tls block names none, and needs cert_file and key_file"
	if h.files.CertFile != "" {
		own = "compare " + h.files.CertFile + " (cert_file of the inventory's tls block) with the member's trusted-ca-file, its extended key usage clientAuth, its validity, and the clocks"
	}
	return explainTLS(err, ca, own)
}

// explainTLS puts a failure of TLS in words. ca does, or do, vouch for servers;
// own is what to look at where the server refuses. An error that is none of TLS
// stays as it is.
func explainTLS(err error, ca, own string) error {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		plain    tls.RecordHeaderError
		alert    *net.OpError
	)
	text := ""
	switch {
	case errors.As(err, &hostname):
		text = fmt.Sprintf("its certificate is for %s, and not for %s, by which the inventory has it", names(hostname.Certificate), hostname.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		text = "its certificate is " + validity(invalid.Cert, time.Now()) + ", and the clock of this machine says " + stamp(time.Now()) + "; renew it, or set the clock that is wrong"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		text = "its certificate may not be a server's: it lacks the extended key usage serverAuth"
	case errors.As(err, &unknown):
		text = fmt.Sprintf("its certificate was issued by somebody for whom %s not vouch", ca)
		if unknown.Cert != nil {
			text = fmt.Sprintf("its certificate was issued by %q, for whom %s not vouch", unknown.Cert.Issuer.String(), ca)
		}
	case errors.As(err, &invalid):
		text = "its certificate: " + strings.TrimPrefix(err.Error(), "tls: failed to verify certificate: ")
	case errors.As(err, &plain):
		text = "it does not speak TLS; is its URL http, and not https?"
	case errors.As(err, &alert) && alert.Op == "remote error":
		text = "it refuses this program's certificate (" + strings.TrimPrefix(alert.Err.Error(), "tls: ") + "): " + own
	default:
		return err
	}
	return &credentialError{text: text}
}

// names is what a certificate is for.
func names(c *x509.Certificate) string {
	all := c.DNSNames
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no name and no address"
	}
	return strings.Join(all, ", ")
}

// validity says on which side of its time a certificate is.
func validity(c *x509.Certificate, now time.Time) string {
	if now.Before(c.NotBefore) {
		return "valid only from " + stamp(c.NotBefore) + " on"
	}
	return "valid only until " + stamp(c.NotAfter)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
