package hcl

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/check"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/inventory"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Values is where the values of variables come from, besides their defaults:
// in rising rank, files in their order, the environment, the command line.
type Values struct {
	Files   []string // of --vars-file
	Env     []string // as os.Environ has it; only ETCDPLAY_VAR_name counts
	Vars    []string // name=value, of --var
	Cluster string   // of --cluster; "" if the inventory has one only
}

// envPrefix begins the names of environment variables that give values.
const envPrefix = "ETCDPLAY_VAR_"

// inputs finds the value of every variable of a playbook.
func (b binder) inputs(p *Playbook, v Values) ([]engine.Input, engine.Diagnostics) {
	a := &assigner{binder: b, p: p, given: map[string]engine.Input{}}
	return a.assign(v)
}

// assign goes through all that gives values.
func (a *assigner) assign(v Values) ([]engine.Input, engine.Diagnostics) {
	p := a.p
	for _, f := range v.Files {
		a.file(f)
	}
	for _, e := range v.Env {
		name, value, _ := strings.Cut(e, "=")
		if name, ok := strings.CutPrefix(name, envPrefix); ok && p.Variable(name) != nil {
			a.text(p.Variable(name), envPrefix+name, value)
		}
	}
	seen := map[string]bool{}
	for _, s := range v.Vars {
		name, value, ok := strings.Cut(s, "=")
		name = strings.TrimSpace(name)
		switch {
		case !ok || name == "":
			a.add(diag.Bare(diag.BadAssignment, "Not a value for a variable", "--var %s: write --var NAME=VALUE.", s))
		case seen[name]:
			a.add(diag.Bare(diag.BadAssignment, "Value given twice", "--var %s is given twice. Keep one of the two.", name))
		case p.Variable(name) == nil:
			a.add(a.undeclared("--var "+name+": ", name))
		default:
			a.text(p.Variable(name), "--var "+name, value)
		}
		seen[name] = true
	}
	return a.all()
}

// assigner gathers values; a later one takes the place of an earlier one.
type assigner struct {
	binder
	p     *Playbook
	given map[string]engine.Input
	found engine.Diagnostics

	unread  bool // a file of values could not be read
	partial bool // not every variable needs to have a value
}

func (a *assigner) add(d engine.Diagnostic) { a.found = append(a.found, d) }

func (a *assigner) undeclared(prefix, name string) engine.Diagnostic {
	var names []string
	for _, v := range a.p.Playbook.Variables {
		names = append(names, v.Name)
	}
	hint := diag.DidYouMean(name, names)
	if hint == "" && len(names) > 0 { // another word for it
		hint = fmt.Sprintf(" Its variables are %s.", strings.Join(names, ", "))
	}
	return diag.Bare(diag.UndeclaredValue, "Undeclared variable", "%s%s declares no variable %q.%s", prefix, a.p.File.Name, name, hint)
}

// all is the inputs in the order of the declarations, defaults included.
func (a *assigner) all() ([]engine.Input, engine.Diagnostics) {
	var inputs []engine.Input
	for _, v := range a.p.Playbook.Variables {
		in, ok := a.given[v.Name]
		switch {
		case ok && v.Deprecated != "":
			a.add(diag.Warn(diag.Bare(diag.DeprecatedInput, "Deprecated variable", "%s: %s", in.Source, v.Deprecated)))
		case !ok && v.Default != cty.NilVal:
			in = engine.Input{Name: v.Name, Value: v.Default, Source: defaultSource(v), Sensitive: v.Sensitive}
		case !ok && (a.unread || a.partial):
			continue // where it was not read, it may stand in the file that could not be
		case !ok:
			a.add(diag.New(diag.MissingValue, "Missing value", v.Range, v.Place,
				"var.%s, %s, has no value. Give it with --var %s=..., in a file with --vars-file, or in the environment as %s%s.",
				v.Name, eval.TypeName(v.Type), v.Name, envPrefix, v.Name))
			continue
		}
		if in.Value == cty.NilVal {
			continue // wrong, and told so
		}
		in.Sensitive = in.Sensitive || eval.IsSensitive(in.Value)
		inputs = append(inputs, in)
	}
	return inputs, diag.Sort(a.found)
}

// defaultSource says where the default of a variable stands.
func defaultSource(v *check.Variable) string {
	if !v.Preset {
		return "default"
	}
	at := v.Variable.Default.NameRange
	return fmt.Sprintf("presets of %s line %d", at.Filename, at.Start.Line)
}

// file takes over the values of one file.
func (a *assigner) file(path string) {
	src, err := a.p.shared.read(path)
	if err != nil {
		a.add(unreadable(path, err))
		a.unread = true
		return
	}
	file, found := syntax.Parse(path, src)
	if found.HasErrors() {
		a.found = append(a.found, found...)
		a.unread = true
		return
	}
	a.p.shared.sources[path] = file.Source
	for _, b := range file.Body.Blocks {
		a.add(diag.New(diag.ValuesFile, "Not a file of values", b.TypeRange, diag.Place{}, "A file of values has arguments only, NAME = VALUE, and no blocks."))
	}
	attrs := make([]*hclsyntax.Attribute, 0, len(file.Body.Attributes))
	for _, at := range file.Body.Attributes {
		attrs = append(attrs, at)
	}
	sort.Slice(attrs, func(i, j int) bool { return attrs[i].SrcRange.Start.Byte < attrs[j].SrcRange.Start.Byte })
	for _, at := range attrs {
		v := a.p.Variable(at.Name)
		if v == nil {
			d := a.undeclared("", at.Name)
			d.Subject = diag.Range(at.NameRange)
			a.add(d)
			continue
		}
		source := fmt.Sprintf("%s line %d", path, at.NameRange.Start.Line)
		val, found := a.constant(at.Expr)
		if found.HasErrors() {
			a.found = append(a.found, found...)
			a.given[v.Name] = engine.Input{Name: v.Name}
			continue
		}
		if val, err = a.byName(v, val); err == nil {
			val, err = check.Assign(v, val)
		}
		if err != nil {
			code, summary := diag.VariableValue, "Unsuitable value for variable"
			if hosts := (noHost{}); errors.As(err, &hosts) {
				code, summary = diag.UnknownHost, "Unknown host"
			}
			a.add(diag.New(code, summary, at.Expr.Range(), diag.Place{}, "%s", eval.Sentence(err.Error())))
			val = cty.NilVal
		}
		a.given[v.Name] = engine.Input{Name: v.Name, Value: val, Source: source, Sensitive: v.Sensitive}
	}
}

// constant is the value of an expression that can name hosts and groups.
func (a *assigner) constant(x hclsyntax.Expression) (cty.Value, engine.Diagnostics) {
	for _, r := range scope.References(x) {
		if a.inv == nil && (r.Root == "host" || r.Root == "group" || r.Root == "cluster") {
			return cty.DynamicVal, engine.Diagnostics{diag.New(diag.WhichCluster, "No inventory", r.Traversal.SourceRange(), diag.Place{},
				"This names what stands in an inventory. Name one with --inventory.")}
		}
		if r.Root != "host" && r.Root != "group" && r.Root != "cluster" {
			return cty.DynamicVal, engine.Diagnostics{diag.New(diag.NoReference, "Constant needed", r.Traversal.SourceRange(), diag.Place{},
				"A value given from outside refers to nothing but host, group and cluster. If %s is a text, put it in quotes.", r.Root)}
		}
	}
	ctx := &hcl.EvalContext{
		Functions: a.p.folders[a.p.File].Functions.Functions,
		Variables: map[string]cty.Value{"host": a.names["host"], "group": a.names["group"], "cluster": a.names["cluster"]},
	}
	v, found := eval.Evaluate(x, ctx)
	return v, check.Findings(found, diag.Place{})
}

// byName turns names into hosts where the variable is a host or a list of them.
func (a *assigner) byName(v *check.Variable, val cty.Value) (cty.Value, error) {
	plain, marks := val.Unmark()
	if !plain.IsKnown() || plain.IsNull() {
		return val, nil
	}
	switch {
	case v.Type.Equals(eval.HostType) && plain.Type() == cty.String:
		h, err := a.host(plain.AsString())
		return h.WithMarks(marks), err
	case v.Type.Equals(cty.List(eval.HostType)) && (plain.Type().IsTupleType() || plain.Type().Equals(cty.List(cty.String))):
		var list []cty.Value
		for it := plain.ElementIterator(); it.Next(); {
			_, e := it.Element()
			if e.Type() != cty.String || e.IsMarked() || !e.IsKnown() || e.IsNull() {
				list = append(list, e)
				continue
			}
			h, err := a.host(e.AsString())
			if err != nil {
				return cty.DynamicVal, err
			}
			list = append(list, h)
		}
		return cty.TupleVal(list).WithMarks(marks), nil
	}
	return val, nil
}

// noHost is a name that the inventory does not have.
type noHost struct{ text string }

func (e noHost) Error() string { return e.text }

func (a *assigner) host(name string) (cty.Value, error) {
	if name == inventory.Localhost {
		return eval.HostValue(inventory.LocalhostSpec()), nil
	}
	if a.inv == nil {
		return cty.DynamicVal, noHost{"to find the host " + name + " an inventory is needed. Name one with --inventory."}
	}
	for _, h := range a.hosts {
		if h.Name == name {
			return eval.HostValue(h), nil
		}
	}
	return cty.DynamicVal, noHost{fmt.Sprintf("the inventory %s has no host %q.%s A host that is to become a member needs a block there, too: host %[2]q { address = \"...\" }.",
		a.inv.File, name, diag.DidYouMean(name, a.inv.HostNames()))}
}

// text takes over a value that came as bare text.
func (a *assigner) text(v *check.Variable, source, text string) {
	val, err := a.parse(v, source, text)
	if err == nil {
		val, err = check.Assign(v, val)
	}
	var hosts noHost
	switch {
	case errors.As(err, &hosts):
		a.add(diag.Bare(diag.UnknownHost, "Unknown host", "%s: %s", source, hosts.text))
	case err != nil:
		text := strings.TrimPrefix(err.Error(), "var."+v.Name+": ")
		if !strings.HasSuffix(text, "?") {
			text = strings.TrimSuffix(text, ".") + "."
		}
		a.add(diag.Bare(diag.VariableValue, "Unsuitable value for variable", "%s: %s", source, text))
	}
	if err != nil {
		val = cty.NilVal
	}
	a.given[v.Name] = engine.Input{Name: v.Name, Value: val, Source: strings.TrimSuffix(source, " "+v.Name), Sensitive: v.Sensitive}
}

// noText is a value that no text can hold.
type noText struct{}

func (noText) Error() string { return "it holds a NUL byte" }

// form is what a value of the type looks like in bare text, or else what was
// found.
func form(ty cty.Type, found string) string {
	switch {
	case ty == cty.Bool:
		return "Write true or false."
	case ty == cty.Number:
		return "Write digits, for example 3."
	case ty.Equals(cty.List(cty.String)):
		return `Write for example ["a", "b"].`
	case ty.Equals(cty.List(cty.Number)):
		return "Write for example [1, 2]."
	}
	return found
}

// parse reads bare text by the type of the variable: a string as it is, a host
// by its name, hosts by names with commas, all else as an expression.
func (a *assigner) parse(v *check.Variable, source, text string) (cty.Value, error) {
	switch {
	case v.Type == cty.String:
		if strings.ContainsRune(text, 0) {
			return cty.NilVal, noText{}
		}
		return cty.StringVal(text), nil
	case v.Type.Equals(eval.HostType) && strings.Contains(text, ","):
		return cty.NilVal, fmt.Errorf("%q names several hosts, and one is taken", text)
	case v.Type.Equals(eval.HostType):
		return a.host(strings.TrimSpace(text))
	case v.Type.Equals(cty.List(eval.HostType)) && !strings.HasPrefix(strings.TrimSpace(text), "["):
		var list []cty.Value
		for _, name := range strings.Split(text, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			h, err := a.host(name)
			if err != nil {
				return cty.NilVal, err
			}
			list = append(list, h)
		}
		return cty.TupleVal(list), nil
	}
	x, found := syntax.ParseExpression(source, []byte(text))
	if !found.HasErrors() {
		var val cty.Value
		if val, found = a.constant(x); !found.HasErrors() {
			return a.byName(v, val)
		}
	}
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "..."
	}
	return cty.NilVal, fmt.Errorf("%q cannot be read as %s. %s", text, eval.TypeName(v.Type), form(v.Type, found[0].Detail))
}
