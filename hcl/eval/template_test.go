package eval

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTemplatefile(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "site")
	write(t, filepath.Join(root, "secret.tmpl"), "no")
	write(t, filepath.Join(dir, "t/member.tmpl"), "[Service]\nExecStart=/etcd $OPTS \\\n  --name=${systemd::quote(name)} \\\n  --initial-cluster=${systemd::quote(initial_cluster)}\n")
	write(t, filepath.Join(dir, "plain.tmpl"), "x")
	write(t, filepath.Join(dir, "number.tmpl"), "${n}")
	write(t, filepath.Join(dir, "loop.tmpl"), "%{ for u in urls ~}\n${u};%{ endfor }")
	write(t, filepath.Join(dir, "syntax.tmpl"), "a\n${ ] }")
	write(t, filepath.Join(dir, "function.tmpl"), "a\n${joi(b)}")
	write(t, filepath.Join(dir, "self.tmpl"), "${templatefile(\"x\", {})}")
	write(t, filepath.Join(dir, "deep.tmpl"), "${"+strings.Repeat("(", 5000)+"}")
	write(t, filepath.Join(dir, "null.tmpl"), "a${n}")
	write(t, filepath.Join(dir, "big.tmpl"), strings.Repeat("x", MaxTemplate+1))
	write(t, filepath.Join(dir, "latin1.tmpl"), "\xff")
	for link, to := range map[string]string{"out.tmpl": "../secret.tmpl", "in.tmpl": "plain.tmpl"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.tmpl"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := map[string]cty.Value{"later": cty.UnknownVal(cty.String), "secret": cty.StringVal("s").Mark(Sensitive), "object": cty.UnknownVal(cty.Object(map[string]cty.Type{"n": cty.Number}))}
	templates := NewTemplates(nil)
	functions := Table(templates, dir)
	for _, test := range []struct{ call, want string }{
		{`templatefile("t/member.tmpl", { name = "a b", initial_cluster = "a=b" })`, `"[Service]\nExecStart=/etcd $OPTS \\\n  --name=\"a b\" \\\n  --initial-cluster=\"a=b\"\n"`},
		{`templatefile("t/member.tmpl", { name = later, initial_cluster = "a=b" })`, `"[Service]\nExecStart=/etcd $OPTS \\\n  --name"... (unknown)`},
		{`templatefile("t/member.tmpl", { name = secret, initial_cluster = "a=b" })`, `(sensitive)`},
		{`templatefile("t/member.tmpl", { name = "a", member = 1 })`, `error: Invalid value for "vars" parameter: t/member.tmpl line 4 uses initial_cluster, which is not among the values given to it (member, name).`},
		{`templatefile("number.tmpl", {})`, `error: Invalid value for "vars" parameter: number.tmpl line 1 uses n, and no values are given to it.`},
		{`templatefile("number.tmpl", { n = 5 })`, `"5"`},
		{`templatefile("number.tmpl", { n = [5] })`, `error: Invalid value for "vars" parameter: number.tmpl yields a list, and a text is needed.`},
		{`templatefile("number.tmpl", object)`, `(unknown)`},
		{`templatefile("plain.tmpl", object)`, `(unknown)`},
		{`templatefile("t/member.tmpl", object)`, `error: Invalid value for "vars" parameter: t/member.tmpl line 3 uses name, which is not among the values given to it (n).`},
		{`templatefile("null.tmpl", { n = null })`, `error: Invalid value for "vars" parameter: null.tmpl line 1: Invalid template interpolation value`},
		{`templatefile("loop.tmpl", { urls = ["a", "b"] })`, `"a;b;"`},
		{`templatefile("plain.tmpl", "x")`, `error: Invalid value for "vars" parameter: an object is needed, and this is a string.`},
		{`templatefile("in.tmpl", {})`, `"x"`},
		{`templatefile("out.tmpl", {})`, `error: Invalid value for "path" parameter: the template "out.tmpl" cannot be read`},
		{`templatefile("../secret.tmpl", {})`, `error: Invalid value for "path" parameter: "../secret.tmpl" is not the path of a template`},
		{`templatefile("/etc/passwd", {})`, `error: Invalid value for "path" parameter: "/etc/passwd" is not the path of a template`},
		{`templatefile("nope.tmpl", {})`, `error: Invalid value for "path" parameter: there is no template "nope.tmpl" beside the file it is written in.`},
		{`templatefile("t", {})`, `error: Invalid value for "path" parameter: the template "t" cannot be read: not a regular file.`},
		{`templatefile("fifo.tmpl", {})`, `error: Invalid value for "path" parameter: the template "fifo.tmpl" cannot be read: not a regular file.`},
		{`templatefile("syntax.tmpl", {})`, `error: Invalid value for "path" parameter: syntax.tmpl line 2: `},
		{`templatefile("function.tmpl", { b = 1 })`, `error: Invalid value for "path" parameter: function.tmpl line 2: there is no function "joi". Did you mean "join"?`},
		{`templatefile("self.tmpl", {})`, `error: Invalid value for "path" parameter: self.tmpl line 1: a template cannot use templatefile.`},
		{`templatefile("deep.tmpl", {})`, `error: Invalid value for "path" parameter: deep.tmpl line 1: `},
		{`templatefile("big.tmpl", {})`, `error: Invalid value for "path" parameter: the template "big.tmpl" is larger than 1 MiB.`},
		{`templatefile("latin1.tmpl", {})`, `error: Invalid value for "path" parameter: latin1.tmpl`},
	} {
		expr, diags := hclsyntax.ParseExpression([]byte(test.call), "x.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		v, diags := expr.Value(&hcl.EvalContext{Variables: names, Functions: functions})
		got := diag.Value(v, "")
		if diags.HasErrors() {
			got = "error: " + diags[0].Detail
		}
		if got != test.want && (!strings.HasPrefix(test.want, "error: ") || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%s\ngot  %s\nwant %s", test.call, got, test.want)
		}
	}
	digests := templates.Digests()
	if got := digests[filepath.ToSlash(dir)+"/plain.tmpl"]; got != "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" {
		t.Errorf("got digest %q of %v", got, digests)
	}
	// A run sees one text, whatever happens to the file meanwhile.
	write(t, filepath.Join(dir, "plain.tmpl"), "y")
	again, err := templates.Load(dir, "plain.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := again.Render(nil); err != nil || v.AsString() != "x" {
		t.Errorf("got %#v, %v", v, err)
	}
}
