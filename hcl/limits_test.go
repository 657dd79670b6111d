package hcl_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/tasks"
)

// loadText loads one text in place of a file.
func loadText(text string) (*hcl.Playbook, engine.Diagnostics) {
	return hcl.Load("p.hcl", hcl.Options{Types: tasks.Types(), ToolVersion: "0.1.0", ReadFile: func(path string) ([]byte, error) {
		if path != "p.hcl" {
			return nil, os.ErrNotExist
		}
		return []byte(text), nil
	}})
}

// TestNesting gives the parser what would overflow the stack of the process,
// which nothing could catch.
func TestNesting(t *testing.T) {
	const head = "playbook \"x\" {\n  language = 1\n}\nlocals {\n  x = "
	for name, deep := range map[string]string{
		"parentheses": strings.Repeat("(", 100_000),
		"closed":      strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000) + "\n}\n",
		"brackets":    strings.Repeat("[", 20_000),
		"braces":      strings.Repeat("{ a = ", 20_000),
		"templates":   strings.Repeat(`"${`, 20_000),
		"directives":  `"` + strings.Repeat(`%{if true}`, 60_000) + `"` + "\n}\n",
		"bangs":       strings.Repeat("!", 300_000) + "true\n}\n",
		"signs":       strings.Repeat("-", 300_000) + "1\n}\n",
		"spaced":      strings.Repeat("- ", 400_000) + "1\n}\n",
		"ternaries":   strings.Repeat("true ? 1 : ", 80_000) + "1\n}\n",
		"sums":        "1" + strings.Repeat(" + 1", 200_000) + "\n}\n",
		"lines":       "[for a in [] : a" + strings.Repeat("\n+ 1", 200_000) + "]\n}\n",
		"indexes":     "a" + strings.Repeat("[0]", 60_000) + "\n}\n",
		"splats":      "a" + strings.Repeat("[*]", 60_000) + "\n}\n",
		"calls":       strings.Repeat("upper(", 20_000),
		"fors":        strings.Repeat("[for a in ", 60_000),
		"commas":      strings.Repeat("f(1,", 20_000),
		"blocks":      "1\n}\n" + strings.Repeat("a {\n", 20_000),
		"mismatched":  strings.Repeat("({[", 50_000) + strings.Repeat(")}]", 50_000),
	} {
		t.Run(name, func(t *testing.T) {
			text := head + deep
			if len(text) > 1<<20 {
				text = text[:1<<20]
			}
			_, found := loadText(text)
			if len(found) != 1 || found[0].Code != string(diag.FileNesting) {
				t.Errorf("got %d findings, the first %q, want one of code %s", len(found), found.Error(), diag.FileNesting)
			}
		})
	}
}

// TestAllowed loads what is large and still within every limit.
func TestAllowed(t *testing.T) {
	const head = "playbook \"x\" {\n  language = 1\n}\nlocals {\n"
	var list, object, doc strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&list, "%d - 1, ", i)
		fmt.Fprintf(&object, "    a%d = (%d + 1) * -2\n", i, i)
		fmt.Fprintf(&doc, "%d ${1 + 1} %%{if true}x%%{endif}\n", i)
	}
	for name, body := range map[string]string{
		"list":        "  x = [" + list.String() + "1]\n",
		"object":      "  x = {\n" + object.String() + "  }\n",
		"heredoc":     "  x = <<-EOT\n" + doc.String() + "  EOT\n",
		"parentheses": "  x = " + strings.Repeat("(", 90) + "1" + strings.Repeat(")", 90) + "\n",
	} {
		_, found := loadText(head + body + "}\ntask \"assert\" \"a\" {\n  condition     = local.x != null\n  error_message = \"x\"\n}\n")
		if len(found) > 0 {
			t.Errorf("%s: got %v, want nothing", name, found)
		}
	}
}

// TestEncoding holds that a byte order mark and line ends do not matter.
func TestEncoding(t *testing.T) {
	src, err := os.ReadFile("testdata/bad/m05.hcl")
	if err != nil {
		t.Fatal(err)
	}
	p, want := loadText(string(src))
	crlf, got := loadText("\ufeff" + strings.ReplaceAll(string(src), "\n", "\r\n"))
	if a, b := written(got, crlf.Sources()), written(want, p.Sources()); a != b || len(want) == 0 {
		t.Errorf("with BOM and CRLF: got\n%s\nwant\n%s", a, b)
	}
}

// TestFiles gives Load what is no file to be read.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo.hcl")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big.hcl")
	if err := os.WriteFile(big, bytes.Repeat([]byte("#\n"), 600_000), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "json.hcl.json")
	if err := os.WriteFile(empty, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.hcl"): "no such file",
		dir:                            "a directory",
		fifo:                           "not a regular file",
		"/dev/zero":                    "not a regular file",
		big:                            "1 MiB",
		empty:                          "native syntax",
	} {
		p, found := hcl.Load(path, hcl.Options{})
		if p == nil || len(p.Sources()) > 1 || len(found) != 1 || !strings.Contains(found[0].Detail, want) {
			t.Errorf("%s: got %v, want one finding with %q", path, found, want)
		}
	}
}

// TestGivenValues gives a variable values from outside that are too much or
// wrong: one finding each, which is short, and no other for the same reason.
func TestGivenValues(t *testing.T) {
	const text = "playbook \"x\" {\n  language = 1\n}\nvariable \"c\" {\n  type = object({ name = string, port = optional(number, 1) })\n}\n" +
		"task \"assert\" \"a\" {\n  condition     = var.c.port > 0\n  error_message = \"x\"\n}\n"
	deep := strings.Repeat("{a=", 3000)
	for value, want := range map[string]string{
		strings.Repeat("[", 5000):              "up to 100 deep",
		`{name="a",port=1e999999999}`:          "larger than any number",
		`{name="a",port=1e99999999}`:           "about 10^99999999",
		`{name="${1e99999999}"}`:               "about 10^99999999",
		`{name=1}`:                             "var.c.name: a string is needed",
		`{nmae="a"}`:                           `Did you mean "name"?`,
		`{name=x}`:                             "put it in quotes",
		`{name=[for a in "x" : a]}`:            "cannot be read",
		"{name=\"" + strings.Repeat("x", 9000): "cannot be read",
		"null":                                 "must not be null",
	} {
		p, found := loadText(text)
		if found.HasErrors() {
			t.Fatal(found)
		}
		_, found = p.Bind(demo(t), hcl.Values{Vars: []string{"c=" + value}}, identity())
		if len(found) != 1 || !strings.Contains(found[0].Detail, want) || len(found[0].Detail) > 400 || strings.HasSuffix(found[0].Detail, "?.") {
			t.Errorf("--var c=%.40s: got %v, want one short finding with %q", value, found, want)
		}
	}
	p, found := hcl.Load("p.hcl", hcl.Options{Types: tasks.Types(), ToolVersion: "0.1.0", ReadFile: func(path string) ([]byte, error) {
		return []byte(map[string]string{"p.hcl": text, "v.hcl": "c = " + deep}[path]), nil
	}})
	if found.HasErrors() {
		t.Fatal(found)
	}
	_, found = p.Bind(demo(t), hcl.Values{Files: []string{"v.hcl"}}, identity())
	if len(found) != 1 || found[0].Code != string(diag.FileNesting) {
		t.Errorf("a deep file of values: got %v, want one finding of code %s", found, diag.FileNesting)
	}
}
