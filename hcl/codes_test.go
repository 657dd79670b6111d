package hcl_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/clct"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/inventory"
	"github.com/etcdplay/etcdplay/tasks"
)

// TestCodes holds that no code is listed twice, and that every one is made by
// something in the corpus or by one of the cases here, which need more than a
// file.
func TestCodes(t *testing.T) {
	made := map[string]bool{string(diag.FormatMeaning): true} // by TestFormatSpoilt
	note := func(ds engine.Diagnostics) {
		for _, d := range ds {
			made[d.Code] = true
		}
	}
	files, err := filepath.Glob("testdata/bad/*.json")
	sites, more := filepath.Glob("testdata/bad/site/*.json")
	if err != nil || more != nil {
		t.Fatal(err, more)
	}
	for _, f := range append(files, sites...) {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(src)), "\n") {
			var r diag.Record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			made[r.Code] = true
		}
	}
	invs, err := filepath.Glob("inventory/testdata/bad/*.hcl")
	if err != nil || len(invs) == 0 {
		t.Fatalf("inventories: got %v, %v, want some", invs, err)
	}
	for _, f := range invs {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, found := inventory.Load(f, src)
		note(found)
	}
	for _, found := range extra(t) {
		note(found)
	}
	seen := map[diag.Code]bool{}
	for _, e := range diag.Codes() {
		switch {
		case seen[e.Code]:
			t.Errorf("%s is listed twice", e.Code)
		case e.Meaning == "":
			t.Errorf("%s has no meaning", e.Code)
		case !made[string(e.Code)]:
			t.Errorf("%s (%s): nothing in the corpus makes it", e.Code, e.Meaning)
		}
		seen[e.Code] = true
		delete(made, string(e.Code))
	}
	for code := range made {
		t.Errorf("%s is made and not listed", code)
	}
}

// TestCodesDeclared holds that every constant of a code is in the list.
func TestCodesDeclared(t *testing.T) {
	src, err := os.ReadFile("diag/codes.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`Code = "(EP\d{4})"`).FindAllStringSubmatch(string(src), -1)
	if got, want := len(diag.Codes()), len(declared); got != want {
		t.Errorf("list: got %d codes, want the %d declared", got, want)
	}
	seen := map[string]bool{}
	for _, d := range declared {
		if seen[d[1]] {
			t.Errorf("%s is given twice", d[1])
		}
		seen[d[1]] = true
	}
}

// extra makes the findings that need more than one bad playbook.
func extra(t *testing.T) []engine.Diagnostics {
	var all []engine.Diagnostics
	load := func(text string) *hcl.Playbook {
		p, found := loadText(text)
		all = append(all, found)
		return p
	}
	bind := func(p *hcl.Playbook, v hcl.Values) *engine.Program {
		prog, found := p.Bind(demo(t), v, identity())
		all = append(all, found)
		return prog
	}
	_, found := hcl.Load("none.hcl", hcl.Options{})
	all = append(all, found)
	_, found = hcl.Load("x.hcl.json", hcl.Options{ReadFile: func(string) ([]byte, error) { return nil, nil }})
	all = append(all, found)
	load(strings.Repeat("#", 1<<20+1))

	p := load("playbook \"x\" {\n  language = 1\n}\nvariable \"v\" {\n  type       = string\n  deprecated = \"Write w.\"\n\n  validation {\n    condition     = var.v != \"bad\"\n    error_message = \"No.\"\n  }\n}\ntask \"etcd_members\" \"m\" {}\n")
	bind(p, hcl.Values{})
	bind(p, hcl.Values{Vars: []string{"v=bad"}})
	bind(p, hcl.Values{Vars: []string{"v=good", "w=1", "x"}})
	bind(p, hcl.Values{Vars: []string{"v=good"}, Cluster: "none"})
	values, found := hcl.Load("p.hcl", hcl.Options{Types: tasks.Types(), ReadFile: func(path string) ([]byte, error) {
		if path == "p.hcl" {
			return []byte("playbook \"x\" {\n  language = 1\n}\ntask \"etcd_members\" \"m\" {}\n"), nil
		}
		return []byte("block {\n}\n"), nil
	}})
	all = append(all, found)
	_, found = values.Bind(demo(t), hcl.Values{Files: []string{"v.hcl"}}, identity())
	all = append(all, found)

	old := &engine.Type{Name: "old", Where: engine.Controller, Args: []engine.Arg{{Name: "a", Type: cty.String, Deprecated: "Write b."}}}
	_, found = hcl.Load("p.hcl", hcl.Options{Types: []*engine.Type{old}, ReadFile: func(string) ([]byte, error) {
		return []byte("playbook \"x\" {\n  language = 1\n}\ntask \"old\" \"o\" {\n  a = \"x\"\n}\n"), nil
	}})
	return append(append(all, found), configs()...)
}

// configs makes the findings about Container Linux Configs.
func configs() []engine.Diagnostics {
	var all []engine.Diagnostics
	for _, src := range []string{
		"etcd:\n\tname: a\n", "- a\n", "etcd:\n  bogus: b\n", "etcd:\n  version: 3.3\n", "etcd:\n  name: \"{HOSTNAME}\"\n", "# nothing\n",
		"etcd:\n  name: a\n  initial_cluster: b=http://10.240.0.1:2380\n", "etcd:\n  initial_cluster_token: 50%\n",
		"etcd:\n  version: 3.5.0\n  data_dir: /var/lib/etcd\n", "etcd:\n  listen_peer_urls: here\n", "etcd:\n  version: 3.7.1\n  enable_v2: true\n",
		"etcd:\n  trusted_ca_file: /home/ca.pem\n", "etcd:\n  name: a\n  name: b\n", "etcd:\n  initial_cluster_state: old\n",
	} {
		c, found := clct.Read("f.yaml", []byte(src), clct.Flatcar)
		all = append(all, found)
		if c != nil {
			_, found = c.Dropin(clct.Rendering{})
			all = append(all, c.Check(), found)
		}
	}
	return all
}
