package eval

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

func systemdFunctions() []Function {
	return []Function{
		{
			Name: "systemd::quote", Group: "systemd::", Signature: "systemd::quote(word string) string",
			Doc:     `The word in double quotes, as one word of a command line such as ExecStart=: \, ", % and $ in it stand for themselves. Control characters are an error.`,
			Example: `systemd::quote("50% of $HOME")`, Yields: `"\"50%% of $$HOME\""`, Impl: bounded(systemdQuote(), nil),
		},
		{
			Name: "systemd::env_quote", Group: "systemd::", Signature: "systemd::env_quote(value string) string",
			Doc:     "The value in double quotes, as a value in a file of variables (EnvironmentFile=), where a shell reads it too: \\, \", $ and ` in it stand for themselves. Control characters are an error.",
			Example: `systemd::env_quote("50% of $HOME")`, Yields: `"\"50% of \\$HOME\""`, Impl: bounded(envQuote(), nil),
		},
		{
			Name: "systemd::escape", Group: "systemd::", Signature: "systemd::escape(text string) string",
			Doc:     "The text as a part of a unit's name, as systemd-escape writes it.",
			Example: `systemd::escape("var/lib-etcd")`, Yields: `"var-lib\\x2detcd"`, Impl: bounded(systemdEscape(), nil),
		},
		{
			Name: "systemd::dropin_path", Group: "systemd::", Signature: "systemd::dropin_path(unit string, name string, runtime bool) string",
			Doc:     "Where the drop-in of this name lies; with runtime in /run, where it does not outlive a reboot.",
			Example: `systemd::dropin_path("etcd.service", "20-x.conf", false)`, Yields: `"/etc/systemd/system/etcd.service.d/20-x.conf"`, Impl: bounded(dropinPath(), nil),
		},
	}
}

func systemdQuote() function.Function {
	replacer := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`)
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		s := args[0].AsString()
		if hasControl(s) {
			return cty.NilVal, function.NewArgErrorf(0, "%s holds a control character, which no word of a unit file may", quote(s))
		}
		return cty.StringVal(`"` + replacer.Replace(s) + `"`), nil
	}, param("word", cty.String))
}

// envQuote escapes what systemd and a shell let escape between double quotes;
// systemd expands nothing in such a file.
func envQuote() function.Function {
	replacer := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		s := args[0].AsString()
		if hasControl(s) {
			return cty.NilVal, function.NewArgErrorf(0, "%s holds a control character, which no value here may", quote(s))
		}
		return cty.StringVal(`"` + replacer.Replace(s) + `"`), nil
	}, param("value", cty.String))
}

// systemdEscape is unit_name_escape of systemd: a slash is a dash, and all but
// letters, digits, colon, underscore and dot is written as \xNN, byte by byte.
func systemdEscape() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		s := args[0].AsString()
		if s == "" {
			return cty.NilVal, function.NewArgErrorf(0, "an empty text cannot be a part of a unit's name")
		}
		var b strings.Builder
		for i := range len(s) {
			switch c := s[i]; {
			case c == '/':
				b.WriteByte('-')
			case c == '.' && i == 0, !plainInUnit(c):
				fmt.Fprintf(&b, `\x%02x`, c)
			default:
				b.WriteByte(c)
			}
		}
		return cty.StringVal(b.String()), nil
	}, param("text", cty.String))
}

func plainInUnit(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ':' || c == '_' || c == '.'
}

func dropinPath() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		unit, name := args[0].AsString(), args[1].AsString()
		if err := checkUnitName(unit); err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		if err := checkFileName(name); err != nil {
			return cty.NilVal, function.NewArgError(1, err)
		}
		root := "/etc"
		if args[2].True() {
			root = "/run"
		}
		return cty.StringVal(root + "/systemd/system/" + unit + ".d/" + name), nil
	}, param("unit", cty.String), param("name", cty.String), param("runtime", cty.Bool))
}
