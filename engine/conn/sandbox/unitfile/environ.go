package unitfile

import (
	"fmt"
	"strings"
)

// ReadEnvironment reads the content of an EnvironmentFile= as systemd does:
// assignments one a line, with quotes much like a shell's, nothing expanded.
// A line whose name is not one is an error; systemd would ignore it.
func ReadEnvironment(content string) ([]string, error) {
	p := envParser{state: preKey, line: 1}
	for i := 0; i < len(content); i++ {
		if content[i] == '\r' && i+1 < len(content) && content[i+1] == '\n' {
			continue
		}
		if err := p.feed(content[i]); err != nil {
			return nil, err
		}
	}
	return p.end()
}

type envState int

const (
	preKey envState = iota
	inKey
	preValue
	inValue
	valueEscape
	singleQuote
	doubleQuote
	doubleEscape
	inComment
	commentEscape
)

type envParser struct {
	state      envState
	line       int
	key, value strings.Builder
	solid      int // bytes of value that are not blanks at its end
	out        []string
}

func (p *envParser) feed(c byte) error {
	if c == '\n' {
		p.line++
	}
	newline := c == '\n' || c == '\r'
	space := newline || c == ' ' || c == '\t'
	switch p.state {
	case preKey:
		switch {
		case c == '#' || c == ';':
			p.state = inComment
		case !space:
			p.state = inKey
			p.key.WriteByte(c)
		}
	case inKey:
		switch {
		case newline:
			return fmt.Errorf("line %d: %q is not an assignment NAME=value", p.line-1, strings.TrimSpace(p.key.String()))
		case c == '=':
			p.state = preValue
		default:
			p.key.WriteByte(c)
		}
	case preValue, inValue:
		return p.feedValue(c, newline, space)
	case valueEscape:
		p.state = inValue
		if !newline {
			p.put(c, true)
		}
	case singleQuote:
		if c == '\'' {
			p.state = preValue
		} else {
			p.put(c, true)
		}
	case doubleQuote:
		switch c {
		case '"':
			p.state = preValue
		case '\\':
			p.state = doubleEscape
		default:
			p.put(c, true)
		}
	case doubleEscape:
		p.state = doubleQuote
		if !newline {
			if strings.IndexByte("\"\\`$", c) < 0 {
				p.put('\\', true)
			}
			p.put(c, true)
		}
	case inComment:
		if c == '\\' {
			p.state = commentEscape
		} else if newline {
			p.state = preKey
		}
	case commentEscape:
		p.state = inComment
	}
	return nil
}

func (p *envParser) feedValue(c byte, newline, space bool) error {
	switch {
	case newline:
		p.state = preKey
		return p.push()
	case p.state == preValue && c == '\'':
		p.state = singleQuote
	case p.state == preValue && c == '"':
		p.state = doubleQuote
	case c == '\\':
		p.state = valueEscape
	case p.state == preValue && space:
	default:
		p.state = inValue
		p.put(c, !space)
	}
	return nil
}

func (p *envParser) put(c byte, solid bool) {
	p.value.WriteByte(c)
	if solid {
		p.solid = p.value.Len()
	}
}

func (p *envParser) push() error {
	key := strings.TrimSpace(p.key.String())
	if !variable.MatchString(key) {
		return fmt.Errorf("line %d: %q is not the name of a variable", p.line-1, key)
	}
	p.out = append(p.out, key+"="+p.value.String()[:p.solid])
	p.key.Reset()
	p.value.Reset()
	p.solid = 0
	return nil
}

func (p *envParser) end() ([]string, error) {
	p.line++
	switch p.state {
	case preKey, inComment, commentEscape:
		return p.out, nil
	case inKey:
		return nil, fmt.Errorf("line %d: %q is not an assignment NAME=value", p.line-1, strings.TrimSpace(p.key.String()))
	case singleQuote, doubleQuote, doubleEscape:
		return nil, fmt.Errorf("line %d: unbalanced quote", p.line-1)
	}
	err := p.push()
	return p.out, err
}

// Expand replaces the variables in a command's argv as systemd does: a word
// that is nothing but $NAME becomes the words of its value, possibly none;
// ${NAME} anywhere becomes the value as it is; $$ is a dollar sign; anything
// else with a dollar sign stays.
func (c Command) Expand(env []string) ([]string, error) {
	if c.Literal {
		return c.Argv, nil
	}
	values := map[string]string{}
	for _, a := range env {
		name, value, _ := strings.Cut(a, "=")
		values[name] = value
	}
	var out []string
	for _, arg := range c.Argv {
		if len(arg) > 1 && arg[0] == '$' && arg[1] != '{' && arg[1] != '$' {
			split, err := words(values[arg[1:]])
			if err != nil {
				return nil, fmt.Errorf("value of %s: %w", arg, err)
			}
			for _, w := range split {
				out = append(out, w.text)
			}
			continue
		}
		out = append(out, braced(arg, values))
	}
	return out, nil
}

// braced replaces ${NAME} and $$ in s.
func braced(s string, values map[string]string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		switch {
		case strings.HasPrefix(after, "$"):
			b.WriteByte('$')
			after = after[1:]
		case strings.HasPrefix(after, "{") && strings.Contains(after, "}"):
			name, rest, _ := strings.Cut(after[1:], "}")
			b.WriteString(values[name])
			after = rest
		default:
			b.WriteByte('$')
		}
		s = after
	}
}
