// Package inventory reads inventories: which hosts there are, how each is
// reached, which of them make up a cluster, and how its members are configured.
// It knows the grammar of the file and what cannot be true of a cluster. It
// does not know playbooks, and it never connects to anything.
package inventory

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Localhost is the name of the host that every inventory has without writing
// it: the machine etcdplay runs on.
const Localhost = "localhost"

// Inventory is what one inventory file says, checked.
type Inventory struct {
	File     string
	Digest   string // over the tokens, without comments and line breaks
	Clusters []engine.Cluster
	Groups   []Group

	hosts     []*host
	serverTLS map[string]*engine.ServerTLS // by the cluster's name
}

// Group is a named list of hosts, in the written order.
type Group struct {
	Name  string
	Hosts []string
	Range engine.Range
}

// Load reads the inventory in src, which came from the file of this path: paths
// in it are relative to that file. Findings are all there are, in the order of
// the source; the inventory is nil exactly if one of them is an error.
func Load(path string, src []byte) (*Inventory, engine.Diagnostics) {
	file, found := syntax.Parse(path, src)
	if found.HasErrors() {
		return nil, found
	}
	r := &reader{file: file, dir: filepath.Dir(path)}
	inv := r.read()
	found = diag.Sort(append(found, r.found...))
	if found.HasErrors() {
		return nil, found
	}
	return inv, found
}

// Choose is the cluster of this name, or with an empty name the only one. The
// error is a sentence for the operator.
func (inv *Inventory) Choose(name string) (engine.Cluster, error) {
	var names []string
	for _, c := range inv.Clusters {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	switch {
	case name != "":
		return engine.Cluster{}, fmt.Errorf("the inventory %s has no cluster %q.%s", inv.File, name, diag.DidYouMean(name, names))
	case len(names) == 1:
		return inv.Clusters[0], nil
	case len(names) == 0:
		return engine.Cluster{}, errors.New("the inventory " + inv.File + " has no cluster")
	}
	return engine.Cluster{}, fmt.Errorf("the inventory %s has several clusters (%s). Name one with --cluster", inv.File, strings.Join(names, ", "))
}

// Hosts is all hosts, in their written order, as a run on cluster sees them:
// the URLs of a host that is a member of no cluster are those it would have in
// this one. Localhost is not among them.
func (inv *Inventory) Hosts(cluster engine.Cluster) []engine.HostSpec {
	schemes := schemesOf(inv.Clusters)
	files := map[string]*engine.ServerTLS{}
	for _, c := range inv.Clusters {
		for _, m := range c.Members {
			files[m] = inv.serverTLS[c.Name]
		}
	}
	specs := make([]engine.HostSpec, 0, len(inv.hosts))
	for _, h := range inv.hosts {
		scheme, isMember := schemes[h.spec.Name]
		if !isMember {
			scheme = cluster.Scheme
		}
		spec := h.resolve(scheme)
		if spec.Member.ServerTLS == nil {
			if spec.Member.ServerTLS = files[h.spec.Name]; !isMember {
				spec.Member.ServerTLS = inv.serverTLS[cluster.Name]
			}
		}
		specs = append(specs, spec)
	}
	return specs
}

// schemesOf tells the scheme of every host that is a member of a cluster.
func schemesOf(clusters []engine.Cluster) map[string]string {
	schemes := map[string]string{}
	for _, c := range clusters {
		for _, m := range c.Members {
			schemes[m] = c.Scheme
		}
	}
	return schemes
}

// HostNames lists the names of all hosts, Localhost included, for checks and
// suggestions.
func (inv *Inventory) HostNames() []string {
	var names []string
	for _, h := range inv.hosts {
		names = append(names, h.spec.Name)
	}
	return append(names, Localhost)
}

// GroupHosts is the names of every group's hosts, by the group's name.
func (inv *Inventory) GroupHosts() map[string][]string {
	m := map[string][]string{}
	for _, g := range inv.Groups {
		m[g.Name] = slices.Clone(g.Hosts)
	}
	return m
}

// LocalhostSpec is the host that is the machine etcdplay runs on.
func LocalhostSpec() engine.HostSpec {
	return engine.HostSpec{
		Name:       Localhost,
		Address:    "127.0.0.1",
		Connection: engine.Connection{Kind: "local", Become: "none"},
	}
}

// host is a host as it is written.
type host struct {
	spec   engine.HostSpec // its member without defaults
	block  *block
	member *block // nil if there is none
}

// Ports of etcd: the registered ones, and the one on which clients of old
// still look for it.
const (
	peerPort      = "2380"
	clientPort    = "2379"
	oldClientPort = "4001"
)

// resolve fills in what is not written of the member. Its peers listen on all
// addresses. Clients are served on the host's own address, and without TLS on
// the old port too.
func (h *host) resolve(scheme string) engine.HostSpec {
	s := h.spec
	m := &s.Member
	if m.Name == "" {
		m.Name = s.Name
	}
	client := memberURL(scheme, s.Address, clientPort)
	if m.PeerURLs == nil {
		m.PeerURLs = []string{memberURL(scheme, s.Address, peerPort)}
	}
	if m.ClientURLs == nil {
		m.ClientURLs = []string{client}
	}
	if m.ListenPeerURLs == nil {
		m.ListenPeerURLs = []string{memberURL(scheme, "0.0.0.0", peerPort)}
	}
	if m.ListenClientURLs == nil {
		m.ListenClientURLs = []string{client}
		if scheme == "http" {
			m.ListenClientURLs = append(m.ListenClientURLs, memberURL(scheme, "0.0.0.0", oldClientPort))
		}
	}
	return s
}

func memberURL(scheme, address, port string) string {
	return scheme + "://" + net.JoinHostPort(address, port)
}

// connectTimeout is how long a connection to a host may take to come up,
// unless the inventory says otherwise.
const connectTimeout = 10 * time.Second

// beside is a path as written in the inventory, made absolute: ~ is the
// operator's home, and a relative path begins at the inventory's directory.
func beside(dir, path string) string {
	if path == "" {
		return ""
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
		return path
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
