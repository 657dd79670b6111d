package bootstrap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// line is how a registry is spoken to: from the host, and with the certificates
// that the members will use as far as they are no secret.
type line struct {
	dial dialer
	tls  *tls.Config // nil if no URL begins with https
	help string      // for who meets a certificate that is not trusted
}

func (a DiscoveryArgs) line(ctx context.Context, l engine.Look) (line, error) {
	to := line{dial: l.Host.Dial}
	urls := slices.Clone(a.Endpoints)
	for _, u := range []*string{a.Service, a.URL} {
		if u != nil {
			urls = append(urls, *u)
		}
	}
	if !slices.ContainsFunc(urls, func(u string) bool { return strings.HasPrefix(u, "https:") }) {
		return to, nil
	}
	to.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	to.help = "etcd takes here whom the host trusts: have it trust the registry's authority"
	if a.API == 3 {
		to.help = "name the registry's authority in ca_file"
	}
	var err error
	if to.tls.RootCAs, err = authorities(ctx, l.Host, a.CAFile); err != nil {
		return to, err
	}
	if c := l.Cluster.TLS; a.API == 3 && c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return to, fmt.Errorf("client certificates of the inventory: %w", err)
		}
		to.tls.Certificates = []tls.Certificate{pair}
	}
	return to, nil
}

// bundles are the files in which systems keep the authorities that they trust.
// etcd takes the first that is there.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// authorities are those of a file on the host or, without one, those that the
// host trusts. Nil, this machine's, is for a host that has no bundle of them.
func authorities(ctx context.Context, h conn.Reader, file *string) (*x509.CertPool, error) {
	files := bundles
	if file != nil {
		files = []string{*file}
	}
	for _, f := range files {
		text, err := h.ReadFile(ctx, f)
		if errors.Is(err, fs.ErrNotExist) && file == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s of %s holds no certificate", f, h.Name())
		}
		return pool, nil
	}
	return nil, nil
}

// advise adds to an error of TLS what to do about it.
func (l line) advise(err error) error {
	if stranger := (x509.UnknownAuthorityError{}); errors.As(err, &stranger) {
		return fmt.Errorf("%w; %s", err, l.help)
	}
	if alert := tls.AlertError(0); errors.As(err, &alert) {
		return fmt.Errorf("%w; the registry does not take the operator's certificate, which the inventory names under tls", err)
	}
	return err
}

// transport speaks HTTP.
func (l line) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: l.tls,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return l.dial(ctx, addr) },
	}
}

// newToken asks a discovery service for a token of its own, which is the URL of
// a registry.
func (l line) newToken(ctx context.Context, service string, size int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*knock)
	defer cancel()
	u := fmt.Sprintf("%s/new?size=%d", strings.TrimSuffix(service, "/"), size)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: l.transport()}).Do(req)
	if err != nil {
		return "", l.advise(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s: %.200s", u, resp.Status, text)
	}
	if parsed, err := url.Parse(text); err != nil || parsed.Scheme == "" || parsed.Host == "" || strings.Trim(parsed.Path, "/") == "" {
		return "", fmt.Errorf("%s answers %.200q, which is no URL of a token", u, text)
	}
	return text, nil
}
