package eval

import (
	"maps"
	"slices"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Function is one function of the language, with its reference.
type Function struct {
	Name      string // "join", "etcd::quorum"
	Group     string // heading in the reference
	Signature string // "join(separator string, list list(string)) string"
	Doc       string // one paragraph
	Example   string // a call
	Yields    string // what the example yields, as Text writes it; "" where that depends on files
	Impl      function.Function
}

// Functions lists every function of the language, by group and in the order of
// the reference. They are pure: the same arguments yield the same value, also
// when a run is resumed. The templatefile of this list refuses every call; the
// one that reads is in Table.
func Functions() []Function {
	return slices.Concat(
		stringFunctions(),
		collectionFunctions(),
		numberFunctions(),
		typeFunctions(),
		encodingFunctions(),
		fileFunctions(nil, ""),
		versionFunctions(),
		netFunctions(),
		etcdFunctions(),
		systemdFunctions(),
		clctFunctions(),
	)
}

// Table is the functions for the expressions of one file, which lies in dir:
// the paths given to templatefile are relative to it. Without files, a call of
// templatefile is an error.
func Table(files *Templates, dir string) map[string]function.Function {
	table := map[string]function.Function{}
	for _, f := range Functions() {
		table[f.Name] = f.Impl
	}
	for _, f := range fileFunctions(files, dir) {
		table[f.Name] = f.Impl
	}
	return table
}

// FunctionNames lists the names of all functions, sorted.
func FunctionNames() []string {
	return slices.Sorted(maps.Keys(Table(nil, "")))
}

// RefusedFunctions tells, for functions that other tools have and this language
// has not on purpose, what there is in their place.
func RefusedFunctions() map[string]string {
	return map[string]string{
		"timestamp":      "In its place there is run.started_at, which is the same again when a run is resumed.",
		"plantimestamp":  "In its place there is run.started_at, which is the same again when a run is resumed.",
		"uuid":           "In its place there is run.id, which is the same again when a run is resumed.",
		"env":            "Declare a variable, and set it with ETCDPLAY_VAR_name.",
		"file":           "Use templatefile, or a variable; a file of a host is read by a task.",
		"fileexists":     "Use a task of type stat.",
		"try":            "It would hide misspelt names. Test with can, or give a default with coalesce.",
		"lookup":         "Write map[key], with contains(keys(map), key) before it where the key may be missing.",
		"title":          "Write the text as it is meant.",
		"toset":          "Write convert(value, set(string)).",
		"tolist":         "Write convert(value, list(string)).",
		"tomap":          "Write convert(value, map(string)).",
		"templatestring": "Use templatefile, or a string with ${ } in it.",
		"range":          "Write the values out as a list.",
		"random":         "A playbook yields the same again when a run is resumed. Use run.id, or a variable.",
	}
}

// param is a parameter that takes null for nothing and lets the framework deal
// with unknown and marked values.
func param(name string, ty cty.Type) function.Parameter {
	return function.Parameter{Name: name, Type: ty}
}

// value is a parameter that takes a value of any type, known or not.
func value(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true}
}

// pure is a function of strings, numbers and bools: it is called only with
// arguments that are known to their depths, and never yields null.
func pure(ret cty.Type, impl func(args []cty.Value) (cty.Value, error), params ...function.Parameter) function.Function {
	return function.New(&function.Spec{
		Params:       params,
		Type:         function.StaticReturnType(ret),
		RefineResult: notNull,
		Impl: func(args []cty.Value, ret cty.Type) (cty.Value, error) {
			for _, a := range args {
				if !a.IsWhollyKnown() {
					return cty.UnknownVal(ret), nil
				}
			}
			return impl(args)
		},
	})
}

func notNull(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() }
