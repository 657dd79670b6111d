package eval

import (
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func stringFunctions() []Function {
	return []Function{
		{
			Name: "chomp", Group: "strings", Signature: "chomp(text string) string",
			Doc:     "The text without the line breaks at its end.",
			Example: `chomp("a\n")`, Yields: `"a"`, Impl: bounded(stdlib.ChompFunc, nil),
		},
		{
			Name: "format", Group: "strings", Signature: "format(form string, values...) string",
			Doc:     "The form with its verbs replaced by the values: %s text, %d a whole number, %f a number, %t a bool, %q text in quotes, %v anything. %% is a percent sign. A width or a precision is at most 1000.",
			Example: `format("%s has %03d keys", "node4", 7)`, Yields: `"node4 has 007 keys"`, Impl: bounded(stdlib.FormatFunc, known(checkFormat)),
		},
		{
			Name: "formatlist", Group: "strings", Signature: "formatlist(form string, values...) list(string)",
			Doc:     "As format, once for each element of the lists among the values.",
			Example: `formatlist("https://%s:2379", ["a", "b"])`, Yields: `["https://a:2379", "https://b:2379"]`, Impl: bounded(stdlib.FormatListFunc, known(checkFormat)),
		},
		{
			Name: "indent", Group: "strings", Signature: "indent(spaces number, text string) string",
			Doc:     "The text with so many spaces before each of its lines but the first.",
			Example: `indent(2, "a\nb")`, Yields: `"a\n  b"`, Impl: bounded(stdlib.IndentFunc, known(checkIndent)),
		},
		{
			Name: "join", Group: "strings", Signature: "join(separator string, lists list(string)...) string",
			Doc:     "The elements of the lists, one after the other, with the separator between them.",
			Example: `join(",", ["a", "b"])`, Yields: `"a,b"`, Impl: bounded(stdlib.JoinFunc, known(checkJoin)),
		},
		{
			Name: "lower", Group: "strings", Signature: "lower(text string) string",
			Doc:     "The text in lower case.",
			Example: `lower("Node4")`, Yields: `"node4"`, Impl: bounded(stdlib.LowerFunc, nil),
		},
		{
			Name: "upper", Group: "strings", Signature: "upper(text string) string",
			Doc:     "The text in capitals.",
			Example: `upper("node4")`, Yields: `"NODE4"`, Impl: bounded(stdlib.UpperFunc, nil),
		},
		{
			Name: "regex", Group: "strings", Signature: "regex(pattern string, text string) string, list or object",
			Doc:     "The first match of the pattern (RE2 syntax); with groups, a list of them, and with named groups an object. No match is an error; test with can.",
			Example: `regex("[0-9]+", "demo-etcd-12")`, Yields: `"12"`, Impl: bounded(stdlib.RegexFunc, nil),
		},
		{
			Name: "regexall", Group: "strings", Signature: "regexall(pattern string, text string) list",
			Doc:     "All matches of the pattern, each as regex would yield it. No match is an empty list.",
			Example: `regexall("[0-9]+", "1 and 2")`, Yields: `["1", "2"]`, Impl: bounded(stdlib.RegexAllFunc, nil),
		},
		{
			Name: "replace", Group: "strings", Signature: "replace(text string, old string, new string) string",
			Doc:     "The text with every old replaced by new; old is plain text, not a pattern.",
			Example: `replace("http://a:2380", "http://", "https://")`, Yields: `"https://a:2380"`, Impl: bounded(stdlib.ReplaceFunc, known(checkReplace)),
		},
		{
			Name: "split", Group: "strings", Signature: "split(separator string, text string) list(string)",
			Doc:     "The parts of the text between the separators.",
			Example: `split(",", "a,b")`, Yields: `["a", "b"]`, Impl: bounded(stdlib.SplitFunc, nil),
		},
		{
			Name: "substr", Group: "strings", Signature: "substr(text string, offset number, length number) string",
			Doc:     "So many characters of the text from the offset on, which counts from 0, and from the end if it is negative. A length of -1 is all the rest.",
			Example: `substr("demo-etcd-1", 0, 4)`, Yields: `"demo"`, Impl: bounded(stdlib.SubstrFunc, nil),
		},
		{
			Name: "trimspace", Group: "strings", Signature: "trimspace(text string) string",
			Doc:     "The text without white space at its ends.",
			Example: `trimspace("  a ")`, Yields: `"a"`, Impl: bounded(stdlib.TrimSpaceFunc, nil),
		},
		{
			Name: "trimprefix", Group: "strings", Signature: "trimprefix(text string, prefix string) string",
			Doc:     "The text without the prefix, if it begins with it.",
			Example: `trimprefix("demo-1", "demo-")`, Yields: `"1"`, Impl: bounded(stdlib.TrimPrefixFunc, nil),
		},
		{
			Name: "trimsuffix", Group: "strings", Signature: "trimsuffix(text string, suffix string) string",
			Doc:     "The text without the suffix, if it ends with it.",
			Example: `trimsuffix("etcd.service", ".service")`, Yields: `"etcd"`, Impl: bounded(stdlib.TrimSuffixFunc, nil),
		},
		{
			Name: "startswith", Group: "strings", Signature: "startswith(text string, prefix string) bool",
			Doc:     "Whether the text begins with the prefix.",
			Example: `startswith("https://a", "https:")`, Yields: `true`, Impl: bounded(startsWith(), nil),
		},
		{
			Name: "endswith", Group: "strings", Signature: "endswith(text string, suffix string) bool",
			Doc:     "Whether the text ends with the suffix.",
			Example: `endswith("etcd.service", ".service")`, Yields: `true`, Impl: bounded(endsWith(), nil),
		},
		{
			Name: "shellquote", Group: "strings", Signature: "shellquote(word string) string",
			Doc:     "The word in single quotes, so that a POSIX shell takes it as one word, whatever is in it.",
			Example: `shellquote("it's")`, Yields: `"'it'\\''s'"`, Impl: bounded(shellQuote(), nil),
		},
	}
}

// startsWith can decide as soon as what is known of the text's beginning is as
// long as the prefix.
func startsWith() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "text", Type: cty.String, AllowUnknown: true},
			param("prefix", cty.String),
		},
		Type:         function.StaticReturnType(cty.Bool),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			prefix := args[1].AsString()
			if args[0].IsKnown() {
				return cty.BoolVal(strings.HasPrefix(args[0].AsString(), prefix)), nil
			}
			known := args[0].Range().StringPrefix()
			switch {
			case strings.HasPrefix(known, prefix) && args[0].Range().DefinitelyNotNull():
				return cty.True, nil
			case !strings.HasPrefix(prefix, known) && args[0].Range().DefinitelyNotNull():
				return cty.False, nil
			}
			return cty.UnknownVal(cty.Bool), nil
		},
	})
}

func endsWith() function.Function {
	return pure(cty.Bool, func(args []cty.Value) (cty.Value, error) {
		return cty.BoolVal(strings.HasSuffix(args[0].AsString(), args[1].AsString())), nil
	}, param("text", cty.String), param("suffix", cty.String))
}

// shellQuote leaves nothing for the shell to read but a single quote, which it
// closes, escapes and opens again. A NUL cannot be in a word at all.
func shellQuote() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		s := args[0].AsString()
		if strings.ContainsRune(s, 0) {
			return cty.NilVal, function.NewArgErrorf(0, "a NUL character cannot be in a word of a shell")
		}
		return cty.StringVal("'" + strings.ReplaceAll(s, "'", `'\''`) + "'"), nil
	}, param("word", cty.String))
}

// checkFormat refuses widths and precisions that would only fill memory.
func checkFormat(args []cty.Value) error {
	if args[0].IsNull() {
		return nil
	}
	form := args[0].AsString()
	for i := 0; i < len(form); i++ {
		if form[i] != '%' {
			continue
		}
		n, digits := 0, false
		for i++; i < len(form) && strings.IndexByte("0123456789.-+# []", form[i]) >= 0; i++ {
			if form[i] < '0' || form[i] > '9' {
				n, digits = 0, false
				continue
			}
			n, digits = min(n*10+int(form[i]-'0'), MaxWidth+1), true
			if digits && n > MaxWidth {
				return function.NewArgErrorf(0, "a width or a precision is at most %d", MaxWidth)
			}
		}
	}
	return nil
}

func checkIndent(args []cty.Value) error {
	if args[0].IsNull() || args[1].IsNull() {
		return nil
	}
	spaces, _ := args[0].AsBigFloat().Int64()
	if spaces < 0 || spaces > MaxWidth {
		return function.NewArgErrorf(0, "the number of spaces is between 0 and %d", MaxWidth)
	}
	if text := args[1].AsString(); len(text)+int(spaces)*strings.Count(text, "\n") > MaxString {
		return tooLong()
	}
	return nil
}

func checkJoin(args []cty.Value) error {
	total := 0
	for i, a := range args {
		if a.IsNull() || i == 0 {
			continue
		}
		total += a.LengthInt()
	}
	if args[0].IsNull() || total == 0 {
		return nil
	}
	if len(args[0].AsString()) > MaxString/total {
		return tooLong()
	}
	return nil
}

func checkReplace(args []cty.Value) error {
	for _, a := range args {
		if a.IsNull() {
			return nil
		}
	}
	count := strings.Count(args[0].AsString(), args[1].AsString())
	if count > 0 && len(args[2].AsString()) > MaxString/count {
		return tooLong()
	}
	return nil
}
