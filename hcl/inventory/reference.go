package inventory

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// Block is one kind of block, for the reference.
type Block struct {
	Name      string // as it is written, with its label: `connection "ssh"`
	Doc       string
	Arguments []Argument
	Blocks    []string // that may stand in it
}

// Argument is one argument of a block, for the reference.
type Argument struct {
	Name     string
	Type     cty.Type
	Required bool
	Kind     engine.Kind
	Enum     []string
	Default  string // in words
	Doc      string
}

func headerFields() []field {
	return []field{{name: "language", ty: cty.Number, required: true, doc: "The edition of the language: 1."}}
}

// Blocks lists the blocks of an inventory with what they take, in the order in
// which they are usually written.
func Blocks() []Block {
	return []Block{
		{Name: "inventory", Doc: "Tells that a file is an inventory, and in which edition of the language.", Arguments: arguments(headerFields())},
		{Name: `connection "ssh"`, Doc: "How hosts are reached: outside of any host, all of them; in a host block, that one. What a host's own block of the same kind does not say is taken from that of all hosts.", Arguments: arguments(connectionFields("ssh"))},
		{Name: `connection "local"`, Doc: "The host is the machine etcdplay runs on.", Arguments: arguments(connectionFields("local"))},
		{Name: `connection "sandbox"`, Doc: "The host is a folder of a sandbox on the machine etcdplay runs on.", Arguments: arguments(connectionFields("sandbox"))},
		{Name: `cluster "NAME"`, Doc: "One cluster of etcd. Where an inventory has several, --cluster names the one to work on.", Arguments: arguments(clusterFields()), Blocks: []string{"tls", "auth", "server_tls"}},
		{Name: "tls", Doc: "In a cluster block: the client's side of TLS. Paths are relative to the inventory.", Arguments: arguments(tlsFields())},
		{Name: "auth", Doc: "In a cluster block: the user of etcd to work as. The password never stands in an inventory.", Arguments: arguments(authFields())},
		{Name: "server_tls", Doc: "In a cluster block, or in the member block of a host, which then counts for that host: the members' own side of TLS. Paths are those on the hosts, as etcd sees them.", Arguments: arguments(serverTLSFields())},
		{Name: `host "NAME"`, Doc: "A machine: one that runs a member, or one that may come to.", Arguments: arguments(hostFields()), Blocks: []string{"connection", "member"}},
		{Name: "member", Doc: "In a host block: how its member is configured, where that does not follow from the address and the scheme of its cluster.", Arguments: arguments(memberFields()), Blocks: []string{"server_tls"}},
		{Name: `group "NAME"`, Doc: "A list of hosts, which playbooks know as group.NAME.", Arguments: arguments(groupFields())},
		{Name: "locals", Doc: "Values with names, used as local.NAME in the inventory itself."},
	}
}

func arguments(fields []field) []Argument {
	var out []Argument
	for _, f := range fields {
		out = append(out, Argument{Name: f.name, Type: f.ty, Required: f.required, Kind: f.kind, Enum: f.enum, Default: f.def, Doc: f.doc})
	}
	return out
}
