package engine

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// mark is the type of the marks this package sets on values.
type mark string

// Sensitive marks what a type declares sensitive. To the engine any mark on a
// value means that it is sensitive.
const Sensitive = mark("sensitive")

// ctyValue fields take any value as it is; only types with a Role have them.
var ctyValue = reflect.TypeFor[cty.Value]()

// fieldTag is the tags of one struct field, read.
type fieldTag struct {
	name  string
	flags []string
}

// fields calls f for every field of the struct, those of embedded structs
// included, in their written order.
func fields(t reflect.Type, f func(reflect.StructField, fieldTag) error) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%s is not a struct", t)
	}
	seen := map[string]bool{}
	for _, sf := range reflect.VisibleFields(t) {
		tag, tagged := sf.Tag.Lookup("play")
		if sf.Anonymous && !tagged {
			continue
		}
		parts := strings.Split(tag, ",")
		switch {
		case !sf.IsExported():
			return fmt.Errorf("field %s is not exported", sf.Name)
		case parts[0] == "":
			return fmt.Errorf("field %s has no play tag", sf.Name)
		case seen[parts[0]]:
			return fmt.Errorf("name %q stands twice", parts[0])
		}
		seen[parts[0]] = true
		if err := f(sf, fieldTag{name: parts[0], flags: parts[1:]}); err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
	}
	return nil
}

func argsOf(t reflect.Type) ([]Arg, error) {
	var args []Arg
	err := fields(t, func(sf reflect.StructField, tag fieldTag) error {
		ct, err := typeOf(sf.Type)
		if err != nil {
			return err
		}
		a := Arg{
			Name: tag.name, Type: ct, Whole: whole(sf.Type), Doc: sf.Tag.Get("doc"), Default: sf.Tag.Get("default"),
			Deprecated: sf.Tag.Get("deprecated"), Enum: strings.Fields(sf.Tag.Get("enum")),
		}
		for _, flag := range tag.flags {
			switch flag {
			case "required":
				a.Required = true
			case "nosecret":
				a.NoSecret = true
			case string(Duration), string(Mode), string(AbsPath), string(URL), string(SHA256),
				string(UnitName), string(FileName), string(MemberID):
				if a.Kind != AnyString {
					return fmt.Errorf("two kinds, %s and %s", a.Kind, flag)
				}
				a.Kind = Kind(flag)
			default:
				return fmt.Errorf("unknown flag %q in its play tag", flag)
			}
		}
		if len(a.Enum) == 0 {
			a.Enum = nil
		}
		stringly := ct == cty.String || ct == cty.List(cty.String)
		if (a.Kind != AnyString || a.Enum != nil) && !stringly {
			return fmt.Errorf("a kind or an enum is for strings, not for %s", ct.FriendlyName())
		}
		args = append(args, a)
		return nil
	})
	return args, err
}

// whole reports whether a field of this type takes whole numbers.
func whole(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return whole(t.Elem())
	}
	return false
}

func resultsOf(t reflect.Type) ([]Result, error) {
	var results []Result
	err := fields(t, func(sf reflect.StructField, tag fieldTag) error {
		ct, err := typeOf(sf.Type)
		if err != nil {
			return err
		}
		r := Result{Name: tag.name, Type: ct, Doc: sf.Tag.Get("doc"), nullable: sf.Type.Kind() == reflect.Pointer}
		for _, flag := range tag.flags {
			if flag != "sensitive" {
				return fmt.Errorf("unknown flag %q in its play tag", flag)
			}
			r.Sensitive = true
		}
		results = append(results, r)
		return nil
	})
	return results, err
}

// typeOf is the cty type that a field of this Go type takes or yields.
func typeOf(t reflect.Type) (cty.Type, error) {
	if t == ctyValue {
		return cty.DynamicPseudoType, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.String:
		return cty.String, nil
	case reflect.Bool:
		return cty.Bool, nil
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return cty.Number, nil
	case reflect.Slice:
		elem, err := typeOf(t.Elem())
		if err != nil {
			return cty.NilType, err
		}
		return cty.List(elem), nil
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return cty.NilType, fmt.Errorf("map keys of type %s", t.Key())
		}
		elem, err := typeOf(t.Elem())
		if err != nil {
			return cty.NilType, err
		}
		return cty.Map(elem), nil
	case reflect.Struct:
		attrs := map[string]cty.Type{}
		err := fields(t, func(sf reflect.StructField, tag fieldTag) error {
			at, err := typeOf(sf.Type)
			attrs[tag.name] = at
			return err
		})
		return cty.Object(attrs), err
	}
	return cty.NilType, fmt.Errorf("type %s is not supported", t)
}

// unknownOf is a result that only the run can tell.
func unknownOf(r Result) cty.Value {
	v := cty.UnknownVal(r.Type)
	if r.nullable {
		return v
	}
	return v.RefineNotNull()
}
