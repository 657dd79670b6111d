package clct

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// scalar is one value of a config before its type is known.
type scalar struct {
	text  string
	plain bool   // written without quotes: it may be a number, a bool or null
	tag   string // "!!str", "" if none is written
}

var (
	floats = map[Flavour]*regexp.Regexp{
		CoreOS:  regexp.MustCompile(`^[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?$`),
		Flatcar: regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`),
	}
	trueWords  = []string{"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
	falseWords = []string{"n", "N", "no", "No", "NO", "off", "Off", "OFF"}
)

// null reports whether the value is as good as not given. CoreOS's transpiler
// takes some spellings of null for an empty value instead.
func (s scalar) null(f Flavour) (null, zero bool) {
	if !s.plain || s.tag == "!!str" {
		return false, false
	}
	switch s.text {
	case "", "null":
		return true, false
	case "~", "Null", "NULL":
		return f == Flatcar, f == CoreOS
	}
	return false, false
}

// resolve is the value that a plain scalar is by itself: string, int64, uint64,
// float64 or bool, with its tag.
func (s scalar) resolve(f Flavour) (any, string) {
	if !s.plain || s.tag == "!!str" || s.text == "" {
		return s.text, "!!str"
	}
	in := s.text
	switch {
	case slices.Contains([]string{"true", "True", "TRUE"}, in), f == CoreOS && slices.Contains(trueWords, in):
		return true, "!!bool"
	case slices.Contains([]string{"false", "False", "FALSE"}, in), f == CoreOS && slices.Contains(falseWords, in):
		return false, "!!bool"
	case slices.Contains([]string{".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"}, in):
		return math.Inf(1), "!!float"
	case slices.Contains([]string{"-.inf", "-.Inf", "-.INF"}, in):
		return math.Inf(-1), "!!float"
	case slices.Contains([]string{".nan", ".NaN", ".NAN"}, in):
		return math.NaN(), "!!float"
	case in[0] == '.':
		if v, err := strconv.ParseFloat(in, 64); err == nil {
			return v, "!!float"
		}
	case strings.IndexByte("+-0123456789", in[0]) >= 0:
		return s.number(f)
	}
	return in, "!!str"
}

func (s scalar) number(f Flavour) (any, string) {
	plain := strings.ReplaceAll(s.text, "_", "")
	if v, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return v, "!!int"
	}
	if v, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return v, "!!int"
	}
	if floats[f].MatchString(plain) {
		if v, err := strconv.ParseFloat(plain, 64); err == nil {
			return v, "!!float"
		}
	}
	return s.text, "!!str"
}

// as is the value as one of the kind: string, int64 or bool. The error is that
// of the transpilers.
func (s scalar) as(k kind, f Flavour) (any, error) {
	if _, zero := s.null(f); zero {
		return map[kind]any{text: "", whole: int64(0), truth: false}[k], nil
	}
	v, tag := s.resolve(f)
	switch k {
	case text:
		return s.text, nil
	case whole:
		switch n := v.(type) {
		case int64:
			return n, nil
		case float64:
			// As the transpilers have it: what is behind the point is cut off.
			if n <= math.MaxInt64 {
				return int64(n), nil
			}
		}
	case truth:
		switch b := v.(type) {
		case bool:
			return b, nil
		case string:
			if f == Flatcar && slices.Contains(trueWords, b) {
				return true, nil
			}
			if f == Flatcar && slices.Contains(falseWords, b) {
				return false, nil
			}
		}
	}
	shown := s.text
	if len(shown) > 10 {
		shown = shown[:7] + "..."
	}
	if s.tag != "" {
		tag = s.tag
	}
	return nil, fmt.Errorf("cannot unmarshal %s `%s` into %s", tag, shown, k.goType())
}
