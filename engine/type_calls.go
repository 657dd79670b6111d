package engine

import (
	"context"
	"encoding/json"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

// The functions of a type's Spec behind cty values. Arguments are objects of
// ArgType; marks on them are ignored. They must be wholly known except for
// EffectOf, Check, Plan, Advance and Model. None may be called on a type whose
// Role is not Plain.

// ArgType is the object type of the arguments.
func (t *Type) ArgType() cty.Type {
	attrs := map[string]cty.Type{}
	for _, a := range t.Args {
		attrs[a.Name] = a.Type
	}
	return cty.Object(attrs)
}

// EffectOf is the effect with these arguments.
func (t *Type) EffectOf(args cty.Value) Effect {
	if t.impl == nil {
		return t.Effect
	}
	return t.impl.effect(args)
}

// Check finds what is wrong with the arguments beyond their schema: nil, or an
// *ArgError. Arguments that are not wholly known are not checked.
func (t *Type) Check(args cty.Value) error {
	if t.impl == nil {
		return nil
	}
	return t.impl.check(args)
}

// Observe says what is.
func (t *Type) Observe(ctx context.Context, l Look, args cty.Value) (State, error) {
	return t.impl.observe(ctx, l, args)
}

// Report yields the results of a read type.
func (t *Type) Report(args cty.Value, s State) cty.Value { return t.impl.report(args, s) }

// Plan says what would be done, and the results it predicts. Unknown and
// Observed of p are filled in here.
func (t *Type) Plan(p Planning, args cty.Value, s State) (Planned, cty.Value) {
	return t.impl.plan(p, args, s)
}

// Guard says whether the change is safe.
func (t *Type) Guard(host string, args cty.Value, s State, w *world.World) world.Verdict {
	return t.impl.guard(host, args, s, w)
}

// Apply makes the change and yields its results.
func (t *Type) Apply(ctx context.Context, h Hands, args cty.Value, s State) (cty.Value, error) {
	return t.impl.apply(ctx, h, args, s)
}

// Settles reports whether Settle can tell anything.
func (t *Type) Settles() bool { return t.impl != nil && t.impl.settles() }

func (t *Type) guarded() bool { return t.impl.guarded() }

// Settle finds what became of an Apply whose outcome is unknown. The results
// are cty.NilVal unless it is Done. An error means that looking could not tell.
func (t *Type) Settle(ctx context.Context, l Look, args cty.Value, s State) (Settlement, cty.Value, error) {
	return t.impl.settle(ctx, l, args, s)
}

// Lasting reports whether the type's effect is a state that can go away by itself
// and that Gone can look at.
func (t *Type) Lasting() bool { return t.impl != nil && t.impl.lasting() }

// Gone says why what a finished task did is there no more; "" if it is. The type
// has to be Lasting.
func (t *Type) Gone(ctx context.Context, l Look, args cty.Value) (string, error) {
	return t.impl.gone(ctx, l, args)
}

// Verify proves the results by looking.
func (t *Type) Verify(ctx context.Context, l Look, args, results cty.Value) error {
	return t.impl.verify(ctx, l, args, results)
}

// Advance moves the model on by the task's effect.
func (t *Type) Advance(host, address string, args, results cty.Value, w *world.World) {
	t.impl.advance(host, address, args, results, w)
}

// Model answers a read from the model; false if it cannot.
func (t *Type) Model(host string, args cty.Value, w *world.World) (cty.Value, bool) {
	return t.impl.model(host, args, w)
}

// State reads back what State.MarshalJSON wrote.
func (t *Type) State(raw json.RawMessage) (State, error) { return t.impl.state(raw) }
