package etcd

import (
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// modelled is a model of a cluster whose members a, b, c, … are on hosts of the
// same names; dead are not healthy.
func modelled(n int, dead ...string) *world.World {
	w := &world.World{Cluster: world.Cluster{Known: true, ID: "c1", Unit: "etcd.service", Inventory: map[string][]string{}}}
	for i := range n + 2 {
		name := string(rune('a' + i))
		peer := "http://10.0.0." + string(rune('1'+i)) + ":2380"
		w.Cluster.Inventory[name] = []string{peer}
		if i >= n {
			continue
		}
		m := world.Member{ID: "f" + name, Name: name, Host: name, PeerURLs: []string{peer}, Health: world.Healthy, Version: "3.7.3"}
		for _, d := range dead {
			if d == name {
				m.Health, m.Why = world.Unhealthy, "connection refused"
			}
		}
		w.Cluster.Members = append(w.Cluster.Members, m)
	}
	return w
}

// rehearse plans a task on the model and moves the model on, as a plan does
// after the first change.
func rehearse(t *testing.T, w *world.World, typ *engine.Type, given map[string]cty.Value) (engine.Planned, cty.Value) {
	t.Helper()
	a := args(typ, given)
	planned, r := typ.Plan(engine.Planning{World: w, Address: "task.add"}, a, engine.State{})
	if a.IsWhollyKnown() {
		if err := typ.Guard("", a, engine.State{}, w).Err(); err != nil {
			t.Fatalf("%s: %v", typ.Name, err)
		}
	}
	typ.Advance("", "task.add", a, r, w)
	return planned, r
}

func summary(t *testing.T, got engine.Planned, want string) {
	t.Helper()
	if got.Summary != want {
		t.Errorf("got %q, want %q", got.Summary, want)
	}
}

// TestPlanReplacement holds the words of a plan that replaces a dead member.
func TestPlanReplacement(t *testing.T) {
	w := modelled(3, "b")
	add, promote, remove := memberAdd(0), memberPromote(0), memberRemove(0)
	summary(t, byModel(t, w, members()), "3 members: a, b, c")
	summary(t, byModel(t, w, health()), "2 of 3 healthy, not healthy: b")

	p, r := rehearse(t, w, remove, map[string]cty.Value{"id": str("0xFB")})
	summary(t, p, "b leaves; members 3 -> 2, quorum 2 -> 2")
	if !r.RawEquals(cty.ObjectVal(map[string]cty.Value{"id": str("fb"), "count": cty.NumberIntVal(2)})) {
		t.Errorf("removal: predicted %#v", r)
	}
	p, _ = rehearse(t, w, remove, map[string]cty.Value{"id": str("fb")})
	if p.Needed {
		t.Error("the removal of what is gone is needed")
	}
	w.SetUnit("b", "etcd.service", "stopped")

	p, r = rehearse(t, w, add, map[string]cty.Value{"name": str("b"), "peer_urls": strs("http://10.0.0.2:2380")})
	summary(t, p, "members 2, and a learner without a vote; quorum stays 2")
	if r.GetAttr("id").IsKnown() || texts(r, "initial_cluster") != "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380" {
		t.Errorf("addition: predicted %#v", r)
	}
	summary(t, byModel(t, w, members()), "3 members: a, c, b (learner)")
	summary(t, byModel(t, w, health()), "2 of 3 healthy, not healthy: b")
	if v, ok := members().Model("", args(members(), nil), w); !ok || v.GetAttr("members").IsKnown() || !v.GetAttr("count").IsKnown() {
		t.Errorf("members by the model: got %#v, %v", v, ok)
	}
	unknown := map[string]cty.Value{"id": cty.UnknownVal(cty.String)}
	w.SetUnit("b", "etcd.service", "started")
	p, _ = rehearse(t, w, promote, unknown)
	summary(t, p, "the learner gets its vote; members 2 -> 3, quorum 2 -> 2")
	summary(t, byModel(t, w, health()), "3 of 3 healthy")
	v, ok := health().Model("", args(health(), map[string]cty.Value{"hash": cty.True}), w)
	if !ok || v.GetAttr("ok").False() || v.GetAttr("hash_equal").IsKnown() || v.GetAttr("versions").IsKnown() {
		t.Errorf("health by the model: got %#v, %v", v, ok)
	}

	// What the rescue would take back.
	w.SetUnit("b", "etcd.service", "stopped")
	p, r = rehearse(t, w, remove, unknown)
	summary(t, p, "b leaves; members 3 -> 2, quorum 2 -> 2")
	if r.GetAttr("id").IsKnown() || !r.GetAttr("count").RawEquals(cty.NumberIntVal(2)) {
		t.Errorf("undoing: predicted %#v", r)
	}
}

func TestPlanGrowth(t *testing.T) {
	w := modelled(3)
	add, promote, remove := memberAdd(0), memberPromote(0), memberRemove(0)
	p, _ := rehearse(t, w, add, map[string]cty.Value{"name": str("d"), "peer_urls": strs("http://10.0.0.4:2380")})
	summary(t, p, "members 3, and a learner without a vote; quorum stays 2")
	undo := &world.World{Cluster: w.Clone().Cluster}
	p, _ = rehearse(t, undo, remove, map[string]cty.Value{"id": cty.UnknownVal(cty.String)})
	summary(t, p, "d, a learner, leaves; members 3, quorum stays 2")
	w.SetUnit("d", "etcd.service", "started")
	p, _ = rehearse(t, w, promote, map[string]cty.Value{"id": cty.UnknownVal(cty.String)})
	summary(t, p, "the learner gets its vote; members 3 -> 4, quorum 2 -> 3")
	summary(t, byModel(t, w, health()), "4 of 4 healthy")
	p, _ = rehearse(t, w, add, map[string]cty.Value{"name": str("e"), "peer_urls": strs("http://10.0.0.5:2380"), "learner": cty.False})
	summary(t, p, "members 4 -> 5, quorum 3 -> 3")

	// Names that are not known yet leave the rest as it is.
	p, r := rehearse(t, modelled(3), add, map[string]cty.Value{"name": cty.UnknownVal(cty.String), "peer_urls": strs("http://10.0.0.4:2380")})
	summary(t, p, "members 3, and a learner without a vote; quorum stays 2")
	if r.GetAttr("name").IsKnown() || r.GetAttr("initial_cluster").IsKnown() || texts(r, "initial_cluster_state") != "existing" {
		t.Errorf("predicted %#v", r)
	}
}

// TestPlanUnknownCluster: nothing is promised of a cluster that nobody could ask,
// and nothing allowed.
func TestPlanUnknownCluster(t *testing.T) {
	w := &world.World{Cluster: world.Cluster{Why: "nobody answers"}}
	for _, c := range []struct {
		typ   *engine.Type
		given map[string]cty.Value
	}{
		{memberAdd(0), map[string]cty.Value{"name": str("d"), "peer_urls": strs("http://10.0.0.4:2380")}},
		{memberRemove(0), map[string]cty.Value{"id": str("fa")}},
		{memberPromote(0), map[string]cty.Value{"id": str("fa")}},
	} {
		a := args(c.typ, c.given)
		planned, _ := c.typ.Plan(engine.Planning{World: w}, a, engine.State{})
		if !planned.Needed {
			t.Errorf("%s: not needed", c.typ.Name)
		}
		if err := c.typ.Guard("", a, engine.State{}, w).Err(); err == nil || !strings.Contains(err.Error(), "Q0: the state of the cluster is not known: nobody answers") {
			t.Errorf("%s: got %v", c.typ.Name, err)
		}
	}
	for _, typ := range []*engine.Type{members(), health()} {
		if _, ok := typ.Model("", args(typ, nil), w); ok {
			t.Errorf("%s: answered by the model", typ.Name)
		}
	}
}

// byModel is how a read is planned after a change.
func byModel(t *testing.T, w *world.World, typ *engine.Type) engine.Planned {
	t.Helper()
	planned, _ := typ.Plan(engine.Planning{World: w}, args(typ, nil), engine.State{})
	if planned.Needed {
		t.Errorf("%s: a read is needed as a change", typ.Name)
	}
	return planned
}

func TestTypes(t *testing.T) {
	var names []string
	for _, typ := range Types() {
		names = append(names, typ.Name)
	}
	if got, want := strings.Join(names, " "), "etcd_members etcd_health etcd_member_add etcd_member_remove etcd_member_promote etcd_certificates"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
