package world

import (
	"strings"
	"testing"
)

func TestMayJoin(t *testing.T) {
	c := clusterOf([]kind{up, up})
	c.Members = append(c.Members, Member{ID: "a2", PeerURLs: []string{"http://x:1", "http://x:2"}, Given: "m2", Learner: true})
	good := InitialCluster(c.Members)
	if want := "m0=http://127.0.0.1:2380,m1=http://127.0.0.2:2380,m2=http://x:1,m2=http://x:2"; good != want {
		t.Fatalf("got %s, want %s", good, want)
	}
	if v := c.MayJoin("m2", good, "existing"); !v.OK() {
		t.Fatalf("refused: %v", v.Err())
	}
	for _, x := range []struct{ name, initial, state, want string }{
		{"m2", good, "new", `the state is "new"`},
		{"m9", good, "existing", "own name m9"},
		{"m2", "d" + good, "existing", `calls member a0 (m0) "dm0"`},
		{"m2", good + ",m3=http://y:1", "existing", "has 4 members, the member list 3"},
		{"m2", strings.Replace(good, "x:1", "z:1", 1), "existing", "no member with the peer URLs of a2 (m2) (http://x:1,http://x:2)"},
		{"m2", "m0", "existing", `"m0", which is not name=url`},
		{"m2", good + ",=http://y:1", "existing", `"=http://y:1", which is not name=url`},
		{"m2", good + ",m3=", "existing", `"m3=", which is not name=url`},
		{"m2", "a=u,b=u", "existing", "gives u to a and to b"},
	} {
		err := c.MayJoin(x.name, x.initial, x.state).Err()
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s %s: got %v, want %q in it", x.initial, x.state, err, x.want)
		}
	}
}

func TestMayConfigure(t *testing.T) {
	c := clusterOf([]kind{up})
	for content, want := range map[string]bool{
		"--initial-cluster-state=new \\":                      false,
		"--initial-cluster-state \"new\"":                     false,
		"Environment=\"ETCD_INITIAL_CLUSTER_STATE=new\"":      false,
		"Environment=ETCD_INITIAL_CLUSTER_STATE=\"new\"":      false,
		"--initial-cluster-state=existing":                    true,
		"--initial-cluster-state=newer":                       true,
		"--initial-cluster=\"new-demo-etcd-1=http://x:2380\"": true,
		"": true,
	} {
		if got := c.MayConfigure(content).OK(); got != want {
			t.Errorf("%s: got %v, want %v", content, got, want)
		}
	}
	if !(&Cluster{}).MayConfigure("--initial-cluster-state=new").OK() {
		t.Error("a cluster that is not running was taken to contradict a new one")
	}
}

func FuzzParseInitialCluster(f *testing.F) {
	f.Add("a=u,b=u2,a=u3")
	f.Add("=,")
	f.Fuzz(func(t *testing.T, text string) {
		given, err := ParseInitialCluster(text)
		if err != nil {
			return
		}
		n := 0
		for name, urls := range given {
			if name == "" {
				t.Errorf("%q: a name is empty", text)
			}
			n += len(urls)
		}
		if n != strings.Count(text, ",")+1 {
			t.Errorf("%q: got %d URLs", text, n)
		}
	})
}
