package diag

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// at is the range of the part in src.
func at(src, part string) hcl.Range {
	i := strings.Index(src, part)
	line := strings.Count(src[:i], "\n") + 1
	return hcl.Range{Filename: "f.hcl", Start: hcl.Pos{Line: line, Column: 1, Byte: i}, End: hcl.Pos{Line: line, Column: 1, Byte: i + len(part)}}
}

func text(t *testing.T, d engine.Diagnostic, src string, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, engine.Diagnostics{d}, map[string][]byte{"f.hcl": []byte(src)}, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestCarets holds that carets stand under what is meant, whatever is before it.
func TestCarets(t *testing.T) {
	for _, tt := range []struct{ name, src, part, line, carets string }{
		{"plain", "x = bad\n", "bad", "x = bad", "    ^^^"},
		{"tab", "\tx = bad\n", "bad", "    x = bad", "        ^^^"},
		{"wide", "x = \"日本\" + bad\n", "bad", "x = \"日本\" + bad", "             ^^^"},
		{"combining", "x = \"e\u0301\" + bad\n", "bad", "x = \"e\u0301\" + bad", "          ^^^"},
		{"escape", "x = \"\x1b[31m\" + bad\n", "bad", "x = \"␛[31m\" + bad", "              ^^^"},
		{"several lines", "x = {\n  a = 1\n}\n", "{\n  a = 1\n}", "x = {", "    ^"},
		{"nothing", "x = \n", "\n", "x =", "    ^"},
		{"last line", "y = 1\nx = bad", "bad", "x = bad", "    ^^^"},
	} {
		lines := strings.Split(text(t, New(Syntax, "S", at(tt.src, tt.part), Place{}, "D."), tt.src, Options{}), "\n")
		line, carets := strings.TrimRight(lines[3][7:], " "), lines[4][7:]
		if line != tt.line || carets != tt.carets {
			t.Errorf("%s: got\n%s\n%s\nwant\n%s\n%s", tt.name, line, carets, tt.line, tt.carets)
		}
	}
}

// TestLongLine shows the part of an endless line that matters.
func TestLongLine(t *testing.T) {
	src := "x = " + strings.Repeat("a", 5000) + " bad " + strings.Repeat("b", 5000) + "\n"
	lines := strings.Split(text(t, New(Syntax, "S", at(src, "bad"), Place{}, "D."), src, Options{}), "\n")
	i := strings.Index(lines[4], "^")
	if got := string([]rune(lines[3])[i : i+3]); got != "bad" || len(lines[3]) > 400 {
		t.Errorf("got %d columns with %q above the carets, want few with \"bad\"", len(lines[3]), got)
	}
}

func TestWrite(t *testing.T) {
	src := "task \"a\" \"b\" {\n  x = 1\n}\n"
	d := New(NullValue, "Null value", at(src, "1"), Place{In: `task "a" "b"`, Task: "task.b"}, "%s\n\nA second paragraph.", strings.Repeat("word ", 20))
	d.Values = []engine.NamedValue{
		{Name: "var.a", Value: cty.StringVal("x\x1b")},
		{Name: "var.b", Value: cty.StringVal("secret").Mark(engine.Sensitive)},
	}
	d.Notes = []string{"A note."}
	want := `Error: Null value

  on f.hcl line 2, in task "a" "b":
   2 |   x = 1
     |       ^

  word word word word word word word word word word word word word word word
  word word word word word

  A second paragraph.

    var.a = "x\u001b"
    var.b = (sensitive)

    A note.
`
	if got := text(t, d, src, Options{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := text(t, Warn(d), src, Options{Color: true}); !strings.HasPrefix(got, "\x1b[33m") || !strings.Contains(got, "Warning:") {
		t.Errorf("in colour: got %q", got[:30])
	}
	d.Subject.File = "other.hcl"
	if got := text(t, d, src, Options{}); strings.Contains(got, " | ") {
		t.Errorf("without the source: got\n%s", got)
	}
}

func TestJSON(t *testing.T) {
	src := "x = \"日本\" + bad\r\n"
	d := New(Syntax, "S", at(src, "bad"), Place{In: "locals", Task: "task.t"}, "D.")
	d.Values = []engine.NamedValue{{Name: "n", Value: cty.NumberIntVal(3)}}
	out, err := json.Marshal(JSON(d, map[string][]byte{"f.hcl": []byte(src)}))
	if err != nil {
		t.Fatal(err)
	}
	var r Record
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	got := r.Snippet.Code[r.Snippet.HighlightStartOffset:r.Snippet.HighlightEndOffset]
	if got != "bad" || r.Code != string(Syntax) || r.Task != "task.t" || r.Snippet.Context != "locals" || r.Values[0].Value != "3" || r.Range.Start.Line != 1 {
		t.Errorf("got %s", out)
	}
}

// TestSort puts findings into the order of the source and takes out repeats.
func TestSort(t *testing.T) {
	src := "a\nb\n"
	one, two := New(Syntax, "S", at(src, "a"), Place{}, "1"), New(Syntax, "S", at(src, "b"), Place{}, "2")
	bare := Bare(FileUnreadable, "B", "3")
	got := Sort(engine.Diagnostics{two, one, two, bare, one})
	var order string
	for _, d := range got {
		order += d.Detail
	}
	if order != "312" {
		t.Errorf("got %s, want 312", order)
	}
}

func TestClosest(t *testing.T) {
	words := []string{"started", "stopped", "restarted", "id"}
	for given, want := range map[string]string{"strated": "started", "stoped": "stopped", "ID": "id", "x": "", "": "", "frobnicated": "", "ip": "id", "i": "id", "z": ""} {
		if got := Closest(given, words); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}

func TestValue(t *testing.T) {
	host := cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal("h1"), "address": cty.StringVal("a"), "labels": cty.MapValEmpty(cty.String), "member": cty.EmptyObjectVal})
	for _, test := range []struct {
		v    cty.Value
		want string
	}{
		{cty.StringVal("a\"b\\c\n\t\u202e${x} %{y} $z"), `"a\"b\\c\n\t\u202e$${x} %%{y} $z"`},
		{cty.UnknownVal(cty.String), "(later)"},
		{cty.UnknownVal(cty.String).Refine().NotNull().StringPrefix("http://").NewValue(), `"http://"... (later)`},
		{cty.TupleVal([]cty.Value{cty.NumberFloatVal(2.5), cty.MustParseNumberVal("18446744073709551615"), cty.NullVal(cty.Bool), cty.True}), "[2.5, 18446744073709551615, null, true]"},
		{cty.MapVal(map[string]cty.Value{"a b": cty.Zero, "c": cty.UnknownVal(cty.Number)}), `{ "a b" = 0, c = (later) }`},
		{cty.ListVal([]cty.Value{cty.StringVal("x").Mark(engine.Sensitive)}), "[(sensitive)]"},
		{cty.EmptyObjectVal, "{}"},
		{cty.EmptyTupleVal, "[]"},
		{host, `host["h1"]`},
		{cty.NilVal, "null"},
		{cty.MustParseNumberVal("1e9999"), "(about 2^33216)"},
	} {
		if got := Value(test.v, "(later)"); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	long := Value(cty.StringVal(strings.Repeat("é", 5000)), "")
	if len(long) > mostBytes+50 || !strings.HasSuffix(long, "... (10000 bytes)") {
		t.Errorf("got %d bytes ending in %q", len(long), long[len(long)-30:])
	}
}
