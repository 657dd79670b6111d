package etcd

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Survey reads the cluster: its members, and of each whether it serves a
// linearizable read, its version, its alarms and how far it is behind the
// leader. Everything is asked at once, so a dead member costs at most about 3 s
// in all. Without a quorum the members are those that one of them remembers, and
// none is healthy. The Cluster is not Known if nobody answers, or if it is not
// one cluster, or not the inventory's.
func Survey(ctx context.Context, l engine.Look, endpoints []string) world.Cluster {
	a, err := newAccess(l, Reach{Endpoints: endpoints})
	if err != nil {
		return world.Cluster{Why: err.Error(), Inventory: l.Cluster.PeerURLs, Unit: l.Cluster.Unit}
	}
	return a.survey(ctx)
}

// surveys is how often a survey looks where it finds no quorum although enough
// voters answer, or may only have been slow to: a new leader is elected within a
// second or two.
const surveys = 3

func (a *access) survey(ctx context.Context) world.Cluster { return a.surveyUpTo(ctx, 1) }

// surveyUpTo surveys up to so many times where a voter was late with its answer, so
// that one that was busy with its disk for a moment is not called unhealthy.
func (a *access) surveyUpTo(ctx context.Context, patient int) world.Cluster {
	for try := 1; ; try++ {
		c, hopeful, late := a.surveyOnce(ctx)
		b := c.Budget()
		enough := c.Known && b.Healthy >= b.Quorum && (!late || try >= patient)
		if enough || !hopeful || try == surveys || ctx.Err() != nil {
			return c
		}
	}
}

// found is what was seen of one member.
type found struct {
	status *clientv3.StatusResponse
	read   *clientv3.GetResponse
	why    string // "" if it served its read
	mute   bool   // nothing was heard of it in time, not even a refusal
}

// surveyOnce looks once. It is hopeful if as many voters as make a quorum
// answered, or were silent and did not refuse. late means that a voter was silent,
// or had no linearizable read to give in time.
func (a *access) surveyOnce(ctx context.Context) (c world.Cluster, hopeful, late bool) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	var (
		best    *sighting
		errs    = map[string]error{}
		ids     = map[uint64]string{} // cluster ID to an endpoint of it
		sighted = map[string]string{} // member ID to the endpoint that is it
		mu      sync.Mutex
		wg      sync.WaitGroup
		states  = map[string]*found{}
	)
	for s := range a.sight(ctx) {
		if s.err != nil {
			if errs[s.endpoint] == nil || !s.linear {
				errs[s.endpoint] = s.err
			}
			continue
		}
		ids[s.list.Header.ClusterId] = s.endpoint
		sighted[hexID(s.list.Header.MemberId)] = s.endpoint
		if best == nil || s.linear && !best.linear || s.linear == best.linear && s.list.Header.RaftTerm > best.list.Header.RaftTerm {
			best = &s
		}
		for _, m := range listedFrom(s.list.Members) {
			mu.Lock()
			begun := states[m.ID] != nil
			if !begun {
				states[m.ID] = &found{}
			}
			mu.Unlock()
			if begun {
				continue
			}
			wg.Go(func() {
				f := a.probe(ctx, m, s.list.Header.ClusterId)
				mu.Lock()
				defer mu.Unlock()
				states[m.ID] = f
			})
		}
	}
	wg.Wait()
	if best == nil || best.deniedBy(errs) {
		return world.Cluster{Why: silence(a.endpoints, errs).Error(), Inventory: a.look.Cluster.PeerURLs, Unit: a.look.Cluster.Unit}, false, false
	}
	list := listingFrom(*best)
	for id, endpoint := range sighted {
		// What a member advertises may mean something else from here (localhost).
		if f, m := states[id], list.member(id); f != nil && f.status == nil && m != nil {
			states[id] = a.ask(ctx, endpoint, *m, best.list.Header.ClusterId)
		}
	}
	c = list.world(a.look.Cluster)
	if c.Why = a.wrong(ids); c.Why != "" {
		c.Known = false
		return c, false, false
	}
	fill(&c, states)
	perhaps := 0
	for _, m := range c.Members {
		if f := states[m.ID]; f != nil && !m.Learner && (f.status != nil || f.mute) {
			perhaps++
			late = late || f.mute || f.why != ""
		}
	}
	return c, perhaps >= c.Budget().Quorum, late
}

// wrong says why these clusters are not the one that is meant, or "".
func (a *access) wrong(ids map[uint64]string) string {
	var seen []string
	for id, endpoint := range ids {
		seen = append(seen, hexID(id)+" at "+endpoint)
	}
	slices.Sort(seen)
	if len(seen) > 1 {
		return "the endpoints belong to different clusters: " + strings.Join(seen, ", ")
	}
	want, err := strconv.ParseUint(strings.TrimPrefix(a.look.Cluster.ID, "0x"), 16, 64)
	if a.look.Cluster.ID != "" && (err != nil || ids[want] == "") {
		return fmt.Sprintf("the inventory expects cluster %s, and the endpoints belong to %s; after a restore, write that as its id", a.look.Cluster.ID, seen[0])
	}
	return ""
}

// probe asks one member at all its client URLs, and takes the first that
// answers as that member.
func (a *access) probe(ctx context.Context, m listed, clusterID uint64) *found {
	if len(m.ClientURLs) == 0 {
		if m.Name == "" {
			return &found{why: "has not started"}
		}
		return &found{why: "has published no client URLs: it has never served"}
	}
	answers := make(chan *found, len(m.ClientURLs))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, u := range m.ClientURLs {
		go func() { answers <- a.ask(ctx, u, m, clusterID) }()
	}
	best := <-answers
	for range m.ClientURLs[1:] {
		if best.status != nil {
			break
		}
		if f := <-answers; f.status != nil || best.why == "" {
			best = f
		}
	}
	return best
}

// ask asks for the status and for a read: linearizable of a voter, and of what
// it has of a learner, which serves no other.
func (a *access) ask(ctx context.Context, endpoint string, m listed, clusterID uint64) *found {
	f := &found{}
	var wg sync.WaitGroup
	var readErr error
	wg.Go(func() {
		var opts []clientv3.OpOption
		if m.Learner {
			opts = append(opts, clientv3.WithSerializable())
		}
		readErr = a.read(ctx, endpoint, func(c *client) (err error) {
			f.read, err = c.Get(c.life, "health", append(opts, clientv3.WithKeysOnly())...)
			return err
		})
	})
	var status *clientv3.StatusResponse
	err := a.read(ctx, endpoint, func(c *client) (err error) {
		status, err = c.maintenance().Status(c.life, endpoint)
		return err
	})
	wg.Wait()
	switch {
	case err != nil:
		f.why, f.mute = reason(err), mute(err)
	case status.Header.ClusterId != clusterID:
		f.why = fmt.Sprintf("%s belongs to another cluster, %s", endpoint, hexID(status.Header.ClusterId))
	case hexID(status.Header.MemberId) != m.ID:
		f.why = fmt.Sprintf("%s is answered by another member, %s", endpoint, hexID(status.Header.MemberId))
	default:
		f.status = status
	}
	switch {
	case f.why != "" || readErr == nil:
	case errors.Is(readErr, rpctypes.ErrPermissionDenied):
		// The read was agreed on; this user may only not see the key.
	case errors.Is(readErr, context.DeadlineExceeded), ctx.Err() != nil:
		f.why = "serves no linearizable read: has no quorum, or is too slow"
	default:
		f.why = "serves no linearizable read: " + rpctypes.ErrorDesc(readErr)
	}
	if f.why != "" {
		f.read = nil
	}
	return f
}

var alarmText = regexp.MustCompile(`memberID:\s*(\d+)\s+alarm:\s*(\w+)`)

// fill puts what was seen into the members.
func fill(c *world.Cluster, states map[string]*found) {
	var index uint64
	alarms := map[string][]string{}
	for _, f := range states {
		if f.status == nil {
			continue
		}
		index = max(index, f.status.RaftIndex)
		if f.status.Leader != 0 && f.why == "" {
			c.Leader = hexID(f.status.Leader)
		}
		for _, e := range f.status.Errors {
			// An alarm is told by every member, about one of them.
			if at := alarmText.FindStringSubmatch(e); at != nil {
				id, err := strconv.ParseUint(at[1], 10, 64)
				if name := hexID(id); err == nil && !slices.Contains(alarms[name], at[2]) {
					alarms[name] = append(alarms[name], at[2])
				}
			}
		}
	}
	for i := range c.Members {
		m := &c.Members[i]
		f := states[m.ID]
		m.Alarms = alarms[m.ID]
		slices.Sort(m.Alarms)
		if f == nil {
			m.Health, m.Why = world.Unknown, "was not asked"
			continue
		}
		m.Health, m.Why = world.Unhealthy, f.why
		if f.status == nil {
			continue
		}
		m.Version, m.Applied = f.status.Version, f.status.RaftAppliedIndex
		if index > m.Applied {
			m.Lag = index - m.Applied
		}
		// Without a quorum it is what the member has by itself.
		m.Revision = f.status.Header.Revision
		if f.read != nil {
			m.Revision = f.read.Header.Revision
		}
		switch {
		case m.Why != "":
		case len(m.Alarms) > 0:
			m.Why = "has the alarm " + strings.Join(m.Alarms, ", ")
		case m.Lag > world.MaxLag:
			m.Why = fmt.Sprintf("is %d entries behind the leader", m.Lag)
		default:
			m.Health = world.Healthy
		}
	}
	c.Version = clusterVersion(c.Members)
}

// clusterVersion is the lowest minor release of the members that answered: the
// one that the whole cluster behaves as.
func clusterVersion(members []world.Member) string {
	low := [2]int{-1, -1}
	for _, m := range members {
		parts := strings.SplitN(m.Version, ".", 3)
		if len(parts) != 3 {
			continue
		}
		major, err1 := strconv.Atoi(parts[0])
		minor, err2 := strconv.Atoi(parts[1])
		if err1 != nil || err2 != nil {
			continue
		}
		if v := [2]int{major, minor}; low[0] < 0 || v[0] < low[0] || v[0] == low[0] && v[1] < low[1] {
			low = v
		}
	}
	if low[0] < 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.0", low[0], low[1])
}
