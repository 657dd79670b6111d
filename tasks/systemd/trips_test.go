package systemd_test

import (
	"context"
	"sync"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/tasks/systemd"
)

// trips counts how often a host is asked.
type trips struct {
	conn.Reader
	mu                   sync.Mutex
	units, glances, rest int
}

func (r *trips) count(n *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

func (r *trips) Unit(ctx context.Context, name string) (conn.Unit, error) {
	r.count(&r.units)
	return r.Reader.Unit(ctx, name)
}

func (r *trips) Glance(ctx context.Context, all []*conn.Glance) {
	r.count(&r.glances)
	conn.LookAt(ctx, r.Reader, all...)
}

func (r *trips) Stat(ctx context.Context, path string) (conn.Info, error) {
	r.count(&r.rest)
	return r.Reader.Stat(ctx, path)
}

func (r *trips) ReadDir(ctx context.Context, path string) ([]conn.Info, error) {
	r.count(&r.rest)
	return r.Reader.ReadDir(ctx, path)
}

func (r *trips) ReadFile(ctx context.Context, path string) ([]byte, error) {
	r.count(&r.rest)
	return r.Reader.ReadFile(ctx, path)
}

// TestDropinTrips holds what a look at a drop-in may cost: systemd is asked once,
// and the files in one trip, or in two where drop-ins come after ours.
func TestDropinTrips(t *testing.T) {
	b := up(t)
	typ := systemd.Dropin()
	args := enginetest.Args(typ, map[string]cty.Value{
		"unit": str("sleeper.service"), "name": str("20.conf"), "content": str("[Service]\nEnvironment=A=b\n"),
	})
	for _, c := range []struct {
		name  string
		trips int
	}{{"alone", 1}, {"before another", 2}} {
		t.Run(c.name, func(t *testing.T) {
			if c.trips > 1 {
				b.write(t, dropins+"98-later.conf", "[Service]\nEnvironment=B=c\n")
			}
			r := &trips{Reader: b.spare}
			l := b.look()
			l.Host = r
			if _, err := typ.Observe(t.Context(), l, args); err != nil {
				t.Fatal(err)
			}
			if r.units != 1 || r.glances != c.trips || r.rest != 0 {
				t.Errorf("systemd was asked %d times, the files in %d trips and %d single looks; want 1, %d, 0", r.units, r.glances, r.rest, c.trips)
			}
		})
	}
}
