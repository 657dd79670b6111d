package engine

import (
	"github.com/zclconf/go-cty/cty"
)

// withStatus adds the status that every task has to its type's results.
func withStatus(results cty.Value, status Status) cty.Value {
	attrs := map[string]cty.Value{}
	for name := range results.Type().AttributeTypes() {
		attrs[name] = results.GetAttr(name)
	}
	attrs["status"] = cty.StringVal(string(status))
	return cty.ObjectVal(attrs)
}

// absent is the results of one round that did not run: typed nulls, and why.
func absent(t *Task, status Status) cty.Value {
	attrs := map[string]cty.Value{}
	for name, ty := range resultTypes(t) {
		attrs[name] = cty.NullVal(ty)
	}
	attrs["status"] = cty.StringVal(string(status))
	return cty.ObjectVal(attrs)
}

// notRun is the results of a task none of whose rounds ran.
func notRun(t *Task) cty.Value {
	if t.Looping() {
		return byKey(t, nil, nil)
	}
	return absent(t, Skipped)
}

// open is the results of a round that may run, and of which nothing is known,
// not even that they will not be null.
func open(t *Task) cty.Value {
	attrs := map[string]cty.Value{"status": cty.UnknownVal(cty.String)}
	for name, ty := range resultTypes(t) {
		attrs[name] = cty.UnknownVal(ty)
	}
	return cty.ObjectVal(attrs)
}

// predictable is the results of a task that will run, and of which nothing else
// is known.
func predictable(t *Task) cty.Value {
	attrs := map[string]cty.Value{}
	for _, r := range t.Type.Results {
		attrs[r.Name] = unknownOf(r)
	}
	return cty.ObjectVal(attrs)
}

// resultTypes is the types of the task's results without status; of a call,
// those of the called playbook's outputs.
func resultTypes(t *Task) map[string]cty.Type {
	if t.Call != nil {
		return t.Call.Outputs
	}
	types := map[string]cty.Type{}
	for _, r := range t.Type.Results {
		types[r.Name] = r.Type
	}
	return types
}

// withOf is the values that a call gives to the called playbook.
func withOf(args cty.Value) cty.Value {
	args, _ = args.Unmark()
	if args.IsKnown() && !args.IsNull() && args.Type().IsObjectType() && args.Type().HasAttribute("with") {
		if with := args.GetAttr("with"); !with.IsNull() {
			return with
		}
	}
	return cty.EmptyObjectVal
}

// byKey is the results of a looping task: a map by key, or an object where the
// results of the rounds differ in type, as those of calls may.
func byKey(t *Task, keys []string, results map[string]cty.Value) cty.Value {
	if len(keys) == 0 {
		if t.Call != nil {
			return cty.EmptyObjectVal
		}
		return cty.MapValEmpty(t.Type.ResultType())
	}
	attrs := map[string]cty.Value{}
	same := true
	for _, k := range keys {
		attrs[k] = results[k]
		same = same && results[k].Type().Equals(results[keys[0]].Type())
	}
	if same {
		return cty.MapVal(attrs)
	}
	return cty.ObjectVal(attrs)
}

// unknownLoop is the results of a loop whose keys are not known.
func unknownLoop(t *Task) cty.Value {
	if t.Call != nil {
		return cty.DynamicVal
	}
	return cty.UnknownVal(cty.Map(t.Type.ResultType())).RefineNotNull()
}

// agree reports whether now is one of the values that planned stands for: what
// was known is equal, what was not may be anything.
func agree(planned, now cty.Value) bool {
	planned, _ = planned.Unmark()
	now, _ = now.Unmark()
	switch {
	case !planned.IsKnown():
		return true
	case !now.IsKnown():
		return false
	case planned.IsNull() || now.IsNull():
		return planned.IsNull() && now.IsNull()
	case !planned.CanIterateElements() || !now.CanIterateElements():
		return planned.RawEquals(now)
	case planned.Type().IsSetType():
		a, _ := planned.UnmarkDeep()
		b, _ := now.UnmarkDeep()
		return !a.IsWhollyKnown() || a.RawEquals(b)
	case planned.LengthInt() != now.LengthInt():
		return false
	}
	a, b := planned.ElementIterator(), now.ElementIterator()
	for a.Next() && b.Next() {
		ak, av := a.Element()
		bk, bv := b.Element()
		if !ak.RawEquals(bk) || !agree(av, bv) {
			return false
		}
	}
	return true
}

// differing names the attributes of two objects that do not agree.
func differing(planned, now cty.Value) []string {
	if planned == cty.NilVal || now == cty.NilVal {
		return nil
	}
	planned, _ = planned.Unmark()
	now, _ = now.Unmark()
	var names []string
	for _, name := range sortedNames(planned.Type().AttributeTypes()) {
		if name != "status" && now.Type().HasAttribute(name) && !agree(planned.GetAttr(name), now.GetAttr(name)) {
			names = append(names, name)
		}
	}
	return names
}
