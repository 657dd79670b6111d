package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// sighting is the member list as one endpoint gave it.
type sighting struct {
	endpoint string
	linear   bool // agreed on by a quorum, not only remembered by that member
	list     *clientv3.MemberListResponse
	err      error
}

// sight asks every endpoint for the member list, both for what it remembers and
// for what a quorum agrees on, all at once. The channel closes when all have
// answered or ctx has ended; it must be drained, or ctx be ended.
func (a *access) sight(ctx context.Context) <-chan sighting {
	seen := make(chan sighting, 2*len(a.endpoints))
	var wg sync.WaitGroup
	for _, endpoint := range a.endpoints {
		for _, linear := range []bool{false, true} {
			wg.Go(func() {
				s := sighting{endpoint: endpoint, linear: linear}
				s.err = a.read(ctx, endpoint, func(c *client) (err error) {
					if linear {
						s.list, err = c.agreedList()
					} else {
						s.list, err = c.MemberList(c.life, clientv3.WithSerializable())
					}
					return err
				})
				seen <- s
			})
		}
	}
	go func() {
		wg.Wait()
		close(seen)
	}()
	return seen
}

// agreedList is the member list that a quorum agrees on. The read before it makes
// it so also with servers before 3.5, which answer from what they have: once they
// serve the read, they have everything that was agreed on before it.
func (c *client) agreedList() (*clientv3.MemberListResponse, error) {
	_, err := c.Get(c.life, "health", clientv3.WithKeysOnly())
	if err != nil && !errors.Is(err, rpctypes.ErrPermissionDenied) {
		return nil, err
	}
	return c.MemberList(c.life)
}

// listing is the member list that a task works with, and what its journal keeps
// of it.
type listing struct {
	ClusterID string
	// Linear says that a quorum agrees on the list. Without one, it is what a
	// single member remembers.
	Linear   bool
	Endpoint string // that gave the list
	Members  []listed
}

// listed is one entry of the list.
type listed struct {
	ID         string
	Name       string
	PeerURLs   []string
	ClientURLs []string
	Learner    bool
}

func hexID(id uint64) string { return strconv.FormatUint(id, 16) }

// listedFrom orders the members by name, then by ID.
func listedFrom(from []*pb.Member) []listed {
	var ms []listed
	for _, m := range from {
		ms = append(ms, listed{
			ID: hexID(m.ID), Name: m.Name, Learner: m.IsLearner,
			PeerURLs: slices.Sorted(slices.Values(m.PeerURLs)), ClientURLs: slices.Sorted(slices.Values(m.ClientURLs)),
		})
	}
	slices.SortFunc(ms, func(a, b listed) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return ms
}

func listingFrom(s sighting) listing {
	return listing{
		ClusterID: hexID(s.list.Header.ClusterId), Linear: s.linear, Endpoint: s.endpoint,
		Members: listedFrom(s.list.Members),
	}
}

func (l listing) member(id string) *listed {
	for i := range l.Members {
		if l.Members[i].ID == id {
			return &l.Members[i]
		}
	}
	return nil
}

// at returns the member with exactly these peer URLs, and the first that shares
// some of them but not all.
func (l listing) at(urls []string) (exact, overlapping *listed) {
	want := slices.Sorted(slices.Values(urls))
	for i := range l.Members {
		m := &l.Members[i]
		switch {
		case slices.Equal(m.PeerURLs, want):
			exact = m
		case slices.ContainsFunc(want, func(u string) bool { return slices.Contains(m.PeerURLs, u) }):
			if overlapping == nil {
				overlapping = m
			}
		}
	}
	return exact, overlapping
}

// world is the list as a cluster of the model; nothing is known of health.
func (l listing) world(c engine.Cluster) world.Cluster {
	w := world.Cluster{Known: true, ID: l.ClusterID, Inventory: c.PeerURLs, Unit: c.Unit}
	for _, m := range l.Members {
		w.Members = append(w.Members, world.Member{
			ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.Learner, Host: w.HostOf(m.PeerURLs),
		})
	}
	return w
}

// list is the member list: at once when a quorum agrees on it, else, where a
// quorum of the voters answers and may be electing a leader, after another try,
// else as one member remembers it. The error says why no endpoint answered.
func (a *access) list(ctx context.Context) (listing, error) {
	for wait := a.patience; ; wait = 2 * a.patience {
		l, alive, err := a.listOnce(ctx, wait)
		if err != nil || l.Linear || wait > a.patience || alive < world.Quorum(l.voters()) {
			return l, err
		}
	}
}

func (l listing) voters() int {
	n := 0
	for _, m := range l.Members {
		if !m.Learner {
			n++
		}
	}
	return n
}

// listOnce asks once. alive is how many members answered at all. What the member
// that is to leave gives is used if no other gives the like: it stops once it has
// left, perhaps before it answered a change.
func (a *access) listOnce(ctx context.Context, wait time.Duration) (l listing, alive int, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var best, last *sighting
	errs := map[string]error{}
	for s := range a.sight(ctx) {
		switch {
		case s.err != nil:
			if errs[s.endpoint] == nil || !s.linear {
				errs[s.endpoint] = s.err
			}
		case s.linear && hexID(s.list.Header.MemberId) == a.leaving:
			last = &s
		case s.linear:
			return listingFrom(s), alive, nil
		default:
			alive++
			if best == nil || s.list.Header.RaftTerm > best.list.Header.RaftTerm {
				best = &s
			}
		}
	}
	if last != nil {
		return listingFrom(*last), alive, nil
	}
	if best == nil || best.deniedBy(errs) {
		return listing{}, 0, silence(a.endpoints, errs)
	}
	return listingFrom(*best), alive, nil
}

// deniedBy reports whether the endpoint of a list that it remembers refused who
// asked for the one that is agreed on: it tells the former to anybody.
func (s sighting) deniedBy(errs map[string]error) bool {
	var refusal *credentialError
	return !s.linear && errors.As(errs[s.endpoint], &refusal)
}

// agreed is the member list that a quorum agrees on, or an error.
func (a *access) agreed(ctx context.Context) (listing, error) {
	l, err := a.list(ctx)
	if err == nil && !l.Linear {
		err = fmt.Errorf("no quorum agrees on the member list; %s answers, but only with what it remembers", l.Endpoint)
	}
	return l, err
}

// endpointOf is an endpoint at which this member answers, or "".
func (a *access) endpointOf(ctx context.Context, id string) (endpoint string) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	for s := range a.sight(ctx) {
		if s.err == nil && hexID(s.list.Header.MemberId) == id {
			return s.endpoint
		}
	}
	return ""
}

// silence is the error of a cluster of which no endpoint answers, or lets
// anybody in.
func silence(endpoints []string, errs map[string]error) error {
	var reasons []string
	by := map[string][]string{} // endpoints by what is wrong with them
	unreached, refused := len(errs) > 0, false
	for _, e := range endpoints {
		err := errs[e]
		if err == nil {
			continue
		}
		why := reason(err)
		if by[why] == nil {
			reasons = append(reasons, why)
		}
		by[why] = append(by[why], e)
		var credentials *credentialError
		refused = refused || errors.As(err, &credentials)
		unreached = unreached && notReached(err)
	}
	if len(reasons) == 0 {
		return errors.New("no endpoint of the cluster answers")
	}
	for i, why := range reasons {
		reasons[i] = strings.Join(by[why], ", ") + ": " + why
	}
	text := strings.Join(reasons, "; ")
	switch {
	case refused:
		return &credentialError{text: "no endpoint of the cluster can be used: " + text}
	case unreached:
		return &unreachedError{"no endpoint of the cluster answers (" + text + ")"}
	}
	return errors.New("no endpoint of the cluster answers (" + text + ")")
}

// unreachedError says that not even the hosts of the endpoints were reached.
type unreachedError struct{ text string }

func (e *unreachedError) Error() string { return e.text }
func (e *unreachedError) Unwrap() error { return conn.ErrUnreachable }

// notReached reports whether err says that the host on the way was not reached.
func notReached(err error) bool {
	return errors.Is(err, conn.ErrUnreachable) || errors.Is(err, conn.ErrRefused)
}
