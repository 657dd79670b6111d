package hcl_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/tasks"
)

// load loads a playbook given as text, which must be good.
func load(t testing.TB, text string, more ...string) *hcl.Playbook {
	t.Helper()
	files := map[string]string{"p.hcl": text}
	for i := 0; i+1 < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	o := hcl.Options{Types: tasks.Types(), ToolVersion: "0.1.0", ReadFile: func(path string) ([]byte, error) {
		s, ok := files[path]
		if !ok {
			return nil, os.ErrNotExist
		}
		return []byte(s), nil
	}}
	p, found := hcl.Load("p.hcl", o)
	if found.HasErrors() {
		t.Fatalf("load: got\n%s", written(found, nil))
	}
	return p
}

func written(ds engine.Diagnostics, sources map[string][]byte) string {
	var b bytes.Buffer
	_ = diag.Write(&b, ds, sources, diag.Options{}) // to memory
	return b.String()
}

func bind(t testing.TB, p *hcl.Playbook, v hcl.Values) *engine.Program {
	t.Helper()
	prog, found := p.Bind(demo(t), v, identity())
	if found.HasErrors() {
		t.Fatalf("bind: got\n%s", written(found, p.Sources()))
	}
	return prog
}

// task finds a task of a program by name.
func task(t testing.TB, p *engine.Program, name string) *engine.Task {
	t.Helper()
	for _, ph := range p.Phases {
		for _, list := range [][]*engine.Task{ph.Tasks, ph.Rescue, ph.Always} {
			for _, task := range list {
				if task.Name == name {
					return task
				}
			}
		}
	}
	t.Fatalf("no task %q", name)
	return nil
}

func TestBindShipped(t *testing.T) {
	for name, vars := range map[string][]string{
		"replace-member.hcl": {"failed=demo-etcd-2"},
		"scale.hcl":          {"new=node4"},
	} {
		p, found := hcl.Load(filepath.Join("../playbooks", name), hcl.Options{Types: tasks.Types()})
		if len(found) > 0 {
			t.Fatal(written(found, nil))
		}
		prog := bind(t, p, hcl.Values{Vars: vars})
		if prog.Name != strings.TrimSuffix(name, ".hcl") || prog.Cluster.Name != "demo" || len(prog.Hosts) != 4 || len(prog.Phases) == 0 {
			t.Errorf("%s: got program %q on %q with %d hosts and %d phases", name, prog.Name, prog.Cluster.Name, len(prog.Hosts), len(prog.Phases))
		}
		if len(prog.Inputs) != len(p.Variables()) {
			t.Errorf("%s: got %d inputs, want %d", name, len(prog.Inputs), len(p.Variables()))
		}
	}
}

// TestValues holds the two texts about --var that a user meets first.
func TestValues(t *testing.T) {
	p, found := hcl.Load("playbooks/replace-member.hcl", in("testdata/values"))
	if found.HasErrors() {
		t.Fatal(written(found, nil))
	}
	for _, tt := range []struct {
		name string
		v    hcl.Values
	}{
		{"host", hcl.Values{Vars: []string{"failed=demo-etcd-22"}}},
		{"undeclared", hcl.Values{Vars: []string{"failed=demo-etcd-2", "faild=demo-etcd-2"}}},
		{"another-word", hcl.Values{Vars: []string{"failed=demo-etcd-2", "even_with_quorum=true"}}},
		{"missing", hcl.Values{}},
		{"twice", hcl.Values{Vars: []string{"failed=demo-etcd-2", "failed=demo-etcd-1", "failed"}}},
		{"type", hcl.Values{Vars: []string{"failed=demo-etcd-2", "even_if_healthy=yes", "health_timeout=\x00"}}},
		{"quoted", hcl.Values{Vars: []string{"failed=demo-etcd-2", `even_if_healthy="true"`}}},
		{"validation", hcl.Values{Vars: []string{"failed=node4"}}},
		{"cluster", hcl.Values{Vars: []string{"failed=demo-etcd-2"}, Cluster: "dmo"}},
		{"late", hcl.Values{Vars: []string{"failed=demo-etcd-2", "health_timeout=3"}}},
		{"file", hcl.Values{Files: []string{"bad-values.hcl", "none.hcl"}}},
	} {
		prog, found := p.Bind(demo(t), tt.v, identity())
		if prog != nil || !found.HasErrors() {
			t.Errorf("%s: got %v, %v, want errors and no program", tt.name, prog, found)
		}
		golden(t, "testdata/values/"+tt.name+".txt", []byte(written(found, p.Sources())))
	}
}

// TestRehearsal holds that what a value makes wrong is found when it is bound,
// and that the arguments of a task that will not run may be wrong.
func TestRehearsal(t *testing.T) {
	p := load(t, `
playbook "p" {
  language = 1
}

variable "dir" {
  type     = string
  default  = null
  nullable = true
}

variable "hosts" {
  type    = list(host)
  default = []
}

task "stat" "a" {
  on   = localhost
  when = var.dir != null
  path = var.dir
}

task "stat" "b" {
  on_each = var.hosts
  path    = var.dir
}

phase "p" {
  when = var.dir != null

  task "playbook" "c" {
    source = "c.hcl"
    with   = { dir = var.dir }
  }
}
`, "c.hcl", `
playbook "c" {
  language = 1
}

variable "dir" {
  type = string
}

task "stat" "d" {
  on   = localhost
  path = "${var.dir}/x"
}
`)
	for _, tt := range []struct {
		vars []string
		want string // in the findings; "" for none
	}{
		{nil, ""},
		{[]string{"dir=/srv"}, ""},
		{[]string{"hosts=node4"}, `Argument "path" of stat must not be null.`},
		{[]string{"dir=srv"}, `"srv/x" is not an absolute path.`},
	} {
		_, found := p.Bind(demo(t), hcl.Values{Vars: tt.vars}, identity())
		text := strings.Join(strings.Fields(written(found, p.Sources())), " ")
		if found.HasErrors() != (tt.want != "") || !strings.Contains(text, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.vars, text, tt.want)
		}
	}
}

// TestRank gives one variable values of every rank.
func TestRank(t *testing.T) {
	p := load(t, `
playbook "p" {
  language = 1
}

variable "x" {
  type    = string
  default = "default"
}

task "assert" "a" {
  condition     = var.x != ""
  error_message = "empty"
}
`, "one.hcl", `x = "one"`, "two.hcl", `x = "two"`)
	for _, tt := range []struct {
		v            hcl.Values
		want, source string
	}{
		{hcl.Values{}, "default", "default"},
		{hcl.Values{Files: []string{"one.hcl"}}, "one", "one.hcl line 1"},
		{hcl.Values{Files: []string{"one.hcl", "two.hcl"}}, "two", "two.hcl line 1"},
		{hcl.Values{Files: []string{"one.hcl"}, Env: []string{"x=no", "ETCDPLAY_VAR_other=1", "ETCDPLAY_VAR_x=env"}}, "env", "ETCDPLAY_VAR_x"},
		{hcl.Values{Files: []string{"one.hcl"}, Env: []string{"ETCDPLAY_VAR_x=env"}, Vars: []string{"x=a=b"}}, "a=b", "--var"},
	} {
		prog := bind(t, p, tt.v)
		if got := prog.Inputs[0]; got.Value.AsString() != tt.want || got.Source != tt.source {
			t.Errorf("%+v: got %q from %q, want %q from %q", tt.v, got.Value.AsString(), got.Source, tt.want, tt.source)
		}
	}
}

// TestSkippedResult is a required argument taken from a task that was skipped.
func TestSkippedResult(t *testing.T) {
	p, found := hcl.Load("m08.hcl", in("testdata/plan"))
	if found.HasErrors() {
		t.Fatal(written(found, nil))
	}
	prog := bind(t, p, hcl.Values{Vars: []string{"failed=demo-etcd-2"}})
	add, undo := task(t, prog, "add"), task(t, prog, "undo")
	skipped := map[string]cty.Value{}
	for name, ty := range add.Type.ResultType().AttributeTypes() {
		skipped[name] = cty.NullVal(ty)
	}
	skipped["status"] = cty.StringVal("skipped")
	_, found = undo.Args.Bind(&engine.Scope{Tasks: map[string]cty.Value{"add": cty.ObjectVal(skipped)}})
	golden(t, "testdata/plan/m08.txt", []byte(written(found, p.Sources())))
}

// TestArguments evaluates what depends on results: unknown before, known after.
func TestArguments(t *testing.T) {
	p, found := hcl.Load("playbooks/replace-member.hcl", in("testdata/values"))
	if found.HasErrors() {
		t.Fatal(written(found, nil))
	}
	prog := bind(t, p, hcl.Values{Vars: []string{"failed=demo-etcd-2"}})
	config := task(t, prog, "config")
	add := map[string]cty.Value{}
	for name, ty := range task(t, prog, "add").Type.ResultType().AttributeTypes() {
		add[name] = cty.UnknownVal(ty).RefineNotNull()
	}
	s := &engine.Scope{Tasks: map[string]cty.Value{"add": cty.ObjectVal(add)}}
	args, found := config.Args.Bind(s)
	if found.HasErrors() || args.GetAttr("content").IsKnown() || args.GetAttr("unit").AsString() != "etcd-member.service" {
		t.Errorf("before the addition: got %#v, %v, want unknown content", args, found)
	}
	if got := config.Args.Expr("content").Tasks(); len(got) != 1 || got[0] != "add" {
		t.Errorf("content waits for: got %v, want [add]", got)
	}
	if got := task(t, prog, "old").Args.Expr("id").Tasks(); len(got) != 1 || got[0] != "before" {
		t.Errorf("id waits through a local for: got %v, want [before]", got)
	}
	for name := range add {
		add[name] = cty.StringVal("x-" + name)
	}
	s.Tasks["add"] = cty.ObjectVal(add)
	args, found = config.Args.Bind(s)
	if found.HasErrors() || !strings.Contains(args.GetAttr("content").AsString(), `--initial-cluster="x-initial_cluster"`) {
		t.Errorf("after the addition: got %#v, %v", args, found)
	}
	if !args.GetAttr("state").IsNull() {
		t.Errorf("state, which is not written: got %#v, want null", args.GetAttr("state"))
	}
}

// TestConditionValues lists what a condition refers to, but for secrets.
func TestConditionValues(t *testing.T) {
	p := load(t, `
playbook "p" {
  language = 1
}

variable "secret" {
  type      = string
  sensitive = true
}

task "etcd_members" "before" {}

task "assert" "a" {
  condition     = task.before.count > 2 && var.secret != "" && cluster.name == "demo" && task.before.count < 9
  error_message = "no"
}
`)
	prog := bind(t, p, hcl.Values{Env: []string{"ETCDPLAY_VAR_secret=hunter2"}})
	if in := prog.Inputs[0]; !in.Sensitive || !in.Value.IsMarked() {
		t.Errorf("input: got %#v, want a sensitive one", in)
	}
	s := &engine.Scope{Tasks: map[string]cty.Value{"before": cty.ObjectVal(map[string]cty.Value{"count": cty.NumberIntVal(3)})}}
	x := task(t, prog, "a").Args.Expr("condition")
	v, found := x.Eval(s)
	if plain, _ := v.Unmark(); found.HasErrors() || !plain.True() {
		t.Fatalf("condition: got %#v, %v, want true", v, found)
	}
	var got []string
	for _, v := range x.Values(s) {
		got = append(got, v.Name+" = "+diag.Value(v.Value, ""))
	}
	want := `cluster.name = "demo"; task.before.count = 3`
	if strings.Join(got, "; ") != want {
		t.Errorf("values: got %v, want %s", got, want)
	}
}

// TestCall binds a called playbook with values known and unknown.
func TestCall(t *testing.T) {
	p := load(t, `
playbook "p" {
  language = 1
}

task "playbook" "join" {
  for_each = cluster.members
  source   = "sub/callee.hcl"
  with = {
    new = each.value
  }
}

output "ids" {
  value = { for name, r in task.join : name => r.id }
}
`, "sub/callee.hcl", `
playbook "callee" {
  language = 1
}

variable "new" {
  type = host

  validation {
    condition     = var.new.name != "demo-etcd-3"
    error_message = "Not ${var.new.name}."
  }
}

variable "size" {
  type    = number
  default = 3
}

task "assert" "a" {
  condition     = var.new.name != "" && var.size == 3
  error_message = "${var.new.name} ${path.playbook}"
}

output "id" {
  value = var.new.name
}
`)
	prog := bind(t, p, hcl.Values{})
	join := task(t, prog, "join")
	rounds, found := join.ForEach.Eval(&engine.Scope{})
	if found.HasErrors() || rounds.LengthInt() != 3 {
		t.Fatalf("rounds: got %#v, %v, want 3", rounds, found)
	}
	for i, h := range rounds.AsValueSlice() {
		s := &engine.Scope{Each: cty.ObjectVal(map[string]cty.Value{"key": h.GetAttr("name"), "value": h})}
		args, found := join.Args.Bind(s)
		if found.HasErrors() {
			t.Fatal(found)
		}
		callee, found := join.Call.Bind(args.GetAttr("with"), s)
		if i == 2 {
			if !strings.Contains(written(found, p.Sources()), "Not demo-etcd-3.") {
				t.Errorf("validation: got %v, want the message", found)
			}
			continue
		}
		if found.HasErrors() {
			t.Fatal(found)
		}
		msg, found := task(t, callee, "a").Args.Expr("error_message").Eval(&engine.Scope{})
		if want := h.GetAttr("name").AsString() + " sub"; found.HasErrors() || msg.AsString() != want {
			t.Errorf("message: got %#v, %v, want %q", msg, found, want)
		}
		if callee.Inputs[0].Source != "task.join" || callee.Inputs[1].Source != "default" {
			t.Errorf("inputs: got %+v", callee.Inputs)
		}
	}
	unknown := cty.ObjectVal(map[string]cty.Value{"new": cty.UnknownVal(rounds.Type().ElementType())})
	if callee, found := join.Call.Bind(unknown, &engine.Scope{}); found.HasErrors() || callee == nil {
		t.Errorf("with unknown values: got %v, %v, want a program", callee, found)
	}
}

// TestDigest holds that comments and line breaks do not count, and that called
// playbooks do.
func TestDigest(t *testing.T) {
	const caller = "playbook \"p\" {\n  language = 1\n}\n\ntask \"playbook\" \"c\" {\n  source = \"c.hcl\"\n}\n"
	const callee = "playbook \"c\" {\n  language = 1\n}\n\ntask \"etcd_members\" \"m\" {}\n"
	digest := func(a, b string) string { return bind(t, load(t, a, "c.hcl", b), hcl.Values{}).Digest }
	base := digest(caller, callee)
	if got := digest("# changed\n"+strings.ReplaceAll(caller, "\n\n", "\n\n\n"), "\n"+callee+"// end\n"); got != base {
		t.Errorf("with other comments: got %s, want %s", got, base)
	}
	if digest(caller, strings.Replace(callee, `"m"`, `"n"`, 1)) == base {
		t.Error("with another callee: got the same digest")
	}
}
