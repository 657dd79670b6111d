package eval

import (
	"slices"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// Sensitive is the mark of values that must not be shown; the engine's own.
const Sensitive = engine.Sensitive

// IsSensitive reports whether v or any part of it is sensitive.
func IsSensitive(v cty.Value) bool {
	return v != cty.NilVal && v.HasMarkDeep(Sensitive)
}

// MarkSensitive marks v as a whole.
func MarkSensitive(v cty.Value) cty.Value { return v.Mark(Sensitive) }

// Reveal takes every mark off v, for where the value itself is needed.
func Reveal(v cty.Value) cty.Value {
	if v == cty.NilVal {
		return v
	}
	v, _ = v.UnmarkDeep()
	return v
}

// minSecret is the length, in bytes, from which a sensitive string is told from
// ordinary text; scrubbing shorter ones would spoil the output and hide nothing.
const minSecret = 4

// Secrets lists the known sensitive strings in v, keys of maps included, each
// once and in no particular order; it is what a scrubber has to take out of
// every text. Strings of fewer than four bytes are left out.
func Secrets(v cty.Value) []string {
	var found []string
	collectSecrets(v, false, &found)
	slices.Sort(found)
	return slices.Compact(found)
}

func collectSecrets(v cty.Value, inside bool, found *[]string) {
	if v == cty.NilVal {
		return
	}
	inside = inside || v.HasMark(Sensitive)
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() {
		return
	}
	switch ty := v.Type(); {
	case ty == cty.String:
		if s := v.AsString(); inside && len(s) >= minSecret {
			*found = append(*found, s)
		}
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			if inside && ty.IsMapType() {
				collectSecrets(k, true, found)
			}
			collectSecrets(e, inside, found)
		}
	}
}
