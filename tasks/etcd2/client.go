package etcd2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/tasks/etcd"
)

// Bounds of single requests, and of an answer. A look is short, because a dead
// member must not hold up what is said about the others; a change waits a little
// longer than the 7 s that a server with default timeouts takes to give up itself.
const (
	lookFor   = 3 * time.Second
	changeFor = 8 * time.Second
	mostBody  = 1 << 20 // bytes
)

// settleFor is how long after it was sent a change may still arrive: etcd's
// request timeout (5 s and two elections of 1 s), and one second more.
const settleFor = 8 * time.Second

// access is how the cluster is reached and who asks, worked out once per task.
type access struct {
	look      engine.Look
	endpoints []string
	via       string
	client    *http.Client
	user      string
	password  string
}

func newAccess(l engine.Look, r Reach) (*access, error) {
	a := &access{look: l, endpoints: r.Endpoints, user: l.Cluster.Auth.Username}
	if len(a.endpoints) == 0 {
		a.endpoints = l.Cluster.Endpoints
	}
	if r.API == nil && l.Cluster.API == 3 {
		return nil, errors.New("the inventory says that the cluster speaks API 3, and this type speaks API 2; use the etcd_* types, or write api = 2 in the inventory's cluster")
	}
	if len(a.endpoints) == 0 {
		return nil, errors.New("there are no endpoints: neither the task nor the inventory's cluster has any")
	}
	if r.Via != nil {
		if a.via = r.Via.Name; l.DialFrom == nil {
			return nil, fmt.Errorf("cannot reach the cluster via host %s: hosts cannot be dialled from here", a.via)
		}
	}
	tls, err := etcd.ClientTLS(l.Cluster.TLS)
	if err != nil {
		return nil, err
	}
	if a.password, err = etcd.Password(l.Cluster.Auth); err != nil {
		return nil, err
	}
	a.client = &http.Client{
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return a.dial(ctx, addr) },
			TLSClientConfig:   tls,
			DisableKeepAlives: true, // a connection of its own for each request leaves none behind
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a, nil
}

func (a *access) dial(ctx context.Context, addr string) (net.Conn, error) {
	if a.via != "" {
		return a.look.DialFrom(ctx, a.via, addr)
	}
	return a.look.Dial(ctx, addr)
}

// unsentError says that nothing of a request left, since nothing connected.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return reason(e.err) }
func (e *unsentError) Unwrap() error { return e.err }

// refusalError is an answer of etcd that is no success.
type refusalError struct {
	status int
	text   string
}

func (e *refusalError) Error() string {
	switch {
	case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden:
		return fmt.Sprintf("etcd refuses this user (HTTP %d); the cluster's auth block of the inventory names another", e.status)
	case e.text == "":
		return fmt.Sprintf("etcd answers HTTP %d", e.status)
	}
	return fmt.Sprintf("etcd answers HTTP %d: %s", e.status, e.text)
}

// call sends one request to one endpoint, so that what comes back is known to be
// said by that one. in, if not nil, goes as JSON; out, if not nil, takes the
// answer's. An answer that is no success is a *refusalError.
func (a *access) call(ctx context.Context, method, endpoint, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(endpoint, "/")+path, body)
	if err != nil {
		return nil, &unsentError{err}
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.user != "" {
		req.SetBasicAuth(a.user, a.password)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		if !connected.Load() {
			return nil, &unsentError{err}
		}
		return nil, err
	}
	defer resp.Body.Close()
	if out == nil && resp.StatusCode < 300 {
		return resp.Header, nil // a listing of keys may be long, and only its header counts
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return resp.Header, &refusalError{resp.StatusCode, messageOf(raw)}
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return resp.Header, fmt.Errorf("%s%s does not answer as etcd does: %w", endpoint, path, err)
	}
	return resp.Header, nil
}

// messageOf is what etcd says in the body of a refusal.
func messageOf(raw []byte) string {
	var m struct{ Message, Cause string }
	if json.Unmarshal(raw, &m) != nil || m.Message == "" {
		text, _, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
		return text[:min(len(text), 200)]
	}
	if m.Cause != "" {
		return m.Message + " (" + m.Cause + ")"
	}
	return m.Message
}

// reason is the cause of a failure to get an answer, in few words.
func reason(err error) string {
	if notReached(err) {
		return err.Error() // the address in it is that of the host's sshd
	}
	var sys syscall.Errno
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "does not answer"
	case errors.As(err, &sys):
		return sys.Error()
	case errors.As(err, &op) && op.Timeout():
		return "does not answer"
	}
	return err.Error()
}

// mute reports whether err says that time ran out: weaker evidence against a
// member than a refusal.
func mute(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// notReached reports whether err says that the host on the way was not reached.
func notReached(err error) bool {
	return errors.Is(err, conn.ErrUnreachable) || errors.Is(err, conn.ErrRefused)
}
