package etcd

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// wires counts the connections that are dialled, and can cut them.
type wires struct {
	mu    sync.Mutex
	n     int
	conns []net.Conn
}

func (w *wires) dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := dialTCP(ctx, addr)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	if err == nil {
		w.conns = append(w.conns, c)
	}
	return c, err
}

func (w *wires) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func (w *wires) dialled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// healthy is how many members a survey finds healthy.
func healthy(c world.Cluster) (n int) {
	for _, m := range c.Members {
		if m.Health == world.Healthy {
			n++
		}
	}
	return n
}

// TestLinksAreKept surveys a cluster again and again, as a run does: each member
// is dialled once, a member that stops is seen to have stopped, one that starts
// again is seen at once, and a connection that was cut harms nobody.
func TestLinksAreKept(t *testing.T) {
	t.Parallel()
	c := boot(t, 3)
	w := &wires{}
	c.dial = w.dial
	ctx, l := within(t, 2*time.Minute), c.look()
	kept := &engine.Kept{}
	t.Cleanup(kept.Close)
	l.Kept = kept

	for range 5 {
		if s := Survey(ctx, l, nil); healthy(s) != 3 {
			t.Fatalf("got %+v", s)
		}
		acc, err := newAccess(l, Reach{})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := acc.agreed(ctx); err != nil || len(list.Members) != 3 {
			t.Fatalf("got %+v, %v", list, err)
		}
	}
	if got := w.dialled(); got != 3 {
		t.Errorf("five surveys and lists dialled %d times, want 3", got)
	}

	w.cut()
	if s := Survey(ctx, l, nil); healthy(s) != 3 {
		t.Errorf("after the connections were cut: %+v", s)
	}

	// Long enough down for gRPC to pause before it dials again.
	c.nodes[2].stop()
	for range 4 {
		if s := Survey(ctx, l, nil); healthy(s) != 2 {
			t.Errorf("with c stopped: %+v", s)
		}
	}
	c.nodes[2].start(t, "", "existing")
	if s := Survey(ctx, l, nil); healthy(s) != 3 {
		t.Errorf("after c was started again: %+v", s)
	}
	before := w.dialled()
	if s := Survey(ctx, l, nil); healthy(s) != 3 {
		t.Errorf("got %+v", s)
	}
	if n := w.dialled() - before; n != 0 {
		t.Errorf("a survey of known members dialled %d times", n)
	}
}

// TestLinksEnd: what is kept ends with its keeper, and without one with its use.
func TestLinksEnd(t *testing.T) {
	t.Parallel()
	c := boot(t, 1)
	ctx, l := within(t, time.Minute), c.look()
	links := func(l engine.Look) int {
		all := linksOf(l)
		all.mu.Lock()
		defer all.mu.Unlock()
		return len(all.by)
	}
	acc, err := newAccess(l, Reach{})
	if err != nil {
		t.Fatal(err)
	}
	if acc.survey(ctx); len(acc.links.by) != 0 {
		t.Errorf("%d links stay where nobody keeps them", len(acc.links.by))
	}
	l.Kept = &engine.Kept{}
	if Survey(ctx, l, nil); links(l) != 1 {
		t.Errorf("%d links are kept, want 1", links(l))
	}
	all := linksOf(l)
	l.Kept.Close()
	if len(all.by) != 0 {
		t.Errorf("%d links stay after the end", len(all.by))
	}
}
