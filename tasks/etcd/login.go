package etcd

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/etcdplay/etcdplay/engine"
)

// login is how requests say on whose behalf they come: by a token that one
// member gave for the password, and that counts with all of them. To check a
// password costs a server a tenth of a second, so a run logs in once. A token
// that no longer counts (it expires after five minutes without use, and is
// forgotten by a server that starts anew) is replaced by another one; the
// refusal proves that the request had no effect, so it is sent again, changes too.
//
// A learner logs nobody in. It takes a token that a voter gave, once it has heard
// of it: not at once, and never of one that is older than itself.
//
// Without a quorum no member logs anybody in. What a member says of itself it says
// to anybody all the same, or to anybody with a certificate (3.7), so that is asked
// without a token as long as there is none.
type login struct {
	mu    sync.Mutex
	known bool   // somebody was logged in
	token string // "" where authentication is off
}

func (*login) Close() error { return nil }

// loginOf is the login that is kept for the task.
func loginOf(l engine.Look) *login {
	thing, _ := l.Kept.Get("etcd login", func() io.Closer { return &login{} })
	return thing.(*login)
}

// Of a token that a learner does not know: how often it is shown again before
// another one is got, and how long the pauses are.
const (
	showings   = 4
	learnFor   = 25 * time.Millisecond
	tokensMost = 3 // that are tried for one request
)

// learnerText is how a learner refuses what it cannot do.
const learnerText = "etcdserver: rpc not supported for learner"

// authorize adds the token to each request of a client.
func (a *access) authorize(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if method == pb.Auth_Authenticate_FullMethodName {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	if ofItself(method, req) && !a.login.has() {
		if err := invoke(ctx, method, req, reply, cc, opts...); !refusedByEtcd(err) {
			return err
		}
	}
	token, borrowed, err := a.token(ctx, cc, nil)
	for try := 1; err == nil; try++ {
		if err = invoke(withToken(ctx, token), method, req, reply, cc, opts...); !outdated(err) {
			return err
		}
		switch {
		case try == showings*tokensMost, !borrowed && try == tokensMost:
			return err
		case borrowed && try%showings != 0:
			select {
			case <-time.After(learnFor):
				err = nil
			case <-ctx.Done():
			}
		default:
			token, borrowed, err = a.token(ctx, cc, &token)
		}
	}
	return err
}

// has reports whether somebody was logged in.
func (l *login) has() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// ofItself reports whether a request asks a member for nothing but what it has by
// itself: its status, or the members that it remembers.
func ofItself(method string, req any) bool {
	list, ok := req.(*pb.MemberListRequest)
	return method == pb.Maintenance_Status_FullMethodName || ok && !list.Linearizable
}

// refusedByEtcd reports whether err is a server's answer, and not the lack of one.
func refusedByEtcd(err error) bool {
	switch status.Code(err) {
	case codes.OK, codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return false
	}
	return true
}

func withToken(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, token)
}

// outdated reports whether err refuses a token, or that there is none.
func outdated(err error) bool {
	switch rpctypes.Error(err) {
	case rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision, rpctypes.ErrUserEmpty:
		return true
	}
	return false
}

// token is one that is not this one: what another client got, or one for the
// password, through this connection or, where that leads to a learner, through
// another endpoint's. borrowed says that another member gave it.
func (a *access) token(ctx context.Context, cc *grpc.ClientConn, not *string) (token string, borrowed bool, err error) {
	a.login.mu.Lock()
	token, known := a.login.token, a.login.known
	a.login.mu.Unlock()
	if known && (not == nil || *not != token) {
		return token, true, nil
	}
	if token, err = a.authenticate(ctx, cc); rpctypes.ErrorDesc(err) == learnerText {
		token, err = a.borrow(ctx, cc, err)
		borrowed = true
	}
	if err != nil {
		return "", borrowed, err
	}
	a.login.mu.Lock()
	defer a.login.mu.Unlock()
	a.login.token, a.login.known = token, true
	return token, borrowed, nil
}

func (a *access) authenticate(ctx context.Context, cc *grpc.ClientConn) (string, error) {
	resp, err := pb.NewAuthClient(cc).Authenticate(ctx, &pb.AuthenticateRequest{Name: a.look.Cluster.Auth.Username, Password: a.password})
	switch {
	case rpctypes.Error(err) == rpctypes.ErrAuthNotEnabled:
		return "", nil
	case err != nil:
		return "", err
	}
	return resp.Token, nil
}

// borrow logs in at another endpoint than a learner's. Its error is that of the
// learner where there is no other.
func (a *access) borrow(ctx context.Context, learner *grpc.ClientConn, err error) (string, error) {
	for _, endpoint := range a.endpoints {
		c, openErr := a.open(ctx, endpoint)
		if openErr != nil {
			continue
		}
		var token string
		var loginErr error
		other := c.ActiveConnection() != learner
		if other {
			token, loginErr = a.authenticate(c.life, c.ActiveConnection())
		}
		c.close()
		if other && loginErr == nil {
			return token, nil
		}
	}
	return "", err
}

// denied is what a refusal for want of rights or of a login means, and what to
// do; "" if err is none.
func (a *access) denied(err error) string {
	if err == nil {
		return ""
	}
	user := a.look.Cluster.Auth.Username
	text := rpctypes.ErrorDesc(err)
	switch {
	case strings.Contains(text, "authentication failed"):
		return "etcd refuses the login of its user " + user + " (" + text + "): compare username and " + passwordSource(a.look.Cluster.Auth) + " of the inventory's auth block with etcdctl user list"
	case strings.Contains(text, "user name is empty"):
		return "etcd asks for a user, and the inventory names none: its cluster block needs an auth block, with username and password_env or password_file"
	case user == "" && (strings.Contains(text, "permission denied") || strings.Contains(text, "user name not found")):
		return "etcd takes the name in the client's certificate for its user, who may not do this (" + text + "): the inventory needs an auth block, with a user that has the role root"
	case strings.Contains(text, "permission denied"):
		return "etcd's user " + user + " may not do this (" + text + "): changes of membership need the role root (etcdctl user grant-role " + user + " root)"
	case strings.Contains(text, "invalid auth token"):
		return "etcd does not take the token that it gave for the password (" + text + "): its members have to agree on --auth-token"
	}
	return ""
}

// allowed puts a refusal for want of rights in words that say what to do; other
// errors stay as they are.
func (a *access) allowed(err error) error {
	if text := a.denied(err); text != "" {
		return &credentialError{text, err}
	}
	return err
}

// passwordSource is the argument of the auth block that the password comes from.
func passwordSource(auth engine.Auth) string {
	if auth.PasswordEnv != "" {
		return "password_env (" + auth.PasswordEnv + ")"
	}
	return "password_file (" + auth.PasswordFile + ")"
}
