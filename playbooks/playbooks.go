// Package playbooks holds the playbooks that are shipped inside the program. It
// knows nothing: they are files, read like any other.
package playbooks

import "embed"

// FS is the playbooks and their templates, by the path they have beside this
// file: "replace-member.hcl", "templates/etcd-member.conf.tmpl".
//
//go:embed *.hcl templates
var FS embed.FS
