package hcl_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcdplay/etcdplay/hcl"
)

// TestFormatFixed holds that what is shipped is laid out already.
func TestFormatFixed(t *testing.T) {
	files, err := filepath.Glob("../playbooks/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("playbooks: got %v, %v, want some", files, err)
	}
	for _, f := range append(files, "testdata/inventory.hcl") {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out, found := hcl.Format(f, src)
		if len(found) > 0 || !bytes.Equal(out, src) {
			t.Errorf("%s: got %v and\n%s\nwant it as it is", f, found, out)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"columns", "a {\nb=1\nlong = 2\n}\n", "a {\n  b    = 1\n  long = 2\n}\n"},
		{"crlf", "a = 1\r\nbb = 2\r\n", "a  = 1\nbb = 2\n"},
		{"comment", "a = 1 # x\n", "a = 1 # x\n"},
		{"heredoc", "a=<<EOT\n x\n   y ${ b }\nEOT\n", "a = <<EOT\n x\n   y ${b}\nEOT\n"},
	} {
		out, found := hcl.Format(tt.name+".hcl", []byte(tt.src))
		if len(found) > 0 || string(out) != tt.want {
			t.Errorf("%s: got %v and\n%s\nwant\n%s", tt.name, found, out, tt.want)
		}
	}
	if _, found := hcl.Format("broken.hcl", []byte("a = (\n")); !found.HasErrors() {
		t.Error("broken file: got no finding, want one")
	}
}
