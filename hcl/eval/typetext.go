package eval

import (
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// TypeText is a type as a playbook writes it: list(host), object({ name = string }).
// Types that cannot be written come out as any.
func TypeText(ty cty.Type) string {
	switch {
	case ty == cty.NilType:
		return "any"
	case ty == cty.String:
		return "string"
	case ty == cty.Number:
		return "number"
	case ty == cty.Bool:
		return "bool"
	case ty.IsObjectType() && ty.WithoutOptionalAttributesDeep().Equals(HostType):
		return "host"
	case ty.IsListType():
		return "list(" + TypeText(ty.ElementType()) + ")"
	case ty.IsSetType():
		return "set(" + TypeText(ty.ElementType()) + ")"
	case ty.IsMapType():
		return "map(" + TypeText(ty.ElementType()) + ")"
	case ty.IsTupleType():
		var parts []string
		for _, e := range ty.TupleElementTypes() {
			parts = append(parts, TypeText(e))
		}
		return "tuple([" + strings.Join(parts, ", ") + "])"
	case ty.IsObjectType():
		return objectText(ty)
	}
	return "any"
}

func objectText(ty cty.Type) string {
	atys := ty.AttributeTypes()
	if len(atys) == 0 {
		return "object({})"
	}
	names := make([]string, 0, len(atys))
	for n := range atys {
		names = append(names, n)
	}
	sort.Strings(names)
	var parts []string
	for _, n := range names {
		text := TypeText(atys[n])
		if ty.AttributeOptional(n) {
			text = "optional(" + text + ")"
		}
		if !hclsyntax.ValidIdentifier(n) {
			n = quote(n)
		}
		parts = append(parts, n+" = "+text)
	}
	return "object({ " + strings.Join(parts, ", ") + " })"
}

// TypeName is a type in words, with its article: "a string", "a list of hosts".
func TypeName(ty cty.Type) string {
	switch {
	case ty == cty.NilType || ty == cty.DynamicPseudoType:
		return "a value of any type"
	case ty.IsListType():
		return "a list of " + plural(ty.ElementType())
	case ty.IsSetType():
		return "a set of " + plural(ty.ElementType())
	case ty.IsMapType():
		return "a map of " + plural(ty.ElementType())
	case ty.IsTupleType():
		return "a list"
	}
	switch word := typeWord(ty); word {
	case "object":
		return "an object"
	default:
		return "a " + word
	}
}

func plural(ty cty.Type) string {
	switch {
	case ty.IsListType():
		return "lists of " + plural(ty.ElementType())
	case ty.IsSetType():
		return "sets of " + plural(ty.ElementType())
	case ty.IsMapType():
		return "maps of " + plural(ty.ElementType())
	}
	return typeWord(ty) + "s"
}

func typeWord(ty cty.Type) string {
	switch {
	case ty == cty.String, ty == cty.Number, ty == cty.Bool:
		return TypeText(ty)
	case ty.IsObjectType() && ty.WithoutOptionalAttributesDeep().Equals(HostType):
		return "host"
	case ty.IsObjectType():
		return "object"
	case ty.IsTupleType():
		return "tuple"
	}
	return "value"
}
