package inventory

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// goodSize is how many members a cluster has at most: more only make it slower.
const goodSize = 7

// checkMembers checks the members of a cluster against the hosts.
func (r *reader) checkMembers(c *cluster) {
	at := c.block.ranges["members"]
	if c.block.texts("members") == nil {
		return // found already
	}
	r.checkHostNames(c.block, "members")
	n := len(c.spec.Members)
	switch {
	case n == 0:
		r.add(diag.ClusterSize, "Cluster without members", at, c.block.place, "A cluster has at least one member. Name the hosts they run on.")
	case n > goodSize:
		r.warn(diag.ClusterSize, "Large cluster", c, "A cluster of %d members: beyond %d, each one makes it slower and hardly safer.", n, goodSize)
	case n%2 == 0:
		r.warn(diag.ClusterSize, "Even number of members", c, "A cluster of %d members survives the failure of %d, no more than one of %d does.", n, (n-1)/2, n-1)
	}
	for _, other := range r.clusters {
		if other == c {
			break
		}
		for i, m := range c.spec.Members {
			if slices.Contains(other.spec.Members, m) {
				r.add(diag.TwoClusters, "Member of two clusters", c.block.elementRange("members", i), c.block.place,
					"%q is a member of the cluster %q already. A host runs one member.", m, other.spec.Name)
			}
		}
	}
}

func (r *reader) warn(code diag.Code, summary string, c *cluster, format string, args ...any) {
	r.found = append(r.found, diag.Warn(diag.New(code, summary, c.block.ranges["members"], c.block.place, format, args...)))
}

// checkHostNames checks a list of names of hosts.
func (r *reader) checkHostNames(b *block, argument string) {
	var names []string
	for _, h := range r.hosts {
		names = append(names, h.spec.Name)
	}
	seen := map[string]bool{}
	for i, name := range b.texts(argument) {
		at := b.elementRange(argument, i)
		switch {
		case seen[name]:
			r.add(diag.DuplicateName, "Host named twice", at, b.place, "%q stands in this list already.", name)
		case !slices.Contains(names, name) && !r.isBroken(name):
			r.add(diag.UnknownHost, "Unknown host", at, b.place, "This inventory has no host %q.%s", name, diag.DidYouMean(name, names))
		}
		seen[name] = true
	}
}

// isBroken reports whether there is a host block of that name which could not
// be read; what is wrong with it has been found.
func (r *reader) isBroken(name string) bool {
	for _, b := range r.file.Body.Blocks {
		if b.Type == "host" && slices.Contains(b.Labels, name) {
			return true
		}
	}
	return false
}

// resolved is a host with all its URLs.
type resolved struct {
	host    *host
	spec    engine.HostSpec
	cluster string // "" for a spare
}

// checkHosts compares the hosts with each other, as they will be seen.
func (r *reader) checkHosts() {
	var clusters []engine.Cluster
	for _, c := range r.clusters {
		clusters = append(clusters, c.spec)
	}
	schemes := schemesOf(clusters)
	var seen []resolved
	for _, h := range r.hosts {
		if h.spec.Address == "" {
			continue // what is wrong with it has been found
		}
		scheme, ok := schemes[h.spec.Name]
		if !ok {
			scheme = "http"
		}
		now := resolved{host: h, spec: h.resolve(scheme), cluster: clusterOf(clusters, h.spec.Name)}
		r.checkOwnURLs(now)
		seen = append(seen, now)
	}
	r.checkMachines(seen)
	r.checkIdentities(seen)
	for _, c := range r.clusters {
		r.checkSchemes(c, seen)
	}
}

func clusterOf(clusters []engine.Cluster, host string) string {
	for _, c := range clusters {
		if slices.Contains(c.Members, host) {
			return c.Name
		}
	}
	return ""
}

// machine is what tells the machines behind connections apart.
func machine(h engine.HostSpec) string {
	switch h.Connection.Kind {
	case "local":
		return "this machine"
	case "sandbox":
		return filepath.Join(h.Connection.Dir, h.Name)
	}
	at := net.JoinHostPort(strings.ToLower(h.Address), strconv.Itoa(cmp.Or(h.Connection.Port, 22)))
	if h.Connection.ProxyJump != "" {
		at += " through " + h.Connection.ProxyJump
	}
	return at
}

func (a resolved) String() string {
	return fmt.Sprintf("host %q at line %d", a.spec.Name, a.spec.Range.Start.Line)
}

func (r *reader) checkMachines(hosts []resolved) {
	first := map[string]resolved{}
	for _, h := range hosts {
		m := machine(h.spec)
		if a, taken := first[m]; taken && m != "" {
			r.add(diag.SameAddress, "Two hosts, one machine", h.host.at("address", 0), h.host.block.place, "The %s is reached at the same place: %s.", a, m)
			continue
		}
		first[m] = h
	}
}

// checkIdentities finds members that could not be told apart. Names may recur
// in another cluster, peer URLs nowhere.
func (r *reader) checkIdentities(hosts []resolved) {
	byName, byURL := map[string][]resolved{}, map[string]resolved{}
	for _, h := range hosts {
		place := h.host.block.place
		name := h.spec.Member.Name
		for _, a := range byName[name] {
			if a.cluster == h.cluster || a.cluster == "" || h.cluster == "" {
				r.add(diag.SameMember, "Two members, one name", h.host.at("name", 0), place, "The member of %s is called %q too.", a, name)
				break
			}
		}
		byName[name] = append(byName[name], h)
		for i, u := range h.spec.Member.PeerURLs {
			a, taken := byURL[u]
			switch {
			case taken && a.host == h.host:
				r.add(diag.SameMember, "URL given twice", h.host.at("peer_urls", i), place, "%s stands in this list already.", u)
			case taken && machine(a.spec) != machine(h.spec):
				r.add(diag.SameMember, "Two members, one peer URL", h.host.at("peer_urls", i), place, "The member of %s has the peer URL %s too. A peer URL is what tells members apart.", a, u)
			}
			if !taken {
				byURL[u] = h
			}
		}
	}
}

// checkOwnURLs finds URLs of a member that seem to be in the wrong place.
func (r *reader) checkOwnURLs(h resolved) {
	m, place := h.spec.Member, h.host.block.place
	for i, u := range m.PeerURLs {
		at := h.host.at("peer_urls", i)
		switch {
		case slices.Contains(m.ClientURLs, u):
			r.add(diag.BadMemberURL, "Peers and clients at one URL", at, place, "%s is a client URL of this member too. Peers and clients are served on different ports.", u)
		case portOf(u) == clientPort:
			r.found = append(r.found, diag.Warn(diag.New(diag.SuspectURL, "Client port in a peer URL", at, place, "%s has the port of clients. Peers are usually at %s.", u, peerPort)))
		}
	}
	for i, u := range m.ClientURLs {
		if portOf(u) == peerPort && !slices.Contains(m.PeerURLs, u) {
			r.found = append(r.found, diag.Warn(diag.New(diag.SuspectURL, "Peer port in a client URL", h.host.at("client_urls", i), place, "%s has the port of peers. Clients are usually at %s.", u, clientPort)))
		}
	}
}

func portOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Port()
}

// checkSchemes finds peers of one cluster that speak different protocols.
func (r *reader) checkSchemes(c *cluster, hosts []resolved) {
	first := ""
	for _, h := range hosts {
		if h.cluster != c.spec.Name {
			continue
		}
		for i, u := range h.spec.Member.PeerURLs {
			scheme, _, _ := strings.Cut(u, "://")
			if scheme != "http" && scheme != "https" {
				continue
			}
			if first == "" {
				first = scheme
			}
			if scheme != first {
				r.add(diag.MixedSchemes, "Peers with http and https", h.host.at("peer_urls", i), h.host.block.place,
					"%s, and other members of the cluster %q have peer URLs with %s. All peers of a cluster use one of the two.", u, c.spec.Name, first)
			}
		}
	}
}
