package etcd

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// TestLateAnswer: a member that is silent for a moment, as one is whose disk is
// busy, is asked a second time before it is called unhealthy; one that stays
// silent is unhealthy.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	c := boot(t, 3)
	late := strings.TrimPrefix(c.nodes[1].client, "http://")
	for _, tc := range []struct {
		silent  time.Duration // from the first time that it is asked
		healthy int
	}{
		{silent: lookFor + 200*time.Millisecond, healthy: 3},
		{silent: time.Hour, healthy: 2},
	} {
		awake := sync.OnceValue(func() <-chan time.Time {
			passed := make(chan time.Time)
			time.AfterFunc(tc.silent, func() { close(passed) })
			return passed
		})
		c.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == late {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-awake():
				}
			}
			return dialTCP(ctx, addr)
		}
		_, r, err := c.read(health(), map[string]cty.Value{})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.GetAttr("healthy").LengthInt(); got != tc.healthy {
			t.Errorf("silent for %s: %d are healthy, want %d (%#v)", tc.silent, got, tc.healthy, r)
		}
	}
}
