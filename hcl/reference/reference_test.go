package reference_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/reference"
	"github.com/etcdplay/etcdplay/hcl/syntax"
	"github.com/etcdplay/etcdplay/tasks"
)

// Nothing is without words.
func TestEverythingIsDocumented(t *testing.T) {
	sentence := func(what, doc string) {
		t.Helper()
		if len(doc) < 8 || !strings.HasSuffix(strings.TrimSpace(doc), ".") {
			t.Errorf("%s: got doc %q, want a sentence", what, doc)
		}
	}
	for _, ty := range tasks.Types() {
		sentence(ty.Name, ty.Doc)
		for _, a := range ty.Args {
			sentence(ty.Name+"."+a.Name, a.Doc)
		}
		for _, r := range ty.Results {
			sentence(ty.Name+" result "+r.Name, r.Doc)
		}
	}
	for _, f := range eval.Functions() {
		sentence(f.Name, f.Doc)
	}
	for _, b := range reference.Blocks() {
		sentence(b.Name, b.Doc)
		for _, a := range b.Arguments {
			sentence(b.Name+"."+a.Name, a.Doc)
		}
	}
	for _, n := range reference.Names() {
		sentence(n.Name, n.Doc)
	}
}

// The arguments of every task are those that the language keeps for itself.
func TestTaskArguments(t *testing.T) {
	var got []string
	for _, a := range reference.TaskArguments() {
		got = append(got, a.Name)
	}
	want := syntax.Reserved()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEveryTopicIsExplained(t *testing.T) {
	types := tasks.Types()
	for _, topic := range append(reference.Topics(types), "", "quorum", "systemd", "connection ssh", "quorum()") {
		var b bytes.Buffer
		if err := reference.Explain(&b, topic, types); err != nil {
			t.Errorf("%q: %v", topic, err)
		}
		if b.Len() < 40 {
			t.Errorf("%q: got %q", topic, b.String())
		}
		for l := range strings.Lines(b.String()) {
			if strings.HasSuffix(l, " \n") {
				t.Errorf("%q: a line ends in a space: %q", topic, l)
			}
		}
	}
	var b bytes.Buffer
	err := reference.Explain(&b, "etcd_member_ad", types)
	if err == nil || !strings.Contains(err.Error(), `"etcd_member_add"`) || b.Len() > 0 {
		t.Errorf("got %v and %q, want a suggestion and no text", err, b.String())
	}
}

// The generated examples are tasks that the language reads, with values that
// suit their arguments.
func TestExamples(t *testing.T) {
	data, err := json.Marshal(reference.Schema(tasks.Types()))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Language int                              `json:"language"`
		TypeList []struct{ Name, Example string } `json:"task_types"`
		Blocks   []struct{ Name, Example string } `json:"blocks"`
		Funcs    []struct{ Name string }          `json:"functions"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Language != syntax.Language || len(schema.TypeList) != len(tasks.Types()) || len(schema.Funcs) != len(eval.Functions()) {
		t.Errorf("got language %d, %d types, %d functions", schema.Language, len(schema.TypeList), len(schema.Funcs))
	}
	for _, b := range schema.Blocks {
		if _, found := syntax.Parse("x.hcl", []byte(b.Example)); len(found) > 0 {
			t.Errorf("%s: %v", b.Name, found)
		}
	}
	for i, ty := range schema.TypeList {
		checkExample(t, tasks.Types()[i], ty.Example)
	}
}

func checkExample(t *testing.T, ty *engine.Type, src string) {
	t.Helper()
	file, found := syntax.Parse(ty.Name+".hcl", []byte(src))
	if len(found) > 0 {
		t.Errorf("%s: %v", src, found)
		return
	}
	host := eval.HostValue(engine.HostSpec{Name: "demo-etcd-1", Member: engine.MemberSpec{Name: "demo-etcd-1"}})
	names := &hcl.EvalContext{Variables: map[string]cty.Value{
		"host":    cty.MapVal(map[string]cty.Value{"demo-etcd-1": host}),
		"cluster": cty.ObjectVal(map[string]cty.Value{"members": cty.ListVal([]cty.Value{host})}),
	}}
	attrs := file.Body.Blocks[0].Body.Attributes
	for _, a := range ty.Args {
		written, ok := attrs[a.Name]
		if ok != a.Required {
			t.Errorf("%s: argument %s: written %t, required %t", ty.Name, a.Name, ok, a.Required)
		}
		if !ok {
			continue
		}
		v, diags := written.Expr.Value(names)
		if diags.HasErrors() {
			t.Errorf("%s.%s: %v", ty.Name, a.Name, diags)
			continue
		}
		v, err := eval.Strict(v, a.Type, nil)
		if err != nil {
			t.Errorf("%s.%s: %v", ty.Name, a.Name, err)
			continue
		}
		if v.Type() == cty.String {
			if err := eval.CheckKind(a.Kind, a.Enum, v.AsString()); err != nil {
				t.Errorf("%s.%s: %v", ty.Name, a.Name, err)
			}
		}
	}
}

type testArgs struct {
	Path  string  `play:"path,required,abspath,nosecret" doc:"The directory."`
	State string  `play:"state,required" enum:"present absent" doc:"What it shall be."`
	Mode  *string `play:"mode,mode" default:"left as it is" doc:"Its permission bits."`
}

type testResults struct {
	Changed bool `play:"changed" doc:"Whether anything had to be done."`
}

// The page of a type, and those of a block and of a function, as they are read.
func TestPages(t *testing.T) {
	folder := engine.Define(engine.Spec[testArgs, struct{}, testResults]{
		Name: "folder", Doc: "Makes a directory, or takes it away. It is there to be explained, with a text that is long enough to be wrapped.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true, Timeout: 90 * time.Second,
		Apply: func(context.Context, engine.Hands, testArgs, struct{}) (testResults, error) {
			return testResults{}, nil
		},
	})
	var b bytes.Buffer
	for _, topic := range []string{"folder", "retry", "auth", "etcd::quorum", "target"} {
		if err := reference.Explain(&b, topic, []*engine.Type{folder}); err != nil {
			t.Fatal(err)
		}
		b.WriteString("--------\n")
	}
	if os.Getenv("ETCDPLAY_UPDATE") == "1" {
		if err := os.WriteFile("testdata/pages.txt", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/pages.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("pages (-want +got):\n%s", d)
	}
}
