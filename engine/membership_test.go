package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

// town is a cluster of which only the members count.
type town struct {
	mu     sync.Mutex
	id     string
	ids    []string
	hidden bool         // nobody can be asked
	sick   bool         // there is no quorum
	prove  func() error // what Verify of a change says; nil proves it
	odd    string       // the member that is not as it was
	as     world.Member // what it is then
}

func (c *town) survey(context.Context, Look, []string) world.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hidden {
		return world.Cluster{Why: "connection refused"}
	}
	w := world.Cluster{Known: true, ID: c.id}
	for _, id := range c.ids {
		m := world.Member{ID: id, Name: "n" + id, PeerURLs: []string{"http://" + id + ":2380"}, Health: world.Healthy}
		if id == c.odd {
			m.PeerURLs, m.Learner = c.as.PeerURLs, c.as.Learner
		}
		if c.sick {
			m.Health = world.Unhealthy
		}
		w.Members = append(w.Members, m)
	}
	return w
}

func (c *town) change(f func(ids []string) []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = f(c.ids)
}

func (c *town) add(id string) { c.change(func(ids []string) []string { return append(ids, id) }) }

func (c *town) remove(id string) { c.change(func(ids []string) []string { return without(ids, id) }) }

func without(ids []string, id string) []string {
	return slices.DeleteFunc(ids, func(s string) bool { return s == id })
}

type joinResults struct {
	ID string `play:"id"`
}

// joinType adds the member called key, or with leave removes it. hook is called
// once it has.
func (c *town) joinType(leave bool, hook func() error) *Type {
	there := func(id string) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Contains(c.ids, id)
	}
	return Define(Spec[countArgs, bool, joinResults]{
		Name: "join", Doc: "Joins.", Effect: Change, Where: Controller, Surveyed: true,
		Observe: func(_ context.Context, _ Look, a countArgs) (bool, error) { return there(a.Key), nil },
		Plan: func(_ Planning, a countArgs, _ bool) (Planned, joinResults) {
			return Planned{Needed: there(a.Key) == leave}, joinResults{ID: a.Key}
		},
		Apply: func(ctx context.Context, _ Hands, a countArgs, _ bool) (joinResults, error) {
			if leave {
				c.remove(a.Key)
			} else {
				c.add(a.Key)
			}
			return joinResults{ID: a.Key}, hook()
		},
		Settle: func(_ context.Context, _ Look, a countArgs, _ bool) (Settlement, joinResults, error) {
			if there(a.Key) == leave {
				return NotDone, joinResults{}, nil
			}
			return Done, joinResults{ID: a.Key}, nil
		},
		Verify: func(context.Context, Look, countArgs, joinResults) error {
			if c.prove != nil {
				return c.prove()
			}
			return nil
		},
		Advance: func(_, _ string, _ countArgs, r joinResults, w *world.World) {
			switch {
			case leave:
				w.RemoveMember(r.ID)
			case w.Cluster.Member(r.ID) == nil:
				w.AddMember(world.Member{ID: r.ID, PeerURLs: []string{"http://" + r.ID + ":2380"}})
			}
		},
	})
}

func TestResumeFindsOtherMembers(t *testing.T) {
	const off = "the members are not those that the run left"
	for _, tc := range []struct {
		name   string
		begin  func(c *town)             // before the run
		lost   bool                      // the process ends at once when task.in has had its effect
		call   bool                      // task.in stands in a playbook that is called
		post   bool                      // the postcondition of task.in fails
		proof  bool                      // what task.in did is not seen to hold
		since  func(c *town, p *Program) // between run and resume
		accept bool
		code   int
		says   string // in the failure
		table  string // the rows, of the failure or of the warning
		tells  string // a finding's message
	}{
		{name: "nothing", code: ExitOK},
		{name: "a member more", since: func(c *town, _ *Program) { c.add("9") }, code: ExitRefused, says: off, table: `
member  journal               cluster
1 (n1)  voter at http://1:2380  voter at http://1:2380
2 (n2)  voter at http://2:2380  voter at http://2:2380
4 (n4)  voter at http://4:2380  voter at http://4:2380
9 (n9)  -                       voter at http://9:2380`},
		{name: "a member less", since: func(c *town, _ *Program) { c.remove("2") }, code: ExitRefused, says: off, table: `
member  journal               cluster
1 (n1)  voter at http://1:2380  voter at http://1:2380
2 (n2)  voter at http://2:2380  -
4 (n4)  voter at http://4:2380  voter at http://4:2380`},
		{name: "the run's own addition undone", since: func(c *town, _ *Program) { c.remove("4") }, code: ExitRefused, says: off},
		{name: "the run's own removal undone", since: func(c *town, _ *Program) { c.add("3") }, code: ExitRefused, says: off},
		{name: "a member with other peer URLs", since: func(c *town, _ *Program) {
			c.odd, c.as = "2", world.Member{PeerURLs: []string{"http://9:2380"}}
		}, code: ExitRefused, says: off},
		{name: "a member without its vote", since: func(c *town, _ *Program) {
			c.odd, c.as = "2", world.Member{PeerURLs: []string{"http://2:2380"}, Learner: true}
		}, code: ExitRefused, says: off},
		{name: "accepted", since: func(c *town, _ *Program) { c.add("9") }, accept: true, code: ExitOK, tells: off},
		{
			name: "another cluster", since: func(c *town, _ *Program) { c.id = "bad" }, accept: true,
			code: ExitRefused, says: "the run was begun on cluster c1, and this is cluster bad",
		},
		{name: "what the open task did", lost: true, code: ExitOK},
		{name: "what the open task of a called playbook did", lost: true, call: true, code: ExitOK},
		{name: "what the open task did, and more", lost: true, since: func(c *town, _ *Program) { c.add("9") }, code: ExitRefused, says: off},
		{name: "what a task did whose postcondition failed", post: true, code: ExitOK},
		{name: "what a task did that was not proved", proof: true, code: ExitOK},
		{name: "what a task did that was not proved, and more", proof: true, since: func(c *town, _ *Program) { c.add("9") }, code: ExitRefused, says: off},
		{name: "nobody to be asked", since: func(c *town, _ *Program) { c.hidden = true }, code: ExitOK, tells: "cannot be told: connection refused"},
		{
			name: "no quorum to be asked", since: func(c *town, _ *Program) { c.sick = true; c.ids = c.ids[:1] },
			code: ExitOK, tells: "cannot be told: it has no quorum",
		},
		{name: "nobody to be asked at the beginning", begin: func(c *town) { c.hidden = true }, since: func(c *town, _ *Program) {
			c.hidden = false
			c.add("9")
		}, code: ExitOK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			c := &town{id: "c1", ids: []string{"1", "2", "3"}}
			if tc.begin != nil {
				tc.begin(c)
			}
			b.env.Survey = c.survey
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			hook := func() error {
				if tc.lost {
					cancel()
					return ctx.Err()
				}
				return nil
			}
			post := !tc.post
			if tc.proof {
				c.prove = func() error {
					if slices.Contains(c.ids, "4") {
						return errors.New("it is not so")
					}
					return nil
				}
			}
			fail := "two"
			b.failing(&fail)
			in := task(c.joinType(false, hook), "in", map[string]Expr{"key": str("4")})
			in.Post = []Condition{{Condition: expr{f: func(*Scope) cty.Value { return cty.BoolVal(post) }}, Message: str("no")}}
			out := task(c.joinType(true, func() error { return nil }), "out", map[string]Expr{"key": str("3")})
			first := in
			if tc.call {
				first = b.call("join", "x")
				first.Call.Bind = func(cty.Value, *Scope) (*Program, Diagnostics) {
					p := b.program(&Phase{Tasks: []*Task{in}})
					p.Outputs = []*Output{{Name: "token", Value: str("t")}}
					return p, nil
				}
			}
			p := b.program(
				&Phase{Tasks: []*Task{out, first}},
				&Phase{Tasks: []*Task{b.add("two", "two")}, Rescue: []*Task{b.add("undo", "undone")}},
			)
			p.Cluster.Endpoints = []string{"http://127.0.0.1:2379"}
			if o := Run(ctx, p, b.env, nil, RunOptions{StateDir: b.state}); o.Err == nil {
				t.Fatal("the run was to fail")
			}
			if tc.since != nil {
				tc.since(c, p)
			}
			fail, post, c.prove, b.events = "", true, nil, nil
			undone := len(b.site.lines("undone"))
			o := Resume(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state, AcceptDrift: tc.accept})
			wantCode(t, o, tc.code)
			if o.Err != nil && !strings.Contains(o.Err.Error(), tc.says) {
				t.Errorf("got %q, want %q in it", o.Err, tc.says)
			}
			if tc.code == ExitRefused {
				want(t, "effects", b.effects("two"), "two=0")
				if n := len(b.site.lines("undone")); n != undone {
					t.Error("the rescue has run")
				}
			}
			tells, table := "", ""
			for _, e := range b.events {
				if e.Kind == Finding {
					tells += e.Message
				}
				if e.Kind == Summary && len(e.Diagnostics) > 0 {
					table = strings.Join(e.Diagnostics[0].Notes, "\n")
				}
			}
			if !strings.Contains(tells, tc.tells) || tc.tells == "" && tells != "" {
				t.Errorf("told %q, want %q", tells, tc.tells)
			}
			if squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }; tc.table != "" && squeeze(table) != squeeze(tc.table) {
				t.Errorf("table:\n%s\nwant:%s", table, tc.table)
			}
			if tc.accept && tc.code == ExitOK {
				r := b.record()
				if len(r.Overrides) != 1 || r.Overrides[0] != "changes of the members: unexpected member 9 (n9) (ada)" {
					t.Errorf("overrides: got %q", r.Overrides)
				}
			}
		})
	}
}

// Once a difference is accepted it is what the run expects, and an abort tells
// of one without stopping at it.
func TestOtherMembersLater(t *testing.T) {
	b := newBench(t)
	c := &town{id: "c1", ids: []string{"1", "2", "3"}}
	b.env.Survey = c.survey
	fail := "two"
	b.failing(&fail)
	p := b.program(&Phase{Tasks: []*Task{b.add("two", "two")}})
	p.Cluster.Endpoints = []string{"http://127.0.0.1:2379"}
	wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), ExitFailed)
	c.add("9")
	wantCode(t, b.resume(p), ExitRefused)
	wantCode(t, Resume(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state, AcceptDrift: true}), ExitFailed)
	wantCode(t, b.resume(p), ExitFailed)
	c.remove("1")
	var refusal *driftError
	if o := b.resume(p); !errors.As(o.Err, &refusal) || o.Failure.GoOn == "" {
		t.Errorf("got %v", o.Err)
	}
	b.events = nil
	wantCode(t, Abort(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state}), ExitOK)
	if d := b.events[1].Diagnostics; len(d) != 1 || d[0].Code != codeMembers || d[0].Severity != Warning {
		t.Errorf("abort told %+v", b.events[1])
	}
}

// What nobody saw is not claimed: the end says whether the cluster could be asked
// all the time.
func TestExposureThatNobodySaw(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		b := newBench(t)
		c := &town{id: "c1", ids: []string{"1", "2", "3"}, hidden: hidden}
		b.env.Survey = c.survey
		p := b.program(&Phase{Tasks: []*Task{b.add("one", "one")}})
		p.Cluster.Endpoints = []string{"http://127.0.0.1:2379"}
		wantCode(t, b.run(p), ExitOK)
		if end := b.events[len(b.events)-1]; end.Kind != Summary || end.Blind != hidden || end.Exposed != 0 || end.After != nil {
			t.Errorf("hidden %v: got %+v", hidden, end)
		}
	}
}

// The end of a run that found nobody to ask tells what it leaves, unless the
// cluster was lost from sight again.
func TestSummaryOfAClusterThatWasMade(t *testing.T) {
	for _, tc := range []struct {
		name       string
		first, end bool // hidden
		made       bool
	}{
		{"found", false, false, false},
		{"made", true, false, true},
		{"lost", false, true, false},
		{"never seen", true, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			c := &town{id: "c1", ids: []string{"1", "2", "3"}, hidden: tc.first}
			b.env.Survey = c.survey
			b.env.Survey = c.survey
			b.site.after = func(string) error {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.hidden = tc.end
				return nil
			}
			p := b.program(&Phase{Tasks: []*Task{b.add("one", "one")}})
			p.Cluster.Endpoints = []string{"http://127.0.0.1:2379"}
			wantCode(t, b.run(p), ExitOK)
			end := b.events[len(b.events)-1]
			if end.Kind != Summary || (end.After != nil) != tc.made {
				t.Errorf("got %+v", end)
			}
			if tc.made && (end.After.Tolerance() != 1 || end.Exposed != 0) {
				t.Errorf("got tolerance %d, exposed %s", end.After.Tolerance(), end.Exposed)
			}
		})
	}
}
