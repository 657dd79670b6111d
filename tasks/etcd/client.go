package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcdplay/etcdplay/engine"
)

// Bounds of single requests. The looks are short, because a dead member must
// not hold up what is said about the others; a change waits a little longer than
// the 7 s that a server with default timeouts takes to give up itself.
const (
	lookFor   = 3 * time.Second
	loginFor  = 5 * time.Second // instead of lookFor where there is a user: etcd hashes the password at a login
	changeFor = 8 * time.Second
)

// settleFor is how long after a lost answer a change may still arrive: etcd's
// request timeout (5 s and two elections of 1 s), and one second more.
const settleFor = 8 * time.Second

// access is how the cluster is reached and who asks, worked out once per task.
type access struct {
	look      engine.Look
	endpoints []string
	via       string
	tls       *tls.Config
	password  string
	links     *links
	login     *login
	leader    string        // ID of the member that changes have to go to; "" means any
	leaving   string        // ID of the member that a change takes out, which is asked for lists and changes only if no other answers
	patience  time.Duration // of one look
}

// newAccess reads what the inventory names: files of TLS and the password.
func newAccess(l engine.Look, r Reach) (*access, error) {
	a := &access{look: l, endpoints: r.Endpoints, patience: lookFor, links: linksOf(l), login: loginOf(l)}
	if l.Cluster.Auth.Username != "" {
		a.patience = loginFor
	}
	if len(a.endpoints) == 0 {
		a.endpoints = l.Cluster.Endpoints
	}
	if r.API == nil && l.Cluster.API == 2 {
		return nil, errors.New("the inventory says that the cluster speaks API 2, and this type speaks API 3; use the etcd2_* types")
	}
	if len(a.endpoints) == 0 {
		return nil, errors.New("there are no endpoints: neither the task nor the inventory's cluster has any")
	}
	if r.Via != nil {
		if a.via = r.Via.Name; l.DialFrom == nil {
			return nil, fmt.Errorf("cannot reach the cluster via host %s: hosts cannot be dialled from here", a.via)
		}
	}
	var err error
	if a.tls, err = ClientTLS(l.Cluster.TLS); err != nil {
		return nil, err
	}
	a.password, err = Password(l.Cluster.Auth)
	return a, err
}

// ClientTLS reads the client's certificates; nil where the inventory names none.
func ClientTLS(files engine.TLS) (*tls.Config, error) {
	if files == (engine.TLS{}) {
		return nil, nil
	}
	info := transport.TLSInfo{TrustedCAFile: files.CAFile, CertFile: files.CertFile, KeyFile: files.KeyFile, ServerName: files.ServerName, Logger: zap.NewNop()}
	config, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("client certificates of the inventory: %w", err)
	}
	return config, nil
}

// Password reads the password of etcd's user; "" where there is no user.
func Password(auth engine.Auth) (string, error) {
	switch {
	case auth.Username == "":
		return "", nil
	case auth.PasswordEnv != "":
		p, ok := os.LookupEnv(auth.PasswordEnv)
		if !ok || p == "" {
			return "", fmt.Errorf("the password of etcd's user %s belongs in the environment variable %s, which is not set", auth.Username, auth.PasswordEnv)
		}
		return p, nil
	case auth.PasswordFile != "":
		b, err := os.ReadFile(auth.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("the password of etcd's user %s: %w", auth.Username, err)
		}
		p := strings.TrimRight(string(b), "\r\n")
		if p == "" {
			return "", fmt.Errorf("the password of etcd's user %s belongs in %s, which is empty", auth.Username, auth.PasswordFile)
		}
		return p, nil
	}
	return "", fmt.Errorf("the inventory names etcd's user %s, and neither password_env nor password_file", auth.Username)
}

func (a *access) dial(ctx context.Context, addr string) (net.Conn, error) {
	if a.via != "" {
		return a.look.DialFrom(ctx, a.via, addr)
	}
	return a.look.Dial(ctx, addr)
}

// client speaks to exactly one endpoint, so that what it says is known to be
// said by that one.
type client struct {
	*clientv3.Client
	endpoint string
	link     *link
	links    *links
	kept     bool // it was connected for somebody before

	// life ends with the context that the client was opened in, and as soon as
	// nothing listens: gRPC itself would go on dialling. Requests are bounded by it.
	life context.Context
	end  context.CancelFunc
}

// open returns a client; nothing is dialled yet.
// Its life ends with ctx, and its goroutines with Close.
func (a *access) open(ctx context.Context, endpoint string) (*client, error) {
	return a.openBut(ctx, endpoint, nil)
}

// openBut is open with another connection than this one.
func (a *access) openBut(ctx context.Context, endpoint string, not *link) (*client, error) {
	key := strings.Join([]string{endpoint, a.via, a.look.Cluster.Auth.Username, fmt.Sprint(a.look.Cluster.TLS)}, "\x00")
	l, kept, err := a.links.take(ctx, key, not, func(l *link) error { return a.connect(ctx, endpoint, l) })
	if err != nil {
		return nil, err
	}
	c := &client{Client: l.client, endpoint: endpoint, link: l, links: a.links, kept: kept}
	c.life, c.end = context.WithCancel(ctx)
	go func() {
		select {
		case <-l.gone:
			c.end()
		case <-c.life.Done():
		}
	}()
	return c, nil
}

// read asks an endpoint something that may be asked twice: a connection that
// somebody left may have ended unseen, which says nothing of the endpoint.
func (a *access) read(ctx context.Context, endpoint string, ask func(c *client) error) error {
	var not *link
	for {
		c, err := a.openBut(ctx, endpoint, not)
		if err != nil {
			return err
		}
		err = a.allowed(c.explain(ask(c)))
		c.close()
		if !c.kept || !cut(err) || ctx.Err() != nil {
			return err
		}
		not = c.link
	}
}

// cut reports whether err says that the connection was lost, and is not a
// server's answer.
func cut(err error) bool {
	var answer rpctypes.EtcdError
	code := status.Code(err)
	return err != nil && !errors.As(err, &answer) && (code == codes.Unavailable || code == codes.Canceled)
}

// maintenance is the client's own over the connection that it has: for each
// call, clientv3 would make another one.
func (c *client) maintenance() clientv3.Maintenance {
	return clientv3.NewMaintenanceFromMaintenanceClient(clientv3.RetryMaintenanceClient(c.Client, c.ActiveConnection()), c.Client)
}

// connect makes the link's client.
func (a *access) connect(ctx context.Context, endpoint string, l *link) error {
	// The client outlives ctx if it is kept; until it is made, ctx may break it off.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	l.end = end
	stop := context.AfterFunc(ctx, end)
	var err error
	l.client, err = clientv3.New(clientv3.Config{
		Endpoints:       []string{endpoint},
		Context:         life,
		TLS:             a.tls,
		Logger:          zap.NewNop(),
		MaxUnaryRetries: 1, // who calls decides about another try
		DialOptions:     a.dialOptions(endpoint, l),
	})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		end()
		return l.explain(err)
	}
	return nil
}

func (a *access) dialOptions(endpoint string, l *link) []grpc.DialOption {
	options := []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := a.dial(ctx, addr)
		l.dialled(err)
		return conn, err
	})}
	if strings.HasPrefix(endpoint, "https:") {
		options = append(options, grpc.WithTransportCredentials(newHandshake(a.tls, a.look.Cluster.TLS, l)))
	}
	if a.look.Cluster.Auth.Username != "" {
		options = append(options, grpc.WithChainUnaryInterceptor(a.authorize))
	}
	return options
}

// explain makes a dialError of the error of a request where nothing ever
// connected, because that proves that the request was not sent. Once there was a
// connection, a later failure to dial proves nothing of the sort.
func (c *client) explain(err error) error { return c.link.explain(err) }

// close gives the client back.
func (c *client) close() {
	c.end()
	c.links.give(c.link)
}

// dialError says that an endpoint was never connected to, so that nothing was
// sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return reason(e.err) }
func (e *dialError) Unwrap() error { return e.err }

// reason is the cause of a failure to connect, in few words.
func reason(err error) string {
	switch {
	case mute(err):
		return "does not answer"
	case notReached(err):
		return err.Error() // the address in it is that of the host's sshd
	}
	var op *net.OpError
	if errors.As(err, &op) {
		var sys *os.SyscallError
		if errors.As(op.Err, &sys) {
			return sys.Err.Error()
		}
		if op.Timeout() {
			return "does not answer"
		}
		return op.Err.Error()
	}
	return err.Error()
}

// mute reports whether err says that time ran out: weaker evidence against a
// member than a refusal.
func mute(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
