package inventory

import (
	"path"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// cluster is a cluster block.
type cluster struct {
	spec      engine.Cluster
	block     *block
	serverTLS *engine.ServerTLS // of members whose host does not say otherwise
}

func clusterFields() []field {
	return []field{
		{name: "members", ty: cty.List(cty.String), required: true, doc: "The hosts that its members run on, in the order in which playbooks go through them."},
		{name: "id", ty: cty.String, check: checkClusterID, def: "any", doc: "The ID of the cluster, in hex. A cluster with another ID at these addresses is refused."},
		{name: "token", ty: cty.String, check: checkToken, def: "etcd-cluster", doc: "The initial cluster token."},
		{name: "api", ty: cty.Number, def: "3", doc: "The API of etcd that is spoken: 2 or 3."},
		{name: "scheme", ty: cty.String, enum: []string{"http", "https"}, def: "http", doc: "http or https: of the URLs that are not written out."},
		{name: "layout", ty: cty.String, enum: []string{"etcd-member", "debian"}, def: "etcd-member", doc: "How a member is configured: etcd-member as on Container Linux, by a drop-in with flags; debian as Debian's package has it, by a file of variables."},
		{name: "unit", ty: cty.String, kind: engine.UnitName, check: checkService, def: "etcd-member.service; in Debian's layout etcd.service", doc: "The systemd service of a member."},
		{name: "dropin", ty: cty.String, kind: engine.FileName, check: checkDropin, def: "20-clct-etcd-member.conf", doc: "The drop-in of that service which configures the member."},
		{name: "env_file", ty: cty.String, kind: engine.AbsPath, def: "/etc/default/etcd", doc: "In Debian's layout, the file of variables which configures the member. The service has to read it (EnvironmentFile=)."},
		{name: "data_dir", ty: cty.String, kind: engine.AbsPath, def: "/var/lib/etcd; in Debian's layout /var/lib/etcd/default", doc: "The data directory of a member, as seen on its host."},
		{name: "user", ty: cty.String, check: checkUser, def: "etcd", doc: "The owner of the data directory."},
		{name: "group", ty: cty.String, check: checkUser, def: "etcd", doc: "The group of the data directory."},
		{name: "endpoints", ty: cty.List(cty.String), def: "the client URLs of the members", doc: "The URLs at which the cluster is spoken to."},
		{name: "remove_roots", ty: cty.List(cty.String), kind: engine.AbsPath, check: checkRoot, def: "the data directory, and what has its name and a suffix", doc: "The only directories below which a task may delete. A name that ends in .* stands for all of that beginning."},
	}
}

// readCluster reads a block. The defaults are those of the layout, and etcd's
// own for the token.
func (r *reader) readCluster(b *hclsyntax.Block) {
	place := placeOf(b)
	name, ok := r.name(b, "cluster")
	if !ok {
		return
	}
	for _, c := range r.clusters {
		if c.spec.Name == name {
			r.add(diag.DuplicateName, "Cluster declared twice", headerOf(b), place, "The cluster %q is declared at line %d already.", name, c.block.header().Start.Line)
			return
		}
	}
	o := r.open(b, place, clusterFields(), "tls", "auth", "server_tls")
	layout, unit, dataDir := o.text("layout", "etcd-member"), "etcd-member.service", "/var/lib/etcd"
	if layout == "debian" {
		unit, dataDir = "etcd.service", "/var/lib/etcd/default"
	}
	c := &cluster{block: o, spec: engine.Cluster{
		Name:      name,
		ID:        o.text("id", ""),
		Token:     o.text("token", "etcd-cluster"),
		API:       o.whole("api", 3),
		Scheme:    o.text("scheme", "http"),
		Layout:    layout,
		Unit:      o.text("unit", unit),
		Dropin:    o.text("dropin", "20-clct-etcd-member.conf"),
		EnvFile:   o.text("env_file", "/etc/default/etcd"),
		DataDir:   o.text("data_dir", dataDir),
		User:      o.text("user", "etcd"),
		Group:     o.text("group", "etcd"),
		Members:   o.texts("members"),
		Endpoints: o.texts("endpoints"),
	}}
	r.clusters = append(r.clusters, c)
	if at, written := o.ranges["env_file"]; written && layout != "debian" {
		r.add(diag.UnsuitableValue, "Unsuitable value", at, place, `Argument "env_file": only Debian's layout has one. Write layout = "debian", or take it out.`)
	}
	if c.spec.API != 2 && c.spec.API != 3 {
		r.add(diag.UnsuitableValue, "Unsuitable value", o.ranges["api"], place, `Argument "api": etcd has the API 2 and the API 3. Write 3 unless the cluster is older than etcd 3.0.`)
	}
	for _, in := range b.Body.Blocks {
		switch in.Type {
		case "tls":
			r.readTLS(in, place, c)
		case "auth":
			r.readAuth(in, place, c)
		case "server_tls":
			c.serverTLS = r.readServerTLS(in, place)
			if c.serverTLS != nil && c.spec.Scheme != "https" {
				r.add(diag.BadTLS, "TLS without https", headerOf(in), place, `The scheme of this cluster is http, and its members need no certificates then. Write scheme = "https", or take the block out.`)
			}
		}
	}
	r.checkDirs(c)
	r.checkEndpoints(c)
}

func (r *reader) readTLS(b *hclsyntax.Block, place diag.Place, c *cluster) {
	o := r.open(b, place, tlsFields())
	c.spec.TLS = engine.TLS{CAFile: r.below(o, "ca_file"), CertFile: r.below(o, "cert_file"), KeyFile: r.below(o, "key_file"), ServerName: o.text("server_name", "")}
	_, cert := o.ranges["cert_file"]
	_, key := o.ranges["key_file"]
	switch {
	case cert != key:
		r.add(diag.BadTLS, "Certificate without key", o.header(), place, "cert_file and key_file belong together: write both, or none.")
	case c.spec.Scheme != "https":
		r.add(diag.BadTLS, "TLS without https", o.header(), place, `The scheme of this cluster is http, and the tls block is of no use then. Write scheme = "https", or take the block out.`)
	}
}

func (r *reader) readAuth(b *hclsyntax.Block, place diag.Place, c *cluster) {
	o := r.open(b, place, authFields())
	c.spec.Auth = engine.Auth{Username: o.text("username", ""), PasswordEnv: o.text("password_env", ""), PasswordFile: r.below(o, "password_file")}
	_, env := o.ranges["password_env"]
	_, file := o.ranges["password_file"]
	switch {
	case env && file:
		r.add(diag.BadAuth, "Two passwords", o.header(), place, "password_env and password_file exclude each other. Keep one.")
	case !env && !file:
		r.add(diag.BadAuth, "No password", o.header(), place, `The password comes from password_env = "NAME" or password_file = "PATH".`)
	}
}

// systemDirs are directories of the system that no task may move or delete,
// and below which, for those that end in a slash, no data belongs.
func systemDirs() []string {
	return []string{
		"/bin/", "/boot/", "/dev/", "/etc/", "/lib/", "/lib64/", "/proc/", "/sbin/", "/sys/", "/usr/",
		"/var/lib", "/var/log", "/var/cache", "/var/spool", "/var/tmp", "/var/run", "/var/mail",
		"/var/lib/systemd/", "/run/systemd/", "/opt/bin", "/root/.ssh/",
	}
}

// unfit says why a directory must not be moved aside or deleted, or "".
func unfit(dir string) string {
	if strings.Count(dir, "/") < 2 {
		return quoted(dir) + " is a directory of the root."
	}
	for _, d := range systemDirs() {
		whole, below := strings.CutSuffix(d, "/")
		if dir == whole || below && strings.HasPrefix(dir, d) {
			return quoted(dir) + " belongs to the system."
		}
	}
	return ""
}

// checkDirs checks the data directory, and fills in what may be removed.
func (r *reader) checkDirs(c *cluster) {
	if problem := unfit(c.spec.DataDir); problem != "" {
		r.add(diag.BadDataDir, "Not a data directory", c.block.ranges["data_dir"], c.block.place,
			`%s Name a directory that is etcd's alone, for example "/var/lib/etcd": playbooks move it aside.`, problem)
	}
	roots := c.block.texts("remove_roots")
	if c.spec.RemoveRoots = roots; roots == nil {
		c.spec.RemoveRoots = []string{c.spec.DataDir, c.spec.DataDir + ".*"}
	}
}

func checkRoot(s string) string {
	if problem := unfit(strings.TrimSuffix(s, ".*")); problem != "" {
		return problem + " What is below remove_roots may be deleted by a task."
	}
	return ""
}

var clusterIDForm = regexp.MustCompile(`^[1-9a-f][0-9a-f]{0,15}$`)

func checkClusterID(s string) string {
	if clusterIDForm.MatchString(s) {
		return ""
	}
	return quoted(s) + " is not a cluster ID. Write it in lower-case hex without leading zeros, as etcdctl endpoint status shows it."
}

func (r *reader) checkEndpoints(c *cluster) {
	for i, e := range c.spec.Endpoints {
		if problem := memberURLProblem(e, false); problem != "" {
			r.add(diag.BadMemberURL, "Unsuitable URL", c.block.elementRange("endpoints", i), c.block.place, "%s", problem)
		}
	}
	if _, written := c.block.values["endpoints"]; written && len(c.spec.Endpoints) == 0 {
		r.add(diag.UnsuitableValue, "Unsuitable value", c.block.ranges["endpoints"], c.block.place,
			`Argument "endpoints": an empty list reaches nothing. Leave it out: then the client URLs of the members are used.`)
	}
}

func checkToken(s string) string {
	switch {
	case s == "":
		return "the token is empty. It tells clusters apart that were once at the same addresses; write any word."
	case strings.ContainsFunc(s, func(c rune) bool { return c <= 0x20 || c == 0x7f }):
		return quoted(s) + " holds a space or a control character. Write one word."
	}
	return ""
}

func checkService(s string) string {
	if path.Ext(s) == ".service" {
		return ""
	}
	return quoted(s) + " is not a service. A member of etcd runs as one."
}

func checkDropin(s string) string {
	if strings.HasSuffix(s, ".conf") {
		return ""
	}
	return quoted(s) + " does not end in .conf, and systemd reads no other drop-ins."
}

func checkServerName(s string) string {
	if addressProblem(s) != "" {
		return quoted(s) + " is neither a name nor an address. Write one that stands in the certificates, for example \"etcd.example.com\"."
	}
	return ""
}

func tlsFields() []field {
	return []field{
		{name: "ca_file", ty: cty.String, check: checkLocalPath, def: "the system's roots", doc: "The certificates that those of the members are checked against."},
		{name: "cert_file", ty: cty.String, check: checkLocalPath, def: "none", doc: "The client's certificate."},
		{name: "key_file", ty: cty.String, check: checkLocalPath, def: "none", doc: "The key of the client's certificate."},
		{name: "server_name", ty: cty.String, check: checkServerName, def: "the host in the URL of each member", doc: "What the members' certificates are for, where all have the same name instead of names or addresses of their own."},
	}
}

func authFields() []field {
	return []field{
		{name: "username", ty: cty.String, required: true, doc: "The user of etcd."},
		{name: "password_env", ty: cty.String, check: checkEnvName, def: "none", doc: "The environment variable that holds the password. Either this or password_file is needed."},
		{name: "password_file", ty: cty.String, check: checkLocalPath, def: "none", doc: "The file that holds the password."},
	}
}
