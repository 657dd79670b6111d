package eval

import (
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

func collectionFunctions() []Function {
	return []Function{
		{
			Name: "alltrue", Group: "collections", Signature: "alltrue(conditions list(bool)) bool",
			Doc:     "Whether all conditions hold; of an empty list, true.",
			Example: `alltrue([true, false])`, Yields: `false`, Impl: bounded(allTrue(), nil),
		},
		{
			Name: "anytrue", Group: "collections", Signature: "anytrue(conditions list(bool)) bool",
			Doc:     "Whether any condition holds; of an empty list, false.",
			Example: `anytrue([true, false])`, Yields: `true`, Impl: bounded(anyTrue(), nil),
		},
		{
			Name: "coalesce", Group: "collections", Signature: "coalesce(values...) value",
			Doc:     "The first of the values that is not null. All must be of one type.",
			Example: `coalesce(null, "a")`, Yields: `"a"`, Impl: bounded(stdlib.CoalesceFunc, nil),
		},
		{
			Name: "compact", Group: "collections", Signature: "compact(list list(string)) list(string)",
			Doc:     "The list without its empty and null elements.",
			Example: `compact(["a", "", "b"])`, Yields: `["a", "b"]`, Impl: bounded(stdlib.CompactFunc, nil),
		},
		{
			Name: "concat", Group: "collections", Signature: "concat(lists...) list",
			Doc:     "The lists one after the other.",
			Example: `concat(["a"], ["b", "c"])`, Yields: `["a", "b", "c"]`, Impl: bounded(stdlib.ConcatFunc, nil),
		},
		{
			Name: "contains", Group: "collections", Signature: "contains(list list or set, value) bool",
			Doc:     "Whether the value is an element of the list.",
			Example: `contains(["a", "b"], "b")`, Yields: `true`, Impl: bounded(stdlib.ContainsFunc, nil),
		},
		{
			Name: "distinct", Group: "collections", Signature: "distinct(list) list",
			Doc:     "The list without repetitions, in its order.",
			Example: `distinct(["a", "b", "a"])`, Yields: `["a", "b"]`, Impl: bounded(stdlib.DistinctFunc, nil),
		},
		{
			Name: "element", Group: "collections", Signature: "element(list, index number) value",
			Doc:     "The element with this index, counted from 0; beyond the end it goes on from the beginning.",
			Example: `element(["a", "b"], 3)`, Yields: `"b"`, Impl: bounded(stdlib.ElementFunc, nil),
		},
		{
			Name: "flatten", Group: "collections", Signature: "flatten(list) list",
			Doc:     "The list with the elements of the lists in it in their place, to any depth.",
			Example: `flatten([["a"], ["b", ["c"]]])`, Yields: `["a", "b", "c"]`, Impl: bounded(stdlib.FlattenFunc, nil),
		},
		{
			Name: "keys", Group: "collections", Signature: "keys(map map or object) list(string)",
			Doc:     "The keys of the map, in alphabetic order.",
			Example: `keys({ b = 1, a = 2 })`, Yields: `["a", "b"]`, Impl: bounded(stdlib.KeysFunc, nil),
		},
		{
			Name: "length", Group: "collections", Signature: "length(value list, set, map, object or string) number",
			Doc:     "How many elements there are; of a string, how many characters.",
			Example: `length(["a", "b"])`, Yields: `2`, Impl: bounded(length(), nil),
		},
		{
			Name: "merge", Group: "collections", Signature: "merge(maps...) map or object",
			Doc:     "One map with the elements of all; of equal keys the last one counts.",
			Example: `merge({ a = 1 }, { b = 2 })`, Yields: `{ a = 1, b = 2 }`, Impl: bounded(stdlib.MergeFunc, nil),
		},
		{
			Name: "reverse", Group: "collections", Signature: "reverse(list) list",
			Doc:     "The list from its end to its beginning.",
			Example: `reverse(["a", "b"])`, Yields: `["b", "a"]`, Impl: bounded(stdlib.ReverseListFunc, nil),
		},
		{
			Name: "slice", Group: "collections", Signature: "slice(list, from number, to number) list",
			Doc:     "The elements from one index, counted from 0, up to another, which is not taken.",
			Example: `slice(["a", "b", "c"], 1, 3)`, Yields: `["b", "c"]`, Impl: bounded(stdlib.SliceFunc, nil),
		},
		{
			Name: "sort", Group: "collections", Signature: "sort(list list(string)) list(string)",
			Doc:     "The strings in the order of their characters.",
			Example: `sort(["b", "a"])`, Yields: `["a", "b"]`, Impl: bounded(stdlib.SortFunc, nil),
		},
		{
			Name: "setsubtract", Group: "collections", Signature: "setsubtract(a set, b set) set",
			Doc:     "The elements of a that are not in b.",
			Example: `setsubtract(["a", "b"], ["b"])`, Yields: `["a"]`, Impl: bounded(stdlib.SetSubtractFunc, nil),
		},
		{
			Name: "setunion", Group: "collections", Signature: "setunion(sets...) set",
			Doc:     "The elements of all the sets.",
			Example: `setunion(["a"], ["a", "b"])`, Yields: `["a", "b"]`, Impl: bounded(stdlib.SetUnionFunc, nil),
		},
		{
			Name: "values", Group: "collections", Signature: "values(map map or object) list",
			Doc:     "The values of the map, in the alphabetic order of their keys.",
			Example: `values({ b = 1, a = 2 })`, Yields: `[2, 1]`, Impl: bounded(stdlib.ValuesFunc, nil),
		},
		{
			Name: "zipmap", Group: "collections", Signature: "zipmap(keys list(string), values list) map or object",
			Doc:     "A map of the keys to the values that stand at the same place.",
			Example: `zipmap(["a", "b"], [1, 2])`, Yields: `{ a = 1, b = 2 }`, Impl: bounded(stdlib.ZipmapFunc, checkKeys),
		},
		{
			Name: "one", Group: "collections", Signature: "one(list list or set) value",
			Doc:     "The only element, or null if there is none. More than one is an error.",
			Example: `one(["a"])`, Yields: `"a"`, Impl: bounded(one(), nil),
		},
	}
}

func allTrue() function.Function { return decide(cty.False) }

func anyTrue() function.Function { return decide(cty.True) }

// decide is settled by the first condition that is the given bool, and else is
// its opposite.
func decide(by cty.Value) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{param("conditions", cty.List(cty.Bool))},
		Type:         function.StaticReturnType(cty.Bool),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			out := by.Not()
			for it := args[0].ElementIterator(); it.Next(); {
				i, e := it.Element()
				switch {
				case e.IsNull():
					return cty.NilVal, function.NewArgErrorf(0, "condition %s is null", diag.Value(i, ""))
				case e.RawEquals(by):
					out = by
				case !e.IsKnown() && !out.RawEquals(by):
					out = cty.UnknownVal(cty.Bool)
				}
			}
			return out, nil
		},
	})
}

func length() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{value("value")},
		Type: func(args []cty.Value) (cty.Type, error) {
			ty := args[0].Type()
			if ty == cty.DynamicPseudoType || ty == cty.String || ty.IsCollectionType() || ty.IsTupleType() || ty.IsObjectType() {
				return cty.Number, nil
			}
			return cty.NilType, function.NewArgErrorf(0, "a list, a set, a map or a string is needed, and this is %s", TypeName(ty))
		},
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			switch ty := args[0].Type(); {
			case ty.IsObjectType():
				return cty.NumberIntVal(int64(len(ty.AttributeTypes()))), nil
			case ty == cty.DynamicPseudoType:
				return cty.UnknownVal(cty.Number), nil
			case ty == cty.String:
				return stdlib.Strlen(args[0])
			}
			return args[0].Length(), nil
		},
	})
}

func one() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{value("list")},
		Type: func(args []cty.Value) (cty.Type, error) {
			ty := args[0].Type()
			switch {
			case ty == cty.DynamicPseudoType:
				return cty.DynamicPseudoType, nil
			case ty.IsListType() || ty.IsSetType():
				return ty.ElementType(), nil
			case ty.IsTupleType() && ty.Length() == 0:
				return cty.DynamicPseudoType, nil
			case ty.IsTupleType() && ty.Length() == 1:
				return ty.TupleElementType(0), nil
			case ty.IsTupleType():
				return cty.NilType, function.NewArgErrorf(0, "there are %d elements, and at most one may be", ty.Length())
			}
			return cty.NilType, function.NewArgErrorf(0, "a list or a set is needed, and this is %s", TypeName(ty))
		},
		Impl: func(args []cty.Value, ret cty.Type) (cty.Value, error) {
			if !args[0].IsKnown() {
				return cty.UnknownVal(ret), nil
			}
			n := args[0].Length()
			switch {
			case !n.IsKnown():
				return cty.UnknownVal(ret), nil
			case n.RawEquals(cty.Zero):
				return cty.NullVal(ret), nil
			case !n.RawEquals(cty.NumberIntVal(1)):
				return cty.NilVal, function.NewArgErrorf(0, "there are %s elements, and at most one may be", diag.Value(n, ""))
			}
			it := args[0].ElementIterator()
			it.Next()
			_, e := it.Element()
			return e, nil
		},
	})
}

// checkKeys refuses null keys, on which the library's zipmap panics.
func checkKeys(args []cty.Value) error {
	if len(args) == 0 || args[0].IsNull() || !args[0].IsKnown() || !args[0].CanIterateElements() {
		return nil
	}
	for it := args[0].ElementIterator(); it.Next(); {
		if i, k := it.Element(); k.IsNull() {
			return function.NewArgErrorf(0, "key %s is null", diag.Value(i, ""))
		}
	}
	return nil
}
