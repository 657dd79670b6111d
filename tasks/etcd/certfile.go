package etcd

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// place is where files that etcd is given are on the host.
type place struct {
	sslDir string // "" if etcd sees the host's own files
}

// shown are the folders that Container Linux's wrapper shows its container under
// their own names; the folder of certificates stands at containerSSL in it.
var shown = []string{"/usr/share/ca-certificates", "/var/lib/etcd", "/run"}

const containerSSL = "/etc/ssl/certs"

// placeOf finds out whether the member would run in a container, by the variable
// that its wrapper reads.
func placeOf(ctx context.Context, l engine.Look) (place, error) {
	unit, err := l.Host.Unit(ctx, l.Cluster.Unit)
	if err != nil && !errors.Is(err, conn.ErrNoUnit) {
		return place{}, err
	}
	for _, variable := range unit.Environment {
		if dir, ok := strings.CutPrefix(variable, "ETCD_SSL_DIR="); ok {
			return place{path.Clean(dir)}, nil
		}
	}
	return place{}, nil
}

// onHost is the path on the host of a file that etcd is given. ok is false if it
// is not to be seen from within the container.
func (p place) onHost(file string) (string, bool) {
	if p.sslDir == "" {
		return file, true
	}
	if rest, ok := strings.CutPrefix(file, containerSSL+"/"); ok {
		return path.Join(p.sslDir, rest), true
	}
	for _, dir := range shown {
		if strings.HasPrefix(file, dir+"/") {
			return file, true
		}
	}
	return file, false
}

// file reads a file that etcd reads too; nil if there is a problem with it.
func (x *examiner) file(ctx context.Context, name string) ([]byte, string, error) {
	at, ok := x.place.onHost(name)
	if !ok {
		x.found.problem("%s is not to be seen in the container that etcd runs in: below %s it is (on the host %s)", name, containerSSL, x.place.sslDir)
		return nil, at, nil
	}
	text, err := x.Host.ReadFile(ctx, at)
	switch {
	case err == nil:
		return text, at, x.readable(ctx, name, at)
	case errors.Is(err, fs.ErrNotExist):
		x.found.problem("%s does not exist on %s", at, x.Host.Name())
		return nil, at, nil
	case errors.Is(err, conn.ErrUnreachable), errors.Is(err, conn.ErrRefused), ctx.Err() != nil:
		return nil, at, err
	}
	x.found.problem("%s cannot be read on %s: %v", at, x.Host.Name(), err)
	return nil, at, nil
}

// pair reads a certificate and looks at its key; nil if there is no certificate.
func (x *examiner) pair(ctx context.Context, name string, key *string) (*certificate, error) {
	x.found.Files = appendNew(x.found.Files, name)
	text, _, err := x.file(ctx, name)
	if err != nil || text == nil {
		return nil, err
	}
	cert := parse(x, name, text)
	if cert == nil {
		return nil, nil
	}
	cert.inTime(x)
	if end := cert.leaf.NotAfter; x.found.Expires.IsZero() || end.Before(x.found.Expires) {
		x.found.Expires = end
	}
	if key == nil {
		x.found.problem("server_tls names no key for %s", name)
		return cert, nil
	}
	return cert, x.key(ctx, *key, cert)
}

// authorities reads the certificates that others' are checked against; nil if
// there is a problem with them.
func (x *examiner) authorities(ctx context.Context, name string) (*x509.CertPool, error) {
	text, _, err := x.file(ctx, name)
	if err != nil || text == nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		x.found.problem("%s holds no certificate", name)
		return nil, nil
	}
	return pool, nil
}

// key looks at a key on the host, without reading it here: that it is there,
// that etcd can read it and others cannot, and whether it belongs to the
// certificate, which the host's openssl tells.
func (x *examiner) key(ctx context.Context, name string, cert *certificate) error {
	at, ok := x.place.onHost(name)
	if !ok {
		x.found.problem("%s is not to be seen in the container that etcd runs in: below %s it is (on the host %s)", name, containerSSL, x.place.sslDir)
		return nil
	}
	info, err := x.Host.Stat(ctx, at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.found.problem("%s does not exist on %s", at, x.Host.Name())
		return nil
	case err != nil:
		return err
	}
	if info.Mode.IsRegular() && info.Mode.Perm()&0o004 != 0 {
		x.found.warn("%s may be read by everybody (mode %04o): it is a key, chmod 0600 %s", at, info.Mode.Perm(), at)
	}
	if err := x.readable(ctx, name, at); err != nil {
		return err
	}
	r, err := x.Host.Query(ctx, conn.Command{Argv: []string{"openssl", "pkey", "-in", "." + at, "-passin", "pass:", "-pubout", "-outform", "DER"}})
	switch {
	case missing(r, err):
		x.found.warn("whether %s belongs to %s was not checked: %s has no openssl", at, cert.file, x.Host.Name())
	case err != nil:
		return err
	case r.ExitCode != 0:
		x.found.problem("%s is no key that can be used without a passphrase (openssl pkey)", at)
	case !bytes.Equal(r.Stdout, cert.leaf.RawSubjectPublicKeyInfo):
		x.found.problem("%s does not belong to %s: they are of different pairs", at, cert.file)
	}
	return nil
}

// missing reports whether a program is not there.
func missing(r conn.Result, err error) bool {
	return errors.Is(err, fs.ErrNotExist) || err == nil && r.ExitCode == 127
}

// readable finds whether etcd's user can read a file, by trying as that user:
// modes alone do not tell of folders above, of links and of lists of rights.
func (x *examiner) readable(ctx context.Context, name, at string) error {
	user := x.Cluster.User
	if user == "" || user == "root" {
		return nil
	}
	test := []string{"test", "-r", "." + at}
	r, err := x.Host.Query(ctx, conn.Command{Argv: append([]string{"setpriv", "--reuid=" + user, "--regid=" + cmp.Or(x.Cluster.Group, user), "--init-groups", "--"}, test...)})
	if missing(r, err) || err == nil && r.ExitCode != 0 && len(r.Stderr) > 0 {
		// Without root's rights only one's own can be tried.
		me, err := x.Host.Query(ctx, conn.Command{Argv: []string{"id", "-un"}})
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(me.Stdout)) != user {
			x.found.warn("whether %s can read %s was not checked: it could not be tried as that user (%s)", user, at, firstLine(r.Stderr))
			return nil
		}
		r, err = x.Host.Query(ctx, conn.Command{Argv: test})
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if r.ExitCode != 0 {
		rights := ""
		if info, err := x.Host.Stat(ctx, at); err == nil {
			rights = fmt.Sprintf(" (mode %04o, of %s:%s)", info.Mode.Perm(), info.Owner, info.Group)
		}
		x.found.problem("etcd's user %s cannot read %s on %s%s", user, at, x.Host.Name(), rights)
	}
	return nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}
