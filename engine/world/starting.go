package world

import "fmt"

// Data is what a host's data directory says of whose it is.
type Data struct {
	Known   bool   `json:"known"`             // false: nobody looked, or could look
	Present bool   `json:"present"`           // a member's log is there
	Member  string `json:"member,omitempty"`  // its ID, lower-case hex without leading zeros; "" if the log does not tell
	Cluster string `json:"cluster,omitempty"` // its cluster's ID, likewise
}

// MayStart is the verdict on starting etcd on a host whose data directory holds
// data: Q20, the data is that of the member which the cluster expects there. The
// data of a member that was removed, or of another cluster, makes etcd exit or
// ask the wrong peers for ever; a member that has lost its log while the others
// remember it fails or, called new, begins an empty cluster of its own. Where
// the cluster is not known (there is none yet, or none any more) nothing is said.
func (c *Cluster) MayStart(host, unit string, data Data) Verdict {
	if !c.Known || !data.Known || c.Unit != "" && unit != c.Unit {
		return Verdict{}
	}
	m := c.OnHost(host)
	q := Check{ID: "Q20", Holds: true, Text: fmt.Sprintf("the data on %s belongs to the member that is expected there", host)}
	const aside = "move the data directory aside; a member that joins begins with an empty one"
	switch {
	case !data.Present && m != nil && m.Name != "" && len(m.ClientURLs) > 0:
		q.Holds = false
		q.Text = fmt.Sprintf("%s has run on %s, whose data directory is empty: etcd would start with less than it has confirmed to the others", m.Label(), host)
		q.Help = "replace the member (etcdplay run replace-member), or put its own data directory back"
	case !data.Present:
		q.Text = "the data directory on " + host + " is empty"
	case data.Cluster != "" && c.ID != "" && data.Cluster != c.ID:
		q.Holds = false
		q.Text = fmt.Sprintf("the data on %s is that of cluster %s, and the running cluster is %s", host, data.Cluster, c.ID)
		q.Help = aside
	case data.Member != "" && c.Member(data.Member) == nil && !c.planned():
		q.Holds = false
		q.Text = fmt.Sprintf("the data on %s is that of member %s, which is not or no longer one of the cluster", host, data.Member)
		q.Help = aside
	}
	return Verdict{Checks: []Check{q}}
}

// planned reports whether a member is in the model whose ID only the run can tell.
func (c *Cluster) planned() bool {
	for _, m := range c.Members {
		if m.ID == "" {
			return true
		}
	}
	return false
}
