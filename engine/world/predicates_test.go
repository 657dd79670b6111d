package world

import (
	"fmt"
	"strings"
	"testing"
)

// kind is what one member of an enumerated cluster is.
type kind int

const (
	up        kind = iota // a healthy voter
	down                  // a voter that started once and does not answer
	blank                 // a voter that never started
	learnerUp             // a healthy learner
	learnerNo             // a learner that never started
	kinds
)

// every calls f with each cluster of n members over all kinds.
func every(n int, f func(ks []kind, c *Cluster)) {
	ks := make([]kind, n)
	for {
		f(ks, clusterOf(ks))
		i := 0
		for ; i < n; i++ {
			ks[i]++
			if ks[i] < kinds {
				break
			}
			ks[i] = 0
		}
		if i == n {
			return
		}
	}
}

func clusterOf(ks []kind) *Cluster {
	c := &Cluster{Known: true, ID: "c1", Members: make([]Member, len(ks))}
	for i, k := range ks {
		m := Member{ID: ids[i], Name: names[i], PeerURLs: urls[i]}
		m.Learner = k == learnerUp || k == learnerNo
		if k == up || k == learnerUp {
			m.Health = Healthy
		}
		if k == blank || k == learnerNo {
			m.Name = ""
		}
		c.Members[i] = m
	}
	return c
}

var ids, names, urls = func() (ids, names []string, urls [][]string) {
	for i := range 10 {
		ids = append(ids, fmt.Sprintf("a%d", i))
		names = append(names, fmt.Sprintf("m%d", i))
		urls = append(urls, []string{fmt.Sprintf("http://127.0.0.%d:2380", i+1)})
	}
	return ids, names, urls
}()

// commits is the oracle, and shares nothing with the predicates: more than half
// of the voters are alive.
func commits(alive, voters int) bool { return voters > 0 && 2*alive > voters }

func tally(ks []kind) (alive, voters, learners, unfinished int) {
	for _, k := range ks {
		switch k {
		case up:
			alive, voters = alive+1, voters+1
		case down:
			voters++
		case blank:
			voters, unfinished = voters+1, unfinished+1
		default:
			learners, unfinished = learners+1, unfinished+1
		}
	}
	return alive, voters, learners, unfinished
}

// survives proves, for a cluster that an allowed change left, that it commits,
// and that every further crash either leaves a majority or took the cluster from
// exactly no tolerance, which its text has then said.
func survives(t *testing.T, what string, ks []kind, alive, voters int) {
	t.Helper()
	if !commits(alive, voters) {
		t.Fatalf("%s was allowed for %v and leaves %d of %d voters: no majority", what, ks, alive, voters)
	}
	b := Budget{Voters: voters, Healthy: alive, Quorum: Quorum(voters)}
	for crashed := 1; crashed <= alive; crashed++ {
		if commits(alive-crashed, voters) != (crashed <= b.Tolerance()) {
			t.Fatalf("%s for %v: after %d crashes of %d of %d the tolerance %d is wrong", what, ks, crashed, alive, voters, b.Tolerance())
		}
	}
}

// TestAllClusters enumerates every cluster up to nine members, in every state of
// every member, and every change to it: what is allowed must be safe, and what
// is safe, orderly and meant must be allowed.
func TestAllClusters(t *testing.T) {
	largest := 7
	if !testing.Short() {
		largest = 9
	}
	clusters, allowed := 0, 0
	for n := 1; n <= largest; n++ {
		every(n, func(ks []kind, c *Cluster) {
			clusters++
			alive, voters, learners, unfinished := tally(ks)
			now := commits(alive, voters)

			// Order is irrelevant to adding: one permutation of each is enough.
			if sortedKinds(ks) {
				got := c.MayAdd(Addition{Name: "new", PeerURLs: urls[9]}).OK()
				want := now && unfinished == 0 && commits(alive, voters+1)
				if got != want {
					t.Fatalf("add a voter to %v: got %v, want %v", ks, got, want)
				}
				if got {
					allowed++
					survives(t, "add a voter", ks, alive, voters+1)
				}
				got = c.MayAdd(Addition{Name: "new", PeerURLs: urls[9], Learner: true}).OK()
				want = now && unfinished == 0 && learners == 0 && (voters == 1 || commits(alive, voters+1))
				if got != want {
					t.Fatalf("add a learner to %v: got %v, want %v", ks, got, want)
				}
				if got {
					allowed++
					survives(t, "add a learner", ks, alive, voters)
				}
			}
			if n > 6 && !sortedKinds(ks) {
				return
			}
			for i, k := range ks {
				allowed += checkRemove(t, c, ks, i, k)
				if k == learnerUp || k == learnerNo {
					allowed += checkPromote(t, c, ks, i)
				}
				checkStop(t, c, ks, i, k)
			}
		})
	}
	if clusters == 0 || allowed == 0 {
		t.Fatalf("%d clusters, %d changes allowed: nothing was tested", clusters, allowed)
	}
	t.Logf("%d clusters, %d changes allowed", clusters, allowed)
}

func sortedKinds(ks []kind) bool {
	for i := 1; i < len(ks); i++ {
		if ks[i-1] > ks[i] {
			return false
		}
	}
	return true
}

func checkRemove(t *testing.T, c *Cluster, ks []kind, i int, k kind) int {
	t.Helper()
	alive, voters, _, unfinished := tally(ks)
	now := commits(alive, voters)
	aliveLeft, left := alive, voters
	if k == blank || k == learnerUp || k == learnerNo {
		unfinished--
	}
	if k == up {
		aliveLeft--
	}
	if k == up || k == down || k == blank {
		left--
	}
	got := c.MayRemove(ids[i], true).OK()
	want := now && unfinished == 0 && commits(aliveLeft, left)
	if got != want {
		t.Fatalf("remove member %d of %v: got %v, want %v", i, ks, got, want)
	}
	if k == up && c.MayRemove(ids[i], false).OK() {
		t.Fatalf("remove member %d of %v: a healthy voter was removed without consent", i, ks)
	}
	if k != up && c.MayRemove(ids[i], false).OK() != want {
		t.Fatalf("remove member %d of %v: consent matters for one that is not a healthy voter", i, ks)
	}
	if !got {
		return 0
	}
	survives(t, "remove", ks, aliveLeft, left)
	return 1
}

func checkPromote(t *testing.T, c *Cluster, ks []kind, i int) int {
	t.Helper()
	alive, voters, _, unfinished := tally(ks)
	got := c.MayPromote(ids[i]).OK()
	want := commits(alive, voters) && unfinished == 1 && commits(alive+1, voters+1)
	if got != want {
		t.Fatalf("promote member %d of %v: got %v, want %v", i, ks, got, want)
	}
	if caught := c.Members[i].CaughtUp().Holds; caught != (ks[i] == learnerUp) {
		t.Fatalf("learner %d of %v: caught up is %v", i, ks, caught)
	}
	if !got {
		return 0
	}
	survives(t, "promote", ks, alive+1, voters+1)
	return 1
}

func checkStop(t *testing.T, c *Cluster, ks []kind, i int, k kind) {
	t.Helper()
	c.Members[i].Host = "h"
	defer func() { c.Members[i].Host = "" }()
	alive, voters, _, _ := tally(ks)
	got := c.MayStop("h", "", false).OK()
	want := k != up || commits(alive-1, voters)
	if got != want {
		t.Fatalf("stop member %d of %v: got %v, want %v", i, ks, got, want)
	}
	if !c.MayStop("h", "", true).OK() {
		t.Fatalf("stop member %d of %v: refused although the downtime is accepted", i, ks)
	}
}

// TestArithmetic holds the table of n voters with h of them healthy: each
// column is one predicate by itself.
func TestArithmetic(t *testing.T) {
	rows := []struct {
		n, h, q, margin                                           int
		voter, learner, promote, removeDead, removeHealthy, stop1 string
	}{
		{1, 1, 1, 0, "-", "Y", "Y", " ", "-", "-"},
		{2, 2, 2, 0, "Y", "Y", "Y", " ", "Y", "-"},
		{3, 3, 2, 1, "Y", "Y", "Y", " ", "Y", "Y"},
		{3, 2, 2, 0, "-", "Y", "Y", "Y", "-", "-"},
		{4, 4, 3, 1, "Y", "Y", "Y", " ", "Y", "Y"},
		{4, 3, 3, 0, "Y", "Y", "Y", "Y", "Y", "-"},
		{5, 5, 3, 2, "Y", "Y", "Y", " ", "Y", "Y"},
		{5, 4, 3, 1, "Y", "Y", "Y", "Y", "Y", "Y"},
		{5, 3, 3, 0, "-", "Y", "Y", "Y", "-", "-"},
		{6, 6, 4, 2, "Y", "Y", "Y", " ", "Y", "Y"},
		{6, 5, 4, 1, "Y", "Y", "Y", "Y", "Y", "Y"},
		{6, 4, 4, 0, "Y", "Y", "Y", "Y", "Y", "-"},
		{7, 7, 4, 3, "Y", "Y", "Y", " ", "Y", "Y"},
		{7, 6, 4, 2, "Y", "Y", "Y", "Y", "Y", "Y"},
		{7, 5, 4, 1, "Y", "Y", "Y", "Y", "Y", "Y"},
		{7, 4, 4, 0, "-", "Y", "Y", "Y", "-", "-"},
	}
	for _, r := range rows {
		ks := make([]kind, r.n)
		for i := r.h; i < r.n; i++ {
			ks[i] = down
		}
		c := clusterOf(ks)
		if b := c.Budget(); b.Quorum != r.q || b.Tolerance() != r.margin {
			t.Errorf("n=%d h=%d: got quorum %d margin %d, want %d and %d", r.n, r.h, b.Quorum, b.Tolerance(), r.q, r.margin)
		}
		same := func(column, got, want string) {
			if got != want {
				t.Errorf("n=%d h=%d, %s: got %q, want %q", r.n, r.h, column, got, want)
			}
		}
		same("add voter", yes(c.MayAdd(Addition{Name: "x", PeerURLs: urls[9]}), "Q3"), r.voter)
		same("add learner", yes(c.MayAdd(Addition{Name: "x", PeerURLs: urls[9], Learner: true}), "Q4"), r.learner)
		same("promote", yes(clusterOf(append(ks, learnerUp)).MayPromote(ids[r.n]), "Q5"), r.promote)
		if r.h < r.n {
			same("remove a dead one", yes(c.MayRemove(ids[r.n-1], false), "Q6"), r.removeDead)
		}
		same("remove a healthy one", yes(c.MayRemove(ids[0], true), "Q6"), r.removeHealthy)
		c.Members[0].Host = "h"
		same("stop one", yes(c.MayStop("h", "", false), "Q8"), r.stop1)
	}
}

func yes(v Verdict, id string) string {
	for _, c := range v.Checks {
		if c.ID == id {
			if c.Holds {
				return "Y"
			}
			return "-"
		}
	}
	return "no " + id
}

// TestRefusals holds the words: every refusal says what it counted and what to
// do instead.
func TestRefusals(t *testing.T) {
	lost := clusterOf([]kind{up, down, down})
	busy := clusterOf([]kind{up, up, up, learnerNo})
	half := clusterOf([]kind{up, up, up, blank})
	three := clusterOf([]kind{up, up, up})
	degraded := clusterOf([]kind{up, up, down})
	old := clusterOf([]kind{up, up, up, down})
	old.Members[0].Version = "3.5.29"
	foreign := clusterOf([]kind{up, up, up})
	foreign.Inventory = map[string][]string{"h1": {"http://10.0.0.1:2380"}}
	twins := clusterOf([]kind{up, up, up})
	twins.Members[1].Name = "m0"
	fresh := Addition{Name: "x", PeerURLs: urls[9], Learner: true}

	for _, c := range []struct {
		name       string
		v          Verdict
		text, help string
	}{
		{"unknown", (&Cluster{Why: "nobody answers"}).MayAdd(fresh), "Q0: the state of the cluster is not known: nobody answers", "a restore from a snapshot"},
		{"unknown remove", (&Cluster{}).MayRemove("a1", true), "Q0: the state of the cluster is not known", "answer"},
		{"unknown promote", (&Cluster{}).MayPromote("a1"), "Q0: the state", "answer"},
		{"unknown stop", (&Cluster{}).MayStop("h", "", false), "Q0: the state", "allow_downtime"},
		{"unknown join", (&Cluster{}).MayJoin("x", "x=u", "existing"), "Q0: the state", "answer"},
		{"no voters", clusterOf([]kind{learnerUp}).MayRemove("a0", true), "Q0: the cluster is c1, and it has no voters", "by hand"},
		{"no quorum", lost.MayRemove("a1", false), "Q1: 1 of 3 voters are healthy, quorum 2", "a restore from a snapshot"},
		{"a learner is there", busy.MayAdd(fresh), "Q2: one change at a time: a3 (http://127.0.0.4:2380) is still a learner", "etcd_member_remove"},
		{"too many learners", busy.MayAdd(fresh), "Q4: a learner has no vote: quorum stays 2; learners 2, at most 1", "promote or remove the learner"},
		{"one has not started", half.MayRemove("a0", true), "Q2: one change at a time: a3 (http://127.0.0.4:2380) was added and has not started", "finish that change"},
		{"voter to one", clusterOf([]kind{up}).MayAdd(Addition{Name: "x", PeerURLs: urls[9]}), "Q3: adding a voter makes it 2 voters with quorum 2, and until the new one runs 1 of them are healthy", "as a learner"},
		{"dead one first", degraded.MayAdd(fresh), "Q9: m2 is down; etcd wants 3 connected voters for an addition to 3 voters and has 2", "remove the dead member first"},
		{"old release", old.MayAdd(fresh), "Q9: etcd 3.5.29 refuses an addition while any voter is down, and m3 is", "remove the dead member first"},
		{"URL taken", three.MayAdd(Addition{Name: "x", PeerURLs: urls[1], Learner: true}), "Q16: member a1 (m1) has the peer URL already", "remove member a1"},
		{"name taken", three.MayAdd(Addition{Name: "m1", PeerURLs: urls[9], Learner: true}), "Q16: member a1 (m1) has the name m1 already", "another name"},
		{"names not unique", twins.MayAdd(fresh), "Q16: two members have the name m0", "another --name"},
		{"only voter", clusterOf([]kind{up}).MayRemove("a0", true), "Q6: m0 is the only voter", "last member"},
		{"wrong one", degraded.MayRemove("a0", true), "Q6: removing m0 leaves 2 voters, quorum 2, 1 healthy", "bring a member that is down back"},
		{"healthy", three.MayRemove("a0", false), "Q7: m0 is healthy; Q10: after it 0 members more may fail", "even_if_healthy = true"},
		{"nobody", three.MayPromote("ff"), "Q5: there is no member ff", "member list"},
		{"stop", degraded.MayStopMember(t, 0), "Q8: stopping m0 leaves 1 of 3 voters healthy, quorum 2", "allow_downtime"},
		{"wrong cluster", foreign.MayAdd(fresh), "Q0: the cluster is c1, and the inventory knows none of its voters (m0, m1, m2)", "right cluster"},
		{"called new", three.MayConfigure("--initial-cluster-state=\"new\""), "Q17: the configuration says initial-cluster-state=new", "existing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.v.Err()
			if err == nil {
				t.Fatalf("allowed: %+v", c.v)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %q, want %q in it", err, c.text)
			}
			found := false
			for _, q := range c.v.Checks {
				if !q.Holds && q.Help == "" {
					t.Errorf("%s is refused without help", q.ID)
				}
				if q.Holds && q.Help != "" {
					t.Errorf("%s holds and yet says %q", q.ID, q.Help)
				}
				found = found || strings.Contains(q.Help, c.help)
			}
			if !found {
				t.Errorf("no help has %q: %+v", c.help, c.v.Checks)
			}
		})
	}
}

// MayStopMember is MayStop of the i-th member.
func (c *Cluster) MayStopMember(t *testing.T, i int) Verdict {
	t.Helper()
	c.Members[i].Host = "h"
	defer func() { c.Members[i].Host = "" }()
	return c.MayStop("h", "", false)
}

// TestPlainWords holds the texts of what is allowed, which a plan shows.
func TestPlainWords(t *testing.T) {
	c := clusterOf([]kind{up, up, down})
	c.Leader = "a0"
	text := func(v Verdict, id string) string {
		for _, q := range v.Checks {
			if q.ID == id {
				return q.Text
			}
		}
		return ""
	}
	for _, x := range []struct{ got, want string }{
		{text(c.MayRemove("a2", false), "Q6"), "removing m2 leaves 2 voters, quorum 2, 2 healthy"},
		{text(c.MayRemove("a2", false), "Q1"), "2 of 3 voters are healthy, quorum 2"},
		{text(clusterOf([]kind{up}).MayAdd(Addition{Name: "x", Learner: true}), "Q1"), "1 of 1 voter is healthy, quorum 1"},
		{text(clusterOf([]kind{up, up, learnerUp}).MayPromote("a2"), "Q5"), "with the vote of m2 there are 3 voters, quorum 2, 3 healthy"},
		{clusterOf([]kind{learnerUp}).Members[0].CaughtUp().Text, "the learner m0 answers and is 0 entries behind the leader"},
		{Member{Name: "m", Health: Healthy, Lag: 1001}.CaughtUp().Text, "the learner m is 1001 entries behind the leader, at most 1000 are allowed"},
		{Member{Name: "m", Health: Unhealthy, Why: "connection refused"}.CaughtUp().Text, "the learner m is not healthy: connection refused"},
	} {
		if x.got != x.want {
			t.Errorf("got %q, want %q", x.got, x.want)
		}
	}
	five := clusterOf([]kind{up, up, up, up, up})
	five.Leader, five.Members[0].Host = "a0", "h"
	if got, want := text(five.MayStop("h", "", false), "Q18"), "m0 is the leader: writes pause until another one is elected"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	five.Unit = "etcd.service"
	if v := five.MayStop("h", "other.service", false); len(v.Checks) != 0 {
		t.Errorf("stopping another unit was checked: %+v", v)
	}
	if v := five.MayStop("elsewhere", "etcd.service", false); len(v.Checks) != 0 {
		t.Errorf("stopping a unit on a host without a member was checked: %+v", v)
	}
}

func TestWantsAllConnected(t *testing.T) {
	for version, want := range map[string]bool{
		"2.3.8": true, "3.4.23": true, "3.4.45": true, "3.5.0": true, "3.5.29": true, "3.5.30": false,
		"3.5.35": false, "3.6.0": true, "3.6.10": true, "3.6.11": false, "3.7.3": false, "3.8.0-alpha.0": false, "": false, "odd": false,
	} {
		if got := wantsAllConnected(version); got != want {
			t.Errorf("%s: got %v, want %v", version, got, want)
		}
	}
}

// TestMayUpdate: other peer URLs are allowed where the cluster could do without
// the member, and to a single voter; never those of another member.
func TestMayUpdate(t *testing.T) {
	fresh := []string{"http://127.0.0.99:2380"}
	for _, c := range []struct {
		name string
		v    Verdict
		text string // "" means allowed
	}{
		{"one alone", clusterOf([]kind{up}).MayUpdate("a0", fresh), ""},
		{"of three", clusterOf([]kind{up, up, up}).MayUpdate("a0", fresh), ""},
		{"its own again", clusterOf([]kind{up, up, up}).MayUpdate("a0", urls[0]), ""},
		{"the dead one", clusterOf([]kind{up, up, down}).MayUpdate("a2", fresh), ""},
		{"a needed one", clusterOf([]kind{up, up, down}).MayUpdate("a0", fresh), "Q8: if the new peer URLs of m0 are wrong, 1 of 3 voters are healthy, quorum 2"},
		{"of two", clusterOf([]kind{up, up}).MayUpdate("a0", fresh), "Q8: if"},
		{"without a quorum", clusterOf([]kind{up, down, down}).MayUpdate("a0", fresh), "Q1: "},
		{"another's", clusterOf([]kind{up, up, up}).MayUpdate("a0", urls[1]), "Q16: member a1 (m1) has the peer URL already"},
		{"nobody's", clusterOf([]kind{up, up, up}).MayUpdate("ff", fresh), "Q16: there is no member ff"},
		{"unknown", (&Cluster{}).MayUpdate("a0", fresh), "Q0: "},
	} {
		err := c.v.Err()
		switch {
		case c.text == "" && err != nil:
			t.Errorf("%s: refused: %v", c.name, err)
		case c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.text)
		}
	}
}

// TestSecondVoter: where there are no learners, a single voter gets a second one
// by consent alone, and consent helps nowhere else.
func TestSecondVoter(t *testing.T) {
	a := Addition{Name: "x", PeerURLs: urls[9], Downtime: true}
	for _, c := range []struct {
		name string
		c    *Cluster
		want string
	}{
		{"one", clusterOf([]kind{up}), "Y"},
		{"one that is down", clusterOf([]kind{down}), "no Q3"},
		{"two", clusterOf([]kind{up, up}), "Y"},
		{"three, one down", clusterOf([]kind{up, up, down}), "-"},
	} {
		if got := yes(c.c.MayAdd(a), "Q3"); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
