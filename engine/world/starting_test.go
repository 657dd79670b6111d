package world

import (
	"strings"
	"testing"
)

func TestMayStart(t *testing.T) {
	c := clusterOf([]kind{up, up, down})
	c.ID, c.Unit = "c1", "etcd.service"
	for i := range c.Members {
		c.Members[i].Host = c.Members[i].Name
		c.Members[i].ClientURLs = []string{"http://x:2379"}
	}
	joining := Member{ID: "a9", Given: "m9", Host: "m9", Learner: true}
	c.Members = append(c.Members, joining)
	for _, x := range []struct {
		name, host, unit string
		data             Data
		want             string // of the refusal; "" if none
	}{
		{"its own data", "m2", "etcd.service", Data{Known: true, Present: true, Member: "a2", Cluster: "c1"}, ""},
		{"data that does not tell", "m2", "etcd.service", Data{Known: true, Present: true}, ""},
		{"a log that was lost", "m2", "etcd.service", Data{Known: true}, "m2 has run on m2, whose data directory is empty"},
		{"an empty one that joins", "m9", "etcd.service", Data{Known: true}, ""},
		{"one that joins, started once", "m9", "etcd.service", Data{Known: true, Present: true, Member: "a9", Cluster: "c1"}, ""},
		{"one that joins with the data of its last life", "m9", "etcd.service", Data{Known: true, Present: true, Member: "b7", Cluster: "c1"}, "member b7, which is not or no longer one"},
		{"a removed member", "m7", "etcd.service", Data{Known: true, Present: true, Member: "b7", Cluster: "c1"}, "member b7, which is not or no longer one"},
		{"a member of another cluster", "m2", "etcd.service", Data{Known: true, Present: true, Member: "a2", Cluster: "c2"}, "cluster c2, and the running cluster is c1"},
		{"another unit", "m2", "nginx.service", Data{Known: true, Present: true, Member: "b7"}, ""},
		{"nobody looked", "m2", "etcd.service", Data{}, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			err := c.MayStart(x.host, x.unit, x.data).Err()
			if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want %q", err, x.want)
			}
		})
	}
	if v := (&Cluster{}).MayStart("m7", "etcd.service", Data{Known: true, Present: true, Member: "b7"}); !v.OK() {
		t.Errorf("refused where no cluster runs: %v", v.Err())
	}
	c.Members = append(c.Members, Member{Planned: "task.add", Host: "m7"})
	if v := c.MayStart("m7", "etcd.service", Data{Known: true, Present: true, Member: "b7", Cluster: "c1"}); !v.OK() {
		t.Errorf("refused in a plan, where the new member's ID is not known: %v", v.Err())
	}
}
