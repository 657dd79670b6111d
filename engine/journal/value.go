package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Value is a value as a journal keeps it: exactly, numbers of any size and empty
// lists included. What is sensitive is null, and Sensitive says where.
type Value struct {
	Type      json.RawMessage `json:"type"`
	Value     json.RawMessage `json:"value"`
	Sensitive []string        `json:"sensitive,omitempty"` // `.token`, `.list[0]`, `.map["k"]`
}

// Encode writes v down. Marked parts are left out. A value that is not wholly
// known is a mistake of whoever recorded it, and an error.
func Encode(v cty.Value) (Value, error) {
	plain, marks := v.UnmarkDeepWithPaths()
	if !plain.IsWhollyKnown() {
		return Value{}, fmt.Errorf("a value that is not known cannot be recorded")
	}
	var out Value
	var err error
	if len(marks) > 0 {
		plain, err = cty.Transform(plain, func(p cty.Path, e cty.Value) (cty.Value, error) {
			for _, m := range marks {
				if p.Equals(m.Path) {
					out.Sensitive = append(out.Sensitive, pathText(p))
					return cty.NullVal(e.Type()), nil
				}
			}
			return e, nil
		})
		if err != nil {
			return Value{}, err
		}
		slices.Sort(out.Sensitive) // objects are walked in no fixed order
	}
	if out.Type, err = ctyjson.MarshalType(plain.Type()); err != nil {
		return Value{}, err
	}
	out.Value, err = ctyjson.Marshal(plain, plain.Type())
	return out, err
}

// Decode reads v back; sensitive parts are null.
func (v Value) Decode() (cty.Value, error) {
	t, err := ctyjson.UnmarshalType(v.Type)
	if err != nil {
		return cty.NilVal, err
	}
	return ctyjson.Unmarshal(v.Value, t)
}

func pathText(p cty.Path) string {
	var b strings.Builder
	for _, s := range p {
		switch s := s.(type) {
		case cty.GetAttrStep:
			b.WriteString("." + s.Name)
		case cty.IndexStep:
			if s.Key.Type() == cty.String {
				b.WriteString("[" + strconv.Quote(s.Key.AsString()) + "]")
			} else {
				b.WriteString("[" + s.Key.AsBigFloat().Text('f', 0) + "]")
			}
		}
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}
