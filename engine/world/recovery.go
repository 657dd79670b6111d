package world

import (
	"fmt"
	"slices"
)

// The predicates of disaster recovery. What they guard cannot be taken back by
// etcd: a cluster is put in the place of another one.

// MaskDropin is the name of the drop-in that keeps a unit from being started, as
// systemd_unit writes it.
const MaskDropin = "zz-etcdplay-masked.conf"

// Bystander is what is known of a host of the cluster at the moment in which the
// cluster's data is replaced.
type Bystander struct {
	Host    string `json:"host"`
	Looked  bool   `json:"looked"`            // the host itself was looked at
	Why     string `json:"why,omitempty"`     // when not: the reason, in one line
	Running bool   `json:"running"`           // its unit runs, or is on its way to
	Masked  bool   `json:"masked"`            // nothing can start its unit
	Answers string `json:"answers,omitempty"` // the address at which a member answers; "" if none does
	Ours    bool   `json:"ours"`              // its data is already what this run has put there
	Dead    bool   `json:"dead"`              // the operator says that it is gone for good
}

// MayReplace is Q12: the verdict on putting other data in the place of the
// cluster's. There must be nothing left that could go on as the old cluster: no
// quorum, or the operator's consent to lose it, and no member that runs or could
// be started, on any of its hosts. hosts are those of all members, the one whose
// turn it is among them.
func (c *Cluster) MayReplace(hosts []Bystander, consent bool) Verdict {
	b := c.Budget()
	q := Check{ID: "Q12", Holds: true, Text: "the old cluster has no quorum"}
	switch {
	case c.Known && b.Voters > 0 && b.Healthy >= b.Quorum:
		q.Holds = consent
		q.Text = fmt.Sprintf("the cluster serves: %s", b.words())
		q.Help = "a cluster that serves needs no restore; replace members that are down (replace-member), or consent to losing it"
		if consent {
			q.Text, q.Help = q.Text+", and its end is meant", ""
		}
	case len(hosts) == 0:
		q.Holds, q.Text = false, "the inventory names no members"
		q.Help = "name the hosts of all members in the inventory"
	}
	v := Verdict{Checks: []Check{q}}
	for _, h := range hosts {
		v.Checks = append(v.Checks, h.still())
	}
	return v
}

// still is Q12 for one host.
func (h Bystander) still() Check {
	q := Check{ID: "Q12"}
	switch {
	case h.Ours:
		q.Holds, q.Text = true, h.Host+" has the new data already"
	case h.Dead && h.Answers != "":
		q.Text = fmt.Sprintf("%s is named as lost, and a member answers at %s", h.Host, h.Answers)
		q.Help = "it is not lost: stop its etcd, and take the host off the list; it would go on as the old cluster beside the new one"
	case h.Dead && h.Looked && h.Running:
		q.Text = fmt.Sprintf("%s is named as lost, and its etcd runs", h.Host)
		q.Help = "it is not lost: stop its etcd, and take the host off the list"
	case h.Dead:
		q.Holds, q.Text = true, h.Host+" is named as lost"
	case !h.Looked:
		q.Text = fmt.Sprintf("whether etcd runs on %s cannot be told: %s", h.Host, h.Why)
		q.Help = "make the host reachable; if it is gone for good, begin again with it named as lost"
	case h.Running:
		q.Text = "etcd runs on " + h.Host
		q.Help = "stop and mask its unit there, then go on"
	case h.Answers != "":
		q.Text = fmt.Sprintf("the unit of %s is stopped, and a member answers at %s", h.Host, h.Answers)
		q.Help = "find what else runs etcd there (ss -tlnp), and stop it"
	case !h.Masked:
		q.Text = fmt.Sprintf("etcd is stopped on %s, and anything may start it", h.Host)
		q.Help = "mask its unit there (systemctl mask --runtime), then go on"
	default:
		q.Holds, q.Text = true, "etcd is stopped and masked on "+h.Host
	}
	return q
}

// Remains is what a data directory holds of a member.
type Remains struct {
	Host     string
	Readable bool   // its log could be read to its end
	Why      string // when not: the reason
	Term     uint64 // of the last entry of its log
	Index    uint64 // of that entry
	Removed  bool   // the member knows that it was removed from its cluster
	Learner  bool   // it had no vote
}

// MaySurvive is Q13: whether the data of a host is that which loses least: of all
// that can be read, its log goes furthest. chosen is the host. With consent, less
// will do.
func MaySurvive(chosen string, all []Remains, consent bool) Verdict {
	i := slices.IndexFunc(all, func(r Remains) bool { return r.Host == chosen })
	q := Check{ID: "Q13"}
	if i < 0 || !all[i].Readable {
		q.Text = "the data of " + chosen + " cannot be read"
		if i >= 0 && all[i].Why != "" {
			q.Text += ": " + all[i].Why
		}
		q.Help = "choose another host, or restore from a snapshot"
		return Verdict{Checks: []Check{q}}
	}
	c := all[i]
	switch {
	case c.Removed:
		q.Text = fmt.Sprintf("the member of %s was removed from its cluster", chosen)
		q.Help = "choose another host: what was written since is not in its data"
		return Verdict{Checks: []Check{q}}
	case c.Learner && !consent:
		q.Text = fmt.Sprintf("the member of %s had no vote, and may lack what the others agreed on", chosen)
		q.Help = "choose a host whose member had a vote"
		return Verdict{Checks: []Check{q}}
	}
	best := Best(all)
	q.Holds = !further(all[best], c)
	q.Text = fmt.Sprintf("the log of %s goes to term %d, index %d, and none goes further", chosen, c.Term, c.Index)
	if !q.Holds {
		b := all[best]
		q.Text = fmt.Sprintf("the log of %s goes to term %d, index %d, and that of %s to term %d, index %d", chosen, c.Term, c.Index, b.Host, b.Term, b.Index)
		q.Help = "choose " + b.Host
		q.Holds = consent
	}
	return Verdict{Checks: []Check{q}}
}

// Best is the place of the remains that lose least; -1 if none can be used. Of
// equals it is the first, so that the choice is always the same.
func Best(all []Remains) int {
	best := -1
	for i, r := range all {
		if !r.Readable || r.Removed {
			continue
		}
		if best < 0 || all[best].Learner && !r.Learner || all[best].Learner == r.Learner && further(r, all[best]) {
			best = i
		}
	}
	return best
}

// further reports whether a's log goes further than b's. Raft elects by this
// order, so what a quorum agreed on is in the log that goes furthest.
func further(a, b Remains) bool { return a.Term > b.Term || a.Term == b.Term && a.Index > b.Index }

// Replacing is one host's data and what is to stand in its place.
type Replacing struct {
	Host     string
	Data     bool // there is data at its place
	Mount    bool // that is the root of a file system
	Aside    bool // something is where it would be kept
	OneFS    bool // all three names are on one file system
	Restored bool // the new data is there, whole
}

// MaySwap is Q14: the old data is kept, by a rename that cannot lose it, and what
// replaces it is ready before anything moves.
func MaySwap(r Replacing) Verdict {
	q := Check{ID: "Q14", Holds: true, Text: fmt.Sprintf("the old data of %s is kept aside", r.Host)}
	fail := func(help, format string, args ...any) {
		q.Holds, q.Text, q.Help = false, fmt.Sprintf(format, args...), help
	}
	switch {
	case !r.Restored:
		fail("restore into it first (etcd_snapshot_restore)", "the new data of %s is not there, or not whole", r.Host)
	case r.Mount:
		fail("a mount point cannot be renamed: unmount it and mount it one level up, so that the data directory is a directory on it", "the data directory of %s is a mount point", r.Host)
	case r.Data && r.Aside:
		fail("move what is there away; nothing is ever overwritten", "there is something already where the old data of %s would be kept", r.Host)
	case !r.OneFS:
		fail("choose names beside the data directory", "old and new data of %s would be on different file systems", r.Host)
	case !r.Data:
		q.Text = r.Host + " has no old data"
	}
	return Verdict{Checks: []Check{q}}
}

// Restoring is what one host is restored from, and for what cluster.
type Restoring struct {
	Host           string
	Sum            string // SHA-256 of the snapshot
	Token          string
	InitialCluster string
}

// SameRestore is Q15: the members of the new cluster are restored from the same
// snapshot, for the same cluster, under a token that was never used.
func SameRestore(all []Restoring, used []string) Verdict {
	q := Check{ID: "Q15", Holds: true}
	if len(all) == 0 {
		return Verdict{Checks: []Check{{ID: "Q15", Text: "nothing is restored", Help: "name the hosts to restore on"}}}
	}
	first := all[0]
	q.Text = fmt.Sprintf("%s from one snapshot, under the new token %s", count(len(all), "member"), first.Token)
	for _, r := range all {
		what := ""
		switch {
		case r.Sum != first.Sum:
			what = "another snapshot"
		case r.Token != first.Token:
			what = "another token"
		case r.InitialCluster != first.InitialCluster:
			what = "another initial cluster"
		case r.Token == "" || slices.Contains(used, r.Token):
			what = "a token that was used before"
		default:
			continue
		}
		q.Holds = false
		q.Text = fmt.Sprintf("%s is restored with %s", r.Host, what)
		q.Help = "the members would not be one cluster, or would be taken for the old one: restore all of them alike"
		break
	}
	return Verdict{Checks: []Check{q}}
}

// Lost is how many revisions are gone when a cluster whose last known revision
// was known goes on with one of which the last is kept. Nothing known is -1.
func Lost(known, kept int64) int64 {
	switch {
	case known <= 0:
		return -1
	case kept >= known:
		return 0
	}
	return known - kept
}
