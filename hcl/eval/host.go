package eval

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// The object types behind the names host, cluster and run. They are values of
// an immutable type and stand for constants.
var (
	// ServerTLSType is the files of a member's own side of TLS.
	ServerTLSType = cty.Object(map[string]cty.Type{
		"cert_file":             cty.String,
		"key_file":              cty.String,
		"ca_file":               cty.String,
		"client_cert_auth":      cty.Bool,
		"peer_cert_file":        cty.String,
		"peer_key_file":         cty.String,
		"peer_ca_file":          cty.String,
		"peer_client_cert_auth": cty.Bool,
	})

	// HostMemberType is how a host's member is configured.
	HostMemberType = cty.Object(map[string]cty.Type{
		"server_tls":         ServerTLSType,
		"name":               cty.String,
		"peer_urls":          cty.List(cty.String),
		"client_urls":        cty.List(cty.String),
		"listen_peer_urls":   cty.List(cty.String),
		"listen_client_urls": cty.List(cty.String),
	})

	// HostType is the type that a playbook writes as host.
	HostType = cty.Object(map[string]cty.Type{
		"name":    cty.String,
		"address": cty.String,
		"labels":  cty.Map(cty.String),
		"member":  HostMemberType,
	})

	// MemberType is one member of a running cluster, as etcd_members yields it
	// and as etcd::member_for yields a null of where it is given an empty tuple.
	MemberType = cty.Object(map[string]cty.Type{
		"id":          cty.String,
		"name":        cty.String,
		"peer_urls":   cty.List(cty.String),
		"client_urls": cty.List(cty.String),
		"started":     cty.Bool,
		"learner":     cty.Bool,
	})

	// ClusterType is the type of the name cluster.
	ClusterType = cty.Object(map[string]cty.Type{
		"name":      cty.String,
		"token":     cty.String,
		"api":       cty.Number,
		"scheme":    cty.String,
		"layout":    cty.String,
		"unit":      cty.String,
		"dropin":    cty.String,
		"env_file":  cty.String,
		"data_dir":  cty.String,
		"user":      cty.String,
		"group":     cty.String,
		"endpoints": cty.List(cty.String),
		"members":   cty.List(HostType),
	})

	// RunType is the type of the name run.
	RunType = cty.Object(map[string]cty.Type{
		"id":         cty.String,
		"started_at": cty.String,
		"user":       cty.String,
	})

	// ErrorType is the type of the name error in a rescue.
	ErrorType = cty.Object(map[string]cty.Type{
		"task":    cty.String,
		"message": cty.String,
	})
)

// HostValue is a host as a playbook sees it. A host without a configured
// member (localhost) has a null member.
func HostValue(h engine.HostSpec) cty.Value {
	member := cty.NullVal(HostMemberType)
	if h.Member.Name != "" {
		member = cty.ObjectVal(map[string]cty.Value{
			"server_tls":         serverTLSValue(h.Member.ServerTLS),
			"name":               cty.StringVal(h.Member.Name),
			"peer_urls":          stringList(h.Member.PeerURLs),
			"client_urls":        stringList(h.Member.ClientURLs),
			"listen_peer_urls":   stringList(h.Member.ListenPeerURLs),
			"listen_client_urls": stringList(h.Member.ListenClientURLs),
		})
	}
	labels := cty.MapValEmpty(cty.String)
	if len(h.Labels) > 0 {
		m := make(map[string]cty.Value, len(h.Labels))
		for k, v := range h.Labels {
			m[k] = cty.StringVal(v)
		}
		labels = cty.MapVal(m)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"name":    cty.StringVal(h.Name),
		"address": cty.StringVal(h.Address),
		"labels":  labels,
		"member":  member,
	})
}

// serverTLSValue is null where nothing is configured, and so is each file that
// is not.
func serverTLSValue(t *engine.ServerTLS) cty.Value {
	if t == nil {
		return cty.NullVal(ServerTLSType)
	}
	file := func(path string) cty.Value {
		if path == "" {
			return cty.NullVal(cty.String)
		}
		return cty.StringVal(path)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"cert_file":             file(t.CertFile),
		"key_file":              file(t.KeyFile),
		"ca_file":               file(t.CAFile),
		"client_cert_auth":      cty.BoolVal(t.ClientCertAuth),
		"peer_cert_file":        file(t.PeerCertFile),
		"peer_key_file":         file(t.PeerKeyFile),
		"peer_ca_file":          file(t.PeerCAFile),
		"peer_client_cert_auth": cty.BoolVal(t.PeerClientCertAuth),
	})
}

// HostsValue is the name host: a map of all hosts by their names.
func HostsValue(hosts []engine.HostSpec) cty.Value {
	if len(hosts) == 0 {
		return cty.MapValEmpty(HostType)
	}
	m := make(map[string]cty.Value, len(hosts))
	for _, h := range hosts {
		m[h.Name] = HostValue(h)
	}
	return cty.MapVal(m)
}

// HostList is a list of the hosts with these names, in the order of names.
// Names that no host has are left out: an inventory has been checked for them.
func HostList(names []string, hosts []engine.HostSpec) cty.Value {
	byName := make(map[string]engine.HostSpec, len(hosts))
	for _, h := range hosts {
		byName[h.Name] = h
	}
	var list []cty.Value
	for _, n := range names {
		if h, ok := byName[n]; ok {
			list = append(list, HostValue(h))
		}
	}
	if len(list) == 0 {
		return cty.ListValEmpty(HostType)
	}
	return cty.ListVal(list)
}

// GroupsValue is the name group: for every group the list of its hosts, in
// their written order.
func GroupsValue(groups map[string][]string, hosts []engine.HostSpec) cty.Value {
	if len(groups) == 0 {
		return cty.MapValEmpty(cty.List(HostType))
	}
	m := make(map[string]cty.Value, len(groups))
	for name, members := range groups {
		m[name] = HostList(members, hosts)
	}
	return cty.MapVal(m)
}

// ClusterValue is the name cluster.
func ClusterValue(c engine.Cluster, hosts []engine.HostSpec) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"name":      cty.StringVal(c.Name),
		"token":     cty.StringVal(c.Token),
		"api":       cty.NumberIntVal(int64(c.API)),
		"scheme":    cty.StringVal(c.Scheme),
		"unit":      cty.StringVal(c.Unit),
		"layout":    cty.StringVal(c.Layout),
		"dropin":    cty.StringVal(c.Dropin),
		"env_file":  cty.StringVal(c.EnvFile),
		"data_dir":  cty.StringVal(c.DataDir),
		"user":      cty.StringVal(c.User),
		"group":     cty.StringVal(c.Group),
		"endpoints": stringList(c.Endpoints),
		"members":   HostList(c.Members, hosts),
	})
}

func stringList(ss []string) cty.Value {
	if len(ss) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	vs := make([]cty.Value, len(ss))
	for i, s := range ss {
		vs[i] = cty.StringVal(s)
	}
	return cty.ListVal(vs)
}
