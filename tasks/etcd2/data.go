package etcd2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// dataArgs is the arguments of etcd2_data.
type dataArgs struct {
	DataDir string `play:"data_dir,required,abspath,nosecret" doc:"The data directory of the member."`
}

// dataResults is the results of etcd2_data.
type dataResults struct {
	Exists    bool   `play:"exists" doc:"Whether a member's log is there."`
	MemberID  string `play:"member_id" doc:"Whose it is, hex; empty if there is none."`
	ClusterID string `play:"cluster_id" doc:"Of which cluster, hex."`
	Term      uint64 `play:"term" doc:"The term of its last entry."`
	Index     uint64 `play:"index" doc:"The index of its last entry. Of several members, the one with the highest term, and with that the highest index, has lost least."`
	Commit    uint64 `play:"commit" doc:"The highest index that it knew to be agreed on."`
	Damage    string `play:"damage" doc:"Why the log cannot be read to its end; empty if it can. Then index is as far as it was read."`
	Proxy     bool   `play:"proxy" doc:"Whether a v2 proxy keeps its list of members there instead."`
}

func data() *engine.Type {
	return engine.Define(engine.Spec[dataArgs, dataResults, dataResults]{
		Name:      "etcd2_data",
		Doc:       "Reads from the log in a data directory whose it is and how far it goes. Etcd may run or not.",
		Effect:    engine.Read,
		Where:     engine.OnHost,
		Retryable: true,
		Observe: func(ctx context.Context, l engine.Look, a dataArgs) (dataResults, error) {
			return lookAtData(ctx, l.Host, a.DataDir)
		},
		Report: func(_ dataArgs, s dataResults) dataResults { return s },
		Plan: func(p engine.Planning, a dataArgs, s dataResults) (engine.Planned, dataResults) {
			if p.Unknown["data_dir"] {
				return engine.Planned{Summary: "told during the run: the log in a directory that is known then"}, s
			}
			if !p.Observed {
				return engine.Planned{Summary: "told during the run: the log in " + a.DataDir}, s
			}
			if !s.Exists {
				return engine.Planned{Summary: a.DataDir + ": no member's log"}, s
			}
			if s.Damage != "" {
				return engine.Planned{Summary: s.Damage}, s
			}
			return engine.Planned{Summary: fmt.Sprintf("%s: member %s of cluster %s, term %d, index %d", a.DataDir, s.MemberID, s.ClusterID, s.Term, s.Index)}, s
		},
		Model: func(string, dataArgs, *world.World) (dataResults, []string, bool) { return dataResults{}, nil, false },
	})
}

// lookAtData is what there is in a data directory.
func lookAtData(ctx context.Context, r conn.Reader, dataDir string) (s dataResults, err error) {
	if _, err := r.Stat(ctx, path.Join(dataDir, "proxy")); err == nil {
		s.Proxy = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	w, err := readWAL(ctx, r, dataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	s.Exists = true
	s.MemberID, s.ClusterID, s.Term, s.Index, s.Commit = w.Member, w.Cluster, w.Term, w.Index, w.Commit
	if errors.Is(err, errDamaged) {
		s.Damage, err = err.Error(), nil
	}
	return s, err
}
