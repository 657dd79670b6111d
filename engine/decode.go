package engine

import (
	"fmt"
	"math/big"
	"reflect"

	"github.com/zclconf/go-cty/cty"
)

// decodeInto fills the struct from an object of its type, and returns the names
// of the attributes that are not wholly known; their fields stay zero, as do
// those of nulls. The object's types have been checked by whoever made it: one
// that does not fit is a mistake of ours, and panics.
func decodeInto(obj cty.Value, into reflect.Value) map[string]bool {
	unknown := map[string]bool{}
	obj, _ = obj.UnmarkDeep()
	err := fields(into.Type(), func(sf reflect.StructField, tag fieldTag) error {
		if obj == cty.NilVal || !obj.Type().IsObjectType() || !obj.Type().HasAttribute(tag.name) {
			return nil
		}
		if !obj.IsKnown() {
			unknown[tag.name] = true
			return nil
		}
		if obj.IsNull() {
			return nil
		}
		v := obj.GetAttr(tag.name)
		if !v.IsWhollyKnown() {
			unknown[tag.name] = true
			return nil
		}
		return decodeValue(v, into.FieldByIndex(sf.Index))
	})
	if err != nil {
		panic("engine: " + err.Error())
	}
	return unknown
}

func decodeValue(v cty.Value, into reflect.Value) error {
	if into.Type() == ctyValue {
		into.Set(reflect.ValueOf(v))
		return nil
	}
	if v.IsNull() {
		into.SetZero()
		return nil
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		return decodeValue(v, into.Elem())
	}
	t := v.Type()
	switch into.Kind() {
	case reflect.String:
		if t != cty.String {
			return fmt.Errorf("%s where a string belongs", t.FriendlyName())
		}
		into.SetString(v.AsString())
	case reflect.Bool:
		if t != cty.Bool {
			return fmt.Errorf("%s where a bool belongs", t.FriendlyName())
		}
		into.SetBool(v.True())
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		if t != cty.Number {
			return fmt.Errorf("%s where a number belongs", t.FriendlyName())
		}
		return decodeNumber(v.AsBigFloat(), into)
	case reflect.Slice:
		return decodeSlice(v, into)
	case reflect.Map:
		return decodeMap(v, into)
	case reflect.Struct:
		if unknown := decodeInto(v, into); len(unknown) > 0 {
			return fmt.Errorf("unknown values within %s", t.FriendlyName())
		}
	default:
		return fmt.Errorf("field of type %s", into.Type())
	}
	return nil
}

func decodeNumber(f *big.Float, into reflect.Value) error {
	switch into.Kind() {
	case reflect.Float64:
		n, _ := f.Float64()
		into.SetFloat(n)
	case reflect.Uint64:
		n, acc := f.Uint64()
		if acc != big.Exact {
			return fmt.Errorf("%s is not a whole number from 0 to 2^64-1", f.Text('f', -1))
		}
		into.SetUint(n)
	default:
		n, acc := f.Int64()
		if acc != big.Exact {
			return fmt.Errorf("%s is not a whole number of 64 bits", f.Text('f', -1))
		}
		into.SetInt(n)
	}
	return nil
}

func decodeSlice(v cty.Value, into reflect.Value) error {
	if !v.CanIterateElements() {
		return fmt.Errorf("%s where a list belongs", v.Type().FriendlyName())
	}
	into.Set(reflect.MakeSlice(into.Type(), 0, v.LengthInt()))
	for _, e := range v.AsValueSlice() {
		elem := reflect.New(into.Type().Elem()).Elem()
		if err := decodeValue(e, elem); err != nil {
			return err
		}
		into.Set(reflect.Append(into, elem))
	}
	return nil
}

func decodeMap(v cty.Value, into reflect.Value) error {
	if !v.CanIterateElements() {
		return fmt.Errorf("%s where a map belongs", v.Type().FriendlyName())
	}
	into.Set(reflect.MakeMap(into.Type()))
	for k, e := range v.AsValueMap() {
		elem := reflect.New(into.Type().Elem()).Elem()
		if err := decodeValue(e, elem); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(k).Convert(into.Type().Key()), elem)
	}
	return nil
}

// encodeFields puts the struct's fields into attrs, by the names of their tags.
func encodeFields(from reflect.Value, attrs map[string]cty.Value) {
	err := fields(from.Type(), func(sf reflect.StructField, tag fieldTag) error {
		attrs[tag.name] = encodeValue(from.FieldByIndex(sf.Index))
		return nil
	})
	if err != nil {
		panic("engine: " + err.Error())
	}
}

// encodeValue is the inverse of decodeValue. A nil slice or map becomes an
// empty one, a nil pointer null.
func encodeValue(from reflect.Value) cty.Value {
	if from.Type() == ctyValue {
		return from.Interface().(cty.Value)
	}
	t, err := typeOf(from.Type())
	if err != nil {
		panic("engine: " + err.Error())
	}
	switch from.Kind() {
	case reflect.Pointer:
		if from.IsNil() {
			return cty.NullVal(t)
		}
		return encodeValue(from.Elem())
	case reflect.String:
		return cty.StringVal(from.String())
	case reflect.Bool:
		return cty.BoolVal(from.Bool())
	case reflect.Int, reflect.Int64:
		return cty.NumberIntVal(from.Int())
	case reflect.Uint64:
		return cty.NumberUIntVal(from.Uint())
	case reflect.Float64:
		return cty.NumberFloatVal(from.Float())
	case reflect.Slice:
		if from.Len() == 0 {
			return cty.ListValEmpty(t.ElementType())
		}
		var elems []cty.Value
		for i := range from.Len() {
			elems = append(elems, encodeValue(from.Index(i)))
		}
		return cty.ListVal(elems)
	case reflect.Map:
		if from.Len() == 0 {
			return cty.MapValEmpty(t.ElementType())
		}
		elems := map[string]cty.Value{}
		for _, k := range from.MapKeys() {
			elems[k.String()] = encodeValue(from.MapIndex(k))
		}
		return cty.MapVal(elems)
	default:
		attrs := map[string]cty.Value{}
		encodeFields(from, attrs)
		return cty.ObjectVal(attrs)
	}
}
