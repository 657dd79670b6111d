package snapshot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/tasks/etcd"
)

// source is the member that a snapshot is taken of, and who asks it. It goes to
// the host over stdin, never as an argument: it holds secrets.
type source struct {
	Endpoint string `json:"endpoint"`
	CA       []byte `json:"ca,omitempty"` // PEM, as the following two
	Cert     []byte `json:"cert,omitempty"`
	Key      []byte `json:"key,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// sourceOf reads what the inventory names.
func sourceOf(l engine.Look, endpoint string) (s source, err error) {
	s = source{Endpoint: endpoint, Username: l.Cluster.Auth.Username}
	if s.Password, err = etcd.Password(l.Cluster.Auth); err != nil {
		return s, err
	}
	for _, f := range []struct {
		to   *[]byte
		path string
	}{{&s.CA, l.Cluster.TLS.CAFile}, {&s.Cert, l.Cluster.TLS.CertFile}, {&s.Key, l.Cluster.TLS.KeyFile}} {
		if f.path == "" {
			continue
		}
		if *f.to, err = os.ReadFile(f.path); err != nil {
			return s, fmt.Errorf("client certificates of the inventory: %w", err)
		}
	}
	return s, nil
}

// config is the client's TLS configuration; nil for plain HTTP.
func (s source) config() (*tls.Config, error) {
	if !strings.HasPrefix(s.Endpoint, "https:") {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(s.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(s.CA) {
			return nil, errors.New("the inventory's ca_file holds no certificate")
		}
	}
	if len(s.Cert) > 0 {
		pair, err := tls.X509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificates of the inventory: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// loginFor bounds the login and the first answer of the member.
const loginFor = 10 * time.Second

// window is how much of a snapshot may be under way: what keeps a connection of
// 100 MB/s with a round trip of 80 ms busy.
const window = 8 << 20

func (s source) open(ctx context.Context, dial func(ctx context.Context, addr string) (net.Conn, error)) (*clientv3.Client, error) {
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := knock(ctx, u, config, dial); err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{
		Endpoints: []string{s.Endpoint}, Context: ctx, DialTimeout: loginFor, TLS: config,
		Username: s.Username, Password: s.Password, Logger: zap.NewNop(), MaxUnaryRetries: 1,
		DialOptions: []grpc.DialOption{
			grpc.WithContextDialer(dial), grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
			grpc.WithReadBufferSize(1 << 20),
		},
	})
}

// knock finds out what stands in the way of a connection. gRPC would go on
// dialling until time is up, and then say no more than that.
func knock(ctx context.Context, u *url.URL, config *tls.Config, dial func(ctx context.Context, addr string) (net.Conn, error)) error {
	ctx, cancel := context.WithTimeout(ctx, loginFor)
	defer cancel()
	conn, err := dial(ctx, u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	if config == nil {
		return nil
	}
	named := config.Clone()
	named.ServerName = u.Hostname()
	return tls.Client(conn, named).HandshakeContext(ctx)
}

// ours reports whether an address is one of this machine.
func ours(host string) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.String() == host {
			return true
		}
	}
	return false
}

// explain says what to do about what etcd says of who asks.
func explain(err error) error {
	switch e := rpctypes.Error(err); {
	case wantsLogin(e):
		return fmt.Errorf("%w: authentication is on, and only a user with the role root may take a snapshot; name one in the inventory's cluster, with username and password_env or password_file", e)
	case errors.Is(e, rpctypes.ErrAuthFailed):
		return fmt.Errorf("%w: the inventory's user or password is wrong", e)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("does not answer: %w", err)
	}
	return err
}

// wantsLogin reports whether a member refuses what it is asked for who asks it.
func wantsLogin(err error) bool {
	return errors.Is(err, rpctypes.ErrUserEmpty) || errors.Is(err, rpctypes.ErrPermissionDenied)
}

// alone says what to do where a member has no leader, which err came of: a login
// is agreed on by a quorum, and whether there is a leader is told to anybody.
func (s source) alone(ctx context.Context, dial func(ctx context.Context, addr string) (net.Conn, error), err error) error {
	ctx, cancel := context.WithTimeout(ctx, loginFor)
	defer cancel()
	s.Username, s.Password = "", ""
	c, oerr := s.open(ctx, dial)
	if oerr != nil {
		return err
	}
	defer c.Close()
	if st, serr := c.Status(ctx, s.Endpoint); serr != nil || st.Leader != 0 {
		return err
	}
	return fmt.Errorf("its cluster has no quorum, without which nobody can log in, and authentication is on: no snapshot can be taken of it (%w). "+
		"To go on with the data that it has, run recover-quorum-v3; to go back to a snapshot that was taken before, run restore-v3 with --var snapshot=/PATH", err)
}
