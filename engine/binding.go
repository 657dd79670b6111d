package engine

import (
	"fmt"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// Codes of the diagnostics that this package makes.
const (
	codeAssert      = "EP4001" // an assertion does not hold
	codeCondition   = "EP4002" // a precondition or postcondition does not hold
	codeRefused     = "EP4003" // a predicate refuses the change
	codeUnreachable = "EP4004" // a host does not answer
	codeTask        = "EP4005" // a task failed
	codeDrift       = "EP4006" // the world is no longer as planned
	codeArgument    = "EP4007" // Check refuses an argument
	codeLoop        = "EP4008" // what a loop runs over cannot be used
	codeEffect      = "EP4009" // the effect of a task is not known
	codeRemains     = "EP4010" // what an aborted run leaves
	codeJournal     = "EP4011" // the journal could not be written
	codeMembers     = "EP4012" // the members are not those that the run left
)

// localhost is the name of the host that etcdplay itself runs on.
const localhost = "localhost"

// round is one execution of a task: the only one, or one of a loop.
type round struct {
	key     string // "" unless looping
	address string
	scope   *Scope // with Each or Target set
}

// runValue is what playbooks see as run.
func runValue(id Identity) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"id":         cty.StringVal(id.ID),
		"started_at": cty.StringVal(id.StartedAt.UTC().Format(time.RFC3339)),
		"user":       cty.StringVal(id.User),
	})
}

// newScope is the scope in which a program begins.
func newScope(id Identity) *Scope {
	return &Scope{Run: runValue(id), Tasks: map[string]cty.Value{}}
}

// rounds evaluates what the task loops over. known is false in a plan that
// cannot tell.
func rounds(t *Task, address string, s *Scope) (rs []round, known bool, ds Diagnostics) {
	var over Expr
	var scope func(key string, elem cty.Value) *Scope
	switch {
	case t.OnEach != nil:
		over, scope = t.OnEach, func(_ string, elem cty.Value) *Scope {
			return s.With(func(s *Scope) { s.Target = elem })
		}
	case t.ForEach != nil:
		over, scope = t.ForEach, func(key string, elem cty.Value) *Scope {
			each := cty.ObjectVal(map[string]cty.Value{"key": cty.StringVal(key), "value": elem})
			return s.With(func(s *Scope) { s.Each = each })
		}
	default:
		return []round{{address: address, scope: s}}, true, nil
	}
	v, ds := over.Eval(s)
	if ds.HasErrors() {
		return nil, false, ds
	}
	v, _ = v.Unmark()
	if !v.IsKnown() {
		return nil, false, ds
	}
	wrong := func(detail string) ([]round, bool, Diagnostics) {
		return nil, false, append(ds, t.finding(codeLoop, "Wrong loop", detail, address, over))
	}
	if v.IsNull() || !v.CanIterateElements() {
		return wrong("A loop needs a list or a map.")
	}
	seen := map[string]bool{}
	for it := v.ElementIterator(); it.Next(); {
		k, elem := it.Element()
		if !v.Type().IsMapType() && !v.Type().IsObjectType() {
			k = nameOf(elem)
		}
		switch {
		case k.IsMarked():
			return wrong("The keys of a loop are shown, and may not be sensitive.")
		case !k.IsKnown():
			return nil, false, ds
		case k.IsNull() || k.Type() != cty.String:
			return wrong("Each element of a loop must be a string or an object with a name.")
		case seen[k.AsString()]:
			return wrong(fmt.Sprintf("The key %q occurs twice.", k.AsString()))
		}
		key := k.AsString()
		seen[key] = true
		rs = append(rs, round{key: key, address: fmt.Sprintf("%s[%q]", address, key), scope: scope(key, elem)})
	}
	return rs, true, ds
}

// nameOf is elem's name if it is an object that has one, else elem.
func nameOf(elem cty.Value) cty.Value {
	plain, marks := elem.Unmark()
	if !plain.Type().IsObjectType() || !plain.Type().HasAttribute("name") {
		return elem
	}
	if !plain.IsKnown() || plain.IsNull() {
		return elem
	}
	return plain.GetAttr("name").WithMarks(marks)
}

// target evaluates on, and says on which host the round runs: "" for none, and
// known false where a plan cannot tell.
func target(t *Task, s *Scope) (host string, in *Scope, known bool, ds Diagnostics) {
	if t.On != nil {
		v, ds := t.On.Eval(s)
		if ds.HasErrors() {
			return "", s, false, ds
		}
		s = s.With(func(s *Scope) { s.Target = v })
	}
	if s.Target == cty.NilVal {
		return "", s, true, nil
	}
	name, _ := nameOf(s.Target).Unmark()
	if !name.IsKnown() || name.IsNull() || name.Type() != cty.String {
		return "", s, false, nil
	}
	return name.AsString(), s, true, nil
}

// hostSpec finds a host of the inventory, with become as the task wants it.
func hostSpec(p *Program, t *Task, name string, s *Scope) (HostSpec, Diagnostics) {
	spec, found := p.host(name)
	if !found {
		return spec, Diagnostics{t.finding(codeTask, "Unknown host", fmt.Sprintf("The inventory has no host %q.", name), "", t.On)}
	}
	if t.Become == nil {
		return spec, nil
	}
	v, ds := t.Become.Eval(s)
	if b, known := boolOf(v); !ds.HasErrors() && known {
		spec.Connection.Become = "none"
		if b {
			spec.Connection.Become = "sudo"
		}
	}
	return spec, ds
}

// host finds a host of the inventory; localhost need not stand in it.
func (p *Program) host(name string) (HostSpec, bool) {
	for _, h := range p.Hosts {
		if h.Name == name {
			return h, true
		}
	}
	return HostSpec{Name: name, Address: "127.0.0.1", Connection: Connection{Kind: "local"}}, name == localhost
}

// boolOf is v as a bool; known is false where it is unknown or null.
func boolOf(v cty.Value) (b, known bool) {
	if v == cty.NilVal {
		return false, false
	}
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.Bool {
		return false, false
	}
	return v.True(), true
}

// plainValue evaluates e to a value of type ty without marks; cty.NilVal where e
// is nil or its value is not known.
func plainValue(e Expr, s *Scope, ty cty.Type) (cty.Value, Diagnostics) {
	if e == nil {
		return cty.NilVal, nil
	}
	v, ds := e.Eval(s)
	if ds.HasErrors() {
		return cty.NilVal, ds
	}
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() || v.Type() != ty {
		return cty.NilVal, ds
	}
	return v, ds
}

// duration evaluates e, a duration in Go's syntax; otherwise is what holds where
// e is nil or its value not known.
func duration(e Expr, s *Scope, otherwise time.Duration) (time.Duration, Diagnostics) {
	v, ds := plainValue(e, s, cty.String)
	if v == cty.NilVal {
		return otherwise, ds
	}
	d, err := time.ParseDuration(v.AsString())
	if err != nil || d <= 0 {
		r := e.Range()
		return otherwise, append(ds, Diagnostic{
			Severity: Error, Code: codeArgument, Summary: "Wrong duration", Subject: &r,
			Detail: fmt.Sprintf("%q is not a duration above zero, such as \"90s\" or \"5m\".", v.AsString()),
		})
	}
	return d, ds
}

// number evaluates e to a number; otherwise is what holds where e is nil or its
// value not known.
func number(e Expr, s *Scope, otherwise float64) (float64, Diagnostics) {
	v, ds := plainValue(e, s, cty.Number)
	if v == cty.NilVal {
		return otherwise, ds
	}
	f, _ := v.AsBigFloat().Float64()
	return f, ds
}

// finding is an error about the task. Its place is e, or the task's header.
func (t *Task) finding(code, summary, detail, address string, e Expr) Diagnostic {
	r := t.Range
	if e != nil {
		r = e.Range()
	}
	return Diagnostic{
		Severity: Error, Code: code, Summary: summary, Detail: detail,
		Subject: &r, In: fmt.Sprintf("task %q %q", t.Type.Name, t.Name), Task: address,
	}
}

// failedCondition is the finding about a condition that does not hold.
func (t *Task) failedCondition(code, summary string, c Condition, address string, s *Scope) Diagnostic {
	text := "The condition does not hold."
	if v, ds := plainValue(c.Message, s, cty.String); v != cty.NilVal && !ds.HasErrors() {
		text = v.AsString()
	}
	d := t.finding(code, summary, text, address, c.Condition)
	d.Values = c.Condition.Values(s)
	return d
}

// conditions evaluates them in order. open says that one cannot be told yet.
func (t *Task) conditions(cs []Condition, summary, address string, s *Scope) (open bool, ds Diagnostics) {
	for _, c := range cs {
		v, eds := c.Condition.Eval(s)
		if eds.HasErrors() {
			return open, eds
		}
		switch holds, known := boolOf(v); {
		case !known:
			open = true
		case !holds:
			return open, Diagnostics{t.failedCondition(codeCondition, summary, c, address, s)}
		}
	}
	return open, nil
}

// wrongArgument turns an error of Check into a finding at the argument.
func (t *Task) wrongArgument(err error, address string) Diagnostics {
	if err == nil {
		return nil
	}
	if e, ok := err.(*ArgError); ok {
		return Diagnostics{t.finding(codeArgument, "Wrong argument", e.Text, address, t.Args.Expr(e.Arg))}
	}
	return Diagnostics{t.finding(codeArgument, "Wrong argument", sentence(err.Error()), address, nil)}
}
