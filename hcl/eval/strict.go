package eval

import (
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// TypeError says where in a value its type is not the one that is needed.
type TypeError struct {
	Path    cty.Path // into the value; empty for the value itself
	Problem string   // "a string is needed, and this is a number"
	Fix     string   // a sentence, or ""
}

// Error is path, problem and fix in one line, beginning in lower case unless
// the path is empty and the problem begins otherwise.
func (e *TypeError) Error() string {
	text := e.Problem + "."
	if p := PathText(e.Path); p != "" {
		text = p + ": " + text
	}
	if e.Fix != "" {
		text += " " + e.Fix
	}
	return text
}

// Strict gives v the type ty, by the one rule of the language: no primitive
// becomes another primitive. A list written in place becomes a list, set or
// tuple; an object becomes a map, or an object all of whose attributes are
// declared; null becomes a null of any type and an unknown value an unknown of
// a type it can have. Missing or null attributes get their defaults from d,
// which may be nil. Marks stay where they are. cty.DynamicPseudoType takes
// anything as it is. The error is a *TypeError.
//
// Strict(Strict(v)) is Strict(v).
func Strict(v cty.Value, ty cty.Type, d *typeexpr.Defaults) (cty.Value, error) {
	return converter{}.value(v, ty, d, nil)
}

// converter is the strict rule, and with loose set the rule of convert(v, type),
// which also turns primitives into each other, maps into objects, and sets and
// lists into each other.
type converter struct {
	loose bool
}

func (c converter) value(v cty.Value, ty cty.Type, d *typeexpr.Defaults, path cty.Path) (cty.Value, error) {
	if v == cty.NilVal || ty == cty.NilType || ty == cty.DynamicPseudoType {
		return v, nil
	}
	plain, marks := v.Unmark()
	out, err := c.unmarked(plain, ty, d, path)
	if err != nil {
		return cty.NilVal, err
	}
	return out.WithMarks(marks), nil
}

func (c converter) unmarked(v cty.Value, ty cty.Type, d *typeexpr.Defaults, path cty.Path) (cty.Value, error) {
	final := ty.WithoutOptionalAttributesDeep()
	switch {
	case v.IsNull():
		return cty.NullVal(final), nil
	case !v.IsKnown():
		return c.unknown(v, ty, path)
	case ty.IsPrimitiveType():
		return c.primitive(v, ty, path)
	case ty.IsListType(), ty.IsSetType():
		return c.sequence(v, ty, d, path)
	case ty.IsMapType():
		return c.mapping(v, ty, d, path)
	case ty.IsTupleType():
		return c.tuple(v, ty, d, path)
	case ty.IsObjectType():
		return c.object(v, ty, d, path)
	case v.Type().Equals(ty):
		return v, nil
	}
	return cty.NilVal, mismatch(v.Type(), ty, path)
}

// unknown decides by types alone. What is known of the value beyond its type is
// kept where the type stays, and that it is not null always.
func (c converter) unknown(v cty.Value, ty cty.Type, path cty.Path) (cty.Value, error) {
	final := ty.WithoutOptionalAttributesDeep()
	if v.Type().Equals(final) {
		return v, nil
	}
	if v.Type() != cty.DynamicPseudoType {
		if err := c.types(v.Type(), ty, path); err != nil {
			return cty.NilVal, err
		}
	}
	out := cty.UnknownVal(final)
	if v.Type() != cty.DynamicPseudoType && v.Range().DefinitelyNotNull() {
		out = out.RefineNotNull()
	}
	return out, nil
}

// types reports whether some value of type from can become one of type to. It
// is asked of unknown values only.
func (c converter) types(from, to cty.Type, path cty.Path) error {
	switch {
	case from == cty.DynamicPseudoType || to == cty.DynamicPseudoType || from.Equals(to.WithoutOptionalAttributesDeep()):
		return nil
	case from.IsPrimitiveType() && to.IsPrimitiveType() && c.loose:
		return nil
	case c.elementwise(from, to):
		return c.types(from.ElementType(), to.ElementType(), path.Index(cty.UnknownVal(indexType(from))))
	case from.IsTupleType() && (to.IsListType() || to.IsSetType()):
		for i, e := range from.TupleElementTypes() {
			if err := c.types(e, to.ElementType(), path.IndexInt(i)); err != nil {
				return err
			}
		}
		return nil
	case from.IsTupleType() && to.IsTupleType() && from.Length() == to.Length():
		for i, e := range from.TupleElementTypes() {
			if err := c.types(e, to.TupleElementType(i), path.IndexInt(i)); err != nil {
				return err
			}
		}
		return nil
	case from.IsObjectType() && to.IsMapType():
		for _, name := range attributeNames(from) {
			if err := c.types(from.AttributeType(name), to.ElementType(), path.GetAttr(name)); err != nil {
				return err
			}
		}
		return nil
	case from.IsObjectType() && to.IsObjectType():
		if err := declared(attributeNames(from), to, path); err != nil {
			return err
		}
		for _, name := range attributeNames(from) {
			if err := c.types(from.AttributeType(name), to.AttributeType(name), path.GetAttr(name)); err != nil {
				return err
			}
		}
		return nil
	case from.IsMapType() && to.IsObjectType() && c.loose:
		return nil
	}
	return mismatch(from, to, path)
}

// elementwise reports whether from and to are collections between which a value
// goes over element by element.
func (c converter) elementwise(from, to cty.Type) bool {
	if from.IsMapType() || to.IsMapType() {
		return from.IsMapType() && to.IsMapType()
	}
	sequences := (from.IsListType() || from.IsSetType()) && (to.IsListType() || to.IsSetType())
	return sequences && (c.loose || from.IsListType() == to.IsListType())
}

func (c converter) primitive(v cty.Value, ty cty.Type, path cty.Path) (cty.Value, error) {
	if v.Type() == ty {
		return v, nil
	}
	if c.loose && v.Type().IsPrimitiveType() {
		if out, err := convertPrimitive(v, ty); err == nil {
			return out, nil
		}
		return cty.NilVal, &TypeError{Path: path, Problem: diag.Value(v, "") + " cannot be converted to " + TypeName(ty)}
	}
	return cty.NilVal, mismatch(v.Type(), ty, path)
}

// convertPrimitive is the explicit conversion, with the bound that keeps a
// number such as 1e999999999 from being written out.
func convertPrimitive(v cty.Value, ty cty.Type) (cty.Value, error) {
	if err := checkSize(v); err != nil {
		return cty.NilVal, err
	}
	return convert.Convert(v, ty)
}

func (c converter) sequence(v cty.Value, ty cty.Type, d *typeexpr.Defaults, path cty.Path) (cty.Value, error) {
	from := v.Type()
	if !from.IsTupleType() && !c.elementwise(from, ty) {
		return cty.NilVal, mismatch(from, ty, path)
	}
	ety := ty.ElementType()
	if err := c.elementTypes(from, ety, path); err != nil {
		return cty.NilVal, err
	}
	elements := make([]cty.Value, 0, v.LengthInt())
	for it, i := v.ElementIterator(), 0; it.Next(); i++ {
		_, e := it.Element()
		out, err := c.value(e, ety, child(d, ""), path.IndexInt(i))
		if err != nil {
			return cty.NilVal, err
		}
		elements = append(elements, out)
	}
	ety = ety.WithoutOptionalAttributesDeep()
	if err := alike(elements, path); err != nil {
		return cty.NilVal, err
	}
	switch {
	case len(elements) == 0 && ty.IsSetType():
		return cty.SetValEmpty(ety), nil
	case len(elements) == 0:
		return cty.ListValEmpty(ety), nil
	case ty.IsSetType():
		return cty.SetVal(elements), nil
	}
	return cty.ListVal(elements), nil
}

// elementTypes checks the element type of a collection, so that it is refused
// while it is empty for the same reason as later with elements.
func (c converter) elementTypes(from, ety cty.Type, path cty.Path) error {
	if !from.IsCollectionType() {
		return nil
	}
	return c.types(from.ElementType(), ety, path.Index(cty.UnknownVal(indexType(from))))
}

func (c converter) mapping(v cty.Value, ty cty.Type, d *typeexpr.Defaults, path cty.Path) (cty.Value, error) {
	from := v.Type()
	if !from.IsObjectType() && !from.IsMapType() {
		return cty.NilVal, mismatch(from, ty, path)
	}
	ety := ty.ElementType()
	if err := c.elementTypes(from, ety, path); err != nil {
		return cty.NilVal, err
	}
	out := map[string]cty.Value{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		e, err := c.value(e, ety, child(d, ""), path.Index(k))
		if err != nil {
			return cty.NilVal, err
		}
		out[k.AsString()] = e
	}
	if len(out) == 0 {
		return cty.MapValEmpty(ety.WithoutOptionalAttributesDeep()), nil
	}
	if err := alike(slices.Collect(maps.Values(out)), path); err != nil {
		return cty.NilVal, err
	}
	return cty.MapVal(out), nil
}

func (c converter) tuple(v cty.Value, ty cty.Type, d *typeexpr.Defaults, path cty.Path) (cty.Value, error) {
	if !v.Type().IsTupleType() {
		return cty.NilVal, mismatch(v.Type(), ty, path)
	}
	if n, want := v.LengthInt(), ty.Length(); n != want {
		return cty.NilVal, &TypeError{Path: path, Problem: "exactly " + strconv.Itoa(want) + " values are needed here, and these are " + strconv.Itoa(n)}
	}
	out := make([]cty.Value, 0, ty.Length())
	for it, i := v.ElementIterator(), 0; it.Next(); i++ {
		_, e := it.Element()
		e, err := c.value(e, ty.TupleElementType(i), child(d, strconv.Itoa(i)), path.IndexInt(i))
		if err != nil {
			return cty.NilVal, err
		}
		out = append(out, e)
	}
	return cty.TupleVal(out), nil
}

func (c converter) object(v cty.Value, ty cty.Type, d *typeexpr.Defaults, path cty.Path) (cty.Value, error) {
	from := v.Type()
	if !from.IsObjectType() && !(c.loose && from.IsMapType()) {
		return cty.NilVal, mismatch(from, ty, path)
	}
	given := map[string]cty.Value{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		given[k.AsString()] = e
	}
	if err := declared(slices.Sorted(maps.Keys(given)), ty, path); err != nil {
		return cty.NilVal, err
	}
	out := map[string]cty.Value{}
	for _, name := range attributeNames(ty) {
		e, ok := given[name]
		if !ok || isNull(e) {
			if def, has := defaultOf(d, name); has {
				e, ok = withMarksOf(def, e, ok), true
			}
		}
		if !ok {
			out[name] = cty.NullVal(ty.AttributeType(name).WithoutOptionalAttributesDeep())
			continue
		}
		e, err := c.value(e, ty.AttributeType(name), child(d, name), path.GetAttr(name))
		if err != nil {
			return cty.NilVal, err
		}
		out[name] = e
	}
	return cty.ObjectVal(out), nil
}

// declared checks the names of an object's attributes against the type.
func declared(given []string, ty cty.Type, path cty.Path) error {
	names := attributeNames(ty)
	for _, name := range given {
		if !ty.HasAttribute(name) {
			return &TypeError{
				Path:    path,
				Problem: "There is no attribute " + quote(name) + " in this type",
				Fix:     trimLeft(didYouMean(name, names)),
			}
		}
	}
	for _, name := range names {
		if !ty.AttributeOptional(name) && !slices.Contains(given, name) {
			return &TypeError{Path: path, Problem: "The attribute " + quote(name) + ", " + TypeName(ty.AttributeType(name)) + ", is missing"}
		}
	}
	return nil
}

// alike guards the constructors of collections, which panic on elements of
// unlike types; that can only happen where the element type is not fixed.
func alike(elements []cty.Value, path cty.Path) error {
	for _, e := range elements {
		if !e.Type().Equals(elements[0].Type()) {
			return &TypeError{Path: path, Problem: "All elements must be of one type"}
		}
	}
	return nil
}

func mismatch(from, to cty.Type, path cty.Path) error {
	e := &TypeError{Path: path, Problem: TypeName(to) + " is needed, and this is " + TypeName(from)}
	switch {
	case to == cty.String && from.IsPrimitiveType():
		e.Fix = "Put it in quotes."
	case to == cty.Bool && from == cty.String:
		e.Fix = "Write true or false, without quotes."
	case to == cty.Number && from == cty.String:
		e.Fix = "Write the number without quotes."
	case isHost(to) && from == cty.String:
		e.Fix = `Write host["NAME"].`
	case (to.IsListType() || to.IsSetType()) && from.IsPrimitiveType():
		e.Fix = "Put it in brackets."
	case to.IsSetType() && from.IsListType(), to.IsListType() && from.IsSetType():
		e.Fix = "Write convert(..., " + TypeText(to) + ")."
	case to.IsObjectType() && from.IsMapType():
		e.Fix = "Write convert(..., " + TypeText(to) + "), or give an object of one shape on both sides of a condition."
	}
	return e
}

func isHost(ty cty.Type) bool { return ty.IsObjectType() && ty.Equals(HostType) }

// PathText is a path into a value as an author would write it after the
// value's name: .member.peer_urls[0].
func PathText(path cty.Path) string {
	text := ""
	for _, s := range path {
		switch s := s.(type) {
		case cty.GetAttrStep:
			text += attributeText(s.Name)
		case cty.IndexStep:
			text += indexText(s.Key)
		}
	}
	return text
}

func attributeText(name string) string {
	if hclsyntax.ValidIdentifier(name) {
		return "." + name
	}
	return "[" + quote(name) + "]"
}

func indexText(key cty.Value) string {
	key, _ = key.Unmark()
	if !key.IsKnown() || key.IsNull() {
		return "[*]"
	}
	return "[" + diag.Value(key, "") + "]"
}

func indexType(collection cty.Type) cty.Type {
	if collection.IsMapType() {
		return cty.String
	}
	return cty.Number
}

func attributeNames(ty cty.Type) []string {
	return slices.Sorted(maps.Keys(ty.AttributeTypes()))
}

func isNull(v cty.Value) bool {
	v, _ = v.Unmark()
	return v.IsNull()
}

func child(d *typeexpr.Defaults, key string) *typeexpr.Defaults {
	if d == nil {
		return nil
	}
	return d.Children[key]
}

func defaultOf(d *typeexpr.Defaults, name string) (cty.Value, bool) {
	if d == nil {
		return cty.NilVal, false
	}
	v, ok := d.DefaultValues[name]
	return v, ok
}

// withMarksOf keeps the marks of a null that a default replaces.
func withMarksOf(def, replaced cty.Value, given bool) cty.Value {
	if !given {
		return def
	}
	return def.WithSameMarks(replaced)
}
