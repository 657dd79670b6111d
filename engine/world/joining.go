package world

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MayJoin is Q16: whether a member may start under this name with this
// --initial-cluster, "a=u,b=u", and --initial-cluster-state. etcd refuses to
// start otherwise, or worse, starts a cluster of its own.
func (c *Cluster) MayJoin(name, initialCluster, state string) Verdict {
	v := Verdict{Checks: []Check{c.identity()}}
	if !v.OK() {
		return v
	}
	q := Check{ID: "Q16", Help: "render the configuration from the results of etcd_member_add"}
	given, err := ParseInitialCluster(initialCluster)
	switch {
	case err != nil:
		q.Text = err.Error()
	case state != "existing":
		q.Text = fmt.Sprintf("the state is %q; a member joins with \"existing\"", state)
	default:
		q.Text = c.mismatch(name, given)
	}
	if q.Text == "" {
		q.Holds, q.Help = true, ""
		q.Text = fmt.Sprintf("the initial cluster has the %s of the member list", count(len(c.Members), "member"))
	}
	return Verdict{Checks: append(v.Checks, q)}
}

// mismatch says how the given initial cluster differs from the member list; ""
// if it does not.
func (c *Cluster) mismatch(name string, given map[string][]string) string {
	if given[name] == nil {
		return "the initial cluster does not have the member's own name " + name
	}
	if len(given) != len(c.Members) {
		return fmt.Sprintf("the initial cluster has %s, the member list %d", count(len(given), "member"), len(c.Members))
	}
	for _, m := range c.Members {
		found := ""
		for n, urls := range given {
			if sameURLs(urls, m.PeerURLs) {
				found = n
			}
		}
		switch {
		case found == "":
			return fmt.Sprintf("the initial cluster has no member with the peer URLs of %s (%s)", m.described(), strings.Join(m.PeerURLs, ","))
		case m.Name != "" && m.Name != found:
			return fmt.Sprintf("the initial cluster calls member %s %q", m.described(), found)
		}
	}
	return ""
}

// ParseInitialCluster reads the form of --initial-cluster: peer URLs by name.
// An error names the first thing that is wrong.
func ParseInitialCluster(text string) (map[string][]string, error) {
	given := map[string][]string{}
	owner := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		name, u, ok := strings.Cut(part, "=")
		switch {
		case !ok || name == "" || u == "":
			return nil, fmt.Errorf("the initial cluster has %q, which is not name=url", part)
		case owner[u] != "":
			return nil, fmt.Errorf("the initial cluster gives %s to %s and to %s", u, owner[u], name)
		}
		owner[u] = name
		given[name] = append(given[name], u)
	}
	return given, nil
}

func sameURLs(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

var stateNew = regexp.MustCompile(`(?i)initial[-_]cluster[-_]state["']?[= ]["']?new\b`)

// MayConfigure is Q17: the configuration of a member of a running cluster does
// not say that the cluster is new. If the data directory is lost, such a member
// starts an empty cluster of its own. content is a unit file or a drop-in.
func (c *Cluster) MayConfigure(content string) Verdict {
	if !c.Known || len(c.Members) == 0 {
		return Verdict{} // nothing is running that a new cluster could contradict
	}
	q := Check{ID: "Q17", Holds: !stateNew.MatchString(content), Text: "the configuration does not call the cluster new"}
	if !q.Holds {
		q.Text = "the configuration says initial-cluster-state=new, and the cluster is running"
		q.Help = "write \"existing\": with \"new\", a member that loses its data starts an empty cluster of its own"
	}
	return Verdict{Checks: []Check{q}}
}
