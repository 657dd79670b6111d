package enginetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// read holds a read to its part: it looks, says what it saw, and changes nothing.
func (b *bench) read(t testing.TB) {
	t.Helper()
	s := b.observe(t)
	r := b.typ.Report(b.args, s)
	if !r.IsWhollyKnown() {
		t.Errorf("Report: unknown results: %#v", r)
	}
	planned, _ := b.plan(t, s, b.World)
	if planned.Needed {
		t.Error("Plan: a read is never needed as a change")
	}
	if planned.Summary == "" {
		t.Error("Plan: no summary")
	}
	if modelled, ok := b.typ.Model(b.planning(b.World).Host, b.args, b.World.Clone()); ok {
		b.agrees(t, "Report against Model", modelled, r, nil)
	}
}

// already holds a change to doing nothing where nothing is to be done.
func (b *bench) already(t testing.TB, s engine.State, planned engine.Planned, predicted cty.Value) {
	t.Helper()
	if planned.Needed {
		t.Fatalf("Plan: needed (%s), want nothing to do", planned.Summary)
	}
	if planned.Summary == "" {
		t.Error("Plan: no summary")
	}
	b.verify(t, predicted)
	b.still(t, "Apply, with nothing to do,", func() {
		b.agrees(t, "Apply's results against Plan's", predicted, b.apply(t, s), nil)
	})
}

// unstarted holds Verify and Settle to the truth while nothing has happened.
func (b *bench) unstarted(t testing.TB, s engine.State, predicted cty.Value) {
	t.Helper()
	if !b.Again {
		b.still(t, "Verify, before Apply,", func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := b.typ.Verify(ctx, b.look(), b.args, predicted); err == nil {
				t.Error("Verify holds before Apply")
			}
		})
	}
	if !b.typ.Settles() {
		return
	}
	found, _, err := b.settle(t, s)
	if err != nil || found != engine.NotDone && found != engine.Partial {
		t.Errorf("Settle before Apply: %q, %v; want %q, or %q where that is as good", found, err, engine.NotDone, engine.Partial)
	}
}

// settled holds Settle to finding what Apply has done.
func (b *bench) settled(t testing.TB, before engine.State, results cty.Value) {
	t.Helper()
	if !b.typ.Settles() {
		return
	}
	found, r, err := b.settle(t, before)
	if err != nil || found != engine.Done {
		t.Errorf("Settle after Apply: %q, %v; want %q", found, err, engine.Done)
		return
	}
	b.agrees(t, "Settle's results against Apply's", results, r, b.Blind)
}

// nothingLeft holds a second time to doing nothing.
func (b *bench) nothingLeft(t testing.TB) {
	t.Helper()
	s := b.observe(t)
	planned, r := b.plan(t, s, b.World)
	if planned.Needed {
		t.Errorf("Plan after Apply: still needed: %s", planned.Summary)
	}
	b.still(t, "Apply, a second time,", func() {
		b.agrees(t, "Apply's results, a second time, against Plan's", r, b.apply(t, s), nil)
	})
	b.verify(t, r)
}

// advance moves a copy of the model on, as a plan does with predicted results
// and a run with real ones.
func (b *bench) advance(t testing.TB, results cty.Value) {
	t.Helper()
	w := b.World.Clone()
	plain, _ := results.UnmarkDeep()
	b.typ.Advance(b.planning(w).Host, "task.it", b.args, plain, w)
	if b.Advanced != nil {
		b.Advanced(t, w)
	}
}

// agrees compares what was known before with what came after, but for the
// results that are named.
func (b *bench) agrees(t testing.TB, what string, known, got cty.Value, except []string) {
	t.Helper()
	known, _ = known.UnmarkDeep()
	got, _ = got.UnmarkDeep()
	for _, r := range b.typ.Results {
		k, g := known.GetAttr(r.Name), got.GetAttr(r.Name)
		if slices.Contains(except, r.Name) || !k.IsWhollyKnown() {
			continue
		}
		if !k.RawEquals(g) {
			t.Errorf("%s: %s: got %#v, want %#v", what, r.Name, g, k)
		}
	}
}
