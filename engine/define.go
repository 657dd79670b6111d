package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

// reserved are the names that the language gives a meaning in every task block.
var reserved = []string{
	"description", "on", "on_each", "parallel", "become", "for_each", "when",
	"timeout", "locked", "before", "after", "retry", "precondition", "postcondition",
}

// Define makes a Type of a Spec. It panics where the Spec is wrong: a field
// without a play tag, a name that is reserved, a Report on a type that changes
// something.
func Define[A, S, R any](s Spec[A, S, R]) *Type {
	bad := func(format string, args ...any) {
		panic("engine: type " + s.Name + ": " + fmt.Sprintf(format, args...))
	}
	t := &Type{
		Name: s.Name, Doc: s.Doc, Effect: s.Effect, Where: s.Where, Role: s.Role,
		Retryable: s.Retryable, Timeout: s.Timeout, Volatile: s.Volatile, Surveyed: s.Surveyed, Writes: s.Writes, Sets: s.Sets,
	}
	if t.Timeout == 0 {
		t.Timeout = time.Minute
	}
	var err error
	if t.Args, err = argsOf(reflect.TypeFor[A]()); err != nil {
		bad("arguments: %v", err)
	}
	if t.Results, err = resultsOf(reflect.TypeFor[R]()); err != nil {
		bad("results: %v", err)
	}
	for _, a := range t.Args {
		if slices.Contains(reserved, a.Name) {
			bad("argument %q is a reserved name", a.Name)
		}
	}
	for _, r := range t.Results {
		if r.Name == "status" {
			bad("result %q is a reserved name", r.Name)
		}
	}
	if s.Role != Plain {
		return t
	}
	switch {
	case s.Name == "" || s.Doc == "":
		bad("has no name or no doc")
	case (s.Effect == Read || s.EffectOf != nil) != (s.Report != nil):
		bad("Report belongs to effect read, and to a type whose arguments can make it one")
	case s.Effect == Read && s.Observe == nil:
		bad("a read needs Observe")
	case s.Effect == Read && (s.Apply != nil || s.Settle != nil || s.Guard != nil):
		bad("a read has nothing to apply, to settle or to guard")
	case (s.Gone == nil) != (len(s.Sets) == 0):
		bad("Gone and Sets belong together")
	case s.Effect != Read && s.Apply == nil:
		bad("Apply is missing")
	}
	t.impl = defined[A, S, R]{spec: s, args: t.Args, results: t.Results}
	return t
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
	settles() bool
	guarded() bool
	lasting() bool
	gone(ctx context.Context, l Look, args cty.Value) (string, error)
	verify(ctx context.Context, l Look, args, results cty.Value) error
	advance(host, address string, args, results cty.Value, w *world.World)
	model(host string, args cty.Value, w *world.World) (cty.Value, bool)
	state(raw json.RawMessage) (State, error)
}

// defined is the taskImpl of a Spec.
type defined[A, S, R any] struct {
	spec    Spec[A, S, R]
	args    []Arg
	results []Result
}

func (d defined[A, S, R]) in(args cty.Value) (A, map[string]bool) {
	var a A
	return a, decodeInto(args, reflect.ValueOf(&a).Elem())
}

func (d defined[A, S, R]) res(results cty.Value) R {
	var r R
	decodeInto(results, reflect.ValueOf(&r).Elem())
	return r
}

// out encodes r; what unknown names is unknown, and not null where its type
// cannot be null.
func (d defined[A, S, R]) out(r R, unknown []string) cty.Value {
	attrs := map[string]cty.Value{}
	encodeFields(reflect.ValueOf(r), attrs)
	for _, res := range d.results {
		if slices.Contains(unknown, res.Name) {
			attrs[res.Name] = unknownOf(res)
		}
		if res.Sensitive {
			attrs[res.Name] = attrs[res.Name].Mark(Sensitive)
		}
	}
	return cty.ObjectVal(attrs)
}

func (d defined[A, S, R]) st(s State) S {
	v, ok := s.value.(S)
	if !ok {
		var zero S
		return zero
	}
	return v
}

func (d defined[A, S, R]) effect(args cty.Value) Effect {
	if d.spec.EffectOf == nil {
		return d.spec.Effect
	}
	a, _ := d.in(args)
	return d.spec.EffectOf(a)
}

func (d defined[A, S, R]) check(args cty.Value) error {
	if d.spec.Check == nil {
		return nil
	}
	a, unknown := d.in(args)
	if len(unknown) > 0 {
		return nil
	}
	return d.spec.Check(a)
}

func (d defined[A, S, R]) observe(ctx context.Context, l Look, args cty.Value) (State, error) {
	if d.spec.Observe == nil {
		return State{}, nil
	}
	a, _ := d.in(args)
	s, err := d.spec.Observe(ctx, l, a)
	if err != nil {
		return State{}, err
	}
	return State{value: s, known: true}, nil
}

func (d defined[A, S, R]) report(args cty.Value, s State) cty.Value {
	a, _ := d.in(args)
	return d.out(d.spec.Report(a, d.st(s)), nil)
}

func (d defined[A, S, R]) plan(p Planning, args cty.Value, s State) (Planned, cty.Value) {
	var all []string
	for _, r := range d.results {
		all = append(all, r.Name)
	}
	a, unknown := d.in(args)
	if d.spec.Plan == nil {
		var r R
		return Planned{Needed: true, Unknown: all}, d.out(r, all)
	}
	p.Unknown, p.Observed = unknown, s.known
	planned, r := d.spec.Plan(p, a, d.st(s))
	return planned, d.out(r, planned.Unknown)
}

func (d defined[A, S, R]) guard(host string, args cty.Value, s State, w *world.World) world.Verdict {
	if d.spec.Guard == nil {
		return world.Verdict{}
	}
	a, _ := d.in(args)
	return d.spec.Guard(host, a, d.st(s), w)
}

func (d defined[A, S, R]) apply(ctx context.Context, h Hands, args cty.Value, s State) (cty.Value, error) {
	a, _ := d.in(args)
	r, err := d.spec.Apply(ctx, h, a, d.st(s))
	if err != nil {
		return cty.NilVal, err
	}
	return d.out(r, nil), nil
}

func (d defined[A, S, R]) settles() bool { return d.spec.Settle != nil }

func (d defined[A, S, R]) guarded() bool { return d.spec.Guard != nil }

func (d defined[A, S, R]) lasting() bool { return d.spec.Gone != nil }

func (d defined[A, S, R]) gone(ctx context.Context, l Look, args cty.Value) (string, error) {
	a, _ := d.in(args)
	return d.spec.Gone(ctx, l, a)
}

func (d defined[A, S, R]) settle(ctx context.Context, l Look, args cty.Value, s State) (Settlement, cty.Value, error) {
	if d.spec.Settle == nil {
		return "", cty.NilVal, fmt.Errorf("a task of type %s cannot tell by looking whether it took effect", d.spec.Name)
	}
	a, _ := d.in(args)
	found, r, err := d.spec.Settle(ctx, l, a, d.st(s))
	if err != nil {
		return "", cty.NilVal, err
	}
	if found != Done {
		return found, cty.NilVal, nil
	}
	return found, d.out(r, nil), nil
}

func (d defined[A, S, R]) verify(ctx context.Context, l Look, args, results cty.Value) error {
	if d.spec.Verify == nil {
		return nil
	}
	a, _ := d.in(args)
	return d.spec.Verify(ctx, l, a, d.res(results))
}

func (d defined[A, S, R]) advance(host, address string, args, results cty.Value, w *world.World) {
	if d.spec.Advance == nil {
		return
	}
	a, _ := d.in(args)
	d.spec.Advance(host, address, a, d.res(results), w)
}

func (d defined[A, S, R]) model(host string, args cty.Value, w *world.World) (cty.Value, bool) {
	if d.spec.Model == nil {
		return cty.NilVal, false
	}
	a, unknown := d.in(args)
	if len(unknown) > 0 {
		return cty.NilVal, false
	}
	r, later, ok := d.spec.Model(host, a, w)
	if !ok {
		return cty.NilVal, false
	}
	return d.out(r, later), true
}

func (d defined[A, S, R]) state(raw json.RawMessage) (State, error) {
	var s S
	if len(raw) == 0 || string(raw) == "null" {
		return State{}, nil
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return State{}, fmt.Errorf("recorded state of a task of type %s: %w", d.spec.Name, err)
	}
	return State{value: s, known: true}, nil
}
