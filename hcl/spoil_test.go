package hcl

import (
	"bytes"
	"testing"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// TestFormatSpoilt gives format layouts that change what a file means, or that
// never come to rest.
func TestFormatSpoilt(t *testing.T) {
	src := []byte("a = \"x\"\n")
	for name, layout := range map[string]func([]byte) []byte{
		"token":    func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("x"), []byte("y")) },
		"heredoc":  func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"x"`), []byte("<<E\nx\nE")) },
		"restless": func(b []byte) []byte { return append([]byte("\n"), b...) },
	} {
		out, found := format("a.hcl", src, layout)
		if len(found) != 1 || found[0].Code != string(diag.FormatMeaning) || !bytes.Equal(out, src) {
			t.Errorf("%s: got %q, %v, want the text as it is, with a finding", name, out, found)
		}
	}
}
