package eval

import (
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// typeNames are the words of a type expression, for suggestions.
func typeNames() []string {
	return []string{"string", "number", "bool", "host", "list", "set", "map", "tuple", "object"}
}

// TypeExpr reads a type as a playbook writes it. Object types may hold
// optional(TYPE) and optional(TYPE, DEFAULT); the defaults come back beside the
// type, nil if there are none, and are for Strict. On errors the type is
// cty.DynamicPseudoType, which Strict lets pass, so that one mistake is told once.
func TypeExpr(expr hcl.Expression) (cty.Type, *typeexpr.Defaults, engine.Diagnostics) {
	r := typeReader{}
	ty, defaults := r.read(expr)
	if r.found.HasErrors() {
		return cty.DynamicPseudoType, nil, r.found
	}
	return ty, defaults, nil
}

type typeReader struct {
	found engine.Diagnostics
}

func (r *typeReader) fail(code diag.Code, summary string, at hcl.Range, format string, args ...any) (cty.Type, *typeexpr.Defaults) {
	r.found = append(r.found, diag.New(code, summary, at, diag.Place{}, format, args...))
	return cty.DynamicPseudoType, nil
}

func (r *typeReader) read(expr hcl.Expression) (cty.Type, *typeexpr.Defaults) {
	if word := hcl.ExprAsKeyword(expr); word != "" {
		return r.readWord(word, expr.Range())
	}
	call, diags := hcl.ExprCall(expr)
	if diags.HasErrors() {
		return r.fail(diag.BadType, "Not a type", expr.Range(),
			"A type is string, number, bool or host, or list(...), set(...), map(...), tuple([...]) or object({ ... }).")
	}
	return r.readCall(call, expr.Range())
}

func (r *typeReader) readWord(word string, at hcl.Range) (cty.Type, *typeexpr.Defaults) {
	switch word {
	case "string":
		return cty.String, nil
	case "number":
		return cty.Number, nil
	case "bool":
		return cty.Bool, nil
	case "host":
		return HostType, nil
	case "any":
		return r.fail(diag.NoAnyType, "No type any", at,
			"A variable needs a full type, so that a wrong value is found before the first task runs. For a record, write object({ name = string, ... }).")
	case "list", "set", "map":
		return r.fail(diag.BadType, "Incomplete type", at,
			"%s needs the type of its elements. Write for example %s(string).", word, word)
	case "object":
		return r.fail(diag.BadType, "Incomplete type", at,
			"object needs its attributes. Write for example object({ name = string }).")
	case "tuple":
		return r.fail(diag.BadType, "Incomplete type", at,
			"tuple needs the types of its elements. Write for example tuple([string, number]).")
	}
	return r.fail(diag.BadType, "Unknown type", at, "There is no type %s.%s", quote(word), meantType(word))
}

// meantType is what a word stands for that is no type here, with a space before
// it; words of other languages are known.
func meantType(word string) string {
	here := map[string]string{
		"int": "number", "integer": "number", "float": "number", "double": "number", "num": "number",
		"boolean": "bool", "str": "string", "text": "string", "duration": "string", "path": "string",
		"array": "list(string)", "tuples": "tuple([string, number])", "dict": "map(string)", "hash": "map(string)",
		"struct": "object({ name = string })",
	}
	if meant, ok := here[word]; ok {
		return " Write " + meant + "."
	}
	return didYouMean(word, typeNames())
}

func (r *typeReader) readCall(call *hcl.StaticCall, at hcl.Range) (cty.Type, *typeexpr.Defaults) {
	switch call.Name {
	case "string", "number", "bool", "host", "any":
		if call.Name == "any" {
			return r.readWord("any", at)
		}
		return r.fail(diag.BadType, "Too many arguments", call.ArgsRange, "The type %s takes no arguments.", call.Name)
	case "optional":
		return r.fail(diag.BadType, "Misplaced optional", call.NameRange,
			"optional(...) stands only around the type of an attribute in object({ ... }).")
	case "list", "set", "map", "tuple", "object":
	default:
		return r.fail(diag.BadType, "Unknown type", call.NameRange,
			"There is no type %s.%s", quote(call.Name), meantType(call.Name))
	}
	if len(call.Arguments) != 1 {
		return r.fail(diag.BadType, "Wrong number of arguments", call.ArgsRange, "%s takes exactly one argument.", call.Name)
	}
	arg := call.Arguments[0]
	switch call.Name {
	case "tuple":
		return r.readTuple(arg)
	case "object":
		return r.readObject(arg)
	}
	ety, d := r.read(arg)
	ty := cty.List(ety)
	switch call.Name {
	case "set":
		ty = cty.Set(ety)
	case "map":
		ty = cty.Map(ety)
	}
	if d != nil {
		d = &typeexpr.Defaults{Type: ty, Children: map[string]*typeexpr.Defaults{"": d}}
	}
	return ty, d
}

func (r *typeReader) readTuple(arg hcl.Expression) (cty.Type, *typeexpr.Defaults) {
	exprs, diags := hcl.ExprList(arg)
	if diags.HasErrors() {
		return r.fail(diag.BadType, "Incomplete type", arg.Range(),
			"tuple takes a list of types. Write for example tuple([string, number]).")
	}
	types := make([]cty.Type, len(exprs))
	children := map[string]*typeexpr.Defaults{}
	for i, e := range exprs {
		ty, d := r.read(e)
		types[i] = ty
		if d != nil {
			children[strconv.Itoa(i)] = d
		}
	}
	ty := cty.Tuple(types)
	return ty, defaultsOf(ty, nil, children)
}

func (r *typeReader) readObject(arg hcl.Expression) (cty.Type, *typeexpr.Defaults) {
	pairs, diags := hcl.ExprMap(arg)
	if diags.HasErrors() {
		return r.fail(diag.BadType, "Incomplete type", arg.Range(),
			"object takes its attributes in braces. Write for example object({ name = string }).")
	}
	types := map[string]cty.Type{}
	values := map[string]cty.Value{}
	children := map[string]*typeexpr.Defaults{}
	var optional []string
	for _, p := range pairs {
		name := hcl.ExprAsKeyword(p.Key)
		if name == "" {
			r.fail(diag.BadType, "Not an attribute name", p.Key.Range(), "An attribute of an object type is a plain name, without quotes.")
			continue
		}
		if _, twice := types[name]; twice {
			r.fail(diag.BadType, "Attribute declared twice", p.Key.Range(), "The attribute %s is in this object type already.", quote(name))
			continue
		}
		ty, d, def, isOptional := r.readAttribute(p.Value)
		types[name] = ty
		if d != nil {
			children[name] = d
		}
		if isOptional {
			optional = append(optional, name)
		}
		if def != cty.NilVal {
			values[name] = def
		}
	}
	ty := cty.ObjectWithOptionalAttrs(types, optional)
	return ty, defaultsOf(ty, values, children)
}

// readAttribute reads the type of one attribute of an object type; def is
// cty.NilVal where none is written.
func (r *typeReader) readAttribute(expr hcl.Expression) (ty cty.Type, d *typeexpr.Defaults, def cty.Value, optional bool) {
	call, diags := hcl.ExprCall(expr)
	if diags.HasErrors() || call.Name != "optional" {
		ty, d = r.read(expr)
		return ty, d, cty.NilVal, false
	}
	if len(call.Arguments) < 1 || len(call.Arguments) > 2 {
		ty, d = r.fail(diag.BadType, "Wrong number of arguments", call.ArgsRange,
			"optional takes a type, and after it a default if there is one.")
		return ty, d, cty.NilVal, true
	}
	before := len(r.found)
	ty, d = r.read(call.Arguments[0])
	if len(call.Arguments) == 1 || len(r.found) > before {
		return ty, d, cty.NilVal, true
	}
	return ty, d, r.readDefault(call.Arguments[1], ty, d), true
}

func (r *typeReader) readDefault(expr hcl.Expression, ty cty.Type, d *typeexpr.Defaults) cty.Value {
	v, diags := expr.Value(&hcl.EvalContext{Functions: Table(nil, "")})
	if diags.HasErrors() {
		r.fail(diag.BadType, "Unsuitable default", expr.Range(), "%s", diags[0].Detail)
		return cty.NilVal
	}
	v, err := Strict(v, ty, d)
	if err != nil {
		r.fail(diag.BadType, "Unsuitable default", expr.Range(), "%s", Sentence(err.Error()))
		return cty.NilVal
	}
	return v
}

func defaultsOf(ty cty.Type, values map[string]cty.Value, children map[string]*typeexpr.Defaults) *typeexpr.Defaults {
	if len(values) == 0 && len(children) == 0 {
		return nil
	}
	return &typeexpr.Defaults{Type: ty, DefaultValues: values, Children: children}
}
