package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// patience is longer than etcd's health interval: what it refuses then, it
// refuses for good.
const patience = 7 * time.Second

// TestPredicatesAgree asks genuine clusters with members down for the changes
// that the predicates judge: what they allow, etcd takes, after its health
// interval at the latest.
func TestPredicatesAgree(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ n, down int }{{2, 0}, {3, 1}, {4, 1}, {5, 2}} {
		t.Run(fmt.Sprintf("%d of %d", x.n-x.down, x.n), func(t *testing.T) {
			t.Parallel()
			c := boot(t, x.n)
			for _, n := range c.nodes[x.n-x.down:] {
				n.stop()
			}
			ctx, l := within(t, 60*time.Second), c.look()
			s := Survey(ctx, l, nil)
			if !s.Known || s.Budget().Healthy != x.n-x.down {
				t.Fatalf("got %+v", s)
			}
			acc, err := newAccess(l, Reach{})
			if err != nil {
				t.Fatal(err)
			}

			// Adding a learner, and taking it back.
			peer := []string{"http://127.0.4.99:2380"}
			allowed := s.MayAdd(world.Addition{Name: "x", PeerURLs: peer, Learner: true}).OK()
			var id uint64
			taken := c.takes(ctx, acc, func(ctx context.Context, cl *clientv3.Client) error {
				r, err := cl.MemberAddAsLearner(ctx, peer)
				if err == nil {
					id = r.Member.ID
				}
				return err
			})
			if allowed != taken {
				t.Errorf("adding a learner: allowed %v, taken %v", allowed, taken)
			}
			if taken {
				now := Survey(ctx, l, nil)
				if !now.MayRemove(hexID(id), false).OK() {
					t.Errorf("removing the learner: refused: %v", now.MayRemove(hexID(id), false).Err())
				}
				remove := func(ctx context.Context, cl *clientv3.Client) error {
					_, err := cl.MemberRemove(ctx, id)
					return err
				}
				if !c.takes(ctx, acc, remove) {
					t.Error("removing the learner: etcd refuses")
				}
			}

			// Removing a dead one, or one of two.
			last := s.OnHost("host-" + c.nodes[x.n-1].name)
			if v := s.MayRemove(last.ID, true); !v.OK() {
				t.Fatalf("removing %s: refused: %v", last.Name, v.Err())
			}
			number, err := memberID(last.ID)
			if err != nil {
				t.Fatal(err)
			}
			remove := func(ctx context.Context, cl *clientv3.Client) error {
				_, err := cl.MemberRemove(ctx, number)
				return err
			}
			if !c.takes(ctx, acc, remove) {
				t.Errorf("removing %s: etcd refuses", last.Name)
			}
		})
	}
}

// takes reports whether etcd takes the change within the time that its health
// interval may need.
func (c *cluster) takes(ctx context.Context, acc *access, send func(context.Context, *clientv3.Client) error) bool {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	err := engine.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) (bool, error) {
		err := acc.change(ctx, "", send)
		// While a leader is elected nobody answers; what etcd says after that counts.
		if err != nil && ctx.Err() == nil && (last == nil || !strings.Contains(err.Error(), "no endpoint of the cluster answers")) {
			last = err
		}
		return err == nil || errors.Is(err, rpctypes.ErrMemberNotFound), nil
	})
	if err != nil && (last == nil || !strings.Contains(last.Error(), "unhealthy cluster")) {
		c.t.Fatalf("not taken, and for another reason: %v", last)
	}
	return err == nil
}
