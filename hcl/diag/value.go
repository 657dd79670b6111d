package diag

import (
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Value is v as one would write it in a playbook, on one line. Sensitive parts
// and parts that are not known are told as such.
func Value(v cty.Value) string {
	var b strings.Builder
	writeValue(&b, v, 0)
	return b.String()
}

const deepest = 8 // levels of a value that are still shown

func writeValue(b *strings.Builder, v cty.Value, depth int) {
	switch {
	case v == cty.NilVal:
		b.WriteString("null")
	case v.IsMarked():
		b.WriteString("(sensitive)")
	case !v.IsKnown():
		b.WriteString("(not known yet)")
	case v.IsNull():
		b.WriteString("null")
	case depth > deepest:
		b.WriteString("…")
	case v.Type() == cty.String:
		b.WriteString(strconv.Quote(v.AsString()))
	case v.Type() == cty.Number:
		f := v.AsBigFloat()
		if exp := f.MantExp(nil); !f.IsInf() && (exp > 1200 || exp < -1200) {
			b.WriteString("(about 2^" + strconv.Itoa(exp) + ")")
			return
		}
		b.WriteString(f.Text('f', -1))
	case v.Type() == cty.Bool:
		b.WriteString(strconv.FormatBool(v.True()))
	case isHost(v):
		b.WriteString("host[" + strconv.Quote(v.GetAttr("name").AsString()) + "]")
	case v.Type().IsObjectType() || v.Type().IsMapType():
		b.WriteString("{")
		m := v.AsValueMap()
		names := make([]string, 0, len(m))
		for n := range m {
			names = append(names, n)
		}
		sort.Strings(names)
		for i, n := range names {
			if i > 0 {
				b.WriteString(",")
			}
			if hclsyntax.ValidIdentifier(n) {
				b.WriteString(" " + n + " = ")
			} else {
				b.WriteString(" " + strconv.Quote(n) + " = ")
			}
			writeValue(b, m[n], depth+1)
		}
		if len(names) > 0 {
			b.WriteString(" ")
		}
		b.WriteString("}")
	case v.Type().IsListType() || v.Type().IsSetType() || v.Type().IsTupleType():
		b.WriteString("[")
		for i, e := range v.AsValueSlice() {
			if i > 0 {
				b.WriteString(", ")
			}
			writeValue(b, e, depth+1)
		}
		b.WriteString("]")
	default:
		b.WriteString("(" + v.Type().FriendlyName() + ")")
	}
}

// isHost reports whether v is a host whose name can be shown in its place.
func isHost(v cty.Value) bool {
	ty := v.Type()
	if !ty.IsObjectType() {
		return false
	}
	for _, a := range []string{"name", "address", "labels", "member"} {
		if !ty.HasAttribute(a) {
			return false
		}
	}
	name := v.GetAttr("name")
	return len(ty.AttributeTypes()) == 4 && !name.IsMarked() && name.IsKnown() && !name.IsNull() && name.Type() == cty.String
}
