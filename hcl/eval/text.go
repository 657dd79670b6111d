package eval

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// quote is s as a string literal of the language.
func quote(s string) string { return diag.Quote(s) }

// Sentence makes text begin with a capital letter and end with a full stop.
func Sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	r, n := utf8.DecodeRuneInString(text)
	// A path or a quoted word stays as it was written.
	if unicode.IsLower(r) && !strings.ContainsAny(firstWord(text), ".[(=") {
		text = string(unicode.ToUpper(r)) + text[n:]
	}
	if !strings.ContainsAny(text[len(text)-1:], ".?!") {
		text += "."
	}
	return text
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return strings.TrimRight(word, ".,")
}

func trimLeft(s string) string { return strings.TrimLeft(s, " ") }
