package inventory

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

func serverTLSFields() []field {
	file := func(name, doc string) field {
		return field{name: name, ty: cty.String, kind: engine.AbsPath, def: "none", doc: doc}
	}
	return []field{
		file("cert_file", "The certificate that clients are shown (--cert-file)."),
		file("key_file", "Its key (--key-file)."),
		file("ca_file", "The certificates that those of clients are checked against (--trusted-ca-file)."),
		{name: "client_cert_auth", ty: cty.Bool, def: "whether there is a ca_file", doc: "Whether clients need a certificate (--client-cert-auth)."},
		file("peer_cert_file", "The certificate that peers are shown (--peer-cert-file)."),
		file("peer_key_file", "Its key (--peer-key-file)."),
		file("peer_ca_file", "The certificates that those of peers are checked against (--peer-trusted-ca-file)."),
		{name: "peer_client_cert_auth", ty: cty.Bool, def: "whether there is a peer_ca_file", doc: "Whether peers need a certificate (--peer-client-cert-auth)."},
	}
}

// readServerTLS reads the members' own side of TLS.
func (r *reader) readServerTLS(b *hclsyntax.Block, place diag.Place) *engine.ServerTLS {
	if len(b.Labels) > 0 {
		r.add(diag.BlockLabels, "Wrong labels", headerOf(b), place, "Write server_tls { cert_file = ... }, without a label.")
	}
	o := r.open(b, place, serverTLSFields())
	side := func(prefix, auth string) (cert, key, ca string, checked bool) {
		cert, key, ca = o.text(prefix+"cert_file", ""), o.text(prefix+"key_file", ""), o.text(prefix+"ca_file", "")
		if (cert == "") != (key == "") {
			r.add(diag.BadTLS, "Certificate without key", o.header(), place, "%[1]scert_file and %[1]skey_file belong together: write both, or none.", prefix)
		}
		if cert == "" && ca != "" {
			r.add(diag.BadTLS, "Nothing to show", o.ranges[prefix+"ca_file"], place, "Where certificates are asked for, the member has one itself. Write %[1]scert_file and %[1]skey_file too.", prefix)
		}
		checked = ca != ""
		if v, ok := o.values[auth]; ok {
			checked = v.True()
			if checked && ca == "" {
				r.add(diag.BadTLS, "Nothing to check against", o.ranges[auth], place, "Certificates are asked for, and there is nothing to check them against. Write %sca_file too.", prefix)
			}
		}
		return cert, key, ca, checked
	}
	var t engine.ServerTLS
	t.CertFile, t.KeyFile, t.CAFile, t.ClientCertAuth = side("", "client_cert_auth")
	t.PeerCertFile, t.PeerKeyFile, t.PeerCAFile, t.PeerClientCertAuth = side("peer_", "peer_client_cert_auth")
	if t == (engine.ServerTLS{}) {
		return nil
	}
	return &t
}
