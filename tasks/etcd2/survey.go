package etcd2

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Survey reads a cluster that speaks API 2: its members, and of each whether it
// serves a read that a quorum agrees on, its version and how far it is behind.
// Everything is asked at once, so a dead member costs at most about 3 s in all.
// Without a quorum the members are those that one of them remembers, and none is
// healthy; where no client port is served, a member's peer port tells them. The
// Cluster is not Known if nobody answers, or if it is not one cluster, or not
// the inventory's.
func Survey(ctx context.Context, l engine.Look, endpoints []string) world.Cluster {
	a, err := newAccess(l, Reach{Endpoints: endpoints})
	if err != nil {
		return world.Cluster{Why: err.Error(), Inventory: l.Cluster.PeerURLs, Unit: l.Cluster.Unit}
	}
	c, _ := a.survey(ctx)
	return c
}

// surveys is how often a survey looks where it finds no quorum although enough
// voters answer, or may only have been slow to: a new leader is elected within a
// second or two.
const surveys = 3

// seen is what a survey found beside the cluster itself.
type seen struct {
	sights map[string]sight // by member ID
}

func (a *access) survey(ctx context.Context) (world.Cluster, seen) {
	for try := 1; ; try++ {
		c, s := a.surveyOnce(ctx)
		b := c.Budget()
		perhaps := 0
		for _, m := range c.Members {
			if one, ok := s.sights[m.ID]; ok && !m.Learner && (one.Linear || one.Mute) {
				perhaps++
			}
		}
		if !c.Known || b.Healthy >= b.Quorum || perhaps < b.Quorum || try == surveys || ctx.Err() != nil {
			return c, s
		}
	}
}

func (a *access) surveyOnce(outer context.Context) (world.Cluster, seen) {
	ctx, cancel := context.WithTimeout(outer, lookFor)
	defer cancel()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		all   []sight
		errs  = map[string]error{}
		asked = map[string]bool{}
		ask   func(endpoint string)
	)
	ask = func(endpoint string) {
		mu.Lock()
		begun := asked[endpoint]
		asked[endpoint] = true
		mu.Unlock()
		if begun {
			return
		}
		wg.Go(func() {
			s := a.see(ctx, endpoint)
			mu.Lock()
			if s.err != nil {
				errs[endpoint] = s.err
			} else {
				all = append(all, s)
			}
			mu.Unlock()
			for _, m := range s.Members {
				for _, u := range m.ClientURLs {
					ask(u)
				}
			}
		})
	}
	for _, e := range a.endpoints {
		ask(e)
	}
	wg.Wait()
	if len(all) == 0 {
		return a.surveyPeers(outer, silence(a.endpoints, errs))
	}
	s := seen{sights: map[string]sight{}}
	best := all[0]
	for _, one := range all {
		if one.Linear && !best.Linear || one.Linear == best.Linear && one.RaftIndex > best.RaftIndex {
			best = one
		}
		if have, ok := s.sights[one.Self]; !ok || one.Linear && !have.Linear {
			s.sights[one.Self] = one
		}
	}
	a.learners(outer, &best.listing)
	c := best.world(a.look.Cluster)
	if c.Why = a.wrong(all); c.Why != "" {
		c.Known = false
		return c, s
	}
	fill(&c, s.sights, errs)
	return c, s
}

// surveyPeers is the survey where no client port answers, silent being why.
// Nobody is healthy then.
func (a *access) surveyPeers(ctx context.Context, silent error) (world.Cluster, seen) {
	l, err := a.byPeers(ctx, silent)
	if err != nil {
		return world.Cluster{Why: err.Error(), Inventory: a.look.Cluster.PeerURLs, Unit: a.look.Cluster.Unit}, seen{}
	}
	c := l.world(a.look.Cluster)
	if want := canonical(a.look.Cluster.ID); want != "" && want != c.ID {
		c.Known, c.Why = false, fmt.Sprintf("the inventory expects cluster %s, and %s belongs to %s", want, l.Endpoint, c.ID)
		return c, seen{}
	}
	for i := range c.Members {
		c.Members[i].Health, c.Members[i].Why = world.Unhealthy, "serves no clients"
	}
	return c, seen{}
}

// byPeers asks the peer ports of the inventory's hosts for the member list: they
// answer also where a member waits for a quorum before it serves clients. Those
// that share an address with an endpoint come first. silent is the error where
// none answers.
func (a *access) byPeers(ctx context.Context, silent error) (listing, error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	meant := map[string]bool{}
	for _, e := range a.endpoints {
		meant[hostOf(e)] = true
	}
	var urls []string
	for _, us := range a.look.Cluster.PeerURLs {
		urls = append(urls, us...)
	}
	lists := make(chan *listing, len(urls))
	for _, u := range urls {
		go func() {
			l, err := a.byPeer(ctx, u)
			if err != nil {
				l = nil
			}
			lists <- l
		}()
	}
	var best *listing
	for range urls {
		l := <-lists
		if l == nil {
			continue
		}
		if best == nil || meant[hostOf(l.Endpoint)] && !meant[hostOf(best.Endpoint)] ||
			meant[hostOf(l.Endpoint)] == meant[hostOf(best.Endpoint)] && l.Endpoint < best.Endpoint {
			best = l
		}
	}
	if best == nil {
		return listing{}, silent
	}
	return *best, nil
}

// hostOf is the host of a URL, without its port; "" if it is none.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// byPeer is the member list as a peer port gives it.
func (a *access) byPeer(ctx context.Context, peerURL string) (*listing, error) {
	var list []struct {
		ID         uint64   `json:"id"`
		Name       string   `json:"name"`
		PeerURLs   []string `json:"peerURLs"`
		ClientURLs []string `json:"clientURLs"`
		IsLearner  bool     `json:"isLearner"`
	}
	h, err := a.call(ctx, http.MethodGet, peerURL, "/members", nil, &list)
	if err != nil {
		return nil, err
	}
	l := &listing{ClusterID: canonical(h.Get("X-Etcd-Cluster-Id")), Endpoint: peerURL}
	for _, m := range list {
		l.Members = append(l.Members, listed{ID: strconv.FormatUint(m.ID, 16), Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.IsLearner})
	}
	l.Members = ordered(l.Members)
	return l, nil
}

// learners marks the members without a vote, which the v2 API lists like any
// other. The peer port of the member that gave the list tells them; where it
// cannot be reached, all count as voters, which only asks for more of them.
func (a *access) learners(ctx context.Context, l *listing) {
	self := l.member(l.Self)
	if self == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	for _, u := range self.PeerURLs {
		byPeer, err := a.byPeer(ctx, u)
		if err != nil || byPeer.ClusterID != l.ClusterID {
			continue
		}
		for i := range l.Members {
			if m := byPeer.member(l.Members[i].ID); m != nil {
				l.Members[i].Learner = m.Learner
			}
		}
		return
	}
}

// wrong says why what was seen is not the cluster that is meant, or "".
func (a *access) wrong(all []sight) string {
	ids := map[string]string{}
	for _, s := range all {
		ids[s.ClusterID] = s.Endpoint
	}
	var each []string
	for id, endpoint := range ids {
		each = append(each, id+" at "+endpoint)
	}
	slices.Sort(each)
	if len(each) > 1 {
		return "the endpoints belong to different clusters: " + strings.Join(each, ", ")
	}
	if want := canonical(a.look.Cluster.ID); want != "" && ids[want] == "" {
		return fmt.Sprintf("the inventory expects cluster %s, and the endpoints belong to %s", want, each[0])
	}
	return ""
}

// fill puts what was seen into the members.
func fill(c *world.Cluster, sights map[string]sight, errs map[string]error) {
	var index uint64
	for _, s := range sights {
		index = max(index, s.RaftIndex)
	}
	for i := range c.Members {
		m := &c.Members[i]
		m.Health = world.Unhealthy
		s, ok := sights[m.ID]
		if !ok {
			m.Why = unseen(*m, errs)
			continue
		}
		m.Version, m.Applied, m.Revision = s.Version, s.RaftIndex, int64(s.Index)
		if index > m.Applied {
			m.Lag = index - m.Applied
		}
		c.Version = lower(c.Version, s.Cluster)
		switch {
		case !s.Linear:
			m.Why = s.Why
		case s.Ill != "":
			m.Why = s.Ill
		case m.Name == "":
			m.Why = "has not published its name yet"
		case m.Lag > world.MaxLag:
			m.Why = fmt.Sprintf("is %d entries behind the leader", m.Lag)
		default:
			m.Health, c.Leader = world.Healthy, s.Leader
		}
	}
}

// unseen is why a member that did not answer is not healthy.
func unseen(m world.Member, errs map[string]error) string {
	if len(m.ClientURLs) == 0 {
		if m.Name == "" {
			return "has not started"
		}
		return "has published no client URLs: it has never served"
	}
	for _, u := range m.ClientURLs {
		if err := errs[u]; err != nil {
			return reason(err)
		}
	}
	return "does not answer as this member"
}

// lower is the lower of two cluster versions, "" counting for nothing.
func lower(a, b string) string {
	switch {
	case a == "" || b != "" && minor(b) < minor(a):
		return b
	}
	return a
}

// minor is a version as one number that grows with it; -1 if it is none.
func minor(version string) int {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return -1
	}
	x, err1 := strconv.Atoi(parts[0])
	y, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return -1
	}
	return x*1000 + y
}
