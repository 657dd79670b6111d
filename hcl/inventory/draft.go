package inventory

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
)

// Draft is what is known of a live cluster, for a first inventory of it.
type Draft struct {
	Name    string // of the cluster
	ID      string
	TLS     engine.TLS
	Auth    engine.Auth
	User    string // to log in to the hosts as; "" means what ssh's own configuration says
	Members []engine.MemberSpec
}

// Write is the inventory of d. What a member listens on, and the token, cannot be
// seen from outside; where something else than the default is likely it is
// written with a remark. The error says why there can be no such inventory.
func (d Draft) Write() ([]byte, error) {
	var b strings.Builder
	b.WriteString("inventory {\n  language = 1\n}\n\nconnection \"ssh\" {\n")
	switch d.User {
	case "":
		b.WriteString("  # The user is that of ssh's own configuration. One who is not root needs\n  # become = \"sudo\".\n")
	case "root":
		b.WriteString("  user = \"root\"\n")
	default:
		fmt.Fprintf(&b, "  user   = %s\n  become = \"sudo\"\n", text(d.User))
	}
	hosts, scheme := d.hosts()
	var names []string
	for _, h := range hosts {
		names = append(names, h.spec.Name)
	}
	fmt.Fprintf(&b, "}\n\ncluster %s {\n  id = %s\n\n", text(d.Name), text(d.ID))
	b.WriteString("  # The token cannot be seen from outside. Write here what the members were\n")
	b.WriteString("  # started with (--initial-cluster-token); this is etcd's own default.\n")
	b.WriteString("  token = \"etcd-cluster\"\n\n")
	if scheme != "http" {
		fmt.Fprintf(&b, "  scheme  = %s\n", text(scheme))
	}
	fmt.Fprintf(&b, "  members = %s\n", list(names))
	if t := d.TLS; t != (engine.TLS{}) {
		b.WriteString("\n  tls {\n")
		attribute(&b, "    ca_file   = ", t.CAFile)
		attribute(&b, "    cert_file = ", t.CertFile)
		attribute(&b, "    key_file  = ", t.KeyFile)
		attribute(&b, "    server_name = ", t.ServerName)
		b.WriteString("  }\n")
	}
	if scheme == "https" {
		b.WriteString(serverTLSRemark)
	}
	if a := d.Auth; a.Username != "" {
		source, name := "password_env", a.PasswordEnv
		if a.PasswordFile != "" {
			source, name = "password_file", a.PasswordFile
		}
		fmt.Fprintf(&b, "\n  auth {\n    %-*s = %s\n    %s = %s\n  }\n", len(source), "username", text(a.Username), source, text(name))
	}
	b.WriteString("}\n")
	for _, h := range hosts {
		h.write(&b, scheme)
	}
	b.WriteString(spareRemark)
	src := []byte(b.String())
	if _, found := Load("inventory.hcl", src); found.HasErrors() {
		return nil, fmt.Errorf("this cluster fits no inventory: %s", found.Error())
	}
	return src, nil
}

// spareRemark is what a person needs who wants the cluster to grow.
const spareRemark = `
# A host that is to join has a block here, too, and no place in members before it
# has joined.
`

// serverTLSRemark is what a person has to fill in.
const serverTLSRemark = `
  # What the members show and ask for cannot be seen from outside. Playbooks that
  # add or replace a member need it: paths on the hosts, as in a member's unit.
  # server_tls {
  #   cert_file      = "/etc/ssl/certs/etcd/server.pem"
  #   key_file       = "/etc/ssl/certs/etcd/server-key.pem"
  #   ca_file        = "/etc/ssl/certs/etcd/ca.pem"
  #   peer_cert_file = "/etc/ssl/certs/etcd/peer.pem"
  #   peer_key_file  = "/etc/ssl/certs/etcd/peer-key.pem"
  #   peer_ca_file   = "/etc/ssl/certs/etcd/ca.pem"
  # }
`

// hosts is one host for each member, under the member's name where that is fit
// for a host, and the scheme that most of the client URLs have.
func (d Draft) hosts() ([]*host, string) {
	var hosts []*host
	secure, all := 0, 0
	for _, m := range d.Members {
		h := &host{spec: engine.HostSpec{Name: m.Name, Member: m}}
		for _, u := range slices.Concat(m.PeerURLs, m.ClientURLs) {
			if parsed, err := url.Parse(u); err == nil && h.spec.Address == "" {
				h.spec.Address = parsed.Hostname()
			}
		}
		for _, u := range m.ClientURLs {
			all++
			if strings.HasPrefix(u, "https://") {
				secure++
			}
		}
		taken := slices.ContainsFunc(hosts, func(o *host) bool { return o.spec.Name == m.Name })
		if !nameForm.MatchString(m.Name) || taken || m.Name == Localhost {
			h.spec.Name = strings.Trim(strings.ReplaceAll(h.spec.Address, ":", "-"), "-")
		}
		hosts = append(hosts, h)
	}
	if 2*secure > all {
		return hosts, "https"
	}
	return hosts, "http"
}

// write writes the block of a host, with what of its member is not the default.
func (h *host) write(b *strings.Builder, scheme string) {
	usual := (&host{spec: engine.HostSpec{Name: h.spec.Name, Address: h.spec.Address}}).resolve(scheme).Member
	m := h.spec.Member
	fmt.Fprintf(b, "\nhost %s {\n  address = %s\n", text(h.spec.Name), text(h.spec.Address))
	var own strings.Builder
	if m.Name == "" {
		b.WriteString("\n  # Its member has not started yet.\n")
	} else if m.Name != usual.Name {
		fmt.Fprintf(&own, "    name = %s\n", text(m.Name))
	}
	var listen []string
	if !slices.Equal(m.PeerURLs, usual.PeerURLs) && len(m.PeerURLs) > 0 {
		fmt.Fprintf(&own, "    peer_urls = %s\n", list(m.PeerURLs))
		listen = append(listen, "listen_peer_urls = "+list(listening(m.PeerURLs, true)))
	}
	if !slices.Equal(m.ClientURLs, usual.ClientURLs) && len(m.ClientURLs) > 0 {
		fmt.Fprintf(&own, "    client_urls = %s\n", list(m.ClientURLs))
		listen = append(listen, "listen_client_urls = "+list(listening(m.ClientURLs, false)))
	}
	if len(listen) > 0 {
		own.WriteString("\n    # What it listens on cannot be seen from outside: compare it with its unit.\n")
		for _, l := range listen {
			own.WriteString("    " + l + "\n")
		}
	}
	if own.Len() > 0 {
		b.WriteString("\n  member {\n" + own.String() + "  }\n")
	}
	b.WriteString("}\n")
}

// listening is what a member that is reached at these URLs is likely to listen
// on: the same addresses, or all of them.
func listening(urls []string, everywhere bool) []string {
	var out []string
	for _, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil {
			continue
		}
		l := u
		if _, err := netip.ParseAddr(parsed.Hostname()); err != nil || everywhere {
			l = memberURL(parsed.Scheme, "0.0.0.0", parsed.Port())
		}
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

func attribute(b *strings.Builder, start, value string) {
	if value != "" {
		b.WriteString(start + text(value) + "\n")
	}
}

// text is s as a string of the language.
func text(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
}

func list(of []string) string {
	quoted := make([]string, 0, len(of))
	for _, s := range of {
		quoted = append(quoted, text(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
