package clct

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
	"github.com/rivo/uniseg"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// source is the text of a config, with its lines.
type source struct {
	file  string
	text  string // without a byte order mark
	raw   []byte
	skip  int   // bytes of the mark
	lines []int // where each line begins in text
}

func newSource(file string, src []byte) *source {
	s := &source{file: file, raw: src, text: strings.TrimPrefix(string(src), "\ufeff")}
	s.skip = len(src) - len(s.text)
	s.lines = []int{0}
	for i := range len(s.text) {
		if s.text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// How deeply brackets may be nested, and how many signs that begin lists, tags
// and anchors a line may have: the parser calls itself for each.
const (
	maxNesting    = 100
	maxIndicators = 1000
)

// unfit says why the text is not even given to the parser.
func (s *source) unfit() *engine.Diagnostic {
	if len(s.raw) > MaxSize {
		d := diag.Bare(diag.FileTooBig, "File too big", "The config has %d bytes, and no cloud takes one of more than %d. Put large files elsewhere.", len(s.raw), MaxSize)
		return &d
	}
	if i := invalid(s.text); i >= 0 {
		d := diag.Bare(diag.FileEncoding, "Not UTF-8 text", "The byte at offset %d is not part of any character. Save the file as UTF-8.", i+s.skip)
		return &d
	}
	depth, run := 0, 0
	for i := range len(s.text) {
		switch c := s.text[i]; c {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		case '-', '?', '&', '!', '*':
			run++
		case '\n':
			run = 0
		}
		if depth > maxNesting || run > maxIndicators {
			d := diag.Bare(diag.FileNesting, "Nested too deeply", "Brackets and lists are nested at most %d deep.", maxNesting)
			at := s.span(i, i+1)
			d.Subject = &at
			return &d
		}
	}
	return nil
}

// invalid is the offset of the first byte that YAML text cannot have, or -1.
func invalid(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return i
			}
		}
		if r == 0 {
			return i
		}
	}
	return -1
}

// span is the range between two offsets in text.
func (s *source) span(from, to int) engine.Range {
	return engine.Range{File: s.file, Start: s.pos(from), End: s.pos(max(from, to))}
}

func (s *source) pos(offset int) engine.Pos {
	offset = min(max(offset, 0), len(s.text))
	line := 0
	for line+1 < len(s.lines) && s.lines[line+1] <= offset {
		line++
	}
	column := uniseg.GraphemeClusterCount(s.text[s.lines[line]:offset]) + 1
	at := offset + s.skip
	return engine.Pos{Line: line + 1, Column: column, Byte: at}
}

// offset is that of the token's first byte. The parser counts characters.
func (s *source) offset(t *token.Token) int {
	if t.Position == nil {
		return 0
	}
	line := min(max(t.Position.Line-1, 0), len(s.lines)-1)
	rest := s.text[s.lines[line]:]
	for range max(t.Position.Column-1, 0) {
		_, n := utf8.DecodeRuneInString(rest)
		if n == 0 || rest[0] == '\n' {
			break
		}
		rest = rest[n:]
	}
	return len(s.text) - len(rest)
}

func (s *source) token(t *token.Token) engine.Range {
	from := s.offset(t)
	if strings.HasPrefix(s.text[from:], t.Value) && t.Value != "" && !strings.Contains(t.Value, "\n") {
		return s.span(from, from+len(t.Value))
	}
	end := strings.IndexByte(s.text[from:], '\n')
	if end < 0 {
		end = len(s.text) - from
	}
	rest := s.text[from : from+end]
	if quote := strings.IndexAny(rest, `"'`); quote == 0 {
		if i := strings.IndexByte(rest[1:], rest[0]); i >= 0 {
			return s.span(from, from+i+2)
		}
	}
	return s.span(from, from+max(len(strings.TrimRight(rest, " \t\r")), 1))
}

// node is where a node begins, to the end of its first word or line.
func (s *source) node(n ast.Node) engine.Range {
	switch x := n.(type) {
	case nil:
		return s.span(0, 0)
	case *ast.MappingNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			return s.node(x.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return s.node(x.Key)
	case *ast.SequenceNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			return s.node(x.Values[0])
		}
	}
	t := n.GetToken()
	if t == nil {
		return s.span(0, 0)
	}
	return s.token(t)
}
