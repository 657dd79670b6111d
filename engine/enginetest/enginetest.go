// Package enginetest is the suite that every task type passes: what the engine
// relies on when it plans, runs and resumes. It knows engine.Type and conn.Host,
// and no type in particular; the tests of the types bring the situations.
package enginetest

import (
	"context"
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Case is one situation that a type is put in: a world, and arguments for it.
type Case struct {
	Host    conn.Host // a real one, in the state before the task; nil for a type that has none
	Cluster engine.Cluster
	World   *world.World // as a survey would find it; nil means empty
	Dial    func(ctx context.Context, addr string) (net.Conn, error)
	Args    map[string]cty.Value // those left out are null

	// Fingerprint is a digest of everything the task could touch. It has to
	// change with any change, also with one that writes the same again.
	Fingerprint func(t testing.TB) string

	Already bool // nothing has to be done here
	Again   bool // the effect is wanted each time anew (restarted): it is never "there already"
	// Blind names results that Settle cannot bring back (what a program wrote),
	// or that are another each time.
	Blind []string
	// Advanced, if not nil, looks at the model after the type has moved it on.
	Advanced func(t testing.TB, w *world.World)
	Timeout  time.Duration // of each call; zero means 20 seconds
}

// bench is a Case being worked on.
type bench struct {
	Case
	typ  *engine.Type
	args cty.Value
}

// Run holds the type to its promises in this situation:
//
//   - Observe, Plan, Guard, Settle and Verify change nothing.
//   - Plan predicts what Apply yields, where it predicts at all.
//   - Verify fails before Apply and holds after it; Settle says that nothing has
//     happened before, and Done after, also with a state that went through JSON.
//   - What Apply made is not Gone after it, where the type can tell.
//   - After Apply nothing is left to do, and Apply once more does nothing.
//   - The model can be moved on, with the results as predicted and as real.
func Run(t testing.TB, typ *engine.Type, c Case) {
	t.Helper()
	if c.World == nil {
		c.World = &world.World{}
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	b := &bench{Case: c, typ: typ, args: Args(typ, c.Args)}
	if err := typ.Check(b.args); err != nil {
		t.Fatalf("Check: %v", err)
	}
	if typ.EffectOf(b.args) == engine.Read {
		b.read(t)
		return
	}
	before := b.observe(t)
	planned, predicted := b.plan(t, before, c.World)
	b.guard(t, before)
	switch {
	case c.Already:
		b.already(t, before, planned, predicted)
		return
	case !planned.Needed:
		t.Fatalf("Plan: not needed (%s), want needed", planned.Summary)
	case planned.Summary == "":
		t.Error("Plan: no summary")
	}
	b.unstarted(t, before, predicted)

	print := b.Fingerprint(t)
	results := b.apply(t, before)
	if b.Fingerprint(t) == print {
		t.Error("Apply: the world is as it was")
	}
	b.agrees(t, "Apply's results against Plan's", predicted, results, nil)
	b.verify(t, results)
	b.settled(t, before, results)
	b.stands(t)
	if !c.Again {
		b.nothingLeft(t)
	}
	b.advance(t, predicted)
	b.advance(t, results)
}

// Args makes an arguments object of the type; those left out are null.
func Args(typ *engine.Type, given map[string]cty.Value) cty.Value {
	attrs := map[string]cty.Value{}
	for _, a := range typ.Args {
		attrs[a.Name] = cty.NullVal(a.Type)
	}
	for name, v := range given {
		attrs[name] = v
	}
	return cty.ObjectVal(attrs)
}

func (b *bench) look() engine.Look {
	l := engine.Look{
		Cluster: b.Cluster, RunID: "20261122T095500Z-7f3a", Dial: b.Dial,
		Say: func(string, ...any) {}, Progress: func(int64, int64) {},
	}
	if b.Host != nil {
		l.Host = b.Host
	}
	return l
}

func (b *bench) hands() engine.Hands { return engine.Hands{Look: b.look(), Host: b.Host} }

func (b *bench) planning(w *world.World) engine.Planning {
	p := engine.Planning{World: w.Clone(), Cluster: b.Cluster, RunID: b.look().RunID, Address: "task.it"}
	if b.Host != nil {
		p.Host = b.Host.Name()
	}
	return p
}

func (b *bench) ctx(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), b.Timeout)
}

// still runs f and reports whether the world is the same after it.
func (b *bench) still(t testing.TB, what string, f func()) {
	t.Helper()
	before := b.Fingerprint(t)
	f()
	if b.Fingerprint(t) != before {
		t.Errorf("%s has changed the world", what)
	}
}

func (b *bench) observe(t testing.TB) (s engine.State) {
	t.Helper()
	b.still(t, "Observe", func() {
		ctx, cancel := b.ctx(t)
		defer cancel()
		var err error
		if s, err = b.typ.Observe(ctx, b.look(), b.args); err != nil {
			t.Fatalf("Observe: %v", err)
		}
	})
	return s
}

func (b *bench) plan(t testing.TB, s engine.State, w *world.World) (planned engine.Planned, r cty.Value) {
	t.Helper()
	b.still(t, "Plan", func() {
		given := b.planning(w)
		planned, r = b.typ.Plan(given, b.args, s)
		if again, r2 := b.typ.Plan(given, b.args, s); again.Summary != planned.Summary || !r2.RawEquals(r) {
			t.Errorf("Plan: said %q and %#v, then %q and %#v", planned.Summary, r, again.Summary, r2)
		}
	})
	if !planned.Needed && !r.IsWhollyKnown() {
		t.Errorf("Plan: not needed, and yet results are unknown: %#v", r)
	}
	return planned, r
}

func (b *bench) guard(t testing.TB, s engine.State) {
	t.Helper()
	if v := b.typ.Guard(b.planning(b.World).Host, b.args, s, b.World.Clone()); !v.OK() {
		t.Fatalf("Guard: %v", v.Err())
	}
}

func (b *bench) apply(t testing.TB, s engine.State) cty.Value {
	t.Helper()
	ctx, cancel := b.ctx(t)
	defer cancel()
	r, err := b.typ.Apply(ctx, b.hands(), b.args, s)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if !r.IsWhollyKnown() {
		t.Errorf("Apply: unknown results: %#v", r)
	}
	return r
}

func (b *bench) verify(t testing.TB, results cty.Value) {
	t.Helper()
	b.still(t, "Verify", func() {
		ctx, cancel := b.ctx(t)
		defer cancel()
		if err := b.typ.Verify(ctx, b.look(), b.args, results); err != nil {
			t.Errorf("Verify after Apply: %v", err)
		}
	})
}

// stands looks whether a lasting type finds its effect there.
func (b *bench) stands(t testing.TB) {
	t.Helper()
	if !b.typ.Lasting() {
		return
	}
	b.still(t, "Gone", func() {
		ctx, cancel := b.ctx(t)
		defer cancel()
		if why, err := b.typ.Gone(ctx, b.look(), b.args); why != "" || err != nil {
			t.Errorf("Gone after Apply: %q, %v", why, err)
		}
	})
}

// recalled is the state as a resumed run has it.
func (b *bench) recalled(t testing.TB, s engine.State) engine.State {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("State: %v", err)
	}
	back, err := b.typ.State(raw)
	if err != nil {
		t.Fatalf("State: %v", err)
	}
	return back
}

func (b *bench) settle(t testing.TB, before engine.State) (found engine.Settlement, r cty.Value, err error) {
	t.Helper()
	b.still(t, "Settle", func() {
		ctx, cancel := b.ctx(t)
		defer cancel()
		found, r, err = b.typ.Settle(ctx, b.look(), b.args, b.recalled(t, before))
	})
	return found, r, err
}
