package inventory

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// quoted is text from the file, safe to show.
func quoted(s string) string { return strconv.Quote(s) }

var nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// name is the label of a block, which must be one that can stand in texts,
// paths and references.
func (r *reader) name(b *hclsyntax.Block, what string) (string, bool) {
	if len(b.Labels) != 1 {
		r.add(diag.BlockLabels, "Wrong labels", headerOf(b), placeOf(b), "Write %s \"NAME\" { ... }.", what)
		return "", false
	}
	name := b.Labels[0]
	if !nameForm.MatchString(name) || len(name) > 253 {
		r.add(diag.BadName, "Bad name", b.LabelRanges[0], diag.Place{In: what},
			"%s cannot be the name of a %s. It is made of letters, digits, dots and dashes, begins and ends with a letter or a digit, and is at most 253 long; a name with other letters is written in its xn-- form.", quoted(name), what)
		return "", false
	}
	return name, true
}

func hostFields() []field {
	return []field{
		{name: "address", ty: cty.String, required: true, doc: "The IP address or DNS name by which the host is reached, without a port."},
		{name: "labels", ty: cty.Map(cty.String), check: checkLabel, def: "none", doc: "Free words about the host, for playbooks to read."},
	}
}

func checkLabel(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f }) {
		return quoted(s) + " holds a control character, which no label may."
	}
	return ""
}

func (r *reader) readHost(b *hclsyntax.Block) {
	place := placeOf(b)
	name, ok := r.name(b, "host")
	if !ok {
		return
	}
	if name == Localhost {
		r.add(diag.DuplicateName, "Reserved name", b.LabelRanges[0], place,
			"localhost is always there: it is the machine that runs etcdplay. Give this host another name.")
		return
	}
	if i := slices.IndexFunc(r.hosts, func(h *host) bool { return h.spec.Name == name }); i >= 0 {
		r.add(diag.DuplicateName, "Host declared twice", headerOf(b), place, "The host %q is declared at line %d already.", name, r.hosts[i].spec.Range.Start.Line)
		return
	}
	o := r.open(b, place, hostFields(), "connection", "member")
	h := &host{block: o}
	h.spec = engine.HostSpec{
		Name:       name,
		Address:    o.text("address", ""),
		Labels:     map[string]string{},
		Connection: r.connectionOf(b, place),
		Range:      *diag.Range(headerOf(b)),
	}
	if _, ok := o.values["address"]; ok {
		if problem := addressProblem(h.spec.Address); problem != "" {
			r.add(diag.BadAddress, "Not an address", o.ranges["address"], place, "%s", problem)
			h.spec.Address = ""
		}
	}
	if labels, ok := o.values["labels"]; ok {
		for it := labels.ElementIterator(); it.Next(); {
			k, v := it.Element()
			h.spec.Labels[k.AsString()] = v.AsString()
		}
	}
	for _, in := range b.Body.Blocks {
		if in.Type == "member" {
			r.readMember(in, h)
			break
		}
	}
	r.hosts = append(r.hosts, h)
}

// urlList is an argument of a member block that holds URLs.
type urlList struct {
	name     string
	listen   bool // they are those that the member listens on
	def, doc string
}

func urlLists() []urlList {
	return []urlList{
		{"peer_urls", false, "the address with port 2380", "The URLs at which other members reach it. They are what tells members apart."},
		{"client_urls", false, "the address with port 2379", "The URLs at which clients reach it."},
		{"listen_peer_urls", true, "0.0.0.0 with port 2380", "The URLs at which it listens for members."},
		{"listen_client_urls", true, "the address with port 2379, and for http also 0.0.0.0 with port 4001", "The URLs at which it listens for clients."},
	}
}

func memberFields() []field {
	fields := []field{{name: "name", ty: cty.String, check: checkMemberName, def: "the host's name", doc: "The name of the member in etcd."}}
	for _, l := range urlLists() {
		fields = append(fields, field{name: l.name, ty: cty.List(cty.String), def: l.def, doc: l.doc})
	}
	return fields
}

func (r *reader) readMember(b *hclsyntax.Block, h *host) {
	if len(b.Labels) > 0 {
		r.add(diag.BlockLabels, "Wrong labels", headerOf(b), h.block.place, "Write member { name = ... }, without a label.")
	}
	o := r.open(b, h.block.place, memberFields(), "server_tls")
	for _, in := range b.Body.Blocks {
		if in.Type == "server_tls" {
			h.spec.Member.ServerTLS = r.readServerTLS(in, h.block.place)
		}
	}
	h.member = o
	h.spec.Member = engine.MemberSpec{
		ServerTLS:        h.spec.Member.ServerTLS,
		Name:             o.text("name", ""),
		PeerURLs:         o.texts("peer_urls"),
		ClientURLs:       o.texts("client_urls"),
		ListenPeerURLs:   o.texts("listen_peer_urls"),
		ListenClientURLs: o.texts("listen_client_urls"),
	}
	for _, l := range urlLists() {
		list := o.texts(l.name)
		if _, written := o.values[l.name]; written && len(list) == 0 {
			r.add(diag.UnsuitableValue, "Unsuitable value", o.ranges[l.name], o.place, "Argument %q: a member has at least one. Leave the argument out for the default.", l.name)
		}
		for i, u := range list {
			if problem := memberURLProblem(u, l.listen); problem != "" {
				r.add(diag.BadMemberURL, "Unsuitable URL", o.elementRange(l.name, i), o.place, "Argument %q: %s", l.name, problem)
			}
		}
	}
}

func checkMemberName(s string) string {
	switch {
	case s == "":
		return "the name is empty."
	case strings.ContainsAny(s, "=,") || strings.ContainsFunc(s, func(c rune) bool { return c <= 0x20 || c == 0x7f }):
		return quoted(s) + " cannot be the name of a member: in --initial-cluster, = and , part names from URLs, and a space would part words."
	}
	return ""
}

// at is where an argument of the host or of its member is written, and where
// the host begins if it is not.
func (h *host) at(name string, i int) hcl.Range {
	if h.member != nil {
		if _, ok := h.member.Body.Attributes[name]; ok {
			return h.member.elementRange(name, i)
		}
	}
	return h.block.elementRange(name, i)
}

// group is a group block.
type group struct {
	Group
	block *block
}

func groupFields() []field {
	return []field{{name: "hosts", ty: cty.List(cty.String), required: true, doc: "The hosts of the group, in order."}}
}

func (r *reader) readGroup(b *hclsyntax.Block) {
	place := placeOf(b)
	name, ok := r.name(b, "group")
	if !ok {
		return
	}
	for _, g := range r.groups {
		if g.Name == name {
			r.add(diag.DuplicateName, "Group declared twice", headerOf(b), place, "The group %q is declared at line %d already.", name, g.Range.Start.Line)
			return
		}
	}
	o := r.open(b, place, groupFields())
	r.groups = append(r.groups, &group{block: o, Group: Group{Name: name, Hosts: o.texts("hosts"), Range: *diag.Range(headerOf(b))}})
}
