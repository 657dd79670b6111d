// Package world is a cluster and its hosts as plain values, and the arithmetic
// over them: what a change of membership would leave, and whether it is safe.
// It knows no connection, no playbook and no clock; it is filled by who looks
// (a survey) or by who imagines (a plan), and both use the same functions on it.
package world

import (
	"maps"
	"slices"
	"time"
)

// World is what is known of one cluster and its hosts at one moment.
type World struct {
	Cluster Cluster
	Hosts   map[string]*Host // by inventory name; a host nobody looked at is absent
}

// Cluster is the membership of one etcd cluster and the state of its members.
type Cluster struct {
	Known   bool   // false: nobody could be asked, and the other fields mean nothing
	Why     string // when not Known: the reason, in one line
	ID      string // lower-case hex without leading zeros
	Leader  string // member ID; empty when there is none
	Version string // cluster version, for example "3.6.0"
	Members []Member

	// Inventory holds the peer URLs of every host of the inventory: by them a
	// member is found on its host. Empty means that nothing is known of hosts.
	Inventory map[string][]string
	Unit      string // the systemd unit that a member runs as; "" if not known

	// Replaced says that a restore has put this cluster in the place of another:
	// neither its ID nor its members follow from what was there before.
	Replaced bool

	// Elsewhere is where such a cluster serves clients beside the endpoints of the
	// inventory, where it is kept from them for a while.
	Elsewhere []string
}

// Health is what is known of one member's ability to serve.
type Health int

// Unknown counts as not healthy in every predicate.
const (
	Unknown Health = iota
	Healthy
	Unhealthy
)

// Member is one entry of the member list.
type Member struct {
	ID         string // lower-case hex without leading zeros; "" in a plan, before the addition
	Name       string // "" until the member has started once
	PeerURLs   []string
	ClientURLs []string // empty until the member has published itself
	Learner    bool
	Host       string // the inventory host that has these peer URLs; "" if none has
	Planned    string // in a plan: the address of the task that adds it, since ID is not known
	Given      string // the name it was added under, as long as it has not published one

	Health    Health
	Why       string        // when not Healthy: the reason, in one line
	Version   string        // server version, for example "3.6.16"
	Alarms    []string      // NOSPACE, CORRUPT
	Revision  int64         // of its key space
	Applied   uint64        // raft applied index
	Lag       uint64        // entries behind the leader
	Connected time.Duration // for how long it has been seen healthy; zero if not known
}

// Host is what is known of one host beyond its membership.
type Host struct {
	Units  map[string]string // unit name to "started", "starting" or "stopped"
	Masked map[string]bool   // unit name to whether a plan has masked it, or unmasked
	Files  *Files            // what a plan has written, moved and removed; nil if nothing
}

// Label is how a member is called in texts: its name, else the name it was
// given, else its host, its ID, its first peer URL.
func (m Member) Label() string {
	switch {
	case m.Name != "":
		return m.Name
	case m.Given != "":
		return m.Given
	case m.Host != "":
		return m.Host
	case m.ID != "":
		return m.ID
	case len(m.PeerURLs) > 0:
		return m.PeerURLs[0]
	}
	return "a member without a name"
}

// Member returns the member with this ID, or nil.
func (c *Cluster) Member(id string) *Member {
	for i := range c.Members {
		if id != "" && c.Members[i].ID == id {
			return &c.Members[i]
		}
	}
	return nil
}

// AtURLs returns the member that has any of these peer URLs, or nil.
func (c *Cluster) AtURLs(urls []string) *Member {
	for i := range c.Members {
		for _, u := range c.Members[i].PeerURLs {
			if slices.Contains(urls, u) {
				return &c.Members[i]
			}
		}
	}
	return nil
}

// OnHost returns the member that runs on the inventory host, or nil.
func (c *Cluster) OnHost(host string) *Member {
	for i := range c.Members {
		if host != "" && c.Members[i].Host == host {
			return &c.Members[i]
		}
	}
	return nil
}

// Budget is the quorum arithmetic of one moment.
type Budget struct {
	Known    bool `json:"known"`
	Voters   int  `json:"voters"`
	Learners int  `json:"learners"`
	Quorum   int  `json:"quorum"`  // voters that must agree: ⌊voters/2⌋+1
	Healthy  int  `json:"healthy"` // voters known to be healthy
}

// Quorum is how many of n voters must agree.
func Quorum(n int) int { return n/2 + 1 }

// Tolerance is how many more voters may fail before the quorum is lost; below
// zero, it is lost already.
func (b Budget) Tolerance() int { return b.Healthy - b.Quorum }

// Budget counts the members.
func (c *Cluster) Budget() Budget {
	b := Budget{Known: c.Known}
	for _, m := range c.Members {
		switch {
		case m.Learner:
			b.Learners++
		default:
			b.Voters++
			if m.Health == Healthy {
				b.Healthy++
			}
		}
	}
	b.Quorum = Quorum(b.Voters)
	return b
}

// Clone returns a World that shares nothing with w.
func (w *World) Clone() *World {
	c := &World{Cluster: w.Cluster, Hosts: map[string]*Host{}}
	c.Cluster.Members = slices.Clone(w.Cluster.Members)
	c.Cluster.Inventory = maps.Clone(w.Cluster.Inventory)
	for i, m := range c.Cluster.Members {
		c.Cluster.Members[i].PeerURLs = slices.Clone(m.PeerURLs)
		c.Cluster.Members[i].ClientURLs = slices.Clone(m.ClientURLs)
		c.Cluster.Members[i].Alarms = slices.Clone(m.Alarms)
	}
	for name, h := range w.Hosts {
		c.Hosts[name] = h.clone()
	}
	return c
}

// Host returns the host's entry, made if it was absent.
func (w *World) Host(name string) *Host {
	if w.Hosts == nil {
		w.Hosts = map[string]*Host{}
	}
	if w.Hosts[name] == nil {
		w.Hosts[name] = &Host{Units: map[string]string{}}
	}
	return w.Hosts[name]
}

func (h *Host) clone() *Host {
	c := &Host{Units: map[string]string{}, Masked: maps.Clone(h.Masked), Files: h.Files.clone()}
	for k, v := range h.Units {
		c.Units[k] = v
	}
	return c
}
