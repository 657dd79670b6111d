package hcl_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
	"github.com/etcdplay/etcdplay/playbooks"
	"github.com/etcdplay/etcdplay/tasks"
)

// seeds adds every file of the corpus.
func seeds(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.hcl", "testdata/bad/called/*.hcl", "testdata/bad/site/*.hcl", "testdata/good/site/*.hcl", "../playbooks/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: got %v, %v, want some", pattern, files, err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src))
		}
	}
}

// FuzzLoad holds that no text brings load, check, bind and the evaluation of a
// plan down, and that every finding can be shown.
func FuzzLoad(f *testing.F) {
	seeds(f)
	inv := demo(f)
	f.Fuzz(func(t *testing.T, text string) {
		p, found := loadSite("p.hcl", text)
		sources := p.Sources()
		values := hcl.Values{}
		for _, v := range p.Variables() {
			switch {
			case v.Default != cty.NilVal:
			case v.Type == "host":
				values.Vars = append(values.Vars, v.Name+"=demo-etcd-1")
			default:
				values.Vars = append(values.Vars, v.Name+"=[]")
			}
		}
		prog, more := p.Bind(inv, values, identity())
		found = append(found, more...)
		if prog != nil {
			found = append(found, evaluate(prog, 0)...)
			resolved(t, p, prog, values)
		}
		var b bytes.Buffer
		if err := diag.Write(&b, found, sources, diag.Options{Color: true}); err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			diag.JSON(d, sources)
			if d.Code == "" || d.Summary == "" || d.Detail == "" {
				t.Errorf("incomplete finding %+v", d)
			}
		}
		if strings.ContainsAny(b.String(), "\x00\x07") {
			t.Errorf("control characters in %q", b.String())
		}
	})
}

// loadSite loads a text that may extend the playbooks of the corpus.
func loadSite(name, text string) (*hcl.Playbook, engine.Diagnostics) {
	return hcl.Load(name, hcl.Options{Types: tasks.Types(), ToolVersion: "0.1.0", Shipped: playbooks.FS, ReadFile: func(path string) ([]byte, error) {
		if path == name {
			return []byte(text), nil
		}
		rest, ok := strings.CutPrefix(filepath.Clean(path), "../")
		if !ok || strings.HasPrefix(rest, "..") {
			return nil, os.ErrNotExist
		}
		return os.ReadFile(filepath.Join("testdata/values/playbooks", strings.TrimPrefix(rest, "playbooks/")))
	}})
}

// resolved holds that a site playbook comes to the same without its extends.
func resolved(t *testing.T, p *hcl.Playbook, prog *engine.Program, values hcl.Values) {
	if p.Site == nil {
		return
	}
	text, dir, found := p.Resolve()
	if len(found) > 0 {
		return // its layout is such that it is left alone
	}
	again, found := loadSite(filepath.Join(dir, "resolved.hcl"), string(text))
	if found.HasErrors() {
		t.Fatalf("got\n%s\nof\n%s", written(found, again.Sources()), text)
	}
	other, found := again.Bind(demo(t), values, identity())
	if found.HasErrors() {
		t.Fatalf("got\n%s\nof\n%s", written(found, again.Sources()), text)
	}
	if d := cmp.Diff(describe(prog), describe(other)); d != "" {
		t.Errorf("-want +got:\n%s\nof\n%s", d, text)
	}
}

// evaluate does to every expression of a program what a plan does, with
// nothing known of any result.
func evaluate(p *engine.Program, depth int) engine.Diagnostics {
	var found engine.Diagnostics
	s := &engine.Scope{Tasks: map[string]cty.Value{}}
	do := func(x engine.Expr) cty.Value {
		if x == nil {
			return cty.NilVal
		}
		v, ds := x.Eval(s)
		x.Values(s)
		x.Tasks()
		found = append(found, ds...)
		return v
	}
	for _, ph := range p.Phases {
		do(ph.When)
		for _, list := range [][]*engine.Task{ph.Tasks, ph.Rescue, ph.Always} {
			for _, t := range list {
				do(t.ForEach)
				s = s.With(func(s *engine.Scope) {
					s.Each = cty.ObjectVal(map[string]cty.Value{"key": cty.UnknownVal(cty.String), "value": cty.DynamicVal})
					s.Target = cty.DynamicVal
					s.Self = cty.DynamicVal
					s.Error = cty.DynamicVal
				})
				for _, x := range []engine.Expr{t.On, t.OnEach, t.Parallel, t.When, t.Become, t.Timeout} {
					do(x)
				}
				args, ds := t.Args.Bind(s)
				found = append(found, ds...)
				for _, c := range append(t.Pre, t.Post...) {
					do(c.Condition)
					do(c.Message)
				}
				if r := t.Retry; r != nil {
					for _, x := range []engine.Expr{r.Attempts, r.Interval, r.Backoff, r.MaxInterval, r.Until} {
						do(x)
					}
				}
				if t.Call != nil && depth < 5 && args.Type().HasAttribute("with") {
					callee, ds := t.Call.Bind(args.GetAttr("with"), s)
					found = append(found, ds...)
					if callee != nil {
						found = append(found, evaluate(callee, depth+1)...)
					}
				}
				results := map[string]cty.Value{}
				for name, ty := range t.Type.ResultType().AttributeTypes() {
					results[name] = cty.UnknownVal(ty)
				}
				s.Tasks[t.Name] = cty.ObjectVal(results)
				if t.Looping() || t.Call != nil {
					s.Tasks[t.Name] = cty.DynamicVal
				}
			}
		}
	}
	for _, o := range p.Outputs {
		do(o.Value)
	}
	return found
}

// FuzzFormat holds that formatting keeps every token, and is done once.
func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Add("a = <<EOT\n${ <<X\n x\nX\n}\n tail\nEOT\n")
	f.Fuzz(func(t *testing.T, text string) {
		out, found := hcl.Format("f.hcl", []byte(text))
		if len(found) > 0 {
			if !bytes.Equal(out, []byte(text)) {
				t.Errorf("a file with findings was changed: %q to %q", text, out)
			}
			return
		}
		again, found := hcl.Format("f.hcl", out)
		if len(found) > 0 || !bytes.Equal(again, out) {
			t.Errorf("second time: got %v, %q, want %q", found, again, out)
		}
		before, ds := syntax.Parse("f.hcl", []byte(text))
		after, more := syntax.Parse("f.hcl", out)
		if ds.HasErrors() || more.HasErrors() || before.Digest != after.Digest {
			t.Errorf("meaning changed: %q to %q", text, out)
		}
	})
}
