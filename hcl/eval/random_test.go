package eval

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// skip leaves a test out, unless skips are forbidden.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("ETCDPLAY_NOSKIP") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func randomString(r *rand.Rand) string {
	pool := []string{"", "a", "b", "10", "true", "%s", "%5d", "1f", "http://a:2380", "https://10.0.0.1:2379", "3.5.1", ">= 3.4", "etcd.service", "x.conf", "{\"a\":[1,null]}", "ZXRjZA==", "a\nb", "é\u202e", "'\"$\\"}
	return pool[r.IntN(len(pool))]
}

// randomType is a type without any, nested at most so deep.
func randomType(r *rand.Rand, depth int) cty.Type {
	n := 9
	if depth == 0 {
		n = 3
	}
	switch r.IntN(n) {
	case 0:
		return cty.String
	case 1:
		return cty.Number
	case 2:
		return cty.Bool
	case 3:
		return cty.List(randomType(r, depth-1))
	case 4:
		return cty.Set(randomType(r, depth-1))
	case 5:
		return cty.Map(randomType(r, depth-1))
	case 6:
		types := make([]cty.Type, r.IntN(3))
		for i := range types {
			types[i] = randomType(r, depth-1)
		}
		return cty.Tuple(types)
	case 7:
		return []cty.Type{HostType, MemberType, HostMemberType}[r.IntN(3)]
	}
	attrs := map[string]cty.Type{}
	for range r.IntN(4) {
		attrs[[]string{"a", "b", "name", "peer_urls", "member"}[r.IntN(5)]] = randomType(r, depth-1)
	}
	return cty.Object(attrs)
}

// randomValue is a value of a random type: known, null, unknown, marked, in any
// mixture.
func randomValue(r *rand.Rand, depth int) cty.Value {
	if r.IntN(30) == 0 {
		return cty.DynamicVal
	}
	return valueOf(r, randomType(r, depth), 12)
}

// valueOf is a value of the type; one part in odds is null, one is unknown, one
// is marked.
func valueOf(r *rand.Rand, ty cty.Type, odds int) cty.Value {
	v := knownOf(r, ty, odds)
	switch r.IntN(odds) {
	case 0:
		v = cty.NullVal(ty)
	case 1:
		v = cty.UnknownVal(ty)
		if r.IntN(2) == 0 {
			v = v.RefineNotNull()
		}
		if ty == cty.String && r.IntN(2) == 0 {
			v = cty.UnknownVal(ty).Refine().NotNull().StringPrefix("http://").NewValue()
		}
	case 2:
		v = v.Mark(Sensitive)
	}
	return v
}

func knownOf(r *rand.Rand, ty cty.Type, odds int) cty.Value {
	var list []cty.Value
	if ty.IsCollectionType() {
		for range r.IntN(4) {
			list = append(list, valueOf(r, ty.ElementType(), odds))
		}
	}
	switch {
	case ty == cty.String:
		return cty.StringVal(randomString(r))
	case ty == cty.Number:
		return []cty.Value{cty.Zero, cty.NumberIntVal(1), cty.NumberIntVal(-3), cty.NumberFloatVal(2.5), cty.MustParseNumberVal("18446744073709551615")}[r.IntN(5)]
	case ty == cty.Bool:
		return cty.BoolVal(r.IntN(2) == 0)
	case ty.IsListType():
		if len(list) == 0 {
			return cty.ListValEmpty(ty.ElementType())
		}
		return cty.ListVal(list)
	case ty.IsSetType():
		if len(list) == 0 {
			return cty.SetValEmpty(ty.ElementType())
		}
		return cty.SetVal(list)
	case ty.IsMapType():
		if len(list) == 0 {
			return cty.MapValEmpty(ty.ElementType())
		}
		m := map[string]cty.Value{}
		for _, v := range list {
			m[randomString(r)] = v
		}
		return cty.MapVal(m)
	case ty.IsTupleType():
		for _, e := range ty.TupleElementTypes() {
			list = append(list, valueOf(r, e, odds))
		}
		return cty.TupleVal(list)
	}
	m := map[string]cty.Value{}
	for _, name := range attributeNames(ty) { // in order, so that a seed makes the same again
		m[name] = valueOf(r, ty.AttributeType(name), odds)
	}
	return cty.ObjectVal(m)
}

// hide makes parts of a value unknown, as they are in a plan: never what a set
// is made of, since its size would then be another.
func hide(r *rand.Rand, v cty.Value) cty.Value {
	if v.Type().IsCapsuleType() {
		return v
	}
	plain, marks := v.Unmark()
	if !plain.IsKnown() || plain.IsNull() {
		return v // a null of an unfit type fits everywhere, an unknown does not
	}
	if r.IntN(6) == 0 && !holdsNull(plain) {
		return cty.UnknownVal(plain.Type()).WithMarks(marks)
	}
	if plain.IsNull() || !plain.CanIterateElements() || plain.Type().IsSetType() || plain.LengthInt() == 0 {
		return v
	}
	var list []cty.Value
	m := map[string]cty.Value{}
	for it := plain.ElementIterator(); it.Next(); {
		k, e := it.Element()
		e = hide(r, e)
		list = append(list, e)
		if k.Type() == cty.String {
			m[k.AsString()] = e
		}
	}
	switch ty := plain.Type(); {
	case ty.IsListType():
		plain = cty.ListVal(list)
	case ty.IsTupleType():
		plain = cty.TupleVal(list)
	case ty.IsMapType():
		plain = cty.MapVal(m)
	default:
		plain = cty.ObjectVal(m)
	}
	return plain.WithMarks(marks)
}

// holdsNull reports whether a value holds a null anywhere: the type of that null
// did not matter as long as it was known to be one.
func holdsNull(v cty.Value) bool {
	found := false
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) { // it returns no error
		v, _ = v.Unmark()
		found = found || v.IsNull()
		return !found, nil
	})
	return found
}

// contradicts says how a value that is known now is not what was said of it
// before, or "". Marks may differ.
func contradicts(before, now cty.Value) string {
	before, _ = before.UnmarkDeep()
	now, _ = now.UnmarkDeep()
	if before.Type() == cty.DynamicPseudoType && !before.IsKnown() {
		return ""
	}
	if before.Type().HasDynamicTypes() || now.Type().HasDynamicTypes() {
		return ""
	}
	if !before.Type().Equals(now.Type()) {
		return "the type changes"
	}
	if !now.IsKnown() {
		return ""
	}
	switch {
	case !before.IsKnown():
		rng := before.Range()
		switch {
		case now.IsNull() && rng.DefinitelyNotNull():
			return "it was said not to be null"
		case now.Type() == cty.String && !now.IsNull() && !strings.HasPrefix(now.AsString(), rng.StringPrefix()):
			return "it does not begin as was said"
		}
		return ""
	case before.IsNull() != now.IsNull():
		return "null or not"
	case before.IsNull():
		return ""
	case before.Type().IsPrimitiveType():
		if !before.RawEquals(now) {
			return "another value"
		}
		return ""
	case before.Type().IsSetType():
		if before.IsWhollyKnown() && !before.RawEquals(now) && now.IsWhollyKnown() {
			return "another set"
		}
		return ""
	case before.LengthInt() != now.LengthInt():
		return "another length"
	}
	it := now.ElementIterator()
	for b := before.ElementIterator(); b.Next() && it.Next(); {
		_, old := b.Element()
		_, e := it.Element()
		if why := contradicts(old, e); why != "" {
			return why
		}
	}
	return ""
}
