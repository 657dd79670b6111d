// Package etcd2 holds the task types that read and change a cluster over etcd's
// v2 API, which is plain HTTP, those that make a one-member cluster of a
// survivor, and the survey of such a cluster. It knows what the v2 API says and
// conceals, and what a member has on disk. It does not know how a host is
// reached, nor whether a change is safe (that is engine/world).
package etcd2

import (
	"fmt"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/tasks/etcd"
)

// Types lists the task types of this package.
func Types() []*engine.Type {
	return []*engine.Type{
		members(),
		health(),
		memberAdd(settleFor),
		memberRemove(settleFor),
		memberUpdate(settleFor),
		backup(),
		data(),
		forceNewCluster(),
		proxies(),
	}
}

// Reach is the arguments that every type of this package takes which speaks to
// etcd: how the cluster is reached.
type Reach struct {
	Endpoints []string  `play:"endpoints,url" default:"cluster.endpoints" doc:"Client URLs to speak to the cluster through. One that answers is enough."`
	API       *int      `play:"api" default:"cluster.api" doc:"The version of etcd's API, 2. The types for API 3 are etcd_*."`
	Via       *etcd.Via `play:"via" default:"as the inventory says" doc:"The host from which the endpoints are reached."`
}

func (r Reach) check() error {
	if r.API != nil && *r.API != 2 {
		return &engine.ArgError{Arg: "api", Text: fmt.Sprintf("This type speaks API 2, not %d. For API 3 use the etcd_* types.", *r.API)}
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
