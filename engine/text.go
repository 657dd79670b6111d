package engine

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sentence makes an error's text one: a capital at the start, unless it begins
// with a name such as that of a unit, and a full stop at the end.
func sentence(text string) string {
	text = oneLine(text)
	if text == "" {
		return text
	}
	if first, _, _ := strings.Cut(text, " "); !strings.ContainsAny(first, ".-_/0123456789") {
		r, n := utf8.DecodeRuneInString(text)
		text = string(unicode.ToUpper(r)) + text[n:]
	}
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, ":") {
		return text
	}
	return text + "."
}

// oneLine joins the lines of text.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// sortedNames is the keys of m in order.
func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
