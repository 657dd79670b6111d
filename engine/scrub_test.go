package engine

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

func TestScrubForms(t *testing.T) {
	const secret = `p&ss'w"rd/+ß`
	var s Scrubber
	s.AddValue(cty.ObjectVal(map[string]cty.Value{
		"open":   cty.StringVal("nothing"),
		"hidden": cty.ListVal([]cty.Value{cty.StringVal(secret)}).Mark(Sensitive),
	}))
	for _, form := range []string{
		secret, base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret),
		strings.ReplaceAll(secret, "'", `'\''`), `p&ss'w\"rd/+ß`, `p\u0026ss'w\"rd/+ß`,
	} {
		if got, want := s.String("a "+form+" b nothing"), "a (sensitive) b nothing"; got != want {
			t.Errorf("%q: got %q, want %q", form, got, want)
		}
	}
	s.Add("abc")
	if got := s.String("abc"); got != "abc" {
		t.Errorf("a secret of three bytes: got %q", got)
	}
}

// Every way of cutting the text into three writes gives the same.
func TestScrubWriterSplit(t *testing.T) {
	var s Scrubber
	s.Add("secret")
	s.Add("secretary")
	s.Add("tsec")
	const text = "x secret y secretary z secretsecre\n"
	want := "x (sensitive) y (sensitive) z (sensitive)secre\n"
	if got := s.String(text); got != want {
		t.Fatalf("whole: got %q, want %q", got, want)
	}
	for i := 0; i <= len(text); i++ {
		for j := i; j <= len(text); j++ {
			var b strings.Builder
			w := s.Writer(&b)
			for _, part := range []string{text[:i], text[i:j], text[j:]} {
				if n, err := w.Write([]byte(part)); err != nil || n != len(part) {
					t.Fatal(n, err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "secret") {
				t.Fatalf("cut at %d and %d: got %q", i, j, b.String())
			}
		}
	}
}
