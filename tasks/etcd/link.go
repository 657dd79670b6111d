package etcd

import (
	"context"
	"io"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"

	"github.com/etcdplay/etcdplay/engine"
)

// links is the connections to endpoints, each shared by those who use it at the
// same time and, in a run, left for those who come after. A connection that is
// not in order is never handed out: who finds none dials, so that nobody waits
// for the pauses that gRPC makes before it dials again, and a member that has
// just come up is reached at once.
type links struct {
	keep bool // those that nobody uses

	mu     sync.Mutex
	by     map[string]*link
	closed bool
}

// linksOf is the links that are kept for the task.
func linksOf(l engine.Look) *links {
	thing, kept := l.Kept.Get("etcd clients", func() io.Closer { return &links{} })
	all := thing.(*links)
	all.mu.Lock()
	defer all.mu.Unlock()
	all.keep = kept
	return all
}

// link is a client of one endpoint.
type link struct {
	made   chan struct{} // closed when what follows is set
	client *clientv3.Client
	end    context.CancelFunc
	err    error

	key   string
	users int           // belongs to the lock of links
	gone  chan struct{} // closed if the first dial failed: nothing listens

	mu        sync.Mutex
	dials     int
	connected bool  // at least once
	failed    error // why the last dial did not connect
}

// take returns a link in order, to be given back. kept says that it has been
// connected before. A link that others are making is waited for.
func (ls *links) take(ctx context.Context, key string, not *link, connect func(*link) error) (l *link, kept bool, err error) {
	for {
		ls.mu.Lock()
		l = ls.by[key]
		if l == nil || l == not || !l.usable() {
			break
		}
		l.users++
		ls.mu.Unlock()
		select {
		case <-l.made:
		case <-ctx.Done():
			ls.give(l)
			return nil, false, ctx.Err()
		}
		if l.err == nil {
			return l, l.reached(), nil
		}
		ls.give(l) // whoever made it may have had less time than is left here
	}
	l = &link{made: make(chan struct{}), gone: make(chan struct{}), key: key, users: 1}
	if ls.by == nil {
		ls.by = map[string]*link{}
	}
	ls.by[key] = l
	ls.mu.Unlock()
	l.err = connect(l)
	close(l.made)
	if l.err != nil {
		err = l.err
		ls.give(l)
		return nil, false, err
	}
	return l, false, nil
}

// give takes a link back, and closes it unless it is of further use.
func (ls *links) give(l *link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.users--
	if l.users > 0 || ls.keep && !ls.closed && ls.by[l.key] == l && l.reached() {
		return
	}
	if ls.by[l.key] == l {
		delete(ls.by, l.key)
	}
	l.close()
}

// Close closes the links that nobody uses; the others follow.
func (ls *links) Close() error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for key, l := range ls.by {
		if l.users == 0 {
			delete(ls.by, key)
			l.close()
		}
	}
	return nil
}

// close ends the link. What the client's Close returns is the end of its
// context, which is no news.
func (l *link) close() {
	if l.client != nil {
		_ = l.client.Close()
		l.end()
	}
}

// usable reports whether the link is in order, or may yet come to be.
func (l *link) usable() bool {
	select {
	case <-l.made:
	default:
		return true
	}
	if l.err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.client.ActiveConnection().GetState()
	return state == connectivity.Ready || l.failed == nil && (!l.connected || l.dials == 1 && state == connectivity.Connecting)
}

// reached reports whether the link has connected, and still is.
func (l *link) reached() bool {
	select {
	case <-l.made:
	default:
		return false
	}
	return l.err == nil && l.client.ActiveConnection().GetState() == connectivity.Ready
}

// dialled takes note of how a dial ended.
func (l *link) dialled(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials++
	l.failed, l.connected = err, l.connected || err == nil
	if l.dials == 1 && err != nil {
		close(l.gone)
	}
}

// refused takes note of a connection on which nothing was sent, because the two
// sides did not agree on their certificates.
func (l *link) refused(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
	if l.dials == 1 && l.connected {
		l.connected = false
		close(l.gone)
	}
}

// explain makes a dialError of an error where nothing ever connected.
func (l *link) explain(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil || l.connected:
		return err
	case l.failed != nil:
		return &dialError{l.failed}
	}
	return &dialError{err}
}
