package etcd2

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
)

func settleForce(ctx context.Context, l engine.Look, a forceArgs, before forceState) (engine.Settlement, forceResults, error) {
	r := forceResults{MemberID: before.Data.MemberID, ClusterID: before.Data.ClusterID, Index: before.Data.Index}
	var now forceState
	err := engine.Poll(ctx, time.Second, func(ctx context.Context) (bool, error) {
		f, u := forceOf(ctx, l.Host, a.Unit)
		if u.ActiveState == "" {
			return false, errors.New(f.Why)
		}
		now = forceState{Active: u.ActiveState, Invocation: u.InvocationID, Data: before.Data, Force: f}
		if now.Active == "inactive" || now.Active == "failed" {
			return true, nil
		}
		if err := now.see(ctx, l, a); err != nil {
			return false, err
		}
		return now.Alone || len(now.Others) > 0 && (now.Active == "active" || f == (force{})), nil
	})
	if now.Active == "" {
		return "", r, err
	}
	r.InvocationID = now.Invocation
	switch {
	case now.Alone:
		return engine.Done, r, nil
	case now.Active != "inactive" && now.Active != "failed":
		switch {
		case len(now.Others) > 0 && now.Force == (force{}):
			return engine.NotDone, r, nil // the host was booted, and what forces a new cluster is gone
		case len(now.Others) > 0:
			return engine.Conflict, r, nil // it runs, and others have come in
		}
		return "", r, fmt.Errorf("%s is %s and does not say that it is alone: %w", a.Unit, now.Active, err)
	case now.Invocation == before.Invocation:
		return engine.NotDone, r, nil
	}
	return engine.Partial, r, nil // it has been started and is down again
}

// verifyForce waits until a quorum of the member itself agrees that it is the
// only one, and holds its log against what it was before.
func verifyForce(ctx context.Context, l engine.Look, a forceArgs, r forceResults) error {
	acc, err := newAccess(l, a.Reach)
	if err != nil {
		return err
	}
	before, err := lookAtData(ctx, l.Host, a.DataDir)
	if err != nil {
		return err
	}
	return engine.Poll(ctx, pollMost, func(ctx context.Context) (bool, error) {
		u, err := l.Host.Unit(ctx, a.Unit)
		if err != nil {
			return false, err
		}
		if u.ActiveState == "inactive" || u.ActiveState == "failed" {
			return false, fmt.Errorf("%s is %s: %w", a.Unit, u.ActiveState, engine.ErrStop)
		}
		list, err := acc.list(ctx)
		switch {
		case err != nil:
			return false, err
		case list.ClusterID != r.ClusterID || before.MemberID != r.MemberID:
			return false, fmt.Errorf("this is member %s of cluster %s, and it was member %s of %s: it has begun another cluster: %w",
				before.MemberID, list.ClusterID, r.MemberID, r.ClusterID, engine.ErrStop)
		case len(list.Members) != 1 || list.member(r.MemberID) == nil:
			return false, fmt.Errorf("the cluster has %s instead of one: %s", count(len(list.Members), "member"), strings.Join(labels(list.world(l.Cluster).Members), ", "))
		case !list.Linear:
			return false, errors.New("it does not serve reads yet")
		}
		return true, nil
	})
}
