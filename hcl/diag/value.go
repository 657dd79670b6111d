package diag

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Bounds of Value: what a person still reads on one line of a terminal that
// wraps. Longer strings and collections are cut, and say so.
const (
	mostBytes    = 2000 // bytes of one string
	mostElements = 64   // of one collection
	mostDigits   = 400  // of one number
)

// Value is v on one line, as it would be written in a playbook. Sensitive parts
// are "(sensitive)", unknown parts are the given text, for example
// "(known after task.add)", behind what is known of their beginning; with an
// empty text they are "(unknown)".
func Value(v cty.Value, unknown string) string {
	if unknown == "" {
		unknown = "(unknown)"
	}
	var b strings.Builder
	writeText(&b, v, unknown)
	return b.String()
}

func writeText(b *strings.Builder, v cty.Value, unknown string) {
	switch ty := v.Type(); {
	case v == cty.NilVal:
		b.WriteString("null")
	case v.IsMarked():
		b.WriteString("(sensitive)")
	case !v.IsKnown():
		b.WriteString(unknownText(v, unknown))
	case v.IsNull():
		b.WriteString("null")
	case ty == cty.String:
		b.WriteString(stringText(v.AsString()))
	case ty == cty.Number:
		b.WriteString(numberText(v.AsBigFloat()))
	case ty == cty.Bool:
		b.WriteString(strconv.FormatBool(v.True()))
	case isHost(ty) && plainName(v) != "":
		b.WriteString("host[" + Quote(plainName(v)) + "]")
	case ty.IsListType(), ty.IsSetType(), ty.IsTupleType():
		writeSequence(b, v, unknown)
	case ty.IsMapType(), ty.IsObjectType():
		writeMapping(b, v, unknown)
	default:
		b.WriteString("(" + ty.FriendlyName() + ")")
	}
}

// plainName is the name of a host whose name is known and not sensitive.
func plainName(host cty.Value) string {
	name := host.GetAttr("name")
	if name.IsMarked() || !name.IsKnown() || name.IsNull() {
		return ""
	}
	return name.AsString()
}

func unknownText(v cty.Value, unknown string) string {
	if v.Type() != cty.String {
		return unknown
	}
	prefix := v.Range().StringPrefix()
	if prefix == "" {
		return unknown
	}
	return stringText(prefix) + "... " + unknown
}

func writeSequence(b *strings.Builder, v cty.Value, unknown string) {
	b.WriteByte('[')
	writeElements(b, v, func(_, e cty.Value) { writeText(b, e, unknown) })
	b.WriteByte(']')
}

func writeMapping(b *strings.Builder, v cty.Value, unknown string) {
	if v.LengthInt() == 0 {
		b.WriteString("{}")
		return
	}
	b.WriteString("{ ")
	writeElements(b, v, func(k, e cty.Value) {
		name := k.AsString()
		if !hclsyntax.ValidIdentifier(name) {
			name = Quote(name)
		}
		b.WriteString(name + " = ")
		writeText(b, e, unknown)
	})
	b.WriteString(" }")
}

// writeElements has the elements of a collection written with commas between
// them, as many as a person reads, and tells how many more there are.
func writeElements(b *strings.Builder, v cty.Value, write func(key, element cty.Value)) {
	for it, i := v.ElementIterator(), 0; it.Next(); i++ {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == mostElements {
			b.WriteString("and " + strconv.Itoa(v.LengthInt()-i) + " more")
			break
		}
		write(it.Element())
	}
}

func numberText(f *big.Float) string {
	// The library computes all digits of a number to write a few of them.
	if exp := f.MantExp(nil); !f.IsInf() && (exp > mostDigits*3 || exp < -mostDigits*3) {
		return "(about 2^" + strconv.Itoa(exp) + ")"
	}
	return f.Text('f', -1)
}

func stringText(s string) string {
	if len(s) <= mostBytes {
		return Quote(s)
	}
	cut := mostBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return Quote(s[:cut]) + "... (" + strconv.Itoa(len(s)) + " bytes)"
}

// isHost reports whether a value of this type can be shown by its name.
func isHost(ty cty.Type) bool {
	if !ty.IsObjectType() || len(ty.AttributeTypes()) != 4 {
		return false
	}
	for _, a := range []string{"name", "address", "labels", "member"} {
		if !ty.HasAttribute(a) {
			return false
		}
	}
	return ty.AttributeType("name") == cty.String
}

// Quote is s as a string literal of the language, on one line and without
// anything that would drive a terminal.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			b.WriteRune(r)
			b.WriteRune(r)
		case r == utf8.RuneError || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteString(`\U` + hexDigits(r, 8))
		default:
			b.WriteString(`\u` + hexDigits(r, 4))
		}
	}
	b.WriteByte('"')
	return b.String()
}

func hexDigits(r rune, width int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(width-len(s), 0)) + s
}
