package etcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// certificate is one with those that lead to its authority.
type certificate struct {
	file    string
	leaf    *x509.Certificate
	chain   []*x509.Certificate // the leaf first
	between *x509.CertPool
}

// parse reads the certificate that a file begins with, and those after it that
// lead to its authority; nil if there is a problem.
func parse(x *examiner, file string, text []byte) *certificate {
	c := &certificate{file: file, between: x509.NewCertPool()}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			x.found.problem("%s: %v", file, err)
			return nil
		}
		c.chain = append(c.chain, parsed)
		if c.leaf == nil {
			c.leaf = parsed
		} else {
			c.between.AddCert(parsed)
		}
	}
	if c.leaf == nil {
		x.found.problem("%s holds no certificate", file)
		return nil
	}
	return c
}

// covers finds names and addresses of the URLs that the certificate is not for.
func (c *certificate) covers(x *examiner, urls []string, domain *string) {
	wanted := []string{}
	for _, u := range urls {
		if name, _, err := hostOf(u); err == nil && !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	if domain != nil {
		wanted = append(wanted, *domain)
	}
	for _, name := range wanted {
		if err := c.leaf.VerifyHostname(name); err != nil {
			x.found.problem("%s is for %s, and not for %s: its subject alternative names have to cover it", c.file, names(c.leaf), name)
		}
	}
}

// allows reports whether the certificate may be used so.
func (c *certificate) allows(usage x509.ExtKeyUsage) bool {
	none := len(c.leaf.ExtKeyUsage)+len(c.leaf.UnknownExtKeyUsage) == 0 // then it may be used for anything
	return none || slices.Contains(c.leaf.ExtKeyUsage, usage) || slices.Contains(c.leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func usageName(usage x509.ExtKeyUsage) string {
	if usage == x509.ExtKeyUsageClientAuth {
		return "clientAuth"
	}
	return "serverAuth"
}

// may finds that the certificate may not be used so, and says what comes of it.
func (c *certificate) may(x *examiner, usage x509.ExtKeyUsage, otherwise string) {
	if !c.allows(usage) {
		x.found.problem("%s lacks the extended key usage %s: %s", c.file, usageName(usage), otherwise)
	}
}

// inTime holds the certificate against both clocks.
func (c *certificate) inTime(x *examiner) {
	host, here := x.clock.host, x.clock.here
	clocks := "the clock of " + x.Host.Name() + " says " + stamp(host) + ", that of this machine " + stamp(here)
	for _, cert := range c.chain {
		what := c.file
		if cert != c.leaf {
			what = c.file + ", of which the issuer " + cert.Subject.String()
		}
		left := cert.NotAfter.Sub(latest(host, here))
		switch {
		case earliest(host, here).Before(cert.NotBefore):
			x.found.problem("%s is valid only from %s on; %s", what, stamp(cert.NotBefore), clocks)
		case left <= 0:
			x.found.problem("%s was valid only until %s; %s", what, stamp(cert.NotAfter), clocks)
		case left < x.args.validFor():
			x.found.problem("%s is valid only until %s, which is less than valid_for = %q; %s", what, stamp(cert.NotAfter), short(x.args.validFor()), clocks)
		case left < soon:
			x.found.warn("%s is valid only until %s", what, stamp(cert.NotAfter))
		}
	}
}

// short is a duration as an author writes it.
func short(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// descends finds that the certificate does not come from any of these
// authorities. Its own time is another matter; theirs counts.
func (c *certificate) descends(x *examiner, roots *x509.CertPool, from string, usage x509.ExtKeyUsage) {
	if !c.allows(usage) {
		return // that was said
	}
	now := x.clock.host
	if now.Before(c.leaf.NotBefore) || now.After(c.leaf.NotAfter) {
		now = c.leaf.NotAfter
	}
	_, err := c.leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: c.between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
	case errors.As(err, &unknown):
		x.found.problem("%s was issued by %q, for whom %s does not vouch", c.file, c.chain[len(c.chain)-1].Issuer.String(), from)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		x.found.problem("%s: the issuer %q is %s; the clock of %s says %s", c.file, invalid.Cert.Subject.String(), validity(invalid.Cert, now), x.Host.Name(), stamp(now))
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		x.found.problem("%s: its issuer is not allowed to issue certificates for %s", c.file, usageName(usage))
	default:
		x.found.problem("%s does not hold against %s: %v", c.file, from, err)
	}
}

// shakeFor bounds one handshake with a peer.
const shakeFor = 3 * time.Second

// shakeHands connects from the host to each peer, as its member will, and finds
// where one of the two would not take the other's certificate. The member's key
// stays where it is, so a handshake ends where the host would use it: by then
// the peer has shown its certificate and said whose it takes.
func (x *examiner) shakeHands(ctx context.Context, cert *certificate, roots *x509.CertPool) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, u := range secure(x.args.Peers) {
		if slices.Contains(x.args.Member.PeerURLs, u) {
			continue
		}
		wg.Go(func() {
			reached, text := x.shake(ctx, u, cert, roots)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case text != "":
				x.found.problem("%s", text)
			case reached:
				x.found.Shaken++
			default:
				x.found.Unreached = append(x.found.Unreached, u)
			}
		})
	}
	wg.Wait()
	slices.Sort(x.found.Unreached)
	slices.Sort(x.found.Problems)
}

// shake is one handshake; text is "" unless one side refuses the other.
func (x *examiner) shake(ctx context.Context, peer string, cert *certificate, roots *x509.CertPool) (reached bool, text string) {
	ctx, cancel := context.WithTimeout(ctx, shakeFor)
	defer cancel()
	name, addr, err := hostOf(peer)
	if err != nil {
		return false, ""
	}
	raw, err := x.Host.Dial(ctx, addr)
	if err != nil {
		return false, ""
	}
	defer raw.Close()
	verified, takes := false, [][]byte(nil)
	skew := x.clock.host.Sub(x.clock.here)
	config := &tls.Config{
		ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12,
		Time:             func() time.Time { return time.Now().Add(skew) },
		VerifyConnection: func(tls.ConnectionState) error { verified = true; return nil },
		GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			takes = r.AcceptableCAs
			return &tls.Certificate{}, nil
		},
	}
	err = tls.Client(raw, config).HandshakeContext(ctx)
	if err != nil && !verified {
		ca := "the roots of " + x.Host.Name() + " do"
		if file := x.args.Member.ServerTLS.PeerCAFile; file != nil {
			ca = *file + " (peer_ca_file of server_tls) does"
		}
		explained := explainTLS(err, ca, "")
		var refusal *credentialError
		if !errors.As(explained, &refusal) {
			return false, ""
		}
		return true, "the member at " + peer + ", as seen from " + x.Host.Name() + ": " + refusal.text
	}
	if len(takes) > 0 && !cert.issuedByOne(takes) {
		return true, "the member at " + peer + " takes certificates of other authorities only, and " + cert.file + " was issued by " + cert.chain[len(cert.chain)-1].Issuer.String()
	}
	return true, ""
}

// issuedByOne reports whether the certificate leads to one of these subjects.
func (c *certificate) issuedByOne(subjects [][]byte) bool {
	for _, cert := range c.chain {
		if slices.ContainsFunc(subjects, func(s []byte) bool { return bytes.Equal(s, cert.RawIssuer) || bytes.Equal(s, cert.RawSubject) }) {
			return true
		}
	}
	return false
}

// hostOf is the host and the address with port of a URL.
func hostOf(raw string) (name, addr string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", err
	}
	return u.Hostname(), net.JoinHostPort(u.Hostname(), u.Port()), nil
}
