package check

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Form is what the place of an expression demands of its value.
type Form int

const (
	Anything  Form = iota
	Condition      // bool, not null
	Flag           // bool, not null; no condition
	Message        // string, not null, not sensitive
	OneHost        // host, not null, not sensitive
	Hosts          // list of hosts
	Rounds         // list of strings or of objects with a name, or a map
	Whole          // number, whole, at least 1
	Factor         // number, at least 1
	Span           // string, a length of time
)

// Want is what decides whether the value of an expression is good.
type Want struct {
	Form Form
}

// Convert gives a value the form that is wanted. Unknown values pass by their
// type. The same is asked while checking and in a run.
func (w Want) Convert(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	switch w.Form {
	case Condition, Flag:
		return w.bool(x, v)
	case Message:
		return message(x, v)
	case OneHost:
		return oneHost(x, v)
	case Hosts:
		return hostList(x, v)
	case Rounds:
		return rounds(x, v)
	case Whole, Factor:
		return w.number(x, v)
	case Span:
		return span(x, v)
	}
	return v, nil
}

func one(d engine.Diagnostic) engine.Diagnostics { return engine.Diagnostics{d} }

func null(x *syntax.Expr, what string) engine.Diagnostics {
	return one(diag.New(diag.NullValue, "Null value", x.Range(), x.Place, "%s must not be null.", what))
}

func isNull(v cty.Value) bool {
	v, _ = v.Unmark()
	return v.IsNull()
}

func secretPlace(x *syntax.Expr, what string) engine.Diagnostics {
	return one(diag.New(diag.SecretShown, "Sensitive value in a visible place", x.Range(), x.Place,
		"%s is shown in plans and logs, so it cannot be sensitive. Take the secret out of it, or declare it harmless with nonsensitive().", what))
}

func (w Want) bool(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	what := x.Name + " is a condition."
	switch {
	case x.Name == "condition":
		what = "This is a condition."
	case w.Form == Flag:
		what = x.Name + " is true or false."
	}
	out, err := strict(v, cty.Bool)
	if err != nil {
		return cty.NilVal, one(diag.New(diag.NotABool, "Not a boolean", x.Range(), x.Place, "%s %s", what, eval.Sentence(err.Error())))
	}
	if isNull(out) {
		return cty.NilVal, null(x, x.Name)
	}
	return out, nil
}

func message(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	out, err := strict(v, cty.String)
	if err != nil {
		return cty.NilVal, one(diag.New(diag.UnsuitableValue, "Unsuitable value", x.Range(), x.Place, "%s is a text: %s", x.Name, quoting(x, err.Error())))
	}
	if isNull(out) {
		return cty.NilVal, null(x, x.Name)
	}
	if sensitive(out) {
		return cty.NilVal, one(diag.New(diag.SecretShown, "Sensitive value in a message", x.Range(), x.Place,
			"The message is shown when the condition does not hold, so it cannot hold a sensitive value. Say it without."))
	}
	return out, nil
}

func oneHost(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	out, err := strict(v, eval.HostType)
	if err != nil {
		fix := fmt.Sprintf("%s takes a host, for example var.NAME of type host, or host[\"NAME\"].", x.Name)
		plain, _ := v.Unmark()
		switch ty := v.Type(); {
		case ty == cty.String && plain.IsKnown() && !v.IsMarked():
			return cty.NilVal, one(diag.New(diag.NotAHost, "Not a host", x.Range(), x.Place,
				"%q is a string, and %s takes a host. Write host[%q].", plain.AsString(), x.Name, plain.AsString()))
		case ty == cty.String:
			fix = fmt.Sprintf("%s takes a host. Write host[...] around the name.", x.Name)
		case ty.IsListType(), ty.IsTupleType(), ty.IsSetType():
			fix = fmt.Sprintf("%s takes one host. Write on_each for several.", x.Name)
		}
		return cty.NilVal, one(diag.New(diag.NotAHost, "Not a host", x.Range(), x.Place, "This is %s, and %s", eval.TypeName(v.Type()), fix))
	}
	if isNull(out) {
		return cty.NilVal, null(x, x.Name)
	}
	if sensitive(out) {
		return cty.NilVal, secretPlace(x, x.Name)
	}
	return out, nil
}

func hostList(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	out, err := strict(v, cty.List(eval.HostType))
	if err != nil {
		fix := fmt.Sprintf("%s takes a list of hosts, for example cluster.members or group.NAME.", x.Name)
		switch ty := v.Type(); {
		case ty.Equals(eval.HostType):
			fix = "on_each takes a list of hosts. Write on for a single one."
		case ty.IsMapType() && ty.ElementType().Equals(eval.HostType):
			fix = "on_each takes a list of hosts, whose order is that of the work. Write cluster.members or a group."
		}
		return cty.NilVal, one(diag.New(diag.NotAHost, "Not a list of hosts", x.Range(), x.Place, "This is %s, and %s", eval.TypeName(v.Type()), fix))
	}
	if isNull(out) {
		return cty.NilVal, null(x, x.Name)
	}
	if sensitive(out) {
		return cty.NilVal, secretPlace(x, x.Name)
	}
	return out, hostKeys(x, out)
}

// hostKeys refuses a host that stands twice in a list, since results are kept
// by the names of hosts.
func hostKeys(x *syntax.Expr, list cty.Value) engine.Diagnostics {
	if !list.IsKnown() {
		return nil
	}
	seen := map[string]bool{}
	for it := list.ElementIterator(); it.Next(); {
		_, h := it.Element()
		if !h.IsKnown() || h.IsNull() || !h.GetAttr("name").IsKnown() {
			continue
		}
		name := h.GetAttr("name").AsString()
		if seen[name] {
			return one(diag.New(diag.BadLoop, "Host given twice", x.Range(), x.Place,
				"on_each names the host %q twice, and results are kept by host. Take one out, for example with distinct().", name))
		}
		seen[name] = true
	}
	return nil
}

func (w Want) number(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	unsuitable := func(format string, args ...any) (cty.Value, engine.Diagnostics) {
		return cty.NilVal, one(diag.New(diag.UnsuitableValue, "Unsuitable value", x.Range(), x.Place, "Argument %q: %s", x.Name, fmt.Sprintf(format, args...)))
	}
	out, err := strict(v, cty.Number)
	if err != nil {
		return unsuitable("%s", err.Error())
	}
	if isNull(out) {
		return cty.NilVal, null(x, x.Name)
	}
	plain, _ := out.Unmark()
	if !plain.IsKnown() {
		return out, nil
	}
	const most = 1_000_000
	f := plain.AsBigFloat()
	switch n, _ := f.Float64(); {
	case w.Form == Whole && !f.IsInt():
		return unsuitable("%s is not a whole number.", diag.Value(plain, ""))
	case n < 1:
		return unsuitable("%s is less than 1.", diag.Value(plain, ""))
	case n > most:
		return unsuitable("%s is more than %d, which is the most.", diag.Value(plain, ""), most)
	}
	return out, nil
}

func span(x *syntax.Expr, v cty.Value) (cty.Value, engine.Diagnostics) {
	out, err := strict(v, cty.String)
	switch {
	case err == nil && isNull(out):
		return cty.NilVal, null(x, x.Name)
	case err == nil:
		if plain, _ := out.Unmark(); plain.IsKnown() {
			err = eval.CheckKind(engine.Duration, nil, plain.AsString())
		}
	case v.Type() == cty.Number:
		err = valueError(`a length of time is needed, and this is a number. Write it with its unit, for example "30s" or "5m".`)
	}
	if err != nil {
		return cty.NilVal, one(diag.New(diag.UnsuitableValue, "Unsuitable value", x.Range(), x.Place, "Argument %q: %s", x.Name, err.Error()))
	}
	return out, nil
}
