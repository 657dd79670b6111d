package world

import (
	"maps"
	"slices"
	"strings"
)

// Find returns the member that a task means: the one with this ID, or, where a
// plan cannot know the ID yet, the one that the plan added last. Nil if there
// is none.
func (c *Cluster) Find(id string) *Member {
	if id != "" {
		return c.Member(id)
	}
	for i := len(c.Members) - 1; i >= 0; i-- {
		if c.Members[i].Planned != "" {
			return &c.Members[i]
		}
	}
	return nil
}

// HostOf returns the inventory host that has any of these peer URLs, or "".
func (c *Cluster) HostOf(urls []string) string {
	for _, host := range slices.Sorted(maps.Keys(c.Inventory)) {
		for _, u := range c.Inventory[host] {
			if slices.Contains(urls, u) {
				return host
			}
		}
	}
	return ""
}

// AddMember moves the model on by an addition. The member has not started: its
// name is Given until it does, and its health is not known.
func (w *World) AddMember(m Member) {
	if m.Host == "" {
		m.Host = w.Cluster.HostOf(m.PeerURLs)
	}
	w.Cluster.Members = append(w.Cluster.Members, m)
}

// RemoveMember moves the model on by the removal of the member that Find finds.
func (w *World) RemoveMember(id string) {
	gone := w.Cluster.Find(id)
	if gone == nil {
		return
	}
	if gone.ID != "" && w.Cluster.Leader == gone.ID {
		w.Cluster.Leader = ""
	}
	i := slices.IndexFunc(w.Cluster.Members, func(m Member) bool {
		return m.ID == gone.ID && m.Planned == gone.Planned
	})
	w.Cluster.Members = slices.Delete(w.Cluster.Members, i, i+1)
}

// PromoteMember gives the learner that Find finds its vote.
func (w *World) PromoteMember(id string) {
	if m := w.Cluster.Find(id); m != nil {
		m.Learner = false
	}
}

// Replace moves the model on by the replacement of the whole cluster: what was
// known of it means nothing any more, and these are its members. None of them has
// started; hosts and clients' URLs follow from the inventory where they are not
// given. Where the cluster keeps its ID (a member that goes on alone), id is that
// ID, and a resumed run will expect exactly these members. Where a restore gives it
// another one, id is "": the run then expects nothing until its end.
func (w *World) Replace(id string, members []Member) {
	c := &w.Cluster
	c.Known, c.Why, c.ID, c.Leader, c.Replaced = true, "", id, "", id == ""
	c.Members = nil
	for _, m := range members {
		m.Health, m.Why, m.Connected = Unhealthy, "has not started", 0
		w.AddMember(m)
	}
}

// SetUnit records that a task brings a unit of the host into a state: started,
// stopped or restarted, or starting, where nobody waits for it. If it is the
// cluster's unit, the member on that host starts or stops with it; a member that
// starts is taken to be healthy, and to publish the name it was given.
func (w *World) SetUnit(host, unit, state string) {
	if state == "restarted" {
		state = "started"
	}
	w.Host(host).Units[unit] = state
	m := w.Cluster.OnHost(host)
	if m == nil || unit != w.Cluster.Unit {
		return
	}
	if state != "started" && state != "starting" {
		m.Health, m.Why, m.Connected = Unhealthy, unit+" is "+state, 0
		return
	}
	m.Health, m.Why = Healthy, ""
	if m.Name == "" {
		m.Name = m.Given
	}
}

// MaskUnit records that a task masks a unit of the host, or unmasks it.
func (w *World) MaskUnit(host, unit string, masked bool) {
	h := w.Host(host)
	if h.Masked == nil {
		h.Masked = map[string]bool{}
	}
	h.Masked[unit] = masked
}

// InitialCluster is the members as etcd's --initial-cluster wants them,
// "a=u,b=u", in the order of their names. A member with several peer URLs is
// repeated for each; one that has not started goes under the name it was given.
func InitialCluster(members []Member) string {
	sorted := slices.Clone(members)
	slices.SortStableFunc(sorted, func(a, b Member) int {
		return strings.Compare(a.Label(), b.Label())
	})
	var parts []string
	for _, m := range sorted {
		for _, u := range m.PeerURLs {
			parts = append(parts, m.Label()+"="+u)
		}
	}
	return strings.Join(parts, ",")
}
