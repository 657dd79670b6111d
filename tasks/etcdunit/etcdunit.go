// Package etcdunit reads a unit that runs etcd: the command line and the variables
// that etcd is started with, and which release it will be. It asks the host, and
// starts nothing but an etcd for its version. It must not know what is right or
// wrong with what it finds.
package etcdunit

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Start is what a unit gives to the etcd that it starts.
type Start struct {
	Argv   []string          // with its variables put in; the first is the program
	Env    map[string]string // of the process
	script string            // that stands in place of etcd; "" if the unit starts a program
}

// Read is the start of a unit, which has to be loaded. It is empty for one that
// starts nothing.
func Read(ctx context.Context, r conn.Reader, u conn.Unit) (s Start, err error) {
	if len(u.ExecStart) == 0 || len(u.ExecStart[len(u.ExecStart)-1]) == 0 {
		return s, nil
	}
	if s.Env, err = Environment(ctx, r, u); err != nil {
		return s, err
	}
	s.Argv = expand(u.ExecStart[len(u.ExecStart)-1], s.Env)
	s.Argv[0] = strings.TrimLeft(s.Argv[0], "@-:+!|")
	s.script, err = script(ctx, r, s.Argv[0])
	return s, err
}

// Environment is the variables that a unit gives to what it starts: its own,
// those of its files, which win, without those that it takes away. A masked unit
// starts nothing, and gives none.
func Environment(ctx context.Context, r conn.Reader, u conn.Unit) (map[string]string, error) {
	env := map[string]string{}
	if u.LoadState == "masked" {
		return env, nil // its file is a link to /dev/null
	}
	for _, e := range u.Environment {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	for _, f := range u.EnvironmentFiles {
		content, err := r.ReadFile(ctx, strings.TrimPrefix(f, "-"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a unit whose file has to be there says so itself when it is started
		}
		if err != nil {
			return nil, err
		}
		for name, value := range variables(string(content)) {
			env[name] = value
		}
	}
	for _, f := range append([]string{u.FragmentPath}, u.DropInPaths...) {
		if f == "" {
			continue
		}
		content, err := r.ReadFile(ctx, f)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since systemd read it
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(content)) {
			if names, ok := strings.CutPrefix(strings.TrimSpace(line), "UnsetEnvironment="); ok {
				for _, name := range strings.Fields(names) {
					delete(env, strings.Trim(name, `"'`))
				}
			}
		}
	}
	return env, nil
}

// variables reads the assignments of a file of variables: with quotes as a
// shell has them, nothing expanded.
func variables(content string) map[string]string {
	vars := map[string]string{}
	for line := range strings.Lines(strings.ReplaceAll(content, "\\\n", "")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || name == "" || strings.ContainsAny(name, " \t#;\"'") {
			continue
		}
		var b strings.Builder
		quote := byte(0)
		for i := 0; i < len(value); i++ {
			switch c := value[i]; {
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			case c == '\\' && quote != '\'' && i+1 < len(value) && (quote == 0 || strings.IndexByte("\"\\`$", value[i+1]) >= 0):
				i++
				b.WriteByte(value[i])
			default:
				b.WriteByte(c)
			}
		}
		vars[name] = b.String()
	}
	return vars
}

var inBraces = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts variables into the words of a command as systemd does: $NAME
// alone is parted into words, ${NAME} stays in its word, $$ is a dollar sign.
func expand(argv []string, env map[string]string) []string {
	var out []string
	for i, w := range argv {
		if name, ok := strings.CutPrefix(w, "$"); ok && i > 0 && name != "" && !strings.ContainsAny(name, "${}") {
			out = append(out, strings.Fields(env[name])...)
			continue
		}
		parts := strings.Split(w, "$$")
		for j, p := range parts {
			parts[j] = inBraces.ReplaceAllStringFunc(p, func(v string) string { return env[v[2:len(v)-1]] })
		}
		out = append(out, strings.Join(parts, "$"))
	}
	return out
}

// longestScript is the size in bytes up to which what a unit starts is taken
// for a script: an etcd is a thousand times larger.
const longestScript = 64 << 10

// script is the text of a wrapper; "" for a program.
func script(ctx context.Context, r conn.Reader, program string) (string, error) {
	info, err := r.Stat(ctx, program)
	if err != nil {
		return "", err
	}
	if !info.Mode.IsRegular() || info.Size > longestScript {
		return "", nil
	}
	content, err := r.ReadFile(ctx, program)
	if err != nil || !strings.HasPrefix(string(content), "#!") {
		return "", err
	}
	return string(content), nil
}

// Unsets reports whether a wrapper takes a variable away. Flatcar's does so
// with ETCD_NAME where it is given --name.
func (s Start) Unsets(name string) bool {
	for line := range strings.Lines(s.script) {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n;&|", r) })
		if i := slices.Index(words, "unset"); i >= 0 && slices.Contains(words[i:], name) {
			return true
		}
	}
	return false
}

// etcd is the program to ask for its version: the one called etcd that a wrapper
// becomes in the end, or what the unit starts, if that is called etcd itself, be it
// a script that stands in place of it. "" if there is none.
func (s Start) etcd() string {
	found := ""
	for line := range strings.Lines(s.script) {
		words := strings.Fields(strings.TrimSpace(line))
		if len(words) == 0 || words[0] != "exec" {
			continue
		}
		for _, word := range words[1:] {
			if word = strings.Trim(word, `'"`); path.IsAbs(word) && path.Base(word) == "etcd" {
				found = word
			}
		}
	}
	if found == "" && path.Base(s.Argv[0]) == "etcd" {
		return s.Argv[0]
	}
	return found
}

var (
	told   = regexp.MustCompile(`(?m)^etcd Version: (\d+\.\d+\.\d+\S*)`)
	tagged = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)`)
)

// Version is that of the etcd which will run, and how it is told; or no version,
// and why not. named, unless nil, is the program to ask. No wrapper is ever
// started: Flatcar's stops the running container first.
func (s Start) Version(ctx context.Context, r conn.Reader, named *string) (version, source string, err error) {
	ask := ""
	switch tag := tagged.FindStringSubmatch(s.Env["ETCD_IMAGE_TAG"]); {
	case named != nil:
		ask = *named
	case len(s.Argv) == 0:
		return "", "the unit starts nothing", nil
	case tag != nil && (s.script != "" || s.etcd() == ""):
		return tag[1], "ETCD_IMAGE_TAG", nil
	case s.etcd() == "":
		return "", s.Argv[0] + " does not tell which etcd it runs", nil
	default:
		ask = s.etcd()
	}
	result, err := r.Query(ctx, conn.Command{Argv: []string{ask, "--version"}})
	if err != nil {
		return "", "", err
	}
	found := told.FindSubmatch(result.Stdout)
	if found == nil || result.ExitCode != 0 {
		return "", ask + " --version tells no version of etcd", nil
	}
	return string(found[1]), ask, nil
}
