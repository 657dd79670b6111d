package inventory

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine"
)

// TestDraft writes the inventory of a cluster and reads it again: it has the
// members as they were given.
func TestDraft(t *testing.T) {
	plain := engine.MemberSpec{Name: "a1", PeerURLs: []string{"http://10.0.0.1:2380"}, ClientURLs: []string{"http://10.0.0.1:2379"}}
	odd := engine.MemberSpec{Name: "odd ${name}", PeerURLs: []string{"https://etcd2.example.com:7001"}, ClientURLs: []string{"https://etcd2.example.com:4001", "https://10.0.0.2:4001"}}
	odd.Name = strings.ReplaceAll(odd.Name, " ", "_")
	secure := engine.MemberSpec{Name: "b1", PeerURLs: []string{"https://[fd00::1]:2380"}, ClientURLs: []string{"https://[fd00::1]:2379"}}
	fresh := engine.MemberSpec{PeerURLs: []string{"http://10.0.0.9:2380"}}
	for _, c := range []struct {
		name    string
		draft   Draft
		members []string // names of hosts
		absent  string
	}{
		{"plain", Draft{Name: "c", ID: "beef", User: "core", Members: []engine.MemberSpec{plain, fresh}}, []string{"a1", "10.0.0.9"}, "member {"},
		{"odd", Draft{
			Name: "c", ID: "beef", User: "root", Members: []engine.MemberSpec{odd, secure},
			TLS: engine.TLS{CAFile: "/ca"}, Auth: engine.Auth{Username: "root", PasswordEnv: "P"},
		}, []string{"etcd2.example.com", "b1"}, "become"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, err := c.draft.Write()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(src), c.absent) {
				t.Errorf("needless %q:\n%s", c.absent, src)
			}
			inv, found := Load("/site/inventory.hcl", src)
			if found.HasErrors() {
				t.Fatal(found)
			}
			cluster := inv.Clusters[0]
			if cluster.ID != "beef" || !slices.Equal(cluster.Members, c.members) || cluster.TLS != c.draft.TLS || cluster.Auth != c.draft.Auth {
				t.Errorf("cluster %+v of\n%s", cluster, src)
			}
			for i, h := range inv.Hosts(cluster) {
				want := c.draft.Members[i]
				if want.Name != "" && h.Member.Name != want.Name || !slices.Equal(h.Member.PeerURLs, want.PeerURLs) ||
					want.ClientURLs != nil && !slices.Equal(h.Member.ClientURLs, want.ClientURLs) || h.Connection.User != c.draft.User {
					t.Errorf("host %+v, want the member %+v, of\n%s", h, want, src)
				}
			}
		})
	}
	twice := plain
	twice.Name, twice.PeerURLs = "a2", []string{"http://10.0.0.1:3380"}
	if _, err := (Draft{Name: "c", ID: "beef", Members: []engine.MemberSpec{plain, twice}}).Write(); err == nil {
		t.Error("two members on one machine make an inventory")
	}
}
