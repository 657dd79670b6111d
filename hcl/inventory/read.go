package inventory

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// reader takes an inventory apart. What is wrong is left out, with a finding,
// and the rest is read on.
type reader struct {
	file      *syntax.File
	dir       string // of the file; relative paths begin there
	found     engine.Diagnostics
	locals    *locals
	functions map[string]function.Function // that an expression can use

	shared   *connection // of all hosts; nil if none is written
	clusters []*cluster
	hosts    []*host
	groups   []*group
}

func (r *reader) add(code diag.Code, summary string, at hcl.Range, place diag.Place, format string, args ...any) {
	r.found = append(r.found, diag.New(code, summary, at, place, format, args...))
}

// blockTypes are the blocks of an inventory.
func blockTypes() []string {
	return []string{"inventory", "connection", "cluster", "host", "group", "locals"}
}

// read goes through the blocks of the file.
func (r *reader) read() *Inventory {
	r.locals = &locals{}
	r.functions = eval.Table(nil, "")
	if !r.readHeader() {
		return nil
	}
	for _, a := range attributes(r.file.Body) {
		r.add(diag.UnsupportedArgument, "Unsupported argument", a.NameRange, diag.Place{},
			"%q stands outside any block. An inventory is made of blocks: inventory, connection, cluster, host, group and locals.", a.Name)
	}
	r.readLocals()
	for _, b := range r.file.Body.Blocks {
		if b.Type == "connection" { // before the hosts, wherever it stands
			r.readSharedConnection(b)
		}
	}
	for _, b := range r.file.Body.Blocks {
		switch b.Type {
		case "inventory", "locals", "connection":
		case "cluster":
			r.readCluster(b)
		case "host":
			r.readHost(b)
		case "group":
			r.readGroup(b)
		default:
			r.add(diag.UnsupportedBlock, "Unsupported block", b.TypeRange, placeOf(b), "%s", notInInventory(b.Type))
		}
	}
	return r.finish()
}

func notInInventory(word string) string {
	switch word {
	case "variable", "task", "phase", "output", "playbook":
		return fmt.Sprintf("An inventory has no %s: it says what there is, and a playbook what to do.", word)
	case "member":
		return "A member block stands in a host block."
	case "tls", "auth", "server_tls":
		return fmt.Sprintf("The %s block stands in a cluster block.", word)
	}
	return fmt.Sprintf("An inventory has no block %q.%s", word, diag.DidYouMean(word, blockTypes()))
}

// readHeader finds the inventory block. It reports whether the rest can be read.
func (r *reader) readHeader() bool {
	var head *hclsyntax.Block
	for _, b := range r.file.Body.Blocks {
		switch {
		case b.Type == "playbook":
			r.add(diag.NotAnInventory, "Not an inventory", headerOf(b), placeOf(b), "This file is a playbook. Name it as the playbook to run, and an inventory with --inventory.")
			return false
		case b.Type == "inventory" && head != nil:
			r.add(diag.DuplicateBlock, "Block given twice", headerOf(b), placeOf(b), "The inventory block stands at line %d already.", head.TypeRange.Start.Line)
		case b.Type == "inventory":
			head = b
		}
	}
	if head == nil {
		start := hcl.Range{Filename: r.file.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
		place := diag.Place{}
		if len(r.file.Body.Blocks) > 0 {
			start, place = headerOf(r.file.Body.Blocks[0]), placeOf(r.file.Body.Blocks[0])
		}
		r.add(diag.NotAnInventory, "Not an inventory", start, place, "An inventory begins with inventory { language = %d }.", syntax.Language)
		return false
	}
	place := placeOf(head)
	if len(head.Labels) > 0 {
		r.add(diag.BlockLabels, "Wrong labels", headerOf(head), place, "Write inventory { language = %d }, without a name.", syntax.Language)
	}
	o := r.open(head, place, headerFields())
	if v, ok := o.values["language"]; ok && !v.RawEquals(cty.NumberIntVal(syntax.Language)) {
		r.add(diag.UnsupportedLanguage, "Unsupported language version", o.ranges["language"], place,
			"This etcdplay understands language %d. An inventory written in a later language needs a later etcdplay.", syntax.Language)
		return false
	}
	return true
}

// finish checks what concerns several blocks, and makes the inventory.
func (r *reader) finish() *Inventory {
	if len(r.clusters) == 0 && !r.found.HasErrors() {
		at := hcl.Range{Filename: r.file.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
		r.add(diag.NoCluster, "No cluster", at, diag.Place{}, `An inventory needs a cluster: cluster "NAME" { members = ["HOST", ...] }.`)
	}
	for _, c := range r.clusters {
		r.checkMembers(c)
	}
	for _, g := range r.groups {
		r.checkHostNames(g.block, "hosts")
	}
	r.checkHosts()
	inv := &Inventory{File: r.file.Name, Digest: r.file.Digest, hosts: r.hosts, serverTLS: map[string]*engine.ServerTLS{}}
	for _, c := range r.clusters {
		inv.serverTLS[c.spec.Name] = c.serverTLS
		inv.Clusters = append(inv.Clusters, c.spec)
	}
	for _, g := range r.groups {
		inv.Groups = append(inv.Groups, g.Group)
	}
	for i := range inv.Clusters {
		inv.setEndpoints(&inv.Clusters[i])
	}
	return inv
}

// setEndpoints gives a cluster the client URLs of its members, in the order of
// the members, unless others are written.
func (inv *Inventory) setEndpoints(c *engine.Cluster) {
	if c.Endpoints != nil {
		return
	}
	hosts := inv.Hosts(*c)
	for _, m := range c.Members {
		if i := slices.IndexFunc(hosts, func(h engine.HostSpec) bool { return h.Name == m }); i >= 0 {
			c.Endpoints = append(c.Endpoints, hosts[i].Member.ClientURLs...)
		}
	}
}
