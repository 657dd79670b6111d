package hcl_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/inventory"
	"github.com/etcdplay/etcdplay/tasks"
)

var update = flag.Bool("update", false, "write the expected texts anew")

// identity is one fixed run.
func identity() engine.Identity {
	return engine.Identity{ID: "20261122T095500Z-7f3a", StartedAt: time.Date(2026, 11, 22, 9, 55, 0, 0, time.UTC), User: "alice"}
}

// in loads files below a directory under the names that an author uses.
func in(dir string) hcl.Options {
	return hcl.Options{
		Types:       tasks.Types(),
		ToolVersion: "0.1.0",
		ReadFile:    func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, path)) },
	}
}

// demo is the inventory that the corpus is bound to.
func demo(t testing.TB) *inventory.Inventory {
	t.Helper()
	src, err := os.ReadFile("testdata/inventory.hcl")
	if err != nil {
		t.Fatal(err)
	}
	inv, found := inventory.Load("inventory.hcl", src)
	if found.HasErrors() {
		t.Fatal(found)
	}
	return inv
}

// findings is all that is wrong with a playbook, as far as files tell. A last line
// "# bind: var:a=b file:f env:X=y cluster:c" adds what a run would be called with.
func findings(t testing.TB, dir, name string) (engine.Diagnostics, map[string][]byte) {
	t.Helper()
	p, found := hcl.Load(name, in(dir))
	src, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var v hcl.Values
	if _, words, ok := strings.Cut(string(src), "\n# bind:"); ok {
		for _, w := range strings.Fields(words) {
			kind, value, _ := strings.Cut(w, ":")
			switch kind {
			case "var":
				v.Vars = append(v.Vars, value)
			case "file":
				v.Files = append(v.Files, value)
			case "env":
				v.Env = append(v.Env, value)
			case "cluster":
				v.Cluster = value
			}
		}
		_, more := p.Bind(demo(t), v, identity())
		found = append(found, more...)
	}
	return diag.Sort(found), p.Sources()
}

// TestBad compares the findings of every bad file with the text and the JSON
// beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.hcl")
	sites, more := filepath.Glob("testdata/bad/site/*.hcl")
	if err != nil || more != nil || len(files) == 0 || len(sites) == 0 {
		t.Fatalf("corpus: got %v, %v, %v, %v, want some", files, err, sites, more)
	}
	for _, f := range append(files, sites...) {
		name, _ := filepath.Rel("testdata/bad", f)
		t.Run(strings.TrimSuffix(name, ".hcl"), func(t *testing.T) {
			found, sources := findings(t, "testdata/bad", name)
			var text, lines bytes.Buffer
			if err := diag.Write(&text, found, sources, diag.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, d := range found {
				line, err := json.Marshal(diag.JSON(d, sources))
				if err != nil {
					t.Fatal(err)
				}
				lines.Write(append(line, '\n'))
			}
			if text.Len() == 0 {
				t.Error("got no finding, want some")
			}
			golden(t, strings.TrimSuffix(f, ".hcl")+".txt", text.Bytes())
			golden(t, strings.TrimSuffix(f, ".hcl")+".json", lines.Bytes())
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// TestGood loads what must be free of findings.
func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.hcl")
	sites, more := filepath.Glob("testdata/good/site/*.hcl")
	if err != nil || more != nil || len(files) == 0 || len(sites) == 0 {
		t.Fatalf("good files: got %v, %v, %v, %v, want some", files, err, sites, more)
	}
	for _, f := range append(files, sites...) {
		name, _ := filepath.Rel("testdata/good", f)
		found, sources := findings(t, "testdata/good", name)
		if len(found) > 0 {
			var b bytes.Buffer
			_ = diag.Write(&b, found, sources, diag.Options{}) // to memory
			t.Errorf("%s:\n%s", f, b.String())
		}
	}
}
