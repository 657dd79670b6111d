package etcd

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
)

// examiner looks at the certificates of one member on its host.
type examiner struct {
	engine.Look
	args  CertificatesArgs
	clock clock
	place place
	found examined
}

// examine looks at everything, and says all that is wrong at once. The error is
// that of a host that cannot be looked at.
func examine(ctx context.Context, l engine.Look, a CertificatesArgs) (examined, error) {
	x := &examiner{Look: l, args: a}
	clients := secure(a.Member.ClientURLs)
	peers := secure(a.Member.PeerURLs)
	x.found.Secure = len(clients)+len(peers)+len(secure(a.Member.ListenClientURLs)) > 0
	if !x.found.Secure {
		return x.found, nil
	}
	if a.Member.ServerTLS == nil {
		x.found.problem("its URLs are https, and the inventory names no certificates of it: the cluster or the host's member block needs a server_tls block")
		return x.found, nil
	}
	var err error
	if x.place, err = placeOf(ctx, l); err != nil {
		return x.found, err
	}
	if x.clock, err = clockOf(ctx, l.Host); err != nil {
		return x.found, err
	}
	if x.found.Skew = x.clock.skew(); x.found.Skew.Abs() > a.maxSkew() {
		x.found.problem("the clock of %s says %s, and that of this machine %s: set the one that is wrong", l.Host.Name(), stamp(x.clock.host), stamp(x.clock.here))
	}
	if len(clients)+len(secure(a.Member.ListenClientURLs)) > 0 {
		err = x.serverSide(ctx, clients)
	}
	if err == nil && len(peers) > 0 {
		err = x.peerSide(ctx, peers)
	}
	return x.found, err
}

// secure is the URLs that are https.
func secure(urls []string) (out []string) {
	for _, u := range urls {
		if strings.HasPrefix(u, "https://") {
			out = append(out, u)
		}
	}
	return out
}

// serverSide checks what the member shows its clients, and whether it would
// take this program's own certificate.
func (x *examiner) serverSide(ctx context.Context, urls []string) error {
	files := x.args.Member.ServerTLS
	if files.CertFile == nil {
		x.found.problem("its client URLs are https, and server_tls names no cert_file for them")
		return nil
	}
	cert, err := x.pair(ctx, *files.CertFile, files.KeyFile)
	if err != nil || cert == nil {
		return err
	}
	if name := x.Cluster.TLS.ServerName; name != "" {
		cert.covers(x, nil, &name)
	} else {
		cert.covers(x, urls, nil)
	}
	cert.may(x, x509.ExtKeyUsageServerAuth, "clients refuse it")
	roots, from := x509.NewCertPool(), x.Cluster.TLS.CAFile
	if from == "" {
		roots, from = nil, "the roots of this machine"
	} else if text, err := os.ReadFile(from); err != nil {
		return fmt.Errorf("ca_file of the inventory's tls block: %w", err)
	} else if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("ca_file of the inventory's tls block: %s holds no certificate", from)
	}
	cert.descends(x, roots, from+" (with which clients check it)", x509.ExtKeyUsageServerAuth)
	if files.CAFile == nil {
		return nil
	}
	accepts, err := x.authorities(ctx, *files.CAFile)
	if err != nil || accepts == nil {
		return err
	}
	if !cert.allows(x509.ExtKeyUsageClientAuth) {
		x.found.warn("%s lacks the extended key usage clientAuth: etcd's own JSON gateway, which uses it as a client's, will not work", cert.file)
	}
	if own := x.Cluster.TLS.CertFile; own != "" {
		text, err := os.ReadFile(own)
		if err != nil {
			return fmt.Errorf("cert_file of the inventory's tls block: %w", err)
		}
		if client := parse(x, own, text); client != nil {
			client.may(x, x509.ExtKeyUsageClientAuth, "the member will refuse this program")
			client.inTime(x)
			client.descends(x, accepts, *files.CAFile+" (with which the member checks its clients)", x509.ExtKeyUsageClientAuth)
		}
	}
	return nil
}

// peerSide checks what the member shows other members, as their server and as
// their client, and shakes hands with those that run.
func (x *examiner) peerSide(ctx context.Context, urls []string) error {
	files := x.args.Member.ServerTLS
	if files.PeerCertFile == nil {
		x.found.problem("its peer URLs are https, and server_tls names no peer_cert_file for them")
		return nil
	}
	cert, err := x.pair(ctx, *files.PeerCertFile, files.PeerKeyFile)
	if err != nil || cert == nil {
		return err
	}
	cert.covers(x, urls, x.args.Domain)
	cert.may(x, x509.ExtKeyUsageServerAuth, "other members refuse it where they connect to this one")
	var roots *x509.CertPool
	if files.PeerCAFile != nil {
		cert.may(x, x509.ExtKeyUsageClientAuth, "other members refuse it where this one connects to them")
		if roots, err = x.authorities(ctx, *files.PeerCAFile); err != nil || roots == nil {
			return err
		}
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			cert.descends(x, roots, *files.PeerCAFile+" (with which members check each other)", usage)
		}
	} else {
		x.found.warn("server_tls names no peer_ca_file, so it was not checked by whom members want their certificates to be issued")
	}
	x.shakeHands(ctx, cert, roots)
	return nil
}
