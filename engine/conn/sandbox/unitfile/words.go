package unitfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const blank = " \t\n\r"

// word is one word of a line.
type word struct {
	text string
	bare string // the text as written, while it holds no quote and no escape
}

// words splits a line as systemd does for ExecStart= and Environment=: at
// blanks, with both kinds of quotes anywhere in a word and C-style escapes
// undone. An unknown escape is an error; systemd would keep it and warn.
func words(line string) ([]word, error) {
	var out []word
	for {
		line = strings.TrimLeft(line, blank)
		if line == "" {
			return out, nil
		}
		w, rest, err := nextWord(line)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
		line = rest
	}
}

func nextWord(line string) (word, string, error) {
	var b strings.Builder
	quote := byte(0)
	plain := true
	i := 0
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, plain = c, false
		case quote == 0 && strings.IndexByte(blank, c) >= 0:
			return word{b.String(), bare(plain, line[:i])}, line[i:], nil
		case c == '\\':
			plain = false
			if quote == 0 && strings.HasPrefix(line[i:], `\;`) && b.Len() == 0 && wordEnds(line[i+2:]) {
				b.WriteByte(';')
				i++
				continue
			}
			n, err := unescape(&b, line[i+1:])
			if err != nil {
				return word{}, "", err
			}
			i += n
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return word{}, "", fmt.Errorf("unbalanced quote %c", quote)
	}
	return word{b.String(), bare(plain, line)}, "", nil
}

func bare(plain bool, text string) string {
	if plain {
		return text
	}
	return ""
}

func wordEnds(rest string) bool { return rest == "" || strings.IndexByte(blank, rest[0]) >= 0 }

var escapes = map[byte]byte{
	'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
	'\\': '\\', '"': '"', '\'': '\'', 's': ' ',
}

// unescape writes what the escape that begins s (its backslash already read)
// means, and returns how many bytes of s it took.
func unescape(b *strings.Builder, s string) (int, error) {
	if s == "" {
		return 0, errors.New(`"\" at the end of the line`)
	}
	if c, ok := escapes[s[0]]; ok {
		b.WriteByte(c)
		return 1, nil
	}
	digits, base, skip := 0, 16, 1
	switch s[0] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case '0', '1', '2', '3', '4', '5', '6', '7':
		digits, base, skip = 3, 8, 0
	default:
		r, _ := utf8.DecodeRuneInString(s)
		return 0, fmt.Errorf(`unknown escape "\%c"`, r)
	}
	if len(s) < skip+digits {
		return 0, fmt.Errorf(`incomplete escape "\%s"`, s)
	}
	n, err := strconv.ParseUint(s[skip:skip+digits], base, 32)
	if err != nil {
		return 0, fmt.Errorf(`bad escape "\%s"`, s[:skip+digits])
	}
	switch {
	case n == 0:
		return 0, errors.New("an escape for NUL is not allowed")
	case s[0] == 'u' || s[0] == 'U':
		if !utf8.ValidRune(rune(n)) {
			return 0, fmt.Errorf(`"\%s" is not a character`, s[:skip+digits])
		}
		b.WriteRune(rune(n))
	case n > 255:
		return 0, fmt.Errorf(`"\%s" is more than a byte`, s[:skip+digits])
	default:
		b.WriteByte(byte(n))
	}
	return skip + digits, nil
}
