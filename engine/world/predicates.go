package world

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The predicates say whether one change to a cluster is safe. They are pure:
// the same cluster and change always have the same verdict. Everything they do
// not know counts against the change: an unknown cluster fails them all, a
// member of unknown health is not a healthy one.

// MaxLag is how many raft entries a member may be behind the leader and still
// count as healthy.
const MaxLag = 1000

const disaster = "the quorum is lost: this is disaster recovery, a restore from a snapshot"

// common is what has to hold before any change of membership: Q0, Q1 and Q2.
// own is the member that the change is about, nil for one that is not there yet.
// It is final where the cluster is not known or has lost its quorum: then there
// is nothing to reckon with, and other advice would only mislead.
func (c *Cluster) common(own *Member) (v Verdict, final bool) {
	v.Checks = append(v.Checks, c.identity())
	if !v.OK() {
		return v, true
	}
	v.Checks = append(v.Checks, c.hasQuorum())
	if !v.OK() {
		return v, true
	}
	v.Checks = append(v.Checks, c.settled(own))
	return v, false
}

// identity is Q0: this is one cluster, and the one that is meant.
func (c *Cluster) identity() Check {
	q := Check{ID: "Q0"}
	if !c.Known {
		q.Text = "the state of the cluster is not known: " + c.Why
		if c.Why == "" {
			q.Text = "the state of the cluster is not known"
		}
		q.Help = "make at least one member answer on the endpoints; if none is left, this is disaster recovery, a restore from a snapshot"
		return q
	}
	var foreign []string
	voters := 0
	for _, m := range c.Members {
		if m.Learner {
			continue
		}
		voters++
		if m.Host == "" {
			foreign = append(foreign, m.Label())
		}
	}
	q.Text = "one cluster answers"
	if c.ID != "" {
		q.Text = "the cluster is " + c.ID
	}
	switch {
	case voters == 0:
		q.Text += ", and it has no voters"
		q.Help = "look at the member list by hand"
		return q
	case len(c.Inventory) > 0 && len(foreign) == voters:
		q.Text += ", and the inventory knows none of its voters (" + strings.Join(foreign, ", ") + ")"
		q.Help = "check that these are the endpoints of the right cluster; if they are, give the hosts of the inventory the peer URLs of their members"
		return q
	case len(c.Inventory) > 0 && len(foreign) > 0:
		q.Text += "; not in the inventory: " + strings.Join(foreign, ", ")
	}
	q.Holds = true
	return q
}

// hasQuorum is Q1: a change of membership has to be agreed on by a quorum.
func (c *Cluster) hasQuorum() Check {
	b := c.Budget()
	q := Check{ID: "Q1", Holds: b.Healthy >= b.Quorum, Text: b.words()}
	if !q.Holds {
		q.Help = disaster
	}
	return q
}

// settled is Q2: no earlier change is half done. That the peers have been
// connected for 5 s is left to etcd, which refuses until they have.
func (c *Cluster) settled(own *Member) Check {
	q := Check{ID: "Q2", Holds: true, Text: "no other change is under way"}
	for i := range c.Members {
		m := &c.Members[i]
		if m == own {
			continue
		}
		what := ""
		switch {
		case m.Learner:
			what = "is still a learner"
		case m.Name == "":
			what = "was added and has not started"
		default:
			continue
		}
		q.Holds = false
		q.Text = fmt.Sprintf("one change at a time: %s %s", m.described(), what)
		q.Help = fmt.Sprintf("finish that change first, or take it back by removing member %s with etcd_member_remove", m.described())
		return q
	}
	return q
}

// MayUpdate is the verdict on giving a member other peer URLs: Q0 to Q2, Q8 and
// Q16. etcd itself checks nothing: where the new URLs are wrong, the member is
// cut off, so the others have to be a quorum without it. A single voter has no
// peers to be cut off from.
func (c *Cluster) MayUpdate(id string, urls []string) Verdict {
	m := c.Find(id)
	v, final := c.common(m)
	if final {
		return v
	}
	if m == nil {
		return Verdict{Checks: append(v.Checks[:1], Check{
			ID: "Q16", Text: "there is no member " + id, Help: "look at the member list: the member may have been removed",
		})}
	}
	b := c.Budget()
	q8 := Check{ID: "Q8", Holds: true, Text: m.Label() + " has no peers that could lose it"}
	if !m.Learner && b.Voters > 1 {
		rest := b.Healthy
		if m.Health == Healthy {
			rest--
		}
		q8.Holds = rest >= b.Quorum
		q8.Text = fmt.Sprintf("if the new peer URLs of %s are wrong, %d of %s are healthy, quorum %d", m.Label(), rest, count(b.Voters, "voter"), b.Quorum)
		if !q8.Holds {
			q8.Help = "bring the others back first"
		}
	}
	q16 := Check{ID: "Q16", Holds: true, Text: "no other member has the peer URLs"}
	for i := range c.Members {
		other := &c.Members[i]
		if other != m && slices.ContainsFunc(urls, func(u string) bool { return slices.Contains(other.PeerURLs, u) }) {
			q16.Holds = false
			q16.Text = fmt.Sprintf("member %s has the peer URL already", other.described())
			q16.Help = "correct the URL; two members cannot share one"
		}
	}
	v.Checks = append(v.Checks, q8, q16)
	return v
}

// MayPromote is the verdict on giving a learner its vote: Q0, Q1, Q2 and Q5. It
// counts the learner as healthy: see CaughtUp, which has to hold when the call
// is made.
func (c *Cluster) MayPromote(id string) Verdict {
	m := c.Find(id)
	v, final := c.common(m)
	if final {
		return v
	}
	b := c.Budget()
	q := Check{ID: "Q5"}
	switch {
	case m == nil:
		q.Text = "there is no member " + id
		q.Help = "look at the member list: the learner may have been removed"
	case !m.Learner:
		q.Holds = true
		q.Text = m.Label() + " has a vote already"
	default:
		next := Quorum(b.Voters + 1)
		q.Holds = b.Healthy+1 >= next
		q.Text = fmt.Sprintf("with the vote of %s there are %s, quorum %d, %d healthy", m.Label(), count(b.Voters+1, "voter"), next, b.Healthy+1)
		if !q.Holds {
			q.Help = "bring the voters that are down back, or remove them first"
		}
	}
	v.Checks = append(v.Checks, q)
	return v
}

// CaughtUp is the part of Q5 that a promotion waits for: the learner answers,
// and is at most MaxLag entries behind the leader.
func (m Member) CaughtUp() Check {
	q := Check{ID: "Q5", Help: "see that etcd runs on its host and reaches the peers"}
	switch {
	case m.Health != Healthy && m.Why != "":
		q.Text = fmt.Sprintf("the learner %s is not healthy: %s", m.Label(), m.Why)
	case m.Health != Healthy:
		q.Text = fmt.Sprintf("the learner %s does not answer yet", m.Label())
	case m.Lag > MaxLag:
		q.Text = fmt.Sprintf("the learner %s is %d entries behind the leader, at most %d are allowed", m.Label(), m.Lag, MaxLag)
	default:
		return Check{ID: "Q5", Holds: true, Text: fmt.Sprintf("the learner %s answers and is %s behind the leader", m.Label(), count(int(m.Lag), "entry"))}
	}
	return q
}

// MayRemove is the verdict on removing a member: Q0 to Q2, for a voter also Q6,
// for a healthy voter Q7 and Q10, and for the leader Q18. Removing a healthy voter
// takes consent: somebody has said that this is meant.
func (c *Cluster) MayRemove(id string, consent bool) Verdict {
	m := c.Find(id)
	v, final := c.common(m)
	switch {
	case !c.Known:
		return v
	case m == nil:
		return Verdict{Checks: append(v.Checks[:1], Check{ID: "Q6", Holds: true, Text: "member " + id + " is not in the list"})}
	case final:
		return v
	case m.Learner:
		v.Checks = append(v.Checks, Check{ID: "Q6", Holds: true, Text: fmt.Sprintf("%s is a learner: quorum stays %d", m.Label(), c.Budget().Quorum)})
		return v
	}
	b := c.Budget()
	left, healthy := b.Voters-1, b.Healthy
	if m.Health == Healthy {
		healthy--
	}
	q := Check{ID: "Q6"}
	if left == 0 {
		q.Text = m.Label() + " is the only voter"
		q.Help = "a cluster cannot lose its last member; stop the unit instead"
		v.Checks = append(v.Checks, q)
		return v
	}
	q.Holds = healthy >= Quorum(left)
	q.Text = fmt.Sprintf("removing %s leaves %s, quorum %d, %d healthy", m.Label(), count(left, "voter"), Quorum(left), healthy)
	if !q.Holds {
		q.Help = "bring a member that is down back first, or remove that one instead"
	}
	v.Checks = append(v.Checks, q)
	if m.Health == Healthy {
		v.Checks = append(v.Checks, meant(*m, left, healthy, consent)...)
	}
	if l := c.leading(*m); l != nil {
		v.Checks = append(v.Checks, *l)
	}
	return v
}

// meant is Q7 and Q10: a healthy voter is removed only by consent, and better
// after its replacement has joined.
func meant(m Member, left, healthy int, consent bool) []Check {
	tolerance := healthy - Quorum(left)
	q7 := Check{ID: "Q7", Holds: consent, Text: m.Label() + " is healthy, and its removal is meant"}
	if !consent {
		q7.Text = m.Label() + " is healthy"
		q7.Help = "check that this is the right member; if it is, write even_if_healthy = true"
	}
	q10 := Check{ID: "Q10", Holds: consent || tolerance >= 1, Text: fmt.Sprintf("after it %s more may fail", count(max(tolerance, 0), "member"))}
	if !q10.Holds {
		q10.Help = "add the replacement first: add as a learner, promote, then remove"
	}
	return []Check{q7, q10}
}

// MayStop is the verdict on stopping, restarting or reconfiguring the member on
// a host: Q8, and Q18 where it leads. Downtime is consent to losing the quorum
// for that time. A unit that is not the cluster's, and a host without a member,
// may always be stopped.
func (c *Cluster) MayStop(host, unit string, downtime bool) Verdict {
	if c.Unit != "" && unit != c.Unit {
		return Verdict{}
	}
	const help = "bring the others back first, or accept the interruption by allow_downtime = true"
	if !c.Known {
		q := c.identity()
		q.Holds, q.Help = downtime, help
		return Verdict{Checks: []Check{q}}
	}
	m := c.OnHost(host)
	q := Check{ID: "Q8", Holds: true}
	switch {
	case m == nil:
		return Verdict{}
	case m.Learner:
		q.Text = m.Label() + " is a learner: the quorum does not need it"
		return Verdict{Checks: []Check{q}}
	case m.Health != Healthy:
		q.Text = m.Label() + " is not healthy: stopping it takes nothing away"
		return Verdict{Checks: []Check{q}}
	}
	b := c.Budget()
	q.Holds = b.Healthy-1 >= b.Quorum || downtime
	q.Text = fmt.Sprintf("stopping %s leaves %d of %s healthy, quorum %d", m.Label(), b.Healthy-1, count(b.Voters, "voter"), b.Quorum)
	if !q.Holds {
		q.Help = help
	}
	v := Verdict{Checks: []Check{q}}
	if l := c.leading(*m); l != nil {
		v.Checks = append(v.Checks, *l)
	}
	return v
}

// leading is Q18: it costs a moment without a leader, never safety, so it
// always holds. Nil if m does not lead.
func (c *Cluster) leading(m Member) *Check {
	if m.ID == "" || m.ID != c.Leader {
		return nil
	}
	return &Check{ID: "Q18", Holds: true, Text: m.Label() + " is the leader: writes pause until another one is elected"}
}

// notHealthyVoters is the labels of voters that are not healthy, each with the
// reason where one is known.
func (c *Cluster) notHealthyVoters() []string {
	var labels []string
	for _, m := range c.Members {
		switch {
		case m.Learner || m.Health == Healthy:
		case m.Why != "":
			labels = append(labels, m.Label()+" ("+m.Why+")")
		default:
			labels = append(labels, m.Label())
		}
	}
	slices.Sort(labels)
	return labels
}

// described is a member's label with its ID, for texts about what to do with it.
func (m Member) described() string {
	switch {
	case m.ID == "":
		return m.Label()
	case m.Label() != m.ID:
		return m.ID + " (" + m.Label() + ")"
	case len(m.PeerURLs) > 0:
		return m.ID + " (" + m.PeerURLs[0] + ")"
	}
	return m.ID
}

func (b Budget) words() string {
	if b.Voters == 1 {
		return fmt.Sprintf("%d of 1 voter is healthy, quorum 1", b.Healthy)
	}
	return fmt.Sprintf("%d of %d voters are healthy, quorum %d", b.Healthy, b.Voters, b.Quorum)
}

func count(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y"):
		return strconv.Itoa(n) + " " + strings.TrimSuffix(one, "y") + "ies"
	}
	return strconv.Itoa(n) + " " + one + "s"
}
