package eval

import (
	"fmt"
	"math"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Bounds on what an expression may make, so that a few lines cannot fill the
// memory of the machine that runs them.
const (
	MaxString   = 1 << 20 // bytes of a string that a function returns
	MaxValue    = 4 << 20 // size of a value, as Size counts it
	MaxWidth    = 1000    // of a field or a precision in a format
	MaxExponent = 1100    // of two, in a number that is written out: beyond any float64
)

// Size is roughly how many bytes v takes: those of its strings, eight for each
// element, and eight for each part of the type of what is null, unknown or empty,
// since a type that grows is work as well. Counting stops once the size is above
// MaxValue.
func Size(v cty.Value) int {
	n := 0
	addSize(v, &n)
	return n
}

func addSize(v cty.Value, n *int) {
	*n += 8
	if v == cty.NilVal || *n > MaxValue {
		return
	}
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() {
		addTypeSize(v.Type(), n)
		return
	}
	if v.Type() == cty.String {
		*n += len(v.AsString())
		return
	}
	if !v.CanIterateElements() {
		return
	}
	if v.Type().IsCollectionType() {
		addTypeSize(v.Type().ElementType(), n)
	}
	mapping := v.Type().IsMapType()
	for it := v.ElementIterator(); it.Next() && *n <= MaxValue; {
		k, e := it.Element()
		if mapping {
			*n += len(k.AsString())
		}
		addSize(e, n)
	}
}

func addTypeSize(ty cty.Type, n *int) {
	*n += 8
	switch {
	case *n > MaxValue:
	case ty.IsCollectionType():
		addTypeSize(ty.ElementType(), n)
	case ty.IsTupleType():
		for _, e := range ty.TupleElementTypes() {
			addTypeSize(e, n)
		}
	case ty.IsObjectType():
		for name, a := range ty.AttributeTypes() {
			*n += len(name)
			addTypeSize(a, n)
		}
	}
}

// checkSize says what is wrong with a value that is too large, or that holds a
// number too large to be written out.
func checkSize(v cty.Value) error {
	if Size(v) > MaxValue {
		return fmt.Errorf("this value is larger than %d MiB, more than a playbook may hold", MaxValue>>20)
	}
	return checkNumbers(v)
}

// decimal is the power of ten that is near a power of two.
func decimal(exp int) int { return int(float64(exp) * math.Log10(2)) }

func checkNumbers(v cty.Value) error {
	if v == cty.NilVal {
		return nil
	}
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() {
		return nil
	}
	if v.Type() == cty.Number {
		f := v.AsBigFloat()
		if f.IsInf() {
			return fmt.Errorf("this divides by zero, or is larger than any number")
		}
		if exp := f.MantExp(nil); exp > MaxExponent || exp < -MaxExponent {
			// To write its first digits takes all of them.
			return fmt.Errorf("the number is about 10^%d, and those of a playbook are between 10^-%d and 10^%d", decimal(exp), decimal(MaxExponent), decimal(MaxExponent))
		}
		return nil
	}
	if !v.CanIterateElements() {
		return nil
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if err := checkNumbers(e); err != nil {
			return err
		}
	}
	return nil
}

// bounded is f, refusing arguments and results that are too large. precheck,
// which may be nil, is called with the arguments without their marks.
func bounded(f function.Function, precheck func(args []cty.Value) error) function.Function {
	spec := &function.Spec{
		Description: f.Description(),
		Type:        f.ReturnTypeForValues,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			plain := make([]cty.Value, len(args))
			for i, a := range args {
				plain[i], _ = a.UnmarkDeep()
				if err := checkSize(plain[i]); err != nil {
					return cty.NilVal, function.NewArgError(i, err)
				}
			}
			if precheck != nil {
				if err := precheck(plain); err != nil {
					return cty.NilVal, err
				}
			}
			out, err := f.Call(args)
			if err != nil {
				return cty.NilVal, err
			}
			return out, checkResult(out)
		},
	}
	for _, p := range f.Params() {
		spec.Params = append(spec.Params, open(p))
	}
	if p := f.VarParam(); p != nil {
		v := open(*p)
		spec.VarParam = &v
	}
	return function.New(spec)
}

// known is a check that is left out while any argument is not wholly known.
func known(check func(args []cty.Value) error) func(args []cty.Value) error {
	return func(args []cty.Value) error {
		for _, a := range args {
			if !a.IsWhollyKnown() {
				return nil
			}
		}
		return check(args)
	}
}

// open is a parameter that takes everything: what may be null, unknown or
// marked is left to the function behind it.
func open(p function.Parameter) function.Parameter {
	p.AllowNull, p.AllowUnknown, p.AllowDynamicType, p.AllowMarked = true, true, true, true
	return p
}

func checkResult(v cty.Value) error {
	plain, _ := v.Unmark()
	if plain.IsKnown() && !plain.IsNull() && plain.Type() == cty.String && len(plain.AsString()) > MaxString {
		return tooLong()
	}
	return checkSize(v)
}

func tooLong() error {
	return fmt.Errorf("the result would be longer than %d MiB, more than a playbook may hold", MaxString>>20)
}
