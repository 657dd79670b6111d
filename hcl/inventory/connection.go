package inventory

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// connection is a connection block.
type connection struct {
	spec engine.Connection
	at   hcl.Range
}

func connectionKinds() []string { return []string{"ssh", "local", "sandbox"} }

// connectionFields are the arguments of each kind of connection.
func connectionFields(kind string) []field {
	become := []field{
		{name: "become", ty: cty.String, enum: []string{"sudo", "none"}, def: "none", doc: "How a task becomes root: sudo, or none if the user is root or need not be."},
		{name: "become_password_env", ty: cty.String, check: checkEnvName, def: "no password", doc: "The environment variable that holds the password for sudo."},
	}
	switch kind {
	case "local":
		return become
	case "sandbox":
		return []field{{name: "dir", ty: cty.String, required: true, check: checkLocalPath, doc: "The folder that is the host, absolute or relative to the inventory. In the connection of all hosts, the folder that holds one for each, by its name."}}
	}
	return append([]field{
		{name: "user", ty: cty.String, check: checkUser, def: "that of ssh's own configuration", doc: "The user to log in as."},
		{name: "port", ty: cty.Number, def: "that of ssh's own configuration, else 22", doc: "The port of the host's ssh server."},
		{name: "identity_files", ty: cty.List(cty.String), check: checkLocalPath, def: "those of ssh's own configuration, and the agent", doc: "Files with private keys, absolute, from ~/, or relative to the inventory."},
		{name: "known_hosts", ty: cty.String, check: checkLocalPath, def: "that of ssh's own configuration", doc: "The file with the keys of the hosts."},
		{name: "host_key_policy", ty: cty.String, enum: []string{"strict", "accept-new"}, def: "strict", doc: "What is done about the key of a host that is not in known_hosts: strict refuses it, accept-new writes it down. A changed key is always refused."},
		{name: "proxy_jump", ty: cty.String, check: checkJump, def: "that of ssh's own configuration", doc: "Hosts to go through, [user@]host[:port], several with commas."},
		{name: "transport", ty: cty.String, enum: []string{"native", "openssh"}, def: "native", doc: "What speaks SSH: etcdplay itself (native), or the system's ssh program (openssh), for a login that only it can do."},
		{name: "connect_timeout", ty: cty.String, kind: engine.Duration, def: "10s", doc: "How long a connection may take to come up."},
		{name: "keepalive", ty: cty.String, kind: engine.Duration, def: "15s", doc: "How long a host may be silent before it is asked for a sign of life. After three times as long, the connection counts as lost."},
		{name: "reconnect", ty: cty.String, kind: engine.Duration, def: "1m", doc: "How long a lost connection is tried again to learn what became of a change. After that the run ends, and resume looks."},
	}, become...)
}

// defaultConnection is how hosts are reached where nothing is written: by ssh,
// as its own configuration says.
func defaultConnection(kind string) engine.Connection {
	c := engine.Connection{Kind: kind, Become: "none"}
	if kind == "ssh" {
		c.HostKeyPolicy, c.ConnectTimeout, c.Transport = "strict", connectTimeout, "native"
	}
	return c
}

func (r *reader) readSharedConnection(b *hclsyntax.Block) {
	if r.shared != nil {
		r.add(diag.DuplicateBlock, "Block given twice", headerOf(b), placeOf(b),
			"The connection of all hosts stands at line %d already. A host that is reached otherwise has a connection block of its own.", r.shared.at.Start.Line)
		return
	}
	r.shared = r.readConnection(b, placeOf(b), nil)
}

// readConnection reads a block. What it does not say is taken from base if
// that is of the same kind. It is nil if the kind does not exist.
func (r *reader) readConnection(b *hclsyntax.Block, place diag.Place, base *connection) *connection {
	if len(b.Labels) != 1 {
		r.add(diag.BlockLabels, "Wrong labels", headerOf(b), place, `Write connection "ssh" { ... }; the other kinds are "local" and "sandbox".`)
		return nil
	}
	kind := b.Labels[0]
	if !slices.Contains(connectionKinds(), kind) {
		r.add(diag.UnknownConnection, "Unknown connection", b.LabelRanges[0], place,
			`There is no connection %s.%s The kinds are ssh, local and sandbox.`, quoted(kind), diag.DidYouMean(kind, connectionKinds()))
		return nil
	}
	fields := connectionFields(kind)
	c := &connection{spec: defaultConnection(kind), at: headerOf(b)}
	if base != nil && base.spec.Kind == kind {
		c.spec = base.spec
		for i := range fields {
			fields[i].required = false
		}
	}
	r.fill(&c.spec, r.open(b, place, fields))
	return c
}

// fill sets what is written.
func (r *reader) fill(c *engine.Connection, o *block) {
	c.User = o.text("user", c.User)
	c.HostKeyPolicy = o.text("host_key_policy", c.HostKeyPolicy)
	c.ProxyJump = o.text("proxy_jump", c.ProxyJump)
	c.Become = o.text("become", c.Become)
	c.Transport = o.text("transport", c.Transport)
	c.BecomePasswordEnv = o.text("become_password_env", c.BecomePasswordEnv)
	if _, ok := o.values["known_hosts"]; ok {
		c.KnownHosts = r.below(o, "known_hosts")
	}
	if _, ok := o.values["dir"]; ok {
		c.Dir = r.below(o, "dir")
	}
	if files := o.texts("identity_files"); files != nil {
		c.IdentityFiles = nil
		for _, f := range files {
			c.IdentityFiles = append(c.IdentityFiles, beside(r.dir, f))
		}
	}
	o.duration("connect_timeout", &c.ConnectTimeout)
	o.duration("keepalive", &c.Keepalive)
	o.duration("reconnect", &c.Reconnect)
	if _, ok := o.values["port"]; ok {
		c.Port = o.whole("port", c.Port)
		if c.Port < 1 || c.Port > 65535 {
			r.add(diag.UnsuitableValue, "Unsuitable value", o.ranges["port"], o.place, `Argument "port": %s is no port. A port is between 1 and 65535.`, diag.Value(o.values["port"], ""))
		}
	}
	if _, ok := o.values["become_password_env"]; ok && c.Become == "none" {
		r.add(diag.BadAuth, "Password without become", o.ranges["become_password_env"], o.place, `A password is of use only with become = "sudo".`)
	}
}

// connectionOf is how a host is reached: as its own block says, else as that
// of all hosts.
func (r *reader) connectionOf(b *hclsyntax.Block, place diag.Place) engine.Connection {
	c := &connection{spec: defaultConnection("ssh")}
	if r.shared != nil {
		shared := *r.shared
		c = &shared
	}
	for _, in := range b.Body.Blocks {
		if in.Type != "connection" {
			continue
		}
		if own := r.readConnection(in, place, c); own != nil {
			c = own
		}
		break // a second one has been found
	}
	return c.spec
}

var envForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkEnvName(s string) string {
	if envForm.MatchString(s) {
		return ""
	}
	return quoted(s) + " is not the name of an environment variable. The password itself is never written here."
}

var userForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?$`)

func checkUser(s string) string {
	if userForm.MatchString(s) {
		return ""
	}
	return quoted(s) + " is not the name of a user or a group."
}

var jumpForm = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*$`)

// checkJump takes the form of OpenSSH's ProxyJump: [user@]host[:port], several
// with commas.
func checkJump(s string) string {
	for hop := range strings.SplitSeq(s, ",") {
		if !jumpForm.MatchString(hop) {
			return quoted(s) + ` is not a host to jump through. Write for example "core@bastion.example.com:22".`
		}
	}
	return ""
}
