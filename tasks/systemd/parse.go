package systemd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/etcdplay/etcdplay/engine/world"
)

// parse reads the content of a drop-in. systemd skips what it does not
// understand with no more than a line in its log; a drop-in of ours has to be
// understood whole.
func parse(content string) ([]*unit.UnitOption, error) {
	if !utf8.ValidString(content) {
		return nil, errors.New("the content is not UTF-8 text")
	}
	for n, line := range strings.Split(content, "\n") {
		if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
			return nil, fmt.Errorf("line %d of the content has the control character %q, which systemd reads in its own way", n+1, line[i])
		}
	}
	if err := headed(content); err != nil {
		return nil, err
	}
	sections, err := unit.DeserializeSections(strings.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("the content is no unit file: %w", err)
	}
	var options []*unit.UnitOption
	for _, s := range sections {
		if strings.TrimSpace(s.Section) == "" || strings.ContainsAny(s.Section, "\n[") {
			return nil, fmt.Errorf("the content has a section called %q", s.Section)
		}
		for _, e := range s.Entries {
			if e.Name == "" {
				return nil, fmt.Errorf("a line of section [%s] has nothing before its =", s.Section)
			}
			options = append(options, unit.NewUnitOption(s.Section, e.Name, e.Value))
		}
	}
	return options, nil
}

// headed checks that the first line that says anything opens a section:
// systemd ignores what stands before the first one.
func headed(content string) error {
	for n, line := range strings.Split(content, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line[0] == '#', line[0] == ';':
			continue
		case line[0] == '[':
			return nil
		}
		return fmt.Errorf("line %d of the content stands outside any section; begin with one, such as [Service]", n+1)
	}
	return errors.New("the content has no section; begin with one, such as [Service]")
}

// split makes words of a value as systemd does: parted by white space, grouped
// by quotes, with backslash escapes, lines joined by a trailing backslash.
func split(value string) ([]string, error) {
	value = strings.ReplaceAll(value, "\\\n", " ")
	var words []string
	var word []byte
	var quote byte
	in := false // a word has begun, though it may be empty yet
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\':
			s, n, err := unescape(value[i+1:])
			if err != nil {
				return nil, err
			}
			word, in = append(word, s...), true
			i += n
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			if in {
				words = append(words, string(word))
			}
			word, in = nil, false
		default:
			word, in = append(word, c), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is never closed", quote)
	}
	if in {
		words = append(words, string(word))
	}
	return words, nil
}

// unescape reads what follows a backslash, and says how many bytes it took.
func unescape(rest string) (string, int, error) {
	if rest == "" {
		return "", 0, errors.New("a value ends in a backslash")
	}
	if s, ok := map[byte]string{
		'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
		'\\': "\\", '"': "\"", '\'': "'", 's': " ",
	}[rest[0]]; ok {
		return s, 1, nil
	}
	from, digits, base := 1, 0, 16
	switch rest[0] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case '0', '1', '2', '3':
		from, digits, base = 0, 3, 8
	}
	if digits == 0 || len(rest) < from+digits {
		return "", 0, fmt.Errorf("\\%c is no escape that systemd knows", rest[0])
	}
	n, err := strconv.ParseUint(rest[from:from+digits], base, 32)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("\\%s is no escape that systemd knows", rest[:from+digits])
	}
	if digits >= 4 {
		return string(rune(n)), from + digits, nil
	}
	return string([]byte{byte(n)}), from + digits, nil
}

// commands is what a list of options makes of ExecStart=: the argv of each
// command, after the last reset. reset says whether there was one.
func commands(options []*unit.UnitOption) (argvs [][]string, reset bool, err error) {
	for _, o := range options {
		if o.Section != "Service" || o.Name != "ExecStart" {
			continue
		}
		words, err := split(o.Value)
		if err != nil {
			return nil, reset, fmt.Errorf("in ExecStart=: %w", err)
		}
		if len(words) == 0 {
			argvs, reset = nil, true
			continue
		}
		argvs = append(argvs, words)
	}
	return argvs, reset, nil
}

// environment is what a list of options makes of Environment=.
func environment(options []*unit.UnitOption) (map[string]string, error) {
	env := map[string]string{}
	for _, o := range options {
		if o.Section != "Service" || o.Name != "Environment" {
			continue
		}
		words, err := split(o.Value)
		if err != nil {
			return nil, fmt.Errorf("in Environment=: %w", err)
		}
		if len(words) == 0 {
			clear(env)
		}
		for _, w := range words {
			name, value, ok := strings.Cut(w, "=")
			if !ok || name == "" {
				return nil, fmt.Errorf("in Environment=, %q is not NAME=value; systemd would ignore it", w)
			}
			env[name] = value
		}
	}
	return env, nil
}

// member is how a drop-in configures a member of a cluster, as far as it does.
type member struct {
	name, initialCluster, state string
}

// memberIn finds the flags of an etcd in a drop-in's commands, or in the
// variables that stand for them; flags win.
func memberIn(options []*unit.UnitOption) (m member) {
	if env, err := environment(options); err == nil {
		m = member{env["ETCD_NAME"], env["ETCD_INITIAL_CLUSTER"], env["ETCD_INITIAL_CLUSTER_STATE"]}
	}
	argvs, _, err := commands(options)
	if err != nil {
		return m
	}
	for _, argv := range argvs {
		for i, word := range argv {
			flag, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
			if !strings.HasPrefix(word, "-") {
				continue
			}
			if !ok && i+1 < len(argv) {
				value = argv[i+1]
			}
			switch flag {
			case "name":
				m.name = literal(value)
			case "initial-cluster":
				m.initialCluster = literal(value)
			case "initial-cluster-state":
				m.state = literal(value)
			}
		}
	}
	return m
}

// literal undoes the doubling that keeps % and $ from being expanded.
func literal(s string) string {
	return strings.NewReplacer("%%", "%", "$$", "$").Replace(s)
}

// ownName is the part of Q16 that needs no member list: the initial cluster has
// the member's own name.
func (m member) ownName() world.Check {
	q := world.Check{ID: "Q16", Text: "the initial cluster has the member's own name " + m.name}
	given, err := world.ParseInitialCluster(m.initialCluster)
	switch {
	case err != nil:
		q.Text = err.Error()
	case m.name != "" && given[m.name] == nil:
		q.Text = "the initial cluster does not have the member's own name " + m.name
	default:
		q.Holds = true
		return q
	}
	q.Help = "render the drop-in from the results of etcd_member_add, or from the inventory"
	return q
}
