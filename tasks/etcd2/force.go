package etcd2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// forceArgs is the arguments of etcd2_force_new_cluster.
type forceArgs struct {
	Unit    string   `play:"unit,required,unit,nosecret" doc:"The unit of etcd. Its settings have to force a new cluster (ETCD_FORCE_NEW_CLUSTER=true)."`
	DataDir string   `play:"data_dir,required,abspath,nosecret" doc:"The member's data directory."`
	Lost    []string `play:"lost" default:"none" doc:"Names of hosts of the inventory that are gone and not asked. Etcd on every other one has to be stopped and masked: systemd_unit with state = \"masked\", or systemctl mask."`
	Reach
}

// forceResults is the results of etcd2_force_new_cluster.
type forceResults struct {
	MemberID     string `play:"member_id" doc:"The member that goes on, hex; the same as before."`
	ClusterID    string `play:"cluster_id" doc:"The cluster, hex; the same as before."`
	Index        uint64 `play:"index" doc:"The index of the last entry of its log before the start. What was not agreed on is dropped."`
	InvocationID string `play:"invocation_id" doc:"Identifies this start of the unit."`
}

// forceState is what was there before the start.
type forceState struct {
	Looked     bool              `json:"looked"` // false in a plan that only imagines the host
	Active     string            `json:"active"`
	Invocation string            `json:"invocation"`
	Force      force             `json:"force"`
	Data       dataResults       `json:"data"`
	Alone      bool              `json:"alone"`  // it runs, and a quorum of itself agrees that it is the only member
	Others     []string          `json:"others"` // IDs of other members, where it runs and is not alone
	Held       map[string]string `json:"held"`   // hosts on which etcd is not proved to be at rest, and why
	Answering  []string          `json:"answering"`
}

func forceNewCluster() *engine.Type {
	return engine.Define(engine.Spec[forceArgs, forceState, forceResults]{
		Name: "etcd2_force_new_cluster",
		Doc: "Starts a member whose settings force a new cluster, and waits until it is the only member. All others are out of the cluster then, for good. " +
			"The data directory has to hold a member's log, since etcd would else begin an empty cluster without a word, and the others have to be " +
			"at rest, since they would else be two clusters. It does not take the settings back: that belongs into always, before anyone is added.",
		Effect: engine.Destroy, Where: engine.OnHost, Timeout: 5 * time.Minute, Surveyed: true,
		Check:   func(a forceArgs) error { return a.check() },
		Observe: observeForce, Plan: planForce, Guard: guardForce, Apply: applyForce,
		Settle: settleForce, Verify: verifyForce, Advance: advanceForce,
	})
}

func observeForce(ctx context.Context, l engine.Look, a forceArgs) (s forceState, err error) {
	if s.Data, err = lookAtData(ctx, l.Host, a.DataDir); err != nil {
		return s, err
	}
	var u conn.Unit
	s.Force, u = forceOf(ctx, l.Host, a.Unit)
	s.Looked, s.Active, s.Invocation = true, u.ActiveState, u.InvocationID
	if s.Active == "active" {
		if err := s.see(ctx, l, a); err != nil {
			return s, err
		}
		if s.Alone {
			return s, nil
		}
	}
	s.Held, s.Answering = others(ctx, l, a)
	return s, nil
}

// see asks the running member whether it is alone.
func (s *forceState) see(ctx context.Context, l engine.Look, a forceArgs) error {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return err
	}
	list, err := acc.list(ctx)
	for _, u := range l.Cluster.PeerURLs[l.Host.Name()] {
		if err == nil {
			break
		}
		// One that waits for a quorum serves no clients, and tells its peers all the same.
		var byPeer *listing
		if byPeer, err = acc.byPeer(ctx, u); err == nil {
			list = *byPeer
		}
	}
	if err != nil {
		return nil // it may not have begun to answer
	}
	for _, m := range list.Members {
		if m.ID != s.Data.MemberID {
			s.Others = append(s.Others, m.ID)
		}
	}
	s.Alone = list.Linear && len(s.Others) == 0 && len(list.Members) == 1
	return nil
}

func planForce(p engine.Planning, a forceArgs, s forceState) (engine.Planned, forceResults) {
	r := forceResults{MemberID: s.Data.MemberID, ClusterID: s.Data.ClusterID, Index: s.Data.Index, InvocationID: s.Invocation}
	if p.Observed && s.Alone {
		return engine.Planned{Summary: "it is the only member already"}, r
	}
	planned := engine.Planned{Needed: true, Unknown: []string{"invocation_id"}}
	if !p.Observed {
		planned.Unknown = append(planned.Unknown, "member_id", "cluster_id", "index")
	}
	name := p.Host
	var gone []string
	for _, m := range p.World.Cluster.Members {
		if m.Host == p.Host && m.Host != "" {
			name = m.Label()
			continue
		}
		gone = append(gone, m.Label())
	}
	if !p.World.Cluster.Known || len(gone) == 0 {
		planned.Summary = name + " goes on alone; every other member is out of the cluster"
		return planned, r
	}
	planned.Summary = fmt.Sprintf("%s goes on alone; members %d -> 1, quorum -> 1", name, len(gone)+1)
	planned.Details = []engine.Detail{{Name: "out of the cluster", Value: strings.Join(gone, ", ")}}
	return planned, r
}

func guardForce(host string, a forceArgs, s forceState, _ *world.World) world.Verdict {
	if !s.Looked || s.Alone {
		return world.Verdict{}
	}
	forces := world.Check{ID: "forces", Holds: s.Force.By != "", Text: "the settings of " + a.Unit + " force a new cluster"}
	if !forces.Holds {
		forces.Text = fmt.Sprintf("nothing in the settings of %s forces a new cluster: it would look for the members that are lost", a.Unit)
		if s.Force.Why != "" {
			forces.Text = s.Force.Why
		}
		forces.Help = "write the drop-in with ETCD_FORCE_NEW_CLUSTER=true first; one in /run is gone after a reboot, and resume writes it again"
	}
	stopped := world.Check{ID: "stopped", Holds: s.Active == "inactive" || s.Active == "failed", Text: a.Unit + " is stopped"}
	if !stopped.Holds {
		stopped.Text, stopped.Help = a.Unit+" is "+s.Active, "stop it first; what forces a new cluster counts when it starts"
	}
	log := world.Check{ID: "Q13", Holds: s.Data.Index > 0 && s.Data.Damage == "", Text: fmt.Sprintf("%s holds the log of member %s up to index %d", a.DataDir, s.Data.MemberID, s.Data.Index)}
	switch {
	case log.Holds:
	case s.Data.Damage != "":
		log.Text, log.Help = s.Data.Damage, "choose another survivor; a damaged log is no base for a cluster"
	default:
		log.Text = fmt.Sprintf("%s on %s holds no log of a member, and etcd would begin an empty cluster without a word", a.DataDir, host)
		log.Help = "name the directory that holds the member's data, or another survivor"
	}
	return world.Verdict{Checks: []world.Check{forces, stopped, log, s.atRest()}}
}

// atRest is Q12: nobody else of the cluster runs or can be started.
func (s forceState) atRest() world.Check {
	q := world.Check{ID: "Q12", Holds: true, Text: "etcd is at rest on every other host of the cluster"}
	var found []string
	for _, a := range s.Answering {
		found = append(found, "something listens on the peer port of "+a)
	}
	for _, host := range slices.Sorted(maps.Keys(s.Held)) {
		found = append(found, host+": "+s.Held[host])
	}
	if len(found) > 0 {
		q.Holds = false
		q.Text = strings.Join(found, "; ")
		q.Help = "stop and mask etcd there; a machine that is gone for good is named in lost. Members of the old cluster that come back while the new one is formed make two clusters"
	}
	return q
}

func applyForce(ctx context.Context, h engine.Hands, a forceArgs, s forceState) (forceResults, error) {
	r := forceResults{MemberID: s.Data.MemberID, ClusterID: s.Data.ClusterID, Index: s.Data.Index, InvocationID: s.Invocation}
	if s.Alone {
		return r, nil
	}
	h.Say("waiting until %s has formed a cluster of its own", a.Unit)
	begun := time.Now()
	if err := h.Host.Units().Start(ctx, a.Unit, true); err != nil {
		return r, errors.Join(err, complaints(ctx, h.Host, a.Unit, begun))
	}
	u, err := h.Host.Unit(ctx, a.Unit)
	r.InvocationID = u.InvocationID
	return r, err
}

// complaints is the last lines of the unit since begun, as an error; nil if
// there are none.
func complaints(ctx context.Context, r conn.Reader, unit string, begun time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	entries, err := r.Journal(ctx, conn.JournalQuery{Unit: unit, Since: begun.Add(-time.Second), Lines: 3})
	if err != nil || len(entries) == 0 {
		return nil // the failure itself is told
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, e.Message)
	}
	return fmt.Errorf("its last words: %s", strings.Join(lines, "; "))
}

func advanceForce(host, _ string, a forceArgs, r forceResults, w *world.World) {
	c := &w.Cluster
	m := c.Member(r.MemberID)
	if m == nil {
		m = c.OnHost(host)
	}
	if m == nil {
		m = &world.Member{ID: r.MemberID, Given: host, PeerURLs: c.Inventory[host], Host: host}
	}
	id := c.ID
	if id == "" {
		id = r.ClusterID
	}
	w.Replace(id, []world.Member{*m})
	w.SetUnit(host, a.Unit, "started")
}
