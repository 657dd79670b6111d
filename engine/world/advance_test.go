package world

import (
	"reflect"
	"testing"
)

// TestReplacement moves the model through a replacement: what a plan shows
// of later tasks comes from here.
func TestReplacement(t *testing.T) {
	w := &World{Cluster: *clusterOf([]kind{up, up, down})}
	w.Cluster.Unit = "etcd-member.service"
	w.Cluster.Leader = "a2"
	w.Cluster.Inventory = map[string][]string{"h0": urls[0], "h1": urls[1], "h2": urls[2]}
	before := w.Clone()

	w.RemoveMember("a2")
	w.SetUnit("h2", "etcd-member.service", "stopped")
	if b := w.Cluster.Budget(); b.Voters != 2 || b.Healthy != 2 || w.Cluster.Leader != "" {
		t.Fatalf("after the removal: got %+v, leader %q", b, w.Cluster.Leader)
	}
	w.AddMember(Member{PeerURLs: urls[2], Learner: true, Planned: "task.add", Given: "m2"})
	added := w.Cluster.Find("")
	if added == nil || added.Host != "h2" || added.Name != "" || added.Health != Unknown || added.Label() != "m2" {
		t.Fatalf("after the addition: got %+v", added)
	}
	w.SetUnit("h2", "other.service", "started")
	if added.Health != Unknown {
		t.Fatal("another unit started the member")
	}
	w.SetUnit("h2", "etcd-member.service", "started")
	if added.Health != Healthy || added.Name != "m2" {
		t.Fatalf("after the start: got %+v", added)
	}
	w.PromoteMember("")
	if b := w.Cluster.Budget(); b != (Budget{Known: true, Voters: 3, Quorum: 2, Healthy: 3}) {
		t.Fatalf("at the end: got %+v", b)
	}
	w.SetUnit("h2", "etcd-member.service", "stopped")
	if m := w.Cluster.OnHost("h2"); m.Health != Unhealthy || m.Why != "etcd-member.service is stopped" {
		t.Fatalf("after a stop: got %+v", m)
	}
	w.SetUnit("h2", "etcd-member.service", "restarted")
	if got := w.Host("h2").Units["etcd-member.service"]; got != "started" || w.Cluster.OnHost("h2").Health != Healthy {
		t.Fatalf("after a restart: got %s, %+v", got, w.Cluster.OnHost("h2"))
	}
	w.RemoveMember("")
	if w.Cluster.Find("") != nil || len(w.Cluster.Members) != 2 {
		t.Fatalf("the planned member is still there: %+v", w.Cluster.Members)
	}
	w.RemoveMember("ff")
	w.RemoveMember("")
	w.PromoteMember("ff")
	if len(w.Cluster.Members) != 2 {
		t.Fatalf("a member that is not there was removed: %+v", w.Cluster.Members)
	}

	if want := clusterOf([]kind{up, up, down}).Members; !reflect.DeepEqual(before.Cluster.Members, want) {
		t.Errorf("the clone changed: got %+v, want %+v", before.Cluster.Members, want)
	}
}

func TestInitialCluster(t *testing.T) {
	got := InitialCluster([]Member{
		{Name: "b", PeerURLs: []string{"http://b:1", "http://b:2"}},
		{Given: "c", PeerURLs: []string{"http://c:1"}},
		{Name: "a", PeerURLs: []string{"http://a:1"}},
	})
	if want := "a=http://a:1,b=http://b:1,b=http://b:2,c=http://c:1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	w := &World{Cluster: *clusterOf([]kind{up})}
	w.Cluster.Inventory = map[string][]string{"h": urls[0]}
	w.Host("h").Write("/f", []byte("x"))
	w.SetUnit("h", "u", "started")
	c := w.Clone()
	w.Cluster.Members[0].Name = "other"
	w.Cluster.Inventory["i"] = urls[1]
	w.Host("h").Remove("/f")
	w.SetUnit("h", "u", "stopped")
	if c.Cluster.Members[0].Name != "m0" || len(c.Cluster.Inventory) != 1 || c.Host("h").Units["u"] != "started" {
		t.Errorf("the clone moved along: %+v", c)
	}
	if s, _, content := c.Host("h").Look("/f"); s != File || string(content) != "x" {
		t.Errorf("the clone's file moved along: %v %q", s, content)
	}
}

// TestReplace puts another cluster in the place of one: what was known of the old
// one is gone, what is known of the hosts stays.
func TestReplace(t *testing.T) {
	for _, id := range []string{"", "c1"} {
		w := &World{Cluster: *clusterOf([]kind{up, down, down})}
		w.Cluster.ID, w.Cluster.Leader, w.Cluster.Unit = "c1", "a0", "etcd-member.service"
		w.Cluster.Inventory = map[string][]string{"h0": urls[0], "h1": urls[1], "h2": urls[2]}
		w.Replace(id, []Member{{Name: "m0", PeerURLs: urls[0]}, {Name: "m1", PeerURLs: urls[1]}, {Name: "m2", PeerURLs: urls[2]}})
		if c := w.Cluster; !c.Known || c.ID != id || c.Leader != "" || c.Replaced != (id == "") {
			t.Errorf("with the ID %q: got %+v", id, c)
		}
		if b := w.Cluster.Budget(); b != (Budget{Known: true, Voters: 3, Quorum: 2}) {
			t.Errorf("before any start: got %+v", b)
		}
		for i, host := range []string{"h0", "h1", "h2"} {
			w.SetUnit(host, "etcd-member.service", "started")
			if b := w.Cluster.Budget(); b.Healthy != i+1 {
				t.Errorf("after the start on %s: got %+v", host, b)
			}
		}
		if v := w.Cluster.MayStop("h0", "etcd-member.service", false); !v.OK() {
			t.Errorf("the model does not go on: %v", v.Err())
		}
	}
}

// TestFindIsExact: an ID means its own member or none, never the one that the plan
// added, also where the member with that ID has gone.
func TestFindIsExact(t *testing.T) {
	w := &World{Cluster: *clusterOf([]kind{up, up, up})}
	w.AddMember(Member{PeerURLs: []string{"http://new:2380"}, Given: "new", Planned: "task.add", Learner: true})
	w.RemoveMember("a9")
	if got := len(w.Cluster.Members); got != 4 {
		t.Errorf("a member that is not there was removed: %d are left, want 4", got)
	}
	if v := w.Cluster.MayPromote("a9"); v.OK() {
		t.Errorf("a member that is not there may be promoted: %+v", v)
	}
	if m := w.Cluster.Find(""); m == nil || m.Given != "new" {
		t.Errorf("what the plan added is not found: %+v", m)
	}
}
