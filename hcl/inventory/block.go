package inventory

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
)

// block is a block with the values of its arguments, those that are right.
type block struct {
	*hclsyntax.Block
	place  diag.Place
	values map[string]cty.Value // absent: not written, null, or wrong
	ranges map[string]hcl.Range // of the expressions, also of the wrong ones
}

func (b *block) header() hcl.Range { return headerOf(b.Block) }

func headerOf(b *hclsyntax.Block) hcl.Range {
	r := b.TypeRange
	if n := len(b.LabelRanges); n > 0 {
		r = hcl.RangeBetween(r, b.LabelRanges[n-1])
	}
	return r
}

func placeOf(b *hclsyntax.Block) diag.Place {
	in := b.Type
	for _, l := range b.Labels {
		in += fmt.Sprintf(" %q", l)
	}
	return diag.Place{In: in}
}

// text is a string argument, or what is given for the case that it is not
// written (or wrong, which has been found by then).
func (b *block) text(name, otherwise string) string {
	if v, ok := b.values[name]; ok {
		return v.AsString()
	}
	return otherwise
}

// duration sets d to what is written, if anything is.
func (b *block) duration(name string, d *time.Duration) {
	if text := b.text(name, ""); text != "" {
		if written, err := eval.ParseDuration(text); err == nil { // its kind has been checked
			*d = written
		}
	}
}

// texts is a list of strings; nil if it is not written.
func (b *block) texts(name string) []string {
	v, ok := b.values[name]
	if !ok {
		return nil
	}
	list := []string{}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		list = append(list, e.AsString())
	}
	return list
}

// whole is an argument that is a whole number.
func (b *block) whole(name string, otherwise int) int {
	v, ok := b.values[name]
	if !ok {
		return otherwise
	}
	n, _ := v.AsBigFloat().Int64()
	return int(n)
}

// elementRange is where the i-th element of a list argument is written.
func (b *block) elementRange(name string, i int) hcl.Range {
	if a, ok := b.Body.Attributes[name]; ok {
		if t, ok := a.Expr.(*hclsyntax.TupleConsExpr); ok && i < len(t.Exprs) {
			return t.Exprs[i].Range()
		}
		return a.Expr.Range()
	}
	return b.header()
}

// field is an argument that a block may have.
type field struct {
	name     string
	ty       cty.Type
	required bool
	kind     engine.Kind
	enum     []string
	check    func(s string) string // of every string in it: what is wrong, or ""
	def      string                // what holds if it is not written, in words
	doc      string
}

// open evaluates the arguments of b. Those it cannot have, and blocks in it
// other than inner, are found.
func (r *reader) open(b *hclsyntax.Block, place diag.Place, fields []field, inner ...string) *block {
	o := &block{Block: b, place: place, values: map[string]cty.Value{}, ranges: map[string]hcl.Range{}}
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	for _, a := range attributes(b.Body) {
		i := slices.Index(names, a.Name)
		if i < 0 {
			r.add(diag.UnsupportedArgument, "Unsupported argument", a.NameRange, place, "%s", unsupported(b.Type, a.Name, names))
			continue
		}
		o.ranges[a.Name] = a.Expr.Range()
		if v, ok := r.value(a.Expr, a.Name, fields[i], place); ok {
			o.values[a.Name] = v
		}
	}
	for _, f := range fields {
		if _, written := b.Body.Attributes[f.name]; f.required && !written {
			r.add(diag.MissingArgument, "Missing required argument", headerOf(b), place, "%s needs the argument %q.", b.Type, f.name)
		}
	}
	seen := map[string]bool{}
	for _, in := range b.Body.Blocks {
		switch {
		case !slices.Contains(inner, in.Type):
			r.add(diag.UnsupportedBlock, "Unsupported block", in.TypeRange, place, "%s", unsupportedBlock(b.Type, in.Type, names, inner))
		case seen[in.Type]:
			r.add(diag.DuplicateBlock, "Block given twice", headerOf(in), place, "%s has one %s block. Keep one of the two.", b.Type, in.Type)
		}
		seen[in.Type] = true
	}
	return o
}

func unsupported(block, name string, names []string) string {
	advice := map[string]string{
		"password":        "Write password_env = \"NAME\" or password_file = \"PATH\" in an auth block.",
		"become_password": "Write become_password_env = \"NAME\".",
		"passphrase":      "Load the key into an agent.",
		"private_key":     "Write identity_files = [\"PATH\"].",
	}[name]
	switch {
	case advice != "":
		return "Secrets are never written in an inventory. " + advice
	case len(names) == 0:
		return block + " takes no arguments."
	}
	return fmt.Sprintf("%s has no argument %q.%s", block, name, diag.DidYouMean(name, names))
}

func unsupportedBlock(outer, name string, arguments, blocks []string) string {
	if slices.Contains(arguments, name) {
		return fmt.Sprintf("%s is an argument of %s, not a block. Write %s = ...", name, outer, name)
	}
	return fmt.Sprintf("%s has no block %q.%s", outer, name, diag.DidYouMean(name, blocks))
}

// attributes lists the arguments of a body in the order in which they are
// written.
func attributes(b *hclsyntax.Body) []*hclsyntax.Attribute {
	list := make([]*hclsyntax.Attribute, 0, len(b.Attributes))
	for _, a := range b.Attributes {
		list = append(list, a)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].NameRange.Start.Byte < list[j].NameRange.Start.Byte })
	return list
}

// value evaluates one argument and checks it against its field. ok is false if
// there is no value: it is wrong, or null, which is as if it were not written.
func (r *reader) value(expr hclsyntax.Expression, name string, f field, place diag.Place) (cty.Value, bool) {
	v, ok := r.eval(expr, place)
	if !ok {
		return cty.NilVal, false
	}
	if eval.IsSensitive(v) {
		r.add(diag.SecretShown, "Secret in an inventory", expr.Range(), place,
			"A sensitive value cannot stand in an inventory, which is shown and stored with every run.")
		return cty.NilVal, false
	}
	v, err := eval.Strict(v, f.ty, nil)
	if err != nil {
		r.add(diag.UnsuitableValue, "Unsuitable value", expr.Range(), place, "Argument %q: %s", name, err)
		return cty.NilVal, false
	}
	if v.IsNull() {
		if f.required {
			r.add(diag.NullValue, "Null value", expr.Range(), place, "Argument %q must not be null.", name)
		}
		return cty.NilVal, false
	}
	good := true
	for _, part := range elements(expr, v) {
		if problem := f.problem(part.value); problem != "" {
			r.add(diag.UnsuitableValue, "Unsuitable value", part.at, place, "Argument %q: %s", name, problem)
			good = false
		}
	}
	return v, good
}

func (f field) problem(v cty.Value) string {
	switch {
	case v.IsNull():
		return "a part of it is null."
	case v.Type() == cty.Number:
		if n := v.AsBigFloat(); !n.IsInt() {
			return diag.Value(v, "") + " is not a whole number."
		}
	case v.Type() == cty.String:
		s := v.AsString()
		if err := eval.CheckKind(f.kind, f.enum, s); err != nil {
			return err.Error()
		}
		if f.check != nil {
			return f.check(s)
		}
	}
	return ""
}

// part is a value, or one element of a list or a map, with its place.
type part struct {
	value cty.Value
	at    hcl.Range
}

// elements takes a list or a map apart, so that a finding can point to the
// element, if the list is written in place.
func elements(expr hclsyntax.Expression, v cty.Value) []part {
	if v.Type().IsPrimitiveType() {
		return []part{{v, expr.Range()}}
	}
	var parts []part
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		parts = append(parts, part{e, expr.Range()})
	}
	if t, ok := expr.(*hclsyntax.TupleConsExpr); ok && len(t.Exprs) == len(parts) {
		for i := range parts {
			parts[i].at = t.Exprs[i].Range()
		}
	}
	return parts
}

// below is a path argument relative to the file, as an absolute path.
func (r *reader) below(b *block, name string) string {
	return beside(r.dir, b.text(name, ""))
}

// checkLocalPath is for paths on the machine that runs etcdplay.
func checkLocalPath(s string) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "the path is empty."
	case strings.TrimSpace(s) != s:
		return fmt.Sprintf("%q begins or ends with a space. Take it away.", s)
	case strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f }):
		return fmt.Sprintf("%q holds a control character, which no path here may.", s)
	case strings.HasPrefix(s, "~") && !strings.HasPrefix(s, "~/"):
		return fmt.Sprintf("%q does not begin with ~/, which is your own home. Write the whole path.", s)
	}
	return ""
}
