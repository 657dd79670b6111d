package eval

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// readType is the type written in src.
func readType(t testing.TB, src string) (cty.Type, *typeexpr.Defaults, string) {
	t.Helper()
	expr, diags := hclsyntax.ParseExpression([]byte(src), "type.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", src, diags)
	}
	ty, d, found := TypeExpr(expr)
	if found.HasErrors() {
		return ty, d, found[0].Code + " " + found[0].Summary + ": " + found[0].Detail
	}
	return ty, d, ""
}

func TestTypeExpr(t *testing.T) {
	for _, test := range []struct{ src, want string }{
		{"string", "string"},
		{"list(host)", "list(host)"},
		{"set(number)", "set(number)"},
		{"map(bool)", "map(bool)"},
		{"tuple([string, host])", "tuple([string, host])"},
		{`object({ a = string, b = optional(list(host)), c = optional(number, 3) })`, "object({ a = string, b = optional(list(host)), c = optional(number) })"},
		{"object({})", "object({})"},
		{"any", `EP1309 No type any: A variable needs a full type, so that a wrong value is found before the first task runs. For a record, write object({ name = string, ... }).`},
		{"list(any)", `EP1309 No type any: A variable needs a full type, so that a wrong value is found before the first task runs. For a record, write object({ name = string, ... }).`},
		{"strin", `EP1308 Unknown type: There is no type "strin". Did you mean "string"?`},
		{"hosts", `EP1308 Unknown type: There is no type "hosts". Did you mean "host"?`},
		{"lst(string)", `EP1308 Unknown type: There is no type "lst". Did you mean "list"?`},
		{"list", `EP1308 Incomplete type: list needs the type of its elements. Write for example list(string).`},
		{"object", `EP1308 Incomplete type: object needs its attributes. Write for example object({ name = string }).`},
		{"tuple", `EP1308 Incomplete type: tuple needs the types of its elements. Write for example tuple([string, number]).`},
		{"list(string, string)", `EP1308 Wrong number of arguments: list takes exactly one argument.`},
		{"string()", `EP1308 Too many arguments: The type string takes no arguments.`},
		{"optional(string)", `EP1308 Misplaced optional: optional(...) stands only around the type of an attribute in object({ ... }).`},
		{`"string"`, `EP1308 Not a type: A type is string, number, bool or host, or list(...), set(...), map(...), tuple([...]) or object({ ... }).`},
		{`object({ a = optional(number, "5") })`, `EP1308 Unsuitable default: A number is needed, and this is a string. Write the number without quotes.`},
		{`object({ a = optional(number, x) })`, `EP1308 Unsuitable default: Variables may not be used here.`},
		{`object({ a = optional() })`, `EP1308 Wrong number of arguments: optional takes a type, and after it a default if there is one.`},
		{`object({ a = string, a = number })`, `EP1308 Attribute declared twice: The attribute "a" is in this object type already.`},
		{`object({ "a b" = string })`, `EP1308 Not an attribute name: An attribute of an object type is a plain name, without quotes.`},
		{`object(string)`, `EP1308 Incomplete type: object takes its attributes in braces. Write for example object({ name = string }).`},
		{`tuple(string)`, `EP1308 Incomplete type: tuple takes a list of types. Write for example tuple([string, number]).`},
	} {
		ty, _, problem := readType(t, test.src)
		got := problem
		if got == "" {
			got = TypeText(ty)
		}
		if got != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.src, got, test.want)
		}
	}
}

func TestStrict(t *testing.T) {
	names := map[string]cty.Value{
		"unknown": cty.UnknownVal(cty.String),
		"dynamic": cty.DynamicVal,
		"objects": cty.UnknownVal(cty.List(cty.Object(map[string]cty.Type{"a": cty.String, "z": cty.String}))),
		"map":     cty.MapVal(map[string]cty.Value{"a": cty.StringVal("x")}),
		"strings": cty.ListVal([]cty.Value{cty.StringVal("x")}),
		"secret":  cty.StringVal("x").Mark(Sensitive),
	}
	for _, test := range []struct{ src, ty, want string }{
		{`"a"`, "string", `"a"`},
		{`"2379"`, "number", `error: a number is needed, and this is a string. Write the number without quotes.`},
		{`0700`, "string", `error: a string is needed, and this is a number. Put it in quotes.`},
		{`"false"`, "bool", `error: a bool is needed, and this is a string. Write true or false, without quotes.`},
		{`"h1"`, "host", `error: a host is needed, and this is a string. Write host["NAME"].`},
		{`"a"`, "list(string)", `error: a list of strings is needed, and this is a string. Put it in brackets.`},
		{`["a", "b"]`, "list(string)", `["a", "b"]`},
		{`["b", "a", "b"]`, "set(string)", `["a", "b"]`},
		{`[]`, "list(host)", `[]`},
		{`[]`, "set(string)", `[]`},
		{`{}`, "map(number)", `{}`},
		{`["a", 1]`, "list(string)", `error: [1]: a string is needed, and this is a number. Put it in quotes.`},
		{`["a", 1]`, "tuple([string, number])", `["a", 1]`},
		{`["a"]`, "tuple([string, number])", `error: exactly 2 values are needed here, and these are 1.`},
		{`{ a = 1, b = 2 }`, "map(number)", `{ a = 1, b = 2 }`},
		{`{ a = 1, b = "x" }`, "map(number)", `error: ["b"]: a number is needed, and this is a string. Write the number without quotes.`},
		{`{ nmae = "x" }`, "object({ name = string })", `error: There is no attribute "nmae" in this type. Did you mean "name"?`},
		{`{ name = "x", zzzz = 1 }`, "object({ name = string })", `error: There is no attribute "zzzz" in this type.`},
		{`{}`, "object({ name = list(string) })", `error: The attribute "name", a list of strings, is missing.`},
		{`{ a = "x" }`, `object({ a = string, b = optional(number), c = optional(string, "y") })`, `{ a = "x", b = null, c = "y" }`},
		{`{ c = null }`, `object({ c = optional(string, "y") })`, `{ c = "y" }`},
		{`[{}, { in = { d = 1 } }]`, `list(object({ in = optional(object({ d = optional(number, 2), e = optional(number, 3) }), {}) }))`, `[{ in = { d = 2, e = 3 } }, { in = { d = 1, e = 3 } }]`},
		{`{ x = { y = [true, "a"] } }`, `object({ x = object({ y = list(bool) }) })`, `error: .x.y[1]: a bool is needed, and this is a string. Write true or false, without quotes.`},
		{`map`, "object({ a = string })", `error: an object is needed, and this is a map of strings. Write convert(..., object({ a = string })), or give an object of one shape on both sides of a condition.`},
		{`strings`, "set(string)", `error: a set of strings is needed, and this is a list of strings. Write convert(..., set(string)).`},
		{`null`, "host", `null`},
		{`unknown`, "string", `(unknown)`},
		{`unknown`, "number", `error: a number is needed, and this is a string. Write the number without quotes.`},
		{`dynamic`, "list(host)", `(unknown)`},
		{`objects`, "list(object({ a = string }))", `error: [*]: There is no attribute "z" in this type.`},
		{`[unknown, "b"]`, "list(string)", `[(unknown), "b"]`},
		{`{ a = secret }`, "map(string)", `{ a = (sensitive) }`},
	} {
		ty, d, problem := readType(t, test.ty)
		if problem != "" {
			t.Fatal(problem)
		}
		v, err := evaluate(t, test.src, names)
		if err != nil {
			t.Fatalf("%s: %v", test.src, err)
		}
		out, err := Strict(v, ty, d)
		got := diag.Value(out, "")
		if err != nil {
			got = "error: " + err.Error()
			var te *TypeError
			if !errors.As(err, &te) {
				t.Errorf("%s: got an error of type %T", test.src, err)
			}
		}
		if got != test.want {
			t.Errorf("%s as %s\ngot  %s\nwant %s", test.src, test.ty, got, test.want)
		}
	}
}

// Whatever goes through Strict has the type, keeps its marks, loses nothing
// that was known, and goes through once more unchanged. What is refused is
// refused with a TypeError; nothing panics.
func TestStrictIsTotalAndIdempotent(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	good := 0
	for range 60000 {
		ty := randomType(r, 3)
		v := randomValue(r, 3)
		if r.IntN(2) == 0 {
			v = loosen(r, valueOf(r, ty, 8))
		}
		out, err := Strict(v, ty, nil)
		if err != nil {
			var te *TypeError
			if !errors.As(err, &te) || te.Problem == "" {
				t.Fatalf("%#v as %#v: got %v", v, ty, err)
			}
			continue
		}
		good++
		if !out.Type().Equals(ty) {
			t.Fatalf("%#v as %#v: got type %#v", v, ty, out.Type())
		}
		if IsSensitive(v) != IsSensitive(out) {
			t.Fatalf("%#v as %#v: marks change: %#v", v, ty, out)
		}
		if v.IsWhollyKnown() != out.IsWhollyKnown() && !ty.IsObjectType() {
			t.Fatalf("%#v as %#v: got %#v", v, ty, out)
		}
		again, err := Strict(out, ty, nil)
		if err != nil || !again.RawEquals(out) {
			t.Fatalf("%#v as %#v: got %#v, then %#v, %v", v, ty, out, again, err)
		}
		if loose, err := (converter{loose: true}).value(v, ty, nil, nil); err != nil || !loose.RawEquals(out) {
			t.Fatalf("%#v as %#v: strict %#v, loose %#v, %v", v, ty, out, loose, err)
		}
	}
	if good < 20000 {
		t.Errorf("only %d values were good: the test shows little", good)
	}
}

// loosen writes lists as tuples and maps as objects, as an author does.
func loosen(r *rand.Rand, v cty.Value) cty.Value {
	plain, marks := v.Unmark()
	ty := plain.Type()
	if !plain.IsKnown() || plain.IsNull() || !plain.CanIterateElements() || r.IntN(5) == 0 {
		return v
	}
	var list []cty.Value
	m := map[string]cty.Value{}
	for it := plain.ElementIterator(); it.Next(); {
		k, e := it.Element()
		e = loosen(r, e)
		list = append(list, e)
		if !ty.IsSetType() && k.Type() == cty.String {
			m[k.AsString()] = e
		}
	}
	if ty.IsMapType() || ty.IsObjectType() {
		return cty.ObjectVal(m).WithMarks(marks)
	}
	return cty.TupleVal(list).WithMarks(marks)
}

func TestSensitive(t *testing.T) {
	v := cty.ObjectVal(map[string]cty.Value{
		"open":  cty.StringVal("visible"),
		"token": cty.StringVal("s3cr3t").Mark(Sensitive),
		"all": cty.ObjectVal(map[string]cty.Value{
			"a": cty.StringVal("inner"), "short": cty.StringVal("abc"), "n": cty.Zero,
			"list": cty.ListVal([]cty.Value{cty.StringVal("inner"), cty.UnknownVal(cty.String)}),
			"map":  cty.MapVal(map[string]cty.Value{"keyed": cty.NullVal(cty.String)}),
		}).Mark(Sensitive),
	})
	got := Secrets(v)
	want := []string{"inner", "keyed", "s3cr3t"}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %q, want %q", got, want)
	}
	if !IsSensitive(v) || IsSensitive(Reveal(v)) || IsSensitive(cty.NilVal) {
		t.Error("marks are not told")
	}
	if got, want := diag.Value(v, ""), `{ all = (sensitive), open = "visible", token = (sensitive) }`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
