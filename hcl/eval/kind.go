package eval

import (
	"fmt"
	"math/big"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// MaxDuration is the longest length of time that may be written.
const MaxDuration = 30 * 24 * time.Hour

// CheckKind finds what is wrong with a string whose place narrows what it may
// be: by the kind, or by a list of allowed values. The error's text is
// sentences that quote s and say what to write instead; nil means all is well.
func CheckKind(kind engine.Kind, enum []string, s string) error {
	if len(enum) > 0 && !slices.Contains(enum, s) {
		return wrongf("%s is not one of %s.%s", quote(s), strings.Join(enum, ", "), didYouMean(s, enum))
	}
	switch kind {
	case engine.Duration:
		_, err := ParseDuration(s)
		return err
	case engine.Mode:
		return checkMode(s)
	case engine.AbsPath:
		return checkAbsPath(s)
	case engine.URL:
		return checkURL(s)
	case engine.SHA256:
		return checkSHA256(s)
	case engine.UnitName:
		return checkUnitName(s)
	case engine.FileName:
		return checkFileName(s)
	case engine.MemberID:
		return checkMemberID(s)
	}
	return nil
}

// CheckWhole finds what is wrong with a number that has to be whole, and to fit
// 64 bits with a sign. It must be known.
func CheckWhole(v cty.Value) error {
	f := v.AsBigFloat()
	if !f.IsInt() {
		return wrong(diag.Value(v, "") + " is not a whole number.")
	}
	if _, exact := f.Int64(); exact != big.Exact {
		return wrong(diag.Value(v, "") + " is too large a number for this.")
	}
	return nil
}

// ParseDuration is a length of time as the language has it: Go's syntax, above
// zero, and at most MaxDuration.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil && durationForm().MatchString(s):
		return 0, wrongf("%s is longer than 720h, which is the longest allowed.", quote(s))
	case err != nil:
		return 0, wrong(quote(s) + ` is not a length of time. Write for example "30s", "5m" or "1h30m".`)
	case d <= 0:
		return 0, wrong(quote(s) + ` is not above zero. Write for example "30s", "5m" or "1h30m".`)
	case d > MaxDuration:
		return 0, wrong(quote(s) + ` is longer than 720h, which is the longest allowed.`)
	}
	return d, nil
}

func durationForm() *regexp.Regexp {
	return regexp.MustCompile(`^\+?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`)
}

func checkMode(s string) error {
	if len(s) == 4 && strings.Trim(s, "01234567") == "" {
		return nil
	}
	return wrong(quote(s) + ` is not a mode. Write four octal digits, for example "0644".`)
}

func checkAbsPath(s string) error {
	switch {
	case !path.IsAbs(s):
		return wrong(quote(s) + " is not an absolute path. Begin it with a slash.")
	case hasControl(s):
		return wrong(quote(s) + " holds a control character, which no path here may.")
	case strings.TrimRightFunc(s, unicode.IsSpace) != s:
		return wrong(quote(s) + " ends with a space. Take it away.")
	case path.Clean(s) == "/":
		return wrong(quote(s) + " is the root of the file system. Name a directory or a file below it.")
	case path.Clean(s) != s:
		return wrongf("%s is not a clean path. Write %s.", quote(s), quote(path.Clean(s)))
	case len(s) > 4095:
		return wrong("This path is longer than 4095 bytes, more than a system takes.")
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || hasControl(s) || strings.ContainsAny(s, " \t"):
		return wrong(quote(s) + ` is not a URL. Write for example "https://10.240.0.1:2379".`)
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong(quote(s) + ` is not a URL with http or https. Write for example "https://10.240.0.1:2379".`)
	case u.Hostname() == "":
		return wrong(quote(s) + ` names no host. Write for example "https://10.240.0.1:2379".`)
	}
	return checkPort(s, u.Port())
}

func checkPort(given, port string) error {
	if port == "" {
		return nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return wrong(quote(given) + " has no port between 1 and 65535.")
	}
	return nil
}

func checkSHA256(s string) error {
	if len(s) == 64 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == "" {
		if s != strings.ToLower(s) {
			return wrong(quote(s) + " is a SHA-256 sum in capitals. Write it in lower case.")
		}
		return nil
	}
	return wrong(quote(s) + " is not a SHA-256 sum. Write its 64 hex digits.")
}

// unitSuffixes are the kinds of unit systemd has.
func unitSuffixes() []string {
	return []string{".service", ".socket", ".target", ".timer", ".mount", ".automount", ".path", ".slice", ".scope", ".swap", ".device"}
}

func checkUnitName(s string) error {
	suffix := path.Ext(s)
	switch {
	case strings.ContainsRune(s, '/'):
		return wrong(quote(s) + ` is not a unit name, since it holds a slash. Write for example "etcd-member.service".`)
	case !slices.Contains(unitSuffixes(), suffix) && isWord(s):
		return wrongf("%s is not a unit name, since it does not tell its kind. Write for example %s.", quote(s), quote(s+".service"))
	case !slices.Contains(unitSuffixes(), suffix), s == suffix, len(s) > 255, !isWord(s):
		return wrong(quote(s) + ` is not a unit name. Write letters, digits and : - _ . \ @ and the kind, for example "etcd-member.service".`)
	}
	return nil
}

// isWord reports whether s has only the characters of a unit name.
func isWord(s string) bool {
	for _, r := range s {
		if !(r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(`:-_.\@`, r))) {
			return false
		}
	}
	return s != ""
}

func checkFileName(s string) error {
	switch {
	case s == "" || s == "." || s == "..":
		return wrong(quote(s) + " is not a file name.")
	case strings.ContainsRune(s, '/'):
		return wrong(quote(s) + " is a path, and a file name is wanted, without a directory.")
	case hasControl(s) || len(s) > 255 || s[0] == '-' || strings.TrimSpace(s) != s:
		return wrong(quote(s) + " is not a usable file name. Write letters, digits, dots and dashes, and begin with none of the dashes.")
	}
	return nil
}

func checkMemberID(s string) error {
	if s != "" && len(s) <= 16 && strings.Trim(s, "0123456789abcdef") == "" && s[0] != '0' {
		return nil
	}
	return wrong(quote(s) + ` is not a member ID. An ID is lower-case hex without leading zeros, for example "1609b5a3a078c227"; etcd::member_id(...) makes it so.`)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s)
}

// wrong is an error whose text is whole sentences, since it is shown to the
// author of a file as the detail of a diagnostic.
type wrong string

func (w wrong) Error() string { return string(w) }

func wrongf(format string, args ...any) error { return wrong(fmt.Sprintf(format, args...)) }
