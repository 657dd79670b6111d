package diag

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/mitchellh/go-wordwrap"
	"github.com/rivo/uniseg"

	"github.com/etcdplay/etcdplay/engine"
)

// Options is how findings are written.
type Options struct {
	Color bool
	Width int // columns; 0 means 76
}

// Write writes findings for people to read: severity and summary, the place,
// the line with carets under what is meant, what to write instead, and the
// values of a failed condition. sources holds the files by the names that the
// ranges use; a finding in a file that is not there is written without its line.
func Write(w io.Writer, ds engine.Diagnostics, sources map[string][]byte, o Options) error {
	if o.Width == 0 {
		o.Width = 76
	}
	var b bytes.Buffer
	for i, d := range ds {
		if i > 0 {
			b.WriteString("\n")
		}
		write(&b, d, sources, o)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func write(b *bytes.Buffer, d engine.Diagnostic, sources map[string][]byte, o Options) {
	title, mark := "Error", "\x1b[31m"
	if d.Severity == engine.Warning {
		title, mark = "Warning", "\x1b[33m"
	}
	paint := func(code, s string) string {
		if !o.Color {
			return s
		}
		return code + s + "\x1b[0m"
	}
	fmt.Fprintf(b, "%s %s\n", paint(mark+"\x1b[1m", title+":"), paint("\x1b[1m", Clean(d.Summary)))
	if d.Subject != nil {
		in := ""
		if d.In != "" {
			in = ", in " + Clean(d.In)
		}
		fmt.Fprintf(b, "\n  on %s line %d%s:\n", Clean(d.Subject.File), d.Subject.Start.Line, in)
		if s, ok := snippet(*d.Subject, sources[d.Subject.File]); ok {
			number := fmt.Sprintf("%4d", d.Subject.Start.Line)
			fmt.Fprintf(b, "%s | %s\n", number, s.text)
			carets := strings.Repeat("^", s.carets)
			fmt.Fprintf(b, "%s | %s%s\n", strings.Repeat(" ", len(number)), strings.Repeat(" ", s.indent), paint(mark, carets))
		}
	}
	if d.Detail != "" {
		for _, paragraph := range strings.Split(d.Detail, "\n\n") {
			b.WriteString("\n")
			for _, line := range strings.Split(paragraph, "\n") {
				for _, l := range strings.Split(wordwrap.WrapString(Clean(line), uint(max(o.Width-2, 20))), "\n") {
					fmt.Fprintf(b, "  %s\n", strings.TrimRight(l, " "))
				}
			}
		}
	}
	if len(d.Values) > 0 {
		b.WriteString("\n")
		for _, v := range d.Values {
			fmt.Fprintf(b, "    %s = %s\n", Clean(v.Name), Clean(Value(v.Value, "(not known yet)")))
		}
	}
	if len(d.Notes) > 0 {
		b.WriteString("\n")
		for _, n := range d.Notes {
			fmt.Fprintf(b, "    %s\n", Clean(n))
		}
	}
}

// shown is one source line, made fit for a terminal.
type shown struct {
	text           string
	indent, carets int // columns of the terminal
	line           string
	start, end     int // bytes of the subject in line
}

const tab = "    "

// snippet finds the line that r begins on. Where r goes on over further lines,
// the carets end with the first.
func snippet(r engine.Range, src []byte) (shown, bool) {
	if src == nil || r.Start.Byte < 0 || r.Start.Byte > len(src) || r.End.Byte < r.Start.Byte {
		return shown{}, false
	}
	first := bytes.LastIndexByte(src[:r.Start.Byte], '\n') + 1
	last := len(src)
	if i := bytes.IndexByte(src[r.Start.Byte:], '\n'); i >= 0 {
		last = r.Start.Byte + i
	}
	line := string(src[first:last])
	start := min(max(r.Start.Byte-first, 0), len(line))
	end := min(max(r.End.Byte-first, start), len(line))
	s := shown{line: line, start: start, end: end}
	before, within := visible(line[:start]), visible(line[start:end])
	s.text = strings.TrimRight(before+within+visible(line[end:]), " ")
	s.indent = uniseg.StringWidth(before)
	s.carets = max(uniseg.StringWidth(strings.TrimRight(within, " ")), 1)
	return clip(s), true
}

// clip shortens a line so long that nobody could read it, around the subject.
func clip(s shown) shown {
	const most, lead = 1000, 60
	if len(s.text) <= most {
		return s
	}
	runes := []rune(s.text)
	from := max(min(s.indent-lead, len(runes)), 0)
	to := min(from+most/4, len(runes))
	head, tail := "", ""
	if from > 0 {
		head = "…"
	}
	if to < len(runes) {
		tail = "…"
	}
	s.text = head + string(runes[from:to]) + tail
	s.indent = s.indent - from + len([]rune(head))
	s.carets = min(s.carets, max(to-from-(s.indent-len([]rune(head))), 1))
	return s
}

func visible(s string) string { return Clean(strings.ReplaceAll(s, "\t", tab)) }

// Clean replaces the characters that would drive the reader's terminal or turn
// the direction of its text by ones that are seen.
func Clean(s string) string {
	bad := func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' || unicode.Is(unicode.Bidi_Control, r) || r == '\ufeff' || r == '\u2028' || r == '\u2029'
	}
	if !strings.ContainsFunc(s, bad) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case !bad(r):
			return r
		case r < 0x20:
			return '\u2400' + r
		case r == 0x7f:
			return '\u2421'
		default:
			return unicode.ReplacementChar
		}
	}, s)
}
