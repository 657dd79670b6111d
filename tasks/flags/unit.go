package flags

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

// environment is the variables that the unit gives to what it starts: its own,
// those of its files, which win, without those that it takes away.
func environment(ctx context.Context, r conn.Reader, u conn.Unit) (map[string]string, error) {
	env := map[string]string{}
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

// wrapper is the script that a unit starts in place of etcd; the zero value is
// that it starts etcd itself.
type wrapper struct{ script string }

// longestScript is the size in bytes up to which what a unit starts is taken
// for a script: an etcd is a thousand times larger.
const longestScript = 64 << 10

func wrapped(ctx context.Context, r conn.Reader, program string) (wrapper, error) {
	info, err := r.Stat(ctx, program)
	if err != nil {
		return wrapper{}, err
	}
	if !info.Mode.IsRegular() || info.Size > longestScript {
		return wrapper{}, nil
	}
	content, err := r.ReadFile(ctx, program)
	if err != nil || !strings.HasPrefix(string(content), "#!") {
		return wrapper{}, err
	}
	return wrapper{string(content)}, nil
}

// unsets reports whether the script takes a variable away. Flatcar's does so
// with ETCD_NAME where it is given --name.
func (w wrapper) unsets(name string) bool {
	for line := range strings.Lines(w.script) {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n;&|", r) })
		if i := slices.Index(words, "unset"); i >= 0 && slices.Contains(words[i:], name) {
			return true
		}
	}
	return false
}

// etcd is the program of that name which the script becomes in the end, "" if
// there is none in it.
func (w wrapper) etcd() string {
	found := ""
	for line := range strings.Lines(w.script) {
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
	return found
}

var (
	told   = regexp.MustCompile(`(?m)^etcd Version: (\S+)`)
	tagged = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+)`)
)

// version is that of the etcd which is run, and how it is told. No wrapper is
// ever started: Flatcar's stops the running container first.
func version(ctx context.Context, r conn.Reader, etcd *string, program string, w wrapper, env map[string]string) (version, source string, err error) {
	ask := program
	switch {
	case etcd != nil:
		ask = *etcd
	case w.script == "":
	case tagged.MatchString(env["ETCD_IMAGE_TAG"]):
		return tagged.FindStringSubmatch(env["ETCD_IMAGE_TAG"])[1], "ETCD_IMAGE_TAG", nil
	case w.etcd() != "":
		ask = w.etcd()
	default:
		return "", program + " does not tell which etcd it runs", nil
	}
	result, err := r.Query(ctx, conn.Command{Argv: []string{ask, "--version"}})
	if err != nil {
		return "", "", err
	}
	found := told.FindSubmatch(result.Stdout)
	if found == nil {
		return "", ask + " does not tell its version", nil
	}
	return string(found[1]), ask, nil
}
