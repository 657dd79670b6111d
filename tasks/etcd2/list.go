package etcd2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// listed is one entry of the member list, as the v2 API gives it.
type listed struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	Learner    bool     `json:"learner"` // the v2 API conceals it: see learners
}

// listing is the member list that a task works with, and what its journal keeps
// of it.
type listing struct {
	ClusterID string
	// Linear says that a quorum agrees on the list. Without one, it is what a
	// single member remembers.
	Linear   bool
	Endpoint string // that gave the list
	Self     string // ID of the member that gave it; "" if it did not say
	Members  []listed
	Index    uint64 // of its v2 store; 0 if it did not say
}

// sight is what one endpoint said when it was looked at.
type sight struct {
	listing
	err     error // why there is no list
	Leader  string
	Version string // of the server
	Cluster string // version of the cluster
	Why     string // why it does not serve reads that a quorum agrees on
	Ill     string // what its own /health complains of
	Mute    bool   // it was silent about such a read, not refusing

	RaftIndex uint64        // of the log; 0 if not told
	Uptime    time.Duration // 0 if not told
}

// canonical is an ID in the form in which IDs are compared: lower-case hex
// without leading zeros. What is none stays as it is.
func canonical(text string) string {
	id, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0x"), 16, 64)
	if err != nil {
		return text
	}
	return strconv.FormatUint(id, 16)
}

// leaderless is for how long a read that a quorum has to agree on is waited for
// at a member that knows no leader: about an election.
const leaderless = time.Second

// see looks at one endpoint. A read that a quorum agrees on comes before the
// member list: once a server serves that, it has everything that was agreed on
// before, and so its list is the cluster's. Without a quorum the list is asked
// for all the same.
func (a *access) see(ctx context.Context, endpoint string) sight {
	var agreed, remembered sight
	var readErr error
	var both sync.WaitGroup
	reading, cut := context.WithCancel(ctx)
	defer cut()
	both.Go(func() {
		var h http.Header
		if h, readErr = a.call(reading, http.MethodGet, endpoint, "/v2/keys/?quorum=true", nil, nil); readErr != nil {
			return
		}
		agreed = a.members(ctx, endpoint)
		agreed.Linear = agreed.err == nil
		agreed.indexes(h)
	})
	remembered = a.members(ctx, endpoint)
	if remembered.err == nil {
		a.introduce(ctx, endpoint, &remembered)
	}
	if remembered.err != nil || remembered.Leader == "" {
		// Nothing will be agreed on until there is a leader again.
		defer time.AfterFunc(leaderless, cut).Stop()
	}
	both.Wait()
	s := remembered
	switch {
	case agreed.Linear:
		s.listing, s.RaftIndex = agreed.listing, agreed.RaftIndex
		s.Self = remembered.Self
		s.err = nil
	case s.err == nil && readErr == nil:
		s.Why = "does not list its members: " + reason(agreed.err)
	case s.err == nil:
		s.Why, s.Mute = "serves no read that a quorum agrees on: "+reason(readErr), mute(readErr)
	}
	return s
}

// members asks for the list that the endpoint has.
func (a *access) members(ctx context.Context, endpoint string) (s sight) {
	s.Endpoint = endpoint
	var list struct {
		Members []listed `json:"members"`
	}
	h, err := a.call(ctx, http.MethodGet, endpoint, "/v2/members", nil, &list)
	if err != nil {
		var r *refusalError
		if errors.As(err, &r) && r.status == http.StatusNotFound {
			err = errors.New("has no v2 API: etcd 3.4 and 3.5 serve it with --enable-v2 (ETCD_ENABLE_V2=true), later ones never")
		}
		s.err = err
		return s
	}
	s.ClusterID, s.Members = canonical(h.Get("X-Etcd-Cluster-Id")), ordered(list.Members)
	return s
}

// introduce asks the endpoint which member it is and how it does. What it does
// not tell stays empty.
func (a *access) introduce(ctx context.Context, endpoint string, s *sight) {
	var leader listed
	if _, err := a.call(ctx, http.MethodGet, endpoint, "/v2/members/leader", nil, &leader); err == nil {
		s.Leader = canonical(leader.ID)
	}
	var self struct {
		ID        string    `json:"id"`
		StartTime time.Time `json:"startTime"`
	}
	if h, err := a.call(ctx, http.MethodGet, endpoint, "/v2/stats/self", nil, &self); err == nil {
		s.Self = canonical(self.ID)
		// Both moments are of that host's clock, so it may be wrong.
		if now, err := http.ParseTime(h.Get("Date")); err == nil && !self.StartTime.IsZero() {
			s.Uptime = max(0, now.Sub(self.StartTime))
		}
	}
	var v struct{ Etcdserver, Etcdcluster string }
	if _, err := a.call(ctx, http.MethodGet, endpoint, "/version", nil, &v); err == nil {
		s.Version, s.Cluster = v.Etcdserver, v.Etcdcluster
	}
	if h, err := a.call(ctx, http.MethodGet, endpoint, "/v2/keys/", nil, nil); err == nil {
		s.indexes(h)
	}
	var own struct{ Health, Reason string }
	_, err := a.call(ctx, http.MethodGet, endpoint, "/health", nil, &own)
	var r *refusalError
	if errors.As(err, &r) && r.status == http.StatusServiceUnavailable || err == nil && own.Health != "true" {
		s.Ill = "says of itself that it is not healthy (an alarm, or no leader)"
	}
}

func (s *sight) indexes(h http.Header) {
	// An index that is not told, or is no number, counts as not told.
	s.Index, _ = strconv.ParseUint(h.Get("X-Etcd-Index"), 10, 64)
	s.RaftIndex, _ = strconv.ParseUint(h.Get("X-Raft-Index"), 10, 64)
}

// ordered is the members with canonical IDs, by name, then by ID.
func ordered(ms []listed) []listed {
	for i := range ms {
		ms[i].ID = canonical(ms[i].ID)
		slices.Sort(ms[i].PeerURLs)
		slices.Sort(ms[i].ClientURLs)
	}
	slices.SortFunc(ms, func(a, b listed) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return ms
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
		case overlapping == nil && slices.ContainsFunc(want, func(u string) bool { return slices.Contains(m.PeerURLs, u) }):
			overlapping = m
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

// list is the member list that a quorum agrees on, else as the member remembers
// it whose log is longest. The error says why no endpoint answered.
func (a *access) list(ctx context.Context) (listing, error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	seen := make(chan sight, len(a.endpoints))
	for _, e := range a.endpoints {
		go func() { seen <- a.see(ctx, e) }()
	}
	var best sight
	errs := map[string]error{}
	for range a.endpoints {
		switch s := <-seen; {
		case s.err != nil:
			errs[s.Endpoint] = s.err
		case s.Linear:
			return s.listing, nil
		case best.Endpoint == "" || s.RaftIndex > best.RaftIndex:
			best = s
		}
	}
	if best.Endpoint == "" {
		return listing{}, silence(a.endpoints, errs)
	}
	return best.listing, nil
}

// sole reports whether what this list says is as good as agreed on, because it
// comes from the only voter that there was before: nobody else can have agreed
// on anything.
func (l listing) sole(before listing) bool {
	return len(before.Members) == 1 && l.Self != "" && l.Self == before.Members[0].ID && l.ClusterID == before.ClusterID
}

// agreed is the member list that a quorum agrees on, or that of the only voter
// there was before, or an error.
func (a *access) agreed(ctx context.Context, before listing) (listing, error) {
	l, err := a.list(ctx)
	if err == nil && !l.Linear && !l.sole(before) {
		err = fmt.Errorf("no quorum agrees on the member list; %s answers, but only with what it remembers", l.Endpoint)
	}
	return l, err
}

// silence is the error of a cluster of which no endpoint answers.
func silence(endpoints []string, errs map[string]error) error {
	var parts []string
	unreached := len(errs) > 0
	for _, e := range endpoints {
		if err := errs[e]; err != nil {
			parts = append(parts, e+": "+reason(err))
			unreached = unreached && notReached(err)
		}
	}
	text := "no endpoint of the cluster answers (" + strings.Join(parts, "; ") + ")"
	if unreached {
		return &unreachedError{text}
	}
	return errors.New(text)
}

// unreachedError says that not even the hosts of the endpoints were reached.
type unreachedError struct{ text string }

func (e *unreachedError) Error() string { return e.text }
func (e *unreachedError) Unwrap() error { return conn.ErrUnreachable }
