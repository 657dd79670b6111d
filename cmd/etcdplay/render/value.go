package render

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Value is v on one line, as one would write it in a playbook. Where a part is
// not known yet, it says after which tasks it will be; a sensitive part is
// never shown.
func Value(v cty.Value, waits []string) string {
	var b strings.Builder
	writeValue(&b, v, waits)
	return b.String()
}

func writeValue(b *strings.Builder, v cty.Value, waits []string) {
	switch {
	case v == cty.NilVal:
		b.WriteString("null")
	case v.IsMarked():
		b.WriteString("(sensitive)")
	case !v.IsKnown():
		writeUnknown(b, v, waits)
	case v.IsNull():
		b.WriteString("null")
	case v.Type() == cty.String:
		b.WriteString(quote(v.AsString()))
	case v.Type() == cty.Bool:
		b.WriteString(strconv.FormatBool(v.True()))
	case v.Type() == cty.Number:
		b.WriteString(v.AsBigFloat().Text('f', -1))
	case v.Type().IsObjectType() || v.Type().IsMapType():
		writeObject(b, v, waits)
	case v.CanIterateElements():
		b.WriteByte('[')
		for i, it := 0, v.ElementIterator(); it.Next(); i++ {
			if i > 0 {
				b.WriteString(", ")
			}
			_, e := it.Element()
			writeValue(b, e, waits)
		}
		b.WriteByte(']')
	default:
		fmt.Fprintf(b, "(%s)", v.Type().FriendlyName())
	}
}

func writeObject(b *strings.Builder, v cty.Value, waits []string) {
	if v.LengthInt() == 0 {
		b.WriteString("{}")
		return
	}
	b.WriteString("{ ")
	for i, it := 0, v.ElementIterator(); it.Next(); i++ {
		if i > 0 {
			b.WriteString(", ")
		}
		k, e := it.Element()
		name := k.AsString()
		if v.Type().IsMapType() {
			name = quote(name)
		}
		b.WriteString(name)
		b.WriteString(" = ")
		writeValue(b, e, waits)
	}
	b.WriteString(" }")
}

// writeUnknown shows the beginning of a string that is known only so far, as in
// "http://"... (known after task.add).
func writeUnknown(b *strings.Builder, v cty.Value, waits []string) {
	if v.Type() == cty.String {
		if prefix := v.Range().StringPrefix(); prefix != "" {
			b.WriteString(quote(prefix) + "... ")
		}
	}
	b.WriteString(After(waits))
}

// After says when something will be known.
func After(waits []string) string {
	if len(waits) == 0 {
		return "(known during the run)"
	}
	return "(known after " + strings.Join(waits, ", ") + ")"
}

// quote writes s as a literal of the language: a template's openings are
// doubled, so that what is shown could be pasted.
func quote(s string) string {
	q := strconv.Quote(s)
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(q)
}
