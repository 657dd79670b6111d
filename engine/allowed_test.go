package engine

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/etcdplay/etcdplay/engine/world"
)

// A member that answers late for a moment does not end a run, one that stays away
// does, and so does at once what no further look can change.
func TestRefusalThatPasses(t *testing.T) {
	for _, c := range []struct {
		name         string
		sickFrom, to int // surveys in which a member does not answer; of what the guard sees the first is number 2
		always       bool
		code, looks  int
	}{
		{name: "none", code: ExitOK, looks: 2},
		{name: "slow once", sickFrom: 2, to: 2, code: ExitOK, looks: 3},
		{name: "slow twice", sickFrom: 2, to: 3, code: ExitOK, looks: 4},
		{name: "down", sickFrom: 2, to: 99, code: ExitRefused, looks: 4},
		{name: "all healthy", always: true, code: ExitRefused, looks: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var mu sync.Mutex
			looks, atGuard := 0, 0
			b.env.Survey = func(context.Context, Look, []string) world.Cluster {
				mu.Lock()
				defer mu.Unlock()
				looks++
				w := world.Cluster{Known: true, ID: "c1"}
				for _, id := range []string{"1", "2", "3"} {
					m := world.Member{ID: id, Name: "n" + id, PeerURLs: []string{"http://" + id + ":2380"}, Health: world.Healthy}
					if id == "2" && looks >= c.sickFrom && looks <= c.to {
						m.Health, m.Why = world.Unhealthy, "did not answer in time"
					}
					w.Members = append(w.Members, m)
				}
				return w
			}
			add := Define(Spec[countArgs, bool, joinResults]{
				Name: "join", Doc: "Joins.", Effect: Change, Where: Controller, Surveyed: true,
				Observe: func(context.Context, Look, countArgs) (bool, error) { return false, nil },
				Plan: func(Planning, countArgs, bool) (Planned, joinResults) {
					return Planned{Needed: true}, joinResults{ID: "4"}
				},
				Guard: func(_ string, _ countArgs, _ bool, w *world.World) world.Verdict {
					healthy := w.Cluster.Budget().Healthy == 3
					return world.Verdict{Checks: []world.Check{{ID: "Q9", Holds: healthy && !c.always, Text: "a voter is down"}}}
				},
				Apply: func(context.Context, Hands, countArgs, bool) (joinResults, error) {
					mu.Lock()
					defer mu.Unlock()
					atGuard = looks
					return joinResults{ID: "4"}, nil
				},
				Settle: func(context.Context, Look, countArgs, bool) (Settlement, joinResults, error) {
					return NotDone, joinResults{}, nil
				},
				Advance: func(string, string, countArgs, joinResults, *world.World) {},
			})
			p := b.program(&Phase{Tasks: []*Task{task(add, "in", map[string]Expr{"key": str("4")})}})
			p.Cluster.Endpoints = []string{"http://127.0.0.1:2379"}
			wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), c.code)
			if c.code == ExitOK && atGuard != c.looks {
				t.Errorf("acted after %d surveys, want %d", atGuard, c.looks)
			}
			if c.code != ExitOK && (atGuard != 0 || looks < c.looks) {
				t.Errorf("acted after %d surveys, and made %d", atGuard, looks)
			}
			told := 0
			for _, e := range b.events {
				if e.Kind == TaskProgress && strings.Contains(e.Message, "looking again") {
					told++
				}
			}
			if told != c.looks-2 {
				t.Errorf("told %d times that it looks again, want %d", told, c.looks-2)
			}
		})
	}
}
