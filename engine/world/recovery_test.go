package world

import (
	"fmt"
	"strings"
	"testing"
)

// each calls f with every way in which n facts can hold.
func each(n int, f func(b []bool)) {
	for bits := range 1 << n {
		b := make([]bool, n)
		for i := range b {
			b[i] = bits>>i&1 == 1
		}
		f(b)
	}
}

// TestMayReplaceHost enumerates what can be known of one host: the data is
// replaced only where nothing runs, answers or can be started, or where the
// operator says that the host is gone and nothing says the contrary.
func TestMayReplaceHost(t *testing.T) {
	each(6, func(b []bool) {
		h := Bystander{Host: "h", Looked: b[0], Running: b[1], Masked: b[2], Ours: b[4], Dead: b[5]}
		if b[3] {
			h.Answers = "h:2379"
		}
		quiet := !(h.Looked && h.Running) && h.Answers == ""
		want := h.Ours || quiet && (h.Dead || h.Looked && h.Masked)
		got := h.still()
		if got.Holds != want {
			t.Errorf("%+v: got %v (%s), want %v", h, got.Holds, got.Text, want)
		}
		if !got.Holds && got.Help == "" || !strings.Contains(got.Text, "h") {
			t.Errorf("%+v: says %q, %q", h, got.Text, got.Help)
		}
	})
}

// TestMayReplaceQuorum enumerates clusters: with a quorum only consent will do,
// and it stands in for nothing else.
func TestMayReplaceQuorum(t *testing.T) {
	still := Bystander{Host: "a", Looked: true, Masked: true}
	runs := Bystander{Host: "b", Looked: true, Running: true}
	for n := 1; n <= 5; n++ {
		for healthy := 0; healthy <= n; healthy++ {
			var kinds []kind
			for i := range n {
				k := down
				if i < healthy {
					k = up
				}
				kinds = append(kinds, k)
			}
			c := clusterOf(kinds)
			serves := healthy >= Quorum(n)
			for _, consent := range []bool{false, true} {
				if got := c.MayReplace([]Bystander{still}, consent).OK(); got != (!serves || consent) {
					t.Errorf("%d of %d healthy, consent %v: got %v", healthy, n, consent, got)
				}
				if c.MayReplace([]Bystander{still, runs}, consent).OK() || c.MayReplace(nil, consent).OK() && !serves {
					t.Errorf("%d of %d healthy, consent %v: a member that runs is no matter", healthy, n, consent)
				}
			}
		}
	}
	if v := (&Cluster{}).MayReplace([]Bystander{still}, false); !v.OK() {
		t.Errorf("nobody answers, all is still: %v", v.Err())
	}
}

// TestMaySurvive enumerates two data directories: the chosen one is refused
// whenever the other has something that it has not, and is usable.
func TestMaySurvive(t *testing.T) {
	var remains []Remains
	each(3, func(b []bool) {
		for term := uint64(1); term <= 2; term++ {
			for index := uint64(1); index <= 2; index++ {
				remains = append(remains, Remains{Readable: b[0], Removed: b[1], Learner: b[2], Term: term, Index: index})
			}
		}
	})
	for _, a := range remains {
		for _, b := range remains {
			a.Host, b.Host = "a", "b"
			all := []Remains{a, b}
			usable := a.Readable && !a.Removed
			further := b.Readable && !b.Removed && (!b.Learner || a.Learner) && (b.Term > a.Term || b.Term == a.Term && b.Index > a.Index)
			want := usable && !a.Learner && !further
			if got := MaySurvive("a", all, false).OK(); got != want {
				t.Errorf("%+v beside %+v: got %v, want %v", a, b, got, want)
			}
			if got := MaySurvive("a", all, true).OK(); got != usable {
				t.Errorf("%+v beside %+v, with consent: got %v, want %v", a, b, got, usable)
			}
			best := Best(all)
			switch {
			case best < 0:
				if usable || b.Readable && !b.Removed {
					t.Errorf("%+v, %+v: none is best", a, b)
				}
			case !all[best].Learner:
				if v := MaySurvive(all[best].Host, all, false); !v.OK() {
					t.Errorf("%+v, %+v: the best is refused: %v", a, b, v.Err())
				}
			}
		}
	}
	if MaySurvive("c", remains, true).OK() {
		t.Error("a host that nobody knows may survive")
	}
}

func TestMaySwap(t *testing.T) {
	each(5, func(b []bool) {
		r := Replacing{Host: "h", Data: b[0], Mount: b[1], Aside: b[2], OneFS: b[3], Restored: b[4]}
		want := r.Restored && !r.Mount && r.OneFS && !(r.Data && r.Aside)
		if got := MaySwap(r); got.OK() != want || !want && got.Checks[0].Help == "" {
			t.Errorf("%+v: got %v, want %v", r, got, want)
		}
	})
}

func TestSameRestore(t *testing.T) {
	each(4, func(b []bool) {
		one := Restoring{Host: "a", Sum: "s", Token: "t", InitialCluster: "c"}
		two := one
		two.Host = "b"
		for i, field := range []*string{&two.Sum, &two.Token, &two.InitialCluster} {
			if b[i] {
				*field = "other"
			}
		}
		var used []string
		if b[3] {
			used = []string{"t"}
		}
		want := !b[0] && !b[1] && !b[2] && !b[3]
		if got := SameRestore([]Restoring{one, two}, used); got.OK() != want {
			t.Errorf("%+v, used %v: got %v, want %v", two, used, got, want)
		}
	})
	if SameRestore(nil, nil).OK() || SameRestore([]Restoring{{Host: "a"}}, nil).OK() {
		t.Error("nothing, or no token, is restored alike")
	}
}

func TestLost(t *testing.T) {
	for _, c := range [][3]int64{{0, 5, -1}, {10, 10, 0}, {10, 12, 0}, {10, 3, 7}} {
		if got := Lost(c[0], c[1]); got != c[2] {
			t.Error(fmt.Sprint(c, got))
		}
	}
}
