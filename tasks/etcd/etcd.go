// Package etcd holds the task types that read and change the membership of an
// etcd cluster over its v3 API, and the survey that fills the engine's model of
// the cluster. It knows etcd's API, its errors and what their texts prove. It
// does not know how a host is reached (it gets a dial function), nor whether a
// change is safe (that is engine/world).
package etcd

import (
	"fmt"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/etcdplay/etcdplay/engine"
)

// Types lists the task types of this package.
func Types() []*engine.Type {
	return []*engine.Type{
		members(),
		health(),
		memberAdd(settleFor),
		memberRemove(settleFor),
		memberPromote(settleFor),
		certificates(),
	}
}

// Via is a host object as playbooks have it. Only the name counts here: the
// engine knows the rest.
type Via struct {
	Name    string            `play:"name"`
	Address string            `play:"address"`
	Labels  map[string]string `play:"labels"`
	Member  ViaMember         `play:"member"`
}

// ViaMember is the member of a host object.
type ViaMember struct {
	Name             string   `play:"name"`
	PeerURLs         []string `play:"peer_urls"`
	ClientURLs       []string `play:"client_urls"`
	ListenPeerURLs   []string `play:"listen_peer_urls"`
	ListenClientURLs []string `play:"listen_client_urls"`
	ServerTLS        *ViaTLS  `play:"server_tls"`
}

// ViaTLS is the files of the member of a host object.
type ViaTLS struct {
	CertFile           *string `play:"cert_file"`
	KeyFile            *string `play:"key_file"`
	CAFile             *string `play:"ca_file"`
	ClientCertAuth     bool    `play:"client_cert_auth"`
	PeerCertFile       *string `play:"peer_cert_file"`
	PeerKeyFile        *string `play:"peer_key_file"`
	PeerCAFile         *string `play:"peer_ca_file"`
	PeerClientCertAuth bool    `play:"peer_client_cert_auth"`
}

// Reach is the arguments that every type of this package takes: how the cluster
// is reached.
type Reach struct {
	Endpoints []string `play:"endpoints,url" default:"cluster.endpoints" doc:"Client URLs to speak to the cluster through. One that answers is enough."`
	API       *int     `play:"api" default:"cluster.api" doc:"The version of etcd's API, 3. The types for API 2 are etcd2_*."`
	Via       *Via     `play:"via" default:"as the inventory says" doc:"The host from which the endpoints are reached."`
}

func (r Reach) check() error {
	if r.API != nil && *r.API != 3 {
		return &engine.ArgError{Arg: "api", Text: fmt.Sprintf("This type speaks API 3, not %d. For API 2 use the etcd2_* types.", *r.API)}
	}
	return nil
}

// checkPeerURLs finds what etcd itself would refuse in the peer URLs of a member.
func checkPeerURLs(urls []string) error {
	if len(urls) == 0 {
		return &engine.ArgError{Arg: "peer_urls", Text: "A member needs at least one peer URL."}
	}
	for i, u := range urls {
		if slices.Contains(urls[:i], u) {
			return &engine.ArgError{Arg: "peer_urls", Text: fmt.Sprintf("%s is given twice.", u)}
		}
		if _, err := types.NewURLs([]string{u}); err != nil {
			return &engine.ArgError{Arg: "peer_urls", Text: fmt.Sprintf("%s is not a peer URL (%v). Write http://host:2380, without a path.", u, err)}
		}
	}
	return nil
}
