package inventory

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/scope"
)

// locals is the locals of an inventory, each evaluated when it is first used.
type locals struct {
	names  []string
	byName map[string]*local
	values map[string]cty.Value // of the settled ones
}

type local struct {
	attr  *hclsyntax.Attribute
	place diag.Place
	state localState
}

type localState int

const (
	fresh localState = iota
	underway
	settled
	broken // a finding has told why
)

// readLocals lists them, and evaluates them all, so that a mistake is found in
// one that nothing uses too.
func (r *reader) readLocals() {
	l := &locals{byName: map[string]*local{}, values: map[string]cty.Value{}}
	r.locals = l
	for _, b := range r.file.Body.Blocks {
		if b.Type != "locals" {
			continue
		}
		place := placeOf(b)
		if len(b.Labels) > 0 {
			r.add(diag.BlockLabels, "Wrong labels", headerOf(b), place, "Write locals { ... }, without a name.")
		}
		for _, inner := range b.Body.Blocks {
			r.add(diag.UnsupportedBlock, "Unsupported block", inner.TypeRange, place, "locals holds arguments only. Write %s = ...", inner.Type)
		}
		for _, a := range attributes(b.Body) {
			if other, twice := l.byName[a.Name]; twice {
				r.add(diag.DuplicateName, "Local declared twice", a.NameRange, place, "The local %q is declared at line %d already.", a.Name, other.attr.NameRange.Start.Line)
				continue
			}
			l.byName[a.Name] = &local{attr: a, place: place}
			l.names = append(l.names, a.Name)
		}
	}
	for _, name := range l.names {
		r.settle(name)
	}
}

// settle evaluates a local, and those it uses before it.
func (r *reader) settle(name string) {
	l := r.locals.byName[name]
	if l.state != fresh {
		return
	}
	l.state = underway
	v, ok := r.eval(l.attr.Expr, l.place)
	if !ok {
		l.state = broken
		return
	}
	l.state = settled
	r.locals.values[name] = v
}

// eval evaluates an expression, which can use functions and locals.
func (r *reader) eval(expr hclsyntax.Expression, place diag.Place) (cty.Value, bool) {
	if !r.namesExist(expr, place) {
		return cty.NilVal, false
	}
	names := map[string]cty.Value{}
	if len(scope.Variables(expr)) > 0 {
		names["local"] = cty.ObjectVal(r.locals.values)
	}
	v, found := eval.Evaluate(expr, &hcl.EvalContext{Variables: names, Functions: r.functions})
	if found.HasErrors() {
		r.found = append(r.found, diag.FromHCL(diag.Evaluation, place, found)...)
		return cty.NilVal, false
	}
	return v, true
}

// namesExist checks functions and references, and settles the locals that the
// expression uses.
func (r *reader) namesExist(expr hclsyntax.Expression, place diag.Place) bool {
	good := r.functionsExist(expr, place)
	for _, t := range scope.Variables(expr) {
		if t.RootName() != "local" {
			r.add(diag.UnknownName, "Unknown name", t.SourceRange(), place, "%s", noName(t.RootName()))
			good = false
			continue
		}
		good = r.localExists(t, place) && good
	}
	return good
}

func (r *reader) localExists(t hcl.Traversal, place diag.Place) bool {
	name, ok := secondStep(t)
	l := r.locals.byName[name]
	switch {
	case !ok:
		r.add(diag.UnknownName, "Unknown name", t.SourceRange(), place, "Name one of the locals: local.NAME.")
		return false
	case l == nil:
		r.add(diag.UnknownLocal, "Unknown local", t.SourceRange(), place, "There is no local %q.%s", name, diag.DidYouMean(name, r.locals.names))
		return false
	case l.state == underway:
		r.add(diag.LocalCycle, "Local depends on itself", t.SourceRange(), place, "local.%s is being evaluated here, so it depends on itself.", name)
		return false
	}
	r.settle(name)
	return l.state == settled
}

func secondStep(t hcl.Traversal) (string, bool) {
	if len(t) < 2 {
		return "", false
	}
	a, ok := t[1].(hcl.TraverseAttr)
	return a.Name, ok
}

func noName(root string) string {
	switch root {
	case "var":
		return "An inventory has no variables: it says what there is. Use locals, or one inventory for each case."
	case "host", "group", "cluster":
		return "In an inventory there is nothing to refer to yet. Write names of hosts in quotes."
	}
	return "There is no \"" + root + "\". An inventory knows local.NAME and functions; text stands in quotes."
}

func (r *reader) functionsExist(expr hclsyntax.Expression, place diag.Place) bool {
	good := true
	scope.Visit(expr, func(n hclsyntax.Node) {
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		if !ok {
			return
		}
		if _, exists := r.functions[call.Name]; exists {
			return
		}
		advice, refused := eval.RefusedFunctions()[call.Name]
		if !refused {
			advice = strings.TrimSpace(diag.DidYouMean(call.Name, slices.Sorted(maps.Keys(r.functions))))
		}
		good = false
		r.add(diag.UnknownFunction, "Unknown function", call.Range(), place, "%s", strings.TrimSpace("There is no function \""+call.Name+"\". "+advice))
	})
	return good
}
