package bootstrap

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/etcdplay/etcdplay/engine"
)

// PeersArgs is the arguments of etcd_peers.
type PeersArgs struct {
	URLs []string `play:"urls,required,url" doc:"Peer URLs, of hosts that need not be reachable."`
}

// PeersResults is the results of etcd_peers.
type PeersResults struct {
	Answering []string `play:"answering" doc:"The URLs at which somebody takes connections, each with what it says of itself."`
	Clusters  []string `play:"clusters" doc:"The IDs of the clusters that etcd names there, hex."`
}

type peersState struct {
	Answering []string `json:"answering"`
	Clusters  []string `json:"clusters"`
}

func peers() *engine.Type {
	return engine.Define(engine.Spec[PeersArgs, peersState, PeersResults]{
		Name: "etcd_peers",
		Doc: "Tells who answers at peer URLs, and of which cluster it is a member. That nobody answers is an answer, " +
			"also where the host is not reached.",
		Effect: engine.Read, Where: engine.Controller, Retryable: true, Volatile: true,
		Observe: observePeers,
		Report:  func(_ PeersArgs, s peersState) PeersResults { return PeersResults(s) },
		Plan: func(p engine.Planning, a PeersArgs, s peersState) (engine.Planned, PeersResults) {
			switch {
			case !p.Observed:
				return engine.Planned{Summary: "told during the run: who answers at the peer URLs"}, PeersResults{}
			case len(a.URLs) == 0:
				return engine.Planned{Summary: "there is no other host to ask"}, PeersResults(s)
			case len(s.Answering) == 0:
				return engine.Planned{Summary: fmt.Sprintf("nobody answers at %d peer URLs", len(a.URLs))}, PeersResults(s)
			}
			return engine.Planned{Summary: listed(s.Answering)}, PeersResults(s)
		},
	})
}

func observePeers(ctx context.Context, l engine.Look, a PeersArgs) (peersState, error) {
	s := peersState{}
	words, ids := make([]string, len(a.URLs)), make([]string, len(a.URLs))
	var wg sync.WaitGroup
	for i, u := range a.URLs {
		wg.Go(func() { words[i], ids[i] = dialer(l.Dial).answers(ctx, u) })
	}
	wg.Wait()
	for i, u := range a.URLs {
		if words[i] != "" {
			s.Answering = append(s.Answering, u+" "+words[i])
		}
		if ids[i] != "" && !slices.Contains(s.Clusters, ids[i]) {
			s.Clusters = append(s.Clusters, ids[i])
		}
	}
	return s, ctx.Err()
}
