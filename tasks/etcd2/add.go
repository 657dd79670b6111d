package etcd2

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// addArgs is the arguments of etcd2_member_add.
type addArgs struct {
	Name          string   `play:"name,required" doc:"The name the member will start under, as its --name will say."`
	PeerURLs      []string `play:"peer_urls,required,url" doc:"Its peer URLs, as its --initial-advertise-peer-urls will say."`
	AllowDowntime bool     `play:"allow_downtime" default:"false" doc:"Allow a second member beside a single one: until it runs, nothing can be written, and the addition cannot be taken back."`
	Reach
}

// addResults is the results of etcd2_member_add: the configuration of the new
// member.
type addResults struct {
	ID             string `play:"id" doc:"The ID that etcd gave it, hex."`
	Name           string `play:"name" doc:"As given."`
	InitialCluster string `play:"initial_cluster" doc:"All members and the new one, \"a=u,b=u\", sorted by name."`
	State          string `play:"initial_cluster_state" doc:"Always \"existing\"."`
	AdvertiseURLs  string `play:"initial_advertise_peer_urls" doc:"Its peer URLs, joined by commas."`
}

// addState is the list before the intent, and which hosts would force a new
// cluster at their next start.
type addState struct {
	listing
	Force map[string]force
}

func memberAdd(settle time.Duration) *engine.Type {
	return engine.Define(engine.Spec[addArgs, addState, addResults]{
		Name: "etcd2_member_add",
		Doc: "Adds a member over API 2 that has yet to be started; it has a vote at once. Its peer URLs are the key: where the answer is lost, " +
			"the member with these URLs that was not in the list before is the one that was added. Refused while force-new-cluster is " +
			"still effective on a host of the cluster: its next start would throw the new member out.",
		Effect:   engine.Change,
		Where:    engine.Controller,
		Timeout:  changeTimeout,
		Surveyed: true,
		Check:    checkAdd,
		Observe: func(ctx context.Context, l engine.Look, a addArgs) (addState, error) {
			list, err := observeList(ctx, l, a.Reach)
			if err != nil {
				return addState{}, err
			}
			return addState{list, forcedHosts(ctx, l, list, a.PeerURLs)}, nil
		},
		Plan: planAdd,
		Guard: func(_ string, a addArgs, s addState, w *world.World) world.Verdict {
			v := w.Cluster.MayAdd(world.Addition{Name: a.Name, PeerURLs: a.PeerURLs, Downtime: a.AllowDowntime})
			v.Checks = append(v.Checks, unforced(s.Force, &w.Cluster, a.PeerURLs))
			return v
		},
		Apply: func(ctx context.Context, h engine.Hands, a addArgs, s addState) (addResults, error) {
			return applyAdd(ctx, h, a, s.listing, settle)
		},
		Settle: func(ctx context.Context, l engine.Look, a addArgs, s addState) (engine.Settlement, addResults, error) {
			return settleAdd(ctx, l, a, s.listing, settle)
		},
		Verify:  verifyAdd,
		Advance: advanceAdd,
	})
}

func checkAdd(a addArgs) error {
	if a.Name == "" || strings.ContainsAny(a.Name, ",= \t\n\"") {
		return &engine.ArgError{Arg: "name", Text: fmt.Sprintf("%q cannot be the name of a member: it stands in name=url lists. Use letters, digits, dots and dashes.", a.Name)}
	}
	if err := checkPeerURLs(a.PeerURLs); err != nil {
		return err
	}
	return a.check()
}

func planAdd(p engine.Planning, a addArgs, _ addState) (engine.Planned, addResults) {
	r := addResults{Name: a.Name, State: "existing", AdvertiseURLs: strings.Join(a.PeerURLs, ",")}
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
		planned.Summary = "a member more"
		return planned, r
	}
	r.InitialCluster = initialCluster(c, "", a)
	n := c.Budget().Voters
	planned.Summary = quorumWords(n, n+1)
	if n == 1 {
		planned.Summary += "; nothing is written until the new one runs"
	}
	return planned, r
}

// initialCluster is the cluster's members with the new one under its name,
// whether the list has it already (by its ID) or not.
func initialCluster(c world.Cluster, id string, a addArgs) string {
	members := slices.DeleteFunc(slices.Clone(c.Members), func(m world.Member) bool { return id != "" && m.ID == id })
	return world.InitialCluster(append(members, world.Member{Given: a.Name, PeerURLs: slices.Sorted(slices.Values(a.PeerURLs))}))
}

func applyAdd(ctx context.Context, h engine.Hands, a addArgs, s listing, settle time.Duration) (addResults, error) {
	acc, err := newAccess(h.Look, a.Reach)
	if err != nil {
		return addResults{}, engine.Definite(err)
	}
	if err := s.free(a); err != nil {
		return addResults{}, engine.Definite(err)
	}
	post := request{http.MethodPost, "/v2/members", urlsBody{a.PeerURLs}}
	l, err := acc.persist(ctx, s, post, settle, func(now listing) bool { return now.since(s, a) != nil })
	if err != nil {
		return addResults{}, err
	}
	return l.results(h.Cluster, s, a)
}

// free is nil if no member has any of the peer URLs, in a list that can be
// relied on.
func (l listing) free(a addArgs) error {
	if !l.Linear {
		return fmt.Errorf("no quorum agrees on the member list, so it cannot be told whether the member is there already")
	}
	exact, overlapping := l.at(a.PeerURLs)
	if m := exact; m != nil {
		return fmt.Errorf("member %s has these peer URLs already; if it is dead or was never started, remove it first: etcd2_member_remove with id = %q", m.ID, m.ID)
	}
	if m := overlapping; m != nil {
		return fmt.Errorf("member %s has one of the peer URLs already (%s)", m.ID, strings.Join(m.PeerURLs, ", "))
	}
	return nil
}

// since is the member with exactly the peer URLs of a that the list before did
// not have, or nil.
func (l listing) since(before listing, a addArgs) *listed {
	m, _ := l.at(a.PeerURLs)
	if m == nil || before.member(m.ID) != nil {
		return nil
	}
	return m
}

// results is the configuration of the member that was added.
func (l listing) results(c engine.Cluster, before listing, a addArgs) (addResults, error) {
	m := l.since(before, a)
	if m == nil {
		return addResults{}, fmt.Errorf("the member list has no new member with the peer URLs %s", strings.Join(a.PeerURLs, ", "))
	}
	return addResults{
		ID: m.ID, Name: a.Name, State: "existing",
		InitialCluster: initialCluster(l.world(c), m.ID, a),
		AdvertiseURLs:  strings.Join(a.PeerURLs, ","),
	}, nil
}

func settleAdd(ctx context.Context, l engine.Look, a addArgs, s listing, settle time.Duration) (engine.Settlement, addResults, error) {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return "", addResults{}, err
	}
	if s.free(a) != nil {
		return engine.Conflict, addResults{}, nil // there was no reason to send anything
	}
	_, last, err := acc.watch(ctx, s, settle, func(now listing) bool {
		exact, overlapping := now.at(a.PeerURLs)
		return exact != nil || overlapping != nil
	})
	if err != nil {
		return "", addResults{}, err
	}
	if last.since(s, a) != nil {
		r, err := last.results(l.Cluster, s, a)
		return engine.Done, r, err
	}
	exact, overlapping := last.at(a.PeerURLs)
	if exact != nil || overlapping != nil {
		return engine.Conflict, addResults{}, nil
	}
	return engine.NotDone, addResults{}, nil
}

// verifyAdd proves that the member is in the list, and that the configuration
// which the results hold would let it join. A second member beside one that was
// alone leaves no quorum to agree until it runs; then what the first remembers
// has to do.
func verifyAdd(ctx context.Context, l engine.Look, a addArgs, r addResults) error {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return err
	}
	return engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		list, err := acc.list(ctx)
		if err != nil {
			return false, err
		}
		if list.member(r.ID) == nil {
			return false, fmt.Errorf("member %s is not in the list", r.ID)
		}
		if !list.Linear && len(list.Members) != 2 {
			return false, fmt.Errorf("no quorum agrees on the member list; %s only remembers it", list.Endpoint)
		}
		c := list.world(l.Cluster)
		c.Inventory = nil
		return true, c.MayJoin(r.Name, r.InitialCluster, r.State).Err()
	})
}

func advanceAdd(_, address string, a addArgs, r addResults, w *world.World) {
	m := world.Member{ID: r.ID, Given: a.Name, PeerURLs: slices.Sorted(slices.Values(a.PeerURLs))}
	if r.ID == "" {
		m.Planned = address
	}
	if r.ID == "" || w.Cluster.Member(r.ID) == nil {
		w.AddMember(m)
	}
}
