package hcl_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/playbooks"
	"github.com/etcdplay/etcdplay/tasks"
)

// tree loads the first of these files, given by path and text.
func tree(files ...string) (*hcl.Playbook, engine.Diagnostics) {
	texts := map[string]string{}
	for i := 0; i+1 < len(files); i += 2 {
		texts[files[i]] = files[i+1]
	}
	return hcl.Load(files[0], hcl.Options{Types: tasks.Types(), ToolVersion: "0.1.0", Shipped: playbooks.FS, ReadFile: func(path string) ([]byte, error) {
		if text, ok := texts[path]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}})
}

// site is a site playbook that extends a base with this body.
func site(of, body string) string {
	return "playbook \"s\" {\n  language = 1\n  version  = \"1.0.0\"\n\n  extends \"" + of + "\" {\n    version = \"~> 1.0\"\n  }\n}\n\n" + body
}

const base = `# What is above the header stays.
playbook "b" {
  language         = 1
  required_version = ">= 0.1.0"
  version          = "1.2.0"
}

variable "limit" {
  type    = number
  default = 1
}

variable "bare" {
  type = string
}

variable "line" { type = string }

task "etcd_members" "loose" {}

task "etcd_members" "tight" { timeout = "5m" }

# About the phase.
phase "p" {
  description = "A phase."

  # About one.
  task "exec" "one" {
    on   = localhost
    argv = ["echo", path.playbook, var.bare, var.line] # which is old
  }

  task "stat" "two" {
    on   = localhost
    path = templatefile("t/base.tmpl", { n = task.loose.count })
  }

  task "exec" "text" {
    on    = localhost
    shell = <<-EOT
      echo old
    EOT
    env   = { A = "b" }
  }

  rescue {
    task "etcd_members" "saved" {}
  }

  always {
    # The last one.
    task "etcd_members" "last" {} # really
  }
}

phase "q" {
  task "etcd_members" "only" {}
}

output "n" {
  value = task.two.exists ? var.limit : task.tight.count
}
`

// flat lists the tasks of a playbook in their order, by phase and place.
func flat(p *hcl.Playbook) string {
	var b strings.Builder
	for _, ph := range p.Phases {
		b.WriteString(ph.Name + ":")
		for _, t := range ph.Tasks {
			b.WriteString(" " + t.Name)
		}
		b.WriteString(" |")
		for _, t := range ph.Rescue {
			b.WriteString(" " + t.Name)
		}
		b.WriteString(" |")
		for _, t := range ph.Always {
			b.WriteString(" " + t.Name)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func members(name, place string) string {
	return "task \"etcd_members\" \"" + name + "\" {\n  " + place + "\n}\n\n"
}

// TestPlace holds where added tasks go: into the phase and the part of it that
// their anchor stands in, in the order in which they are written.
func TestPlace(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"before", members("a", "before = task.two") + members("b", "before = task.two"), "p: one a b two text | saved | last"},
		{"after", members("a", "after = task.two") + members("b", "after = task.two"), "p: one two a b text | saved | last"},
		{"between", members("b", "before = task.two") + members("a", "after = task.one"), "p: one a b two text | saved | last"},
		{"by way of", members("a", "after = task.two") + members("b", "after = task.a") + members("c", "after = task.two"), "p: one two a b c text | saved | last"},
		{"in front of its like", members("a", "after = task.two") + members("b", "before = task.a") + members("c", "after = task.a"), "p: one two b a c text | saved | last"},
		{"rescue and always", members("a", "before = task.saved") + members("b", "after = task.last"), "p: one two text | a saved | last b"},
		{"beside a dropped one", members("a", "after = task.text") + "drop \"text\" {\n  reason = \"x\"\n}\n", "p: one two a | saved | last"},
	} {
		p, found := tree("s.hcl", site("b.hcl", tt.body), "b.hcl", base, "t/base.tmpl", "/x")
		if found.HasErrors() {
			t.Errorf("%s: got\n%s", tt.name, written(found, p.Sources()))
			continue
		}
		if got := flat(p); !strings.Contains(got, tt.want+"\n") {
			t.Errorf("%s: got\n%swant %s", tt.name, got, tt.want)
		}
	}
}

// sites are site playbooks, each in its folder, with what they extend.
func sites() map[string][]string {
	files := []string{
		"b.hcl", base, "t/base.tmpl", "/base/${n}", "site/t/site.tmpl", "/site/${x}",
		"call.hcl", "playbook \"c\" {\n  language = 1\n}\nvariable \"v\" {\n  type = string\n}\ntask \"stat\" \"s\" {\n  on   = localhost\n  path = templatefile(\"t/base.tmpl\", { n = 3 })\n}\n",
	}
	mid := site("../b.hcl", `presets {
  limit = 2
  bare  = "mid"
}

variable "depth" {
  type    = number
  default = 3
}

locals {
  folder = path.playbook # of this file
}

# About ours.
task "stat" "ours" {
  after = task.one # for a reason
  on    = localhost
  path  = templatefile("t/site.tmpl", { x = local.folder })
}

task "playbook" "called" {
  before = task.only
  source = "../call.hcl"
  with   = { v = path["playbook"] }
}

override "one" {
  locked = true
  argv   = ["true", path.playbook]
}

output "depth" {
  value = "${var.depth}${path.playbook}"
}
`)
	return map[string][]string{
		"nothing":       append([]string{"s.hcl", site("b.hcl", "")}, files...),
		"other folder":  append([]string{"site/s.hcl", site("../b.hcl", members("a", "before = task.loose"))}, files...),
		"deeper folder": append([]string{"x/y/s.hcl", site("../../b.hcl", members("a", "after = task.last"))}, files...),
		"one":           append([]string{"site/s.hcl", mid}, files...),
		"two": append([]string{"top/s.hcl", site("../site/s.hcl", `presets {
  line  = "3"
  depth = 4
  limit = 5
}

override "tight" {
  timeout = "6m"

  postcondition {
    condition     = self.count > 0
    error_message = "None at ${path.playbook}."
  }
}

override "loose" {
  description = "Now it says so."

  retry {
    attempts = 3
    interval = "1s"
  }

  precondition {
    condition     = var.limit > 0
    error_message = "No."
  }
}

override "text" {
  shell = <<-EOT
    echo new
      deep
  EOT
  env   = null
  when  = true
}

override "ours" {
  description = "Changed above."
}

override "called" {
  source = "../call.hcl"
}
`), "site/s.hcl", mid}, files...),
		"drops": append([]string{"s.hcl", site("b.hcl", `drop "one" {
  reason = "Of no use."
}

drop "saved" {
  reason = "Not\n here."
}

drop "last" {
  reason = "Neither."
}

drop "only" {
  reason = "The whole phase."
}

`+members("a", "before = task.one")+members("b", "after = task.last")+members("c", "after = task.text"))}, files...),
		"shipped": append([]string{"s.hcl", site("replace-member", members("a", "before = task.old"))}, files...),
	}
}

// TestResolve holds that what show --resolved prints is a playbook that extends
// nothing and comes to the same program.
func TestResolve(t *testing.T) {
	for name, files := range sites() {
		p, found := tree(files...)
		if found.HasErrors() {
			t.Errorf("%s: got\n%s", name, written(found, p.Sources()))
			continue
		}
		text, dir, found := p.Resolve()
		if len(found) > 0 {
			t.Errorf("%s: got\n%s", name, written(found, p.Sources()))
		}
		v := hcl.Values{}
		for _, variable := range p.Variables() {
			switch {
			case variable.Default != cty.NilVal:
			case variable.Type == "host":
				v.Vars = append(v.Vars, variable.Name+"=demo-etcd-2")
			default:
				v.Vars = append(v.Vars, variable.Name+"=x")
			}
		}
		want := describe(bind(t, p, v))
		file := filepath.Join(dir, "resolved.hcl")
		again, found := tree(append([]string{file, string(text)}, files...)...)
		if found.HasErrors() || again.Site != nil {
			t.Errorf("%s: got\n%s\nof\n%s", name, written(found, again.Sources()), text)
			continue
		}
		got := describe(bind(t, again, v))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s\nof\n%s", name, d, text)
		}
		if name == "shipped" {
			continue // its text is that of a playbook which has a life of its own
		}
		golden(t, "testdata/resolved/"+strings.ReplaceAll(name, " ", "-")+".hcl", text)
	}
}

// TestResolveExample holds the same of the worked site.
func TestResolveExample(t *testing.T) {
	p, found := hcl.Load("../playbooks/site-example/replace-member.hcl", hcl.Options{Types: tasks.Types()})
	if len(found) > 0 {
		t.Fatal(written(found, p.Sources()))
	}
	for file, src := range p.Sources() {
		if !strings.HasSuffix(file, ".hcl") {
			continue
		}
		if laid, found := hcl.Format(file, src); len(found) > 0 || string(laid) != string(src) {
			t.Errorf("fmt changes %s: %v\n%s", file, found, laid)
		}
	}
	text, dir, found := p.Resolve()
	if dir != "../playbooks" || len(found) > 0 {
		t.Errorf("got folder %s, %v, want ../playbooks", dir, found)
	}
	read := func(path string) ([]byte, error) {
		if path == "../playbooks/resolved.hcl" {
			return text, nil
		}
		return os.ReadFile(path)
	}
	again, found := hcl.Load("../playbooks/resolved.hcl", hcl.Options{Types: tasks.Types(), ReadFile: read})
	if len(found) > 0 {
		t.Fatal(written(found, again.Sources()))
	}
	v := hcl.Values{Vars: []string{"failed=demo-etcd-2", "ticket=CHG0012345"}}
	if d := cmp.Diff(describe(bind(t, p, v)), describe(bind(t, again, v))); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestSiteDigest holds that a change of meaning in any of the files is noticed,
// and a comment is not.
func TestSiteDigest(t *testing.T) {
	digest := func(files []string) string {
		p, found := tree(files...)
		if found.HasErrors() {
			t.Fatal(written(found, p.Sources()))
		}
		return bind(t, p, hcl.Values{Vars: []string{"bare=x", "line=x"}}).Digest
	}
	files := sites()["one"]
	was := digest(files)
	for _, i := range []int{1, 3, 9} {
		changed := slices.Clone(files)
		changed[i] = "# A remark.\n" + changed[i]
		if digest(changed) != was {
			t.Errorf("%s: a comment changes the digest", files[i-1])
		}
		changed[i] += "\nlocals {\n  more = 1\n}\n"
		if digest(changed) == was {
			t.Errorf("%s: a change keeps the digest", files[i-1])
		}
	}
}

// TestBaseByName holds that a base is looked for beside the site playbook first,
// and then among those that come with the program.
func TestBaseByName(t *testing.T) {
	p, found := tree("s.hcl", site("replace-member", ""))
	if found.HasErrors() || p.Base.File.Name != "etcdplay:playbooks/replace-member.hcl" || p.Base.Header.Name != "replace-member" {
		t.Errorf("got %v, %s", found, written(found, p.Sources()))
	}
	own := strings.Replace(strings.Replace(base, `"b"`, `"mine"`, 1), "t/base.tmpl", "base.tmpl", 1)
	p, found = tree("s.hcl", site("replace-member", ""), "replace-member", own, "base.tmpl", "/x")
	if found.HasErrors() || p.Base.Header.Name != "mine" {
		t.Errorf("got\n%s, want the file beside it", written(found, p.Sources()))
	}
	p, found = tree("s.hcl", site("replace-membre", ""))
	if got := written(found, p.Sources()); !strings.Contains(got, `Did you mean "replace-member"?`) {
		t.Errorf("got\n%s", got)
	}
	_, found = hcl.Load("s.hcl", hcl.Options{Types: tasks.Types(), ReadFile: func(path string) ([]byte, error) {
		if path == "s.hcl" {
			return []byte(site("replace-member", "")), nil
		}
		return nil, errors.New("no such thing")
	}})
	if !found.HasErrors() {
		t.Error("got no finding, want one: nothing comes with this program")
	}
}

// TestCalledSite holds that a site playbook can be called like any other, and that
// what it changes is told under the task that calls it.
func TestCalledSite(t *testing.T) {
	caller := "playbook \"x\" {\n  language = 1\n}\n\ntask \"playbook\" \"call\" {\n  source = \"site/s.hcl\"\n  with   = { line = \"x\" }\n}\n"
	p, found := tree(append([]string{"x.hcl", caller, "site/s.hcl"}, sites()["one"][1:]...)...)
	if found.HasErrors() {
		t.Fatal(written(found, p.Sources()))
	}
	prog := bind(t, p, hcl.Values{})
	var got []string
	for _, c := range prog.Changes {
		got = append(got, c.Task)
	}
	want := []string{"", "", "task.call/task.ours", "task.call/task.called", "task.call/task.one"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	call := task(t, prog, "call")
	args, found := call.Args.Bind(&engine.Scope{Tasks: map[string]cty.Value{}})
	if found.HasErrors() {
		t.Fatal(found)
	}
	called, found := call.Call.Bind(args.GetAttr("with"), &engine.Scope{Tasks: map[string]cty.Value{}})
	if found.HasErrors() {
		t.Fatal(written(found, p.Sources()))
	}
	for _, in := range called.Inputs {
		if in.Name == "limit" && in.Source != "presets of site/s.hcl line 11" {
			t.Errorf("limit comes from %s", in.Source)
		}
	}
}

// TestSiteSources holds what of a value and of a change is told.
func TestSiteSources(t *testing.T) {
	p, found := tree(sites()["one"]...)
	if found.HasErrors() {
		t.Fatal(written(found, p.Sources()))
	}
	prog := bind(t, p, hcl.Values{Vars: []string{"line=x", "bare=y"}})
	var got []string
	for _, in := range prog.Inputs {
		got = append(got, in.Name+": "+in.Source)
	}
	want := []string{"limit: presets of site/s.hcl line 11", "bare: --var", "line: --var", "depth: default"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("sources (-want +got):\n%s", d)
	}
	if got, want := task(t, prog, "ours").Range.File, "site/s.hcl"; got != want {
		t.Errorf("the added task is in %s, want %s", got, want)
	}
	if got, want := task(t, prog, "two").Range.File, "b.hcl"; got != want {
		t.Errorf("the base's task is in %s, want %s", got, want)
	}
	var kinds []string
	for _, c := range prog.Changes {
		kinds = append(kinds, c.Kind+" "+c.What)
	}
	want = []string{"preset limit = 2", `preset bare = "mid"`, `added stat "ours" after one`, `added playbook "called" before only`, `changed exec "one": locked, argv`}
	if d := cmp.Diff(want, kinds); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}
