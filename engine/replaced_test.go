package engine

import (
	"context"
	"slices"
	"testing"

	"github.com/etcdplay/etcdplay/engine/world"
)

// replaceType puts another cluster in the place of c: with alone, one of its
// members goes on under the cluster's ID, as after force-new-cluster.
func (c *town) replaceType(alone bool, hook func() error) *Type {
	is := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.id == "new" || alone && len(c.ids) == 1
	}
	return Define(Spec[countArgs, bool, joinResults]{
		Name: "replace", Doc: "Replaces.", Effect: Change, Where: Controller,
		Observe: func(context.Context, Look, countArgs) (bool, error) { return is(), nil },
		Plan: func(_ Planning, _ countArgs, done bool) (Planned, joinResults) {
			return Planned{Needed: !done}, joinResults{}
		},
		Apply: func(context.Context, Hands, countArgs, bool) (joinResults, error) {
			c.mu.Lock()
			c.hidden, c.sick, c.ids = false, false, []string{"1"}
			if !alone {
				c.id, c.ids = "new", []string{"7", "8"}
			}
			c.mu.Unlock()
			return joinResults{}, hook()
		},
		Settle: func(context.Context, Look, countArgs, bool) (Settlement, joinResults, error) {
			if is() {
				return Done, joinResults{}, nil
			}
			return NotDone, joinResults{}, nil
		},
		Advance: func(_, _ string, _ countArgs, _ joinResults, w *world.World) {
			if alone {
				w.Replace(w.Cluster.ID, []world.Member{{ID: "1", Name: "n1", PeerURLs: []string{"http://1:2380"}}})
				return
			}
			w.Replace("", []world.Member{{Name: "n7"}, {Name: "n8"}})
			w.Cluster.Elsewhere = []string{elsewhere}
		},
	})
}

// elsewhere is where the new cluster is kept from clients.
const elsewhere = "http://127.0.0.1:23790"

// A run that replaces the cluster does not find the old one again when it is
// resumed, and must not look for it: exactly from the replacement on.
func TestResumeAfterTheClusterWasReplaced(t *testing.T) {
	for _, tc := range []struct {
		name  string
		alone bool
		begin func(c *town) // before the run
		lost  bool          // the process ends at once when the replacement has had its effect
		since func(c *town) // between run and resume
		code  int
	}{
		{name: "restored", code: ExitOK},
		{name: "restored, the process lost", lost: true, code: ExitOK},
		{name: "restored, nobody could be asked before", begin: func(c *town) { c.hidden = true }, code: ExitOK},
		{name: "restored, and grown since", since: func(c *town) { c.add("9") }, code: ExitOK},
		{name: "another cluster before the replacement", lost: true, since: func(c *town) { c.id, c.ids = "bad", []string{"5"} }, code: ExitRefused},
		{name: "one goes on alone", alone: true, code: ExitOK},
		{name: "one goes on alone, the process lost", alone: true, lost: true, code: ExitOK},
		{name: "one goes on alone, and another came", alone: true, since: func(c *town) { c.add("2") }, code: ExitRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			c := &town{id: "c1", ids: []string{"1", "2", "3"}}
			if tc.begin != nil {
				tc.begin(c)
			}
			pinned, asked := true, []string(nil)
			b.env.Survey = func(ctx context.Context, l Look, e []string) world.Cluster {
				asked = e
				w := c.survey(ctx, l, e)
				if w.Known && l.Cluster.ID != "" && l.Cluster.ID != w.ID {
					pinned = false
				}
				return w
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			hook := func() error {
				if tc.lost {
					cancel()
					return ctx.Err()
				}
				return nil
			}
			fail := "two"
			b.failing(&fail)
			p := b.program(&Phase{Tasks: []*Task{
				task(c.replaceType(tc.alone, hook), "replace", map[string]Expr{"key": str("x")}), b.add("two", "two"),
			}})
			p.Cluster.Endpoints, p.Cluster.ID = []string{"http://127.0.0.1:2379"}, "c1"
			if o := Run(ctx, p, b.env, nil, RunOptions{StateDir: b.state}); o.Err == nil {
				t.Fatal("the run was to fail")
			}
			if tc.since != nil {
				tc.since(c)
			}
			fail = ""
			for i := range 2 {
				o := Resume(context.Background(), p, b.env, b.record(), ResumeOptions{StateDir: b.state})
				if i == 0 || tc.code != ExitOK {
					wantCode(t, o, tc.code)
				}
			}
			if tc.code == ExitOK && !tc.lost && !pinned {
				t.Error("the new cluster was held against the ID of the old one")
			}
			if tc.code == ExitOK && slices.Contains(asked, elsewhere) == tc.alone {
				t.Errorf("the cluster was looked for at %v", asked)
			}
		})
	}
}
