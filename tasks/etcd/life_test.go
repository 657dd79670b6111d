package etcd

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// TestReplace takes a genuine cluster through a replacement: a member dies, is
// removed, a new one joins as a learner in its place and is promoted.
func TestReplace(t *testing.T) {
	t.Parallel()
	c := boot(t, 3)
	if _, err := c.client().Put(within(t, time.Minute), "k", "v"); err != nil {
		t.Fatal(err)
	}

	summary, r, err := c.read(members(), nil)
	if err != nil || summary != "3 members: a, b, c" {
		t.Fatalf("members: got %q, %v", summary, err)
	}
	if got, want := texts(r, "initial_cluster"), "a="+c.nodes[0].peer+",b="+c.nodes[1].peer+",c="+c.nodes[2].peer; got != want {
		t.Errorf("initial cluster: got %s, want %s", got, want)
	}
	summary, r, err = c.read(health(), map[string]cty.Value{"require": str("all"), "hash": cty.True})
	if err != nil || !strings.HasPrefix(summary, "3 of 3 healthy; HashKV equal at revision 2") {
		t.Fatalf("health: got %q, %v", summary, err)
	}
	if r.GetAttr("ok").False() || r.GetAttr("quorum").False() || r.GetAttr("hash_equal").False() || texts(r, "leader") == "" || texts(r, "healthy") != "a b c" {
		t.Errorf("health: got %#v", r)
	}

	// A member dies.
	dead := c.nodes[1]
	dead.stop()
	begun := time.Now()
	summary, r, err = c.read(health(), nil)
	if err != nil || summary != "2 of 3 healthy, not healthy: b" {
		t.Errorf("health with b down: got %q, %v", summary, err)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("health with b down took %s", took)
	}
	if r.GetAttr("ok").True() || r.GetAttr("quorum").False() || texts(r, "unhealthy") != "b" {
		t.Errorf("health with b down: got %#v", r)
	}
	if _, _, err := c.read(health(), map[string]cty.Value{"require": str("all")}); err == nil || !strings.Contains(err.Error(), "b connection refused") {
		t.Errorf("all required with b down: got %v", err)
	}
	if _, _, err := c.read(health(), map[string]cty.Value{"require": str("quorum")}); err != nil {
		t.Errorf("quorum required with b down: got %v", err)
	}
	w := &world.World{Cluster: Survey(within(t, time.Minute), c.look(), nil)}
	add := memberAdd(settleFor)
	fresh := args(add, map[string]cty.Value{"name": str("d"), "peer_urls": strs("http://127.0.4.9:1")})
	if err := add.Guard("", fresh, engine.State{}, w).Err(); err == nil || !strings.Contains(err.Error(), "Q9") {
		t.Errorf("adding while b is down: got %v", err)
	}

	// It is removed; that it was removed already is no error.
	id := w.Cluster.OnHost("host-b").ID
	remove := memberRemove(settleFor)
	byID := map[string]cty.Value{"id": str(id)}
	r = c.act(remove, byID)
	if texts(r, "id") != id || !r.GetAttr("count").RawEquals(cty.NumberIntVal(2)) {
		t.Errorf("removed: got %#v", r)
	}
	ctx, l, a := within(t, time.Minute), c.look(), args(remove, byID)
	w = &world.World{Cluster: Survey(ctx, l, nil)}
	s, err := remove.Observe(ctx, l, a)
	if err != nil {
		t.Fatal(err)
	}
	if planned, _ := remove.Plan(engine.Planning{World: w}, a, s); planned.Needed {
		t.Errorf("removing again: planned %+v", planned)
	}
	if err := remove.Guard("", a, s, w).Err(); err != nil {
		t.Errorf("removing again: %v", err)
	}
	if r, err = remove.Apply(ctx, engine.Hands{Look: l}, a, s); err != nil || !r.GetAttr("count").RawEquals(cty.NumberIntVal(2)) {
		t.Errorf("removing again: got %#v, %v", r, err)
	}
	if found, _, err := remove.Settle(ctx, l, a, s); err != nil || found != engine.Done {
		t.Errorf("settling the removal: got %s, %v", found, err)
	}

	// A new one joins in its place. etcd refuses at first, and the task waits.
	dead.dir = t.TempDir()
	join(t, c, dead)
	summary, r, err = c.read(health(), map[string]cty.Value{"require": str("all"), "hash": cty.True})
	if err != nil || !strings.HasPrefix(summary, "3 of 3 healthy; HashKV equal") {
		t.Errorf("at the end: got %q, %v", summary, err)
	}
	if texts(r, "versions") == "" || r.GetAttr("learners").LengthInt() != 0 {
		t.Errorf("at the end: got %#v", r)
	}

	// One that is healthy is not removed without consent.
	ctx = within(t, time.Minute)
	w = &world.World{Cluster: Survey(within(t, time.Minute), l, nil)}
	healthy := w.Cluster.OnHost("host-a")
	if healthy == nil {
		t.Fatalf("got %+v", w.Cluster)
	}
	a = args(remove, map[string]cty.Value{"id": str(healthy.ID)})
	if err := remove.Guard("", a, s, w).Err(); err == nil || !strings.Contains(err.Error(), "Q7") {
		t.Errorf("removing a healthy one: got %v", err)
	}

	// Whoever leaves is not asked as long as another answers, and else it is.
	for _, m := range w.Cluster.Members {
		acc, err := accessBut(l, RemoveArgs{ID: m.ID})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if got, err := acc.list(ctx); err != nil || !got.Linear || slices.Contains(m.ClientURLs, got.Endpoint) {
				t.Errorf("%s leaves: got the list of %s, %v", m.Name, got.Endpoint, err)
			}
		}
		acc.endpoints = m.ClientURLs
		if got, err := acc.list(ctx); err != nil || !got.Linear || got.Endpoint != m.ClientURLs[0] {
			t.Errorf("%s leaves, and is the only endpoint: got %+v, %v", m.Name, got, err)
		}
	}

	// With consent, even the leader is; the others elect another one.
	r = c.act(remove, map[string]cty.Value{"id": str(w.Cluster.Leader), "even_if_healthy": cty.True})
	if !r.GetAttr("count").RawEquals(cty.NumberIntVal(2)) {
		t.Errorf("removing the leader: got %#v", r)
	}
	summary, r, err = c.read(health(), map[string]cty.Value{"require": str("all")})
	if err != nil || summary != "2 of 2 healthy" || texts(r, "leader") == "" {
		t.Errorf("after the removal of the leader: got %q, %#v, %v", summary, r, err)
	}
}

// join adds n as a learner, starts it from the results, and promotes it.
func join(t *testing.T, c *cluster, n *node) {
	t.Helper()
	r := c.act(memberAdd(settleFor), map[string]cty.Value{"name": str(n.name), "peer_urls": strs(n.peer)})
	id := texts(r, "id")
	if texts(r, "initial_cluster_state") != "existing" || texts(r, "initial_advertise_peer_urls") != n.peer || texts(r, "name") != n.name {
		t.Errorf("added: got %#v", r)
	}
	summary, h, err := c.read(health(), nil)
	if err != nil || !strings.Contains(summary, "not healthy: host-"+n.name) || texts(h, "learners") != "host-"+n.name {
		t.Errorf("before the learner starts: got %q, %v", summary, err)
	}
	summary, _, err = c.read(members(), nil)
	if err != nil || !strings.Contains(summary, "host-"+n.name+" (learner)") {
		t.Errorf("before the learner starts: got %q, %v", summary, err)
	}
	// A second addition is refused before anything is sent.
	w := &world.World{Cluster: Survey(within(t, time.Minute), c.look(), nil)}
	again := args(memberAdd(settleFor), map[string]cty.Value{"name": str("z"), "peer_urls": strs(n.peer)})
	if err := memberAdd(settleFor).Guard("", again, engine.State{}, w).Err(); err == nil || !strings.Contains(err.Error(), "Q2") || !strings.Contains(err.Error(), "Q16") {
		t.Errorf("adding the same again: got %v", err)
	}
	n.start(t, texts(r, "initial_cluster"), texts(r, "initial_cluster_state"))
	promote := memberPromote(time.Second)
	c.hold(promote, map[string]cty.Value{"id": str(id)})
	ctx, l, a := within(t, time.Minute), c.look(), args(promote, map[string]cty.Value{"id": str("0" + id)})
	if _, err := promote.Apply(ctx, engine.Hands{Look: l}, a, engine.State{}); err != nil {
		t.Errorf("promoting again: %v", err)
	}
	if found, _, err := promote.Settle(ctx, l, a, engine.State{}); err != nil || found != engine.Done {
		t.Errorf("settling the promotion: got %s, %v", found, err)
	}
	w = &world.World{Cluster: Survey(ctx, l, nil)}
	if planned, _ := promote.Plan(engine.Planning{World: w}, a, engine.State{}); planned.Needed {
		t.Errorf("promoting again: planned %+v", planned)
	}
}

// TestGrowFromOne grows the smallest cluster there is, at once after its start,
// and holds that a quorum-less cluster is described and left alone.
func TestGrowFromOne(t *testing.T) {
	t.Parallel()
	c := boot(t, 1)
	w := &world.World{Cluster: Survey(within(t, time.Minute), c.look(), nil)}
	add := memberAdd(settleFor)
	voter := args(add, map[string]cty.Value{"name": str("b"), "peer_urls": strs("http://127.0.4.2:1"), "learner": cty.False})
	if err := add.Guard("", voter, engine.State{}, w).Err(); err == nil || !strings.Contains(err.Error(), "Q3") {
		t.Errorf("a second voter: got %v", err)
	}
	// The suite that every type passes, on an addition that is taken back.
	r := c.hold(memberAdd(time.Second), map[string]cty.Value{"name": str("w"), "peer_urls": strs("http://127.0.4.8:1")})
	if r.OnHost("") != nil || len(r.Members) != 2 {
		t.Fatalf("after the addition: got %+v", r)
	}
	for _, m := range r.Members {
		if m.Learner {
			c.hold(memberRemove(time.Second), map[string]cty.Value{"id": str(m.ID)})
		}
	}
	join(t, c, c.newNode("b"))
	c.hold(members(), nil)
	c.hold(health(), nil)

	// Two members, one dies: the quorum is lost.
	c.nodes[1].stop()
	ctx, l := within(t, 40*time.Second), c.look()
	lost := Survey(ctx, l, nil)
	if !lost.Known || len(lost.Members) != 2 || lost.Budget().Healthy != 0 {
		t.Fatalf("without a quorum: got %+v", lost)
	}
	summary, read, err := c.read(members(), nil)
	if err != nil || summary != "2 members: a, b, as one of them remembers it: there is no quorum" {
		t.Errorf("members without a quorum: got %q, %v", summary, err)
	}
	if !read.GetAttr("count").RawEquals(cty.NumberIntVal(2)) {
		t.Errorf("members without a quorum: got %#v", read)
	}
	_, read, err = c.read(health(), nil)
	if err != nil || read.GetAttr("quorum").True() || texts(read, "unhealthy") != "a b" {
		t.Errorf("health without a quorum: got %#v, %v", read, err)
	}
	if _, _, err := c.read(health(), map[string]cty.Value{"require": str("quorum")}); err == nil {
		t.Error("a quorum was required, and its loss was no error")
	}
	w = &world.World{Cluster: lost}
	for _, g := range []struct {
		typ   *engine.Type
		given map[string]cty.Value
	}{
		{add, map[string]cty.Value{"name": str("c"), "peer_urls": strs("http://127.0.4.3:1")}},
		{memberRemove(settleFor), map[string]cty.Value{"id": str(lost.OnHost("host-b").ID)}},
		{memberPromote(settleFor), map[string]cty.Value{"id": str(lost.OnHost("host-b").ID)}},
	} {
		a := args(g.typ, g.given)
		v := g.typ.Guard("", a, engine.State{}, w)
		if err := v.Err(); err == nil || !strings.Contains(err.Error(), "Q1: 0 of 2 voters are healthy, quorum 2") {
			t.Errorf("%s without a quorum: got %v", g.typ.Name, err)
		}
	}
	// Nobody answers at all.
	c.nodes[0].stop()
	none := Survey(ctx, l, nil)
	if none.Known || !strings.Contains(none.Why, "connection refused") {
		t.Errorf("nobody answers: got %+v", none)
	}
	if _, _, err := c.read(health(), nil); err == nil || !strings.Contains(err.Error(), "no endpoint of the cluster answers") {
		t.Errorf("nobody answers: got %v", err)
	}
}
