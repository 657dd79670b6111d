package world

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxLearners is how many learners etcd allows by default.
const MaxLearners = 1

// Addition is a member to be added.
type Addition struct {
	Name     string
	PeerURLs []string
	Learner  bool
	// Downtime is consent to a second voter beside a single one: the cluster
	// commits nothing from the addition until the new one runs.
	Downtime bool
}

// MayAdd is the verdict on adding a member: Q0 to Q4, Q9 and Q16.
func (c *Cluster) MayAdd(a Addition) Verdict {
	v, final := c.common(nil)
	if final {
		return v
	}
	b := c.Budget()
	next := Quorum(b.Voters + 1)
	if a.Learner {
		v.Checks = append(v.Checks, c.learnerFits(b))
	} else {
		q := Check{
			ID:    "Q3",
			Holds: b.Healthy >= next,
			Text: fmt.Sprintf("adding a voter makes it %s with quorum %d, and until the new one runs %d of them are healthy",
				count(b.Voters+1, "voter"), next, b.Healthy),
		}
		switch {
		case q.Holds:
		case a.Downtime && b.Voters == 1 && b.Healthy == 1:
			q.Holds = true
			q.Text += "; that nothing is written until it runs is accepted"
		default:
			q.Help = "add it as a learner and promote it once it has caught up; if a member is down, remove that one first"
		}
		v.Checks = append(v.Checks, q)
	}
	v.Checks = append(v.Checks, c.additionOrder(b), c.unique(a))
	return v
}

func (c *Cluster) learnerFits(b Budget) Check {
	q := Check{
		ID:    "Q4",
		Holds: b.Learners < MaxLearners,
		Text:  fmt.Sprintf("a learner has no vote: quorum stays %d; learners %d, at most %d", b.Quorum, b.Learners+1, MaxLearners),
	}
	if !q.Holds {
		q.Help = "promote or remove the learner that is there first"
	}
	return q
}

// additionOrder is Q9: a dead member is removed before its replacement is
// added. etcd wants a quorum of the enlarged cluster connected even when the new
// one is a learner, and releases before 3.5.30 and 3.6.11 want every voter.
func (c *Cluster) additionOrder(b Budget) Check {
	q := Check{ID: "Q9", Holds: true}
	next := Quorum(b.Voters + 1)
	if b.Voters == 1 || b.Healthy == b.Voters {
		q.Text = "no voter is down"
		if b.Healthy < b.Voters {
			q.Text = "the only voter is not healthy" // Q1 refuses
		}
		return q
	}
	down := strings.Join(c.notHealthyVoters(), ", ")
	q.Help = "remove the dead member first: the order is remove, add as a learner, start, promote"
	for _, m := range c.Members {
		if m.Version != "" && wantsAllConnected(m.Version) {
			q.Holds = false
			q.Text = fmt.Sprintf("etcd %s refuses an addition while any voter is down, and %s is", m.Version, down)
			return q
		}
	}
	q.Holds = b.Healthy >= next
	q.Text = fmt.Sprintf("%s is down; etcd wants %d connected voters for an addition to %s and has %d", down, next, count(b.Voters, "voter"), b.Healthy)
	if q.Holds {
		q.Help = ""
	}
	return q
}

// wantsAllConnected reports whether an etcd of this version accepts an addition
// only while every voter has been connected for 5 s: all before 3.5.30, and 3.6
// before 3.6.11. A version that cannot be read is taken for a recent one.
func wantsAllConnected(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) != 3 {
		return false
	}
	var n [3]int
	for i, p := range parts {
		p, _, _ = strings.Cut(p, "-")
		v, err := strconv.Atoi(p)
		if err != nil {
			return false
		}
		n[i] = v
	}
	switch {
	case n[0] != 3:
		return n[0] < 3
	case n[1] == 5:
		return n[2] < 30
	case n[1] == 6:
		return n[2] < 11
	}
	return n[1] < 5
}

// unique is Q16 as far as it can be told before the addition: the new member
// has a name and peer URLs of its own.
func (c *Cluster) unique(a Addition) Check {
	q := Check{ID: "Q16", Holds: true, Text: "name and peer URLs are not used by another member"}
	if m := c.AtURLs(a.PeerURLs); m != nil {
		q.Holds = false
		q.Text = fmt.Sprintf("member %s has the peer URL already", m.described())
		q.Help = fmt.Sprintf("if it is dead or was never started, remove member %s first, by etcd_member_remove", m.described())
		return q
	}
	names := map[string]bool{}
	for _, m := range c.Members {
		switch name := m.Label(); {
		case a.Name != "" && name == a.Name:
			q.Holds = false
			q.Text = fmt.Sprintf("member %s has the name %s already", m.described(), a.Name)
			q.Help = "give the new member another name, or remove that member first"
			return q
		case names[name]:
			q.Holds = false
			q.Text = fmt.Sprintf("two members have the name %s, so no initial cluster can tell them apart", name)
			q.Help = "give one of them another --name and restart it"
			return q
		default:
			names[name] = true
		}
	}
	return q
}
