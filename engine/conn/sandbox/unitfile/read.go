package unitfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
)

// maxFile bounds one unit file, in bytes; systemd's own bound is 1 MiB a line.
const maxFile = 1 << 20

// setting is one assignment of a unit file, its continued lines joined.
type setting struct {
	section, name, value string
	line                 int // of its name, from 1
}

// read splits a unit file into its assignments, in their order.
func read(f File) ([]setting, error) {
	fail := func(line int, err error) error { return &Error{Path: f.Path, Line: line, Err: err} }
	if len(f.Content) > maxFile {
		return nil, fail(0, fmt.Errorf("larger than %d bytes", maxFile))
	}
	if strings.ContainsRune(f.Content, 0) {
		return nil, fail(0, errors.New("holds a NUL"))
	}
	// The library takes \r\n for part of the value in some places.
	content := strings.ReplaceAll(f.Content, "\r\n", "\n")
	options, err := unit.DeserializeOptions(strings.NewReader(content))
	if err != nil {
		return nil, fail(0, err)
	}
	lines := lineFinder{lines: strings.Split(content, "\n")}
	settings := make([]setting, 0, len(options))
	for _, o := range options {
		line := lines.find(o.Name, strings.Count(o.Value, "\n"))
		value, err := join(o.Value)
		if err != nil {
			return nil, &Error{Path: f.Path, Line: line, Directive: o.Name, Err: err}
		}
		settings = append(settings, setting{section: o.Section, name: o.Name, value: value, line: line})
	}
	return settings, nil
}

// lineFinder finds again the line of each assignment, which the library does
// not tell, by looking for the names in their order.
type lineFinder struct {
	lines []string
	next  int
}

func (l *lineFinder) find(name string, continued int) int {
	for i := l.next; i < len(l.lines); i++ {
		key, _, ok := strings.Cut(l.lines[i], "=")
		if ok && strings.TrimSpace(key) == name {
			l.next = i + 1 + continued
			return i + 1
		}
	}
	return 0
}

// join makes one line of a continued one, as systemd does: the backslash and
// the line end become a space, comments in between vanish.
func join(value string) (string, error) {
	if !strings.Contains(value, "\\\n") {
		return value, nil
	}
	var parts []string
	rows := strings.Split(value, "\n")
	for i, row := range rows {
		trimmed := strings.TrimSpace(row)
		if i > 0 && (strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";")) {
			if !strings.HasSuffix(row, "\\") {
				return "", errors.New("a comment inside a continued line must itself be continued here")
			}
			continue
		}
		if i < len(rows)-1 {
			if !strings.HasSuffix(row, "\\") || strings.HasSuffix(row, "\\\\") {
				return "", errors.New(`a line ends in an escaped backslash, which is not supported`)
			}
			row = row[:len(row)-1]
		}
		parts = append(parts, row)
	}
	return strings.TrimSpace(strings.Join(parts, " ")), nil
}
