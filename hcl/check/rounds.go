package check

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// rounds checks what for_each goes over: something with an order and keys.
func rounds(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	bad := func(format string, args ...any) (cty.Value, engine.Diagnostics) {
		return cty.NilVal, one(diag.New(diag.BadLoop, "Not a loop", x.Range(), x.Place, format, args...))
	}
	const form = "for_each takes a list of strings, a list of objects with a name, or a map"
	plain, marks := v.Unmark()
	ty := plain.Type()
	switch {
	case plain.IsNull():
		return cty.NilVal, null(x, x.Name)
	case len(marks) > 0:
		return cty.NilVal, secretPlace(x, "What for_each goes over")
	case ty == cty.DynamicPseudoType, ty.IsMapType(), ty.IsObjectType():
		return v, nil
	case ty.IsSetType():
		return bad("A set has no order, and %s. Write a list.", form)
	case ty.IsListType():
		if !keyed(ty.ElementType()) {
			return bad("This is %s, and %s.", eval.TypeName(ty), form)
		}
	case ty.IsTupleType():
		for _, e := range ty.TupleElementTypes() {
			if !keyed(e) {
				return bad("This list holds %s, and %s.", eval.TypeName(e), form)
			}
		}
	default:
		return bad("This is %s, and %s.", eval.TypeName(ty), form)
	}
	if !plain.IsKnown() {
		return v, nil
	}
	return v, keys(x, plain)
}

// keyed reports whether values of this type have a key as rounds of a loop.
func keyed(ty cty.Type) bool {
	if ty.IsObjectType() && ty.HasAttribute("name") {
		ty = ty.AttributeType("name")
	}
	return ty == cty.String || ty == cty.DynamicPseudoType
}

// keys checks the keys of a list of rounds as far as they are known.
func keys(x *syntax.Expr, list cty.Value) engine.Diagnostics {
	seen := map[string]bool{}
	for it := list.ElementIterator(); it.Next(); {
		_, k := it.Element()
		if plain, _ := k.Unmark(); plain.Type().IsObjectType() && plain.IsKnown() && !plain.IsNull() {
			k = plain.GetAttr("name")
		}
		if k.IsMarked() && k.Type() == cty.String {
			return secretPlace(x, "The key of a round")
		}
		k, _ = k.Unmark()
		if !k.IsKnown() {
			continue
		}
		if k.IsNull() {
			return null(x, "The key of a round of for_each")
		}
		if k.Type() != cty.String {
			continue
		}
		if seen[k.AsString()] {
			return one(diag.New(diag.BadLoop, "Key given twice", x.Range(), x.Place,
				"for_each has two rounds with the key %q, and results are kept by key. Take one out, for example with distinct().", k.AsString()))
		}
		seen[k.AsString()] = true
	}
	return nil
}

// Each is the name each in the rounds of a loop over this value.
func Each(v cty.Value) cty.Value {
	_, value := elementOf(v)
	if sensitive(v) {
		value = secret(value)
	}
	return cty.ObjectVal(map[string]cty.Value{"key": cty.UnknownVal(cty.String).RefineNotNull(), "value": value})
}

// elementOf is an unknown element of a collection, with its key.
func elementOf(coll cty.Value) (key, elem cty.Value) {
	coll, marks := coll.Unmark()
	key, elem = cty.UnknownVal(cty.Number), cty.DynamicVal
	switch ty := coll.Type(); {
	case ty.IsMapType():
		key, elem = cty.UnknownVal(cty.String), cty.UnknownVal(ty.ElementType())
	case ty.IsObjectType():
		var types []cty.Type
		for _, t := range ty.AttributeTypes() {
			types = append(types, t)
		}
		key, elem = cty.UnknownVal(cty.String), cty.UnknownVal(common(types))
	case ty.IsListType(), ty.IsSetType():
		elem = cty.UnknownVal(ty.ElementType())
	case ty.IsTupleType():
		elem = cty.UnknownVal(common(ty.TupleElementTypes()))
	default:
		key = cty.DynamicVal
	}
	return key.WithMarks(marks), elem.WithMarks(marks)
}

// common is the type that all of these are, or cty.DynamicPseudoType.
func common(types []cty.Type) cty.Type {
	for _, t := range types {
		if !t.Equals(types[0]) {
			return cty.DynamicPseudoType
		}
	}
	if len(types) == 0 {
		return cty.DynamicPseudoType
	}
	return types[0]
}
