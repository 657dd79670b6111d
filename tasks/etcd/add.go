package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// AddArgs is the arguments of etcd_member_add.
type AddArgs struct {
	Name     string   `play:"name,required" doc:"The name the member will start under, as its --name will say."`
	PeerURLs []string `play:"peer_urls,required,url" doc:"Its peer URLs, as its --initial-advertise-peer-urls will say."`
	Learner  *bool    `play:"learner" default:"true" doc:"Add it without a vote; etcd_member_promote gives it one once it has caught up."`
	Reach
}

// AddResults is the results of etcd_member_add: the configuration of the new
// member.
type AddResults struct {
	ID             string `play:"id" doc:"The ID that etcd gave it, hex."`
	Name           string `play:"name" doc:"As given."`
	InitialCluster string `play:"initial_cluster" doc:"All members and the new one, \"a=u,b=u\", sorted by name."`
	State          string `play:"initial_cluster_state" doc:"Always \"existing\"."`
	AdvertiseURLs  string `play:"initial_advertise_peer_urls" doc:"Its peer URLs, joined by commas."`
}

func memberAdd(settle time.Duration) *engine.Type {
	return engine.Define(engine.Spec[AddArgs, listing, AddResults]{
		Name: "etcd_member_add",
		Doc: "Adds a member that has yet to be started. Its peer URLs are the key: where the answer is lost, the member with these URLs " +
			"that was not in the list before is the one that was added. One that was there before is never taken over.",
		Effect:   engine.Change,
		Where:    engine.Controller,
		Timeout:  changeTimeout,
		Surveyed: true,
		Check:    checkAdd,
		Observe: func(ctx context.Context, l engine.Look, a AddArgs) (listing, error) {
			return observeList(ctx, l, a.Reach)
		},
		Plan: planAdd,
		Guard: func(_ string, a AddArgs, _ listing, w *world.World) world.Verdict {
			return w.Cluster.MayAdd(world.Addition{Name: a.Name, PeerURLs: a.PeerURLs, Learner: a.learner()})
		},
		Apply: applyAdd,
		Settle: func(ctx context.Context, l engine.Look, a AddArgs, s listing) (engine.Settlement, AddResults, error) {
			return settleAdd(ctx, l, a, s, settle)
		},
		Verify:  verifyAdd,
		Advance: advanceAdd,
	})
}

func (a AddArgs) learner() bool { return a.Learner == nil || *a.Learner }

func checkAdd(a AddArgs) error {
	if a.Name == "" || strings.ContainsAny(a.Name, ",= \t\n\"") {
		return &engine.ArgError{Arg: "name", Text: fmt.Sprintf("%q cannot be the name of a member: it stands in name=url lists. Use letters, digits, dots and dashes.", a.Name)}
	}
	if err := checkPeerURLs(a.PeerURLs); err != nil {
		return err
	}
	return a.check()
}

func planAdd(p engine.Planning, a AddArgs, _ listing) (engine.Planned, AddResults) {
	r := AddResults{Name: a.Name, State: "existing", AdvertiseURLs: strings.Join(a.PeerURLs, ",")}
	planned := engine.Planned{Needed: true, Unknown: []string{"id"}}
	c := p.World.Cluster
	if !c.Known || p.Unknown["name"] || p.Unknown["peer_urls"] {
		planned.Unknown = append(planned.Unknown, "initial_cluster")
	}
	if p.Unknown["name"] {
		planned.Unknown = append(planned.Unknown, "name")
	}
	if p.Unknown["peer_urls"] {
		planned.Unknown = append(planned.Unknown, "initial_advertise_peer_urls")
	}
	if !c.Known {
		return planned, r
	}
	r.InitialCluster = initialCluster(c, "", a)
	n := c.Budget().Voters
	switch {
	case p.Unknown["learner"]:
		planned.Summary = fmt.Sprintf("members %d, and one more", n)
	case a.learner():
		planned.Summary = fmt.Sprintf("members %d, and a learner without a vote; quorum stays %d", n, world.Quorum(n))
	default:
		planned.Summary = quorumWords(n, n+1)
	}
	return planned, r
}

// initialCluster is the cluster's members with the new one under its name,
// whether the list has it already (by its ID) or not.
func initialCluster(c world.Cluster, id string, a AddArgs) string {
	members := slices.DeleteFunc(slices.Clone(c.Members), func(m world.Member) bool { return id != "" && m.ID == id })
	return world.InitialCluster(append(members, world.Member{Given: a.Name, PeerURLs: slices.Sorted(slices.Values(a.PeerURLs))}))
}

func applyAdd(ctx context.Context, h engine.Hands, a AddArgs, s listing) (AddResults, error) {
	acc, err := newAccess(h.Look, a.Reach)
	if err != nil {
		return AddResults{}, engine.Definite(err)
	}
	if err := s.free(a); err != nil {
		return AddResults{}, engine.Definite(err)
	}
	var added listing
	send := func(ctx context.Context, c *clientv3.Client) error {
		add := c.MemberAdd
		if a.learner() {
			add = c.MemberAddAsLearner
		}
		resp, err := add(ctx, a.PeerURLs)
		if err == nil {
			added = listing{Members: listedFrom(resp.Members)}
		}
		return err
	}
	err = acc.persist(ctx, s, send, func(ctx context.Context, o outcome, err error) (bool, error) {
		if o == lost {
			return false, stop("the answer to the addition was lost: %w", err)
		}
		// A refusal may be the echo of an earlier addition of ours.
		l, listErr := acc.agreed(ctx)
		if m := l.since(s, a); listErr == nil && m != nil {
			added = l
			return true, nil
		}
		if rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(rpctypes.ErrMemberNotFound) {
			// The ID is made of the peer URLs and the second, and a removed one is
			// never given again.
			h.Say("a member with these peer URLs was removed a moment ago; etcd can tell the new one apart in the next second")
			return false, err
		}
		return false, stop("%s", refusal(err, l, a))
	})
	if err != nil {
		return AddResults{}, err
	}
	return added.results(h.Cluster, s, a)
}

// free is nil if a quorum agrees that no member has any of the peer URLs.
func (l listing) free(a AddArgs) error {
	if !l.Linear {
		return fmt.Errorf("no quorum agrees on the member list, so it cannot be told whether the member is there already")
	}
	exact, overlapping := l.at(a.PeerURLs)
	if m := exact; m != nil {
		return fmt.Errorf("member %s has these peer URLs already; if it is dead or was never started, remove it first: etcd_member_remove with id = %q", m.ID, m.ID)
	}
	if m := overlapping; m != nil {
		return fmt.Errorf("member %s has one of the peer URLs already (%s)", m.ID, strings.Join(m.PeerURLs, ", "))
	}
	return nil
}

// since is the member with exactly the peer URLs of a that the list before did
// not have, or nil.
func (l listing) since(before listing, a AddArgs) *listed {
	m, _ := l.at(a.PeerURLs)
	if m == nil || before.member(m.ID) != nil || m.Learner != a.learner() && m.Name == "" {
		return nil
	}
	return m
}

// results is the configuration of the member that was added.
func (l listing) results(c engine.Cluster, before listing, a AddArgs) (AddResults, error) {
	m := l.since(before, a)
	if m == nil {
		return AddResults{}, fmt.Errorf("etcd's answer does not have a new member with the peer URLs %s", strings.Join(a.PeerURLs, ", "))
	}
	return AddResults{
		ID: m.ID, Name: a.Name, State: "existing",
		InitialCluster: initialCluster(l.world(c), m.ID, a),
		AdvertiseURLs:  strings.Join(a.PeerURLs, ","),
	}, nil
}

// refusal puts etcd's refusal in words that say what to do.
func refusal(err error, l listing, a AddArgs) string {
	text := rpctypes.ErrorDesc(err)
	for _, m := range l.Members {
		exact, _ := l.at(a.PeerURLs)
		switch {
		case strings.Contains(text, "Peer URLs already exists") && exact != nil:
			return fmt.Sprintf("member %s has these peer URLs already, and was there before; remove it first if it is dead", exact.ID)
		case strings.Contains(text, "not enough started members") && m.Name == "":
			return fmt.Sprintf("etcd refuses: member %s has been added and not started; start it, or remove it first", m.ID)
		case strings.Contains(text, "too many learner") && m.Learner:
			return fmt.Sprintf("etcd refuses: member %s is a learner already; promote or remove it first", m.ID)
		}
	}
	return text
}

func settleAdd(ctx context.Context, l engine.Look, a AddArgs, s listing, settle time.Duration) (engine.Settlement, AddResults, error) {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return "", AddResults{}, err
	}
	if s.free(a) != nil {
		return engine.Conflict, AddResults{}, nil // there was no reason to send anything
	}
	_, last, err := acc.watch(ctx, settle, func(now listing) bool {
		exact, overlapping := now.at(a.PeerURLs)
		return exact != nil || overlapping != nil
	})
	if err != nil {
		return "", AddResults{}, err
	}
	if last.since(s, a) != nil {
		r, err := last.results(l.Cluster, s, a)
		return engine.Done, r, err
	}
	if last.free(a) != nil {
		return engine.Conflict, AddResults{}, nil
	}
	return engine.NotDone, AddResults{}, nil
}

// verifyAdd proves that a quorum has the member, and that the configuration
// which the results hold would let it join.
func verifyAdd(ctx context.Context, l engine.Look, a AddArgs, r AddResults) error {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return err
	}
	return engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		list, err := acc.agreed(ctx)
		if err != nil {
			return false, err
		}
		if list.member(r.ID) == nil {
			return false, fmt.Errorf("member %s is not in the list", r.ID)
		}
		c := list.world(l.Cluster)
		c.Inventory = nil
		return true, c.MayJoin(r.Name, r.InitialCluster, r.State).Err()
	})
}

func advanceAdd(_, address string, a AddArgs, r AddResults, w *world.World) {
	m := world.Member{ID: r.ID, Given: a.Name, PeerURLs: slices.Sorted(slices.Values(a.PeerURLs)), Learner: a.learner()}
	if r.ID == "" {
		m.Planned = address
	}
	if r.ID == "" || w.Cluster.Member(r.ID) == nil {
		w.AddMember(m)
	}
}
