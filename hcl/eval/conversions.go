package eval

import (
	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

func typeFunctions() []Function {
	return []Function{
		{
			Name: "tostring", Group: "types", Signature: "tostring(value string, number or bool) string",
			Doc:     "The value as text.",
			Example: `tostring(3)`, Yields: `"3"`, Impl: bounded(toPrimitive(cty.String), nil),
		},
		{
			Name: "tonumber", Group: "types", Signature: "tonumber(value string or number) number",
			Doc:     "The number that the text stands for.",
			Example: `tonumber("3")`, Yields: `3`, Impl: bounded(toPrimitive(cty.Number), nil),
		},
		{
			Name: "tobool", Group: "types", Signature: "tobool(value string or bool) bool",
			Doc:     `The bool that "true" or "false" stands for.`,
			Example: `tobool("true")`, Yields: `true`, Impl: bounded(toPrimitive(cty.Bool), nil),
		},
		{
			Name: "convert", Group: "types", Signature: "convert(value, TYPE) value",
			Doc:     "The value as the type, which is written as in a variable block. Other than where a value meets a declared type, text, numbers and bools become each other here, lists and sets too, and maps become objects.",
			Example: `convert(["b", "a", "b"], set(string))`, Yields: `["a", "b"]`, Impl: convertTo(),
		},
		{
			Name: "can", Group: "types", Signature: "can(expression) bool",
			Doc:     "Whether the expression can be evaluated without an error. It is meant for validations.",
			Example: `can(regex("^a", "b"))`, Yields: `false`, Impl: tryfunc.CanFunc,
		},
		{
			Name: "sensitive", Group: "types", Signature: "sensitive(value) value",
			Doc:     "The value, marked as one that is never shown or stored.",
			Example: `sensitive("a")`, Yields: `(sensitive)`, Impl: setSensitive(),
		},
		{
			Name: "nonsensitive", Group: "types", Signature: "nonsensitive(value) value",
			Doc:     "The value without such marks, also in its parts. Each use is reported by validate.",
			Example: `nonsensitive(sensitive("a"))`, Yields: `"a"`, Impl: unsetSensitive(),
		},
	}
}

// anything takes every value as it is, marked, unknown or null.
func anything(name string) function.Parameter {
	return open(function.Parameter{Name: name, Type: cty.DynamicPseudoType})
}

func toPrimitive(ty cty.Type) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{anything("value")},
		Type:   function.StaticReturnType(ty),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			out, err := converter{loose: true}.value(args[0], ty, nil, nil)
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			return out, nil
		},
	})
}

// convertTo takes its second argument as it is written and reads it as a type.
func convertTo() function.Function {
	read := func(arg cty.Value) (cty.Type, *typeexpr.Defaults, error) {
		ty, defaults, found := TypeExpr(customdecode.ExpressionFromVal(arg))
		if found.HasErrors() {
			return cty.NilType, nil, function.NewArgErrorf(1, "%s", found[0].Detail)
		}
		return ty, defaults, nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{anything("value"), param("type", customdecode.ExpressionType)},
		Type: func(args []cty.Value) (cty.Type, error) {
			if !args[1].IsKnown() {
				return cty.DynamicPseudoType, nil
			}
			ty, _, err := read(args[1])
			if err != nil {
				return cty.NilType, err
			}
			return ty.WithoutOptionalAttributesDeep(), nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			ty, defaults, err := read(args[1])
			if err != nil {
				return cty.NilVal, err
			}
			if err := checkSize(args[0]); err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			out, err := converter{loose: true}.value(args[0], ty, defaults, nil)
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			return out, nil
		},
	})
}

func setSensitive() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{anything("value")},
		Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return MarkSensitive(args[0]), nil },
	})
}

func unsetSensitive() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{anything("value")},
		Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return Reveal(args[0]), nil },
	})
}
