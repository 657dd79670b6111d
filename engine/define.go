package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

// Define makes a Type of a Spec. It panics where the Spec is wrong: a field
// without a play tag, a name that is reserved, a Report on a type that changes
// something.
func Define[A, S, R any](s Spec[A, S, R]) *Type {
	panic("engine: Define is being built")
}

// State is what a type observed, opaque but to its own type.
type State struct {
	value any
	known bool
}

// MarshalJSON is the state as the journal keeps it in an intent.
func (s State) MarshalJSON() ([]byte, error) { return json.Marshal(s.value) }

// taskImpl is a Spec behind cty values. Arguments are objects of the type's
// argument type, without marks, and wholly known except for plan and advance.
type taskImpl interface {
	effect(args cty.Value) Effect
	check(args cty.Value) error
	observe(ctx context.Context, l Look, args cty.Value) (State, error)
	report(args cty.Value, s State) cty.Value
	plan(p Planning, args cty.Value, s State) (Planned, cty.Value)
	guard(host string, args cty.Value, s State, w *world.World) world.Verdict
	apply(ctx context.Context, h Hands, args cty.Value, s State) (cty.Value, error)
	settle(ctx context.Context, l Look, args cty.Value, s State) (Settlement, cty.Value, error)
	verify(ctx context.Context, l Look, args, results cty.Value) error
	advance(host, address string, args, results cty.Value, w *world.World)
	model(host string, args cty.Value, w *world.World) (cty.Value, bool)
	state(raw json.RawMessage) (State, error)
}

// Poll calls look until it reports true, ctx ends, or it returns an error that
// wraps ErrStop. It waits from 20 ms at first up to most between calls. When
// ctx ends first, the error is the last one look returned, wrapped, or else
// ctx's.
func Poll(ctx context.Context, most time.Duration, look func(ctx context.Context) (bool, error)) error {
	panic("engine: Poll is being built")
}
