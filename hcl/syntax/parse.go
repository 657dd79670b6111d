// Package syntax turns the text of a playbook into a tree of what its author
// wrote, every part with its place. It knows which blocks and arguments there
// are, and nothing about task types, values or what names refer to.
package syntax

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// File is one parsed file of any kind.
type File struct {
	Name   string
	Source []byte // as parsed: without byte order mark, lines ended by \n
	Body   *hclsyntax.Body
	Digest string // "sha256:…" over the tokens without comments and line breaks

	split []hcl.Range // the "${" and "%{" whose sequences go over a line break
}

// Parse reads the text of a playbook, an inventory or a file of values. It
// never lets a text bring the process down, however it is nested. File is nil
// if there is a finding.
func Parse(filename string, src []byte) (*File, engine.Diagnostics) {
	if strings.HasSuffix(filename, ".json") {
		return nil, engine.Diagnostics{diag.Bare(diag.FileJSON, "JSON is not supported",
			"%s: etcdplay reads HCL's native syntax only, since JSON cannot keep the order of unlike blocks. Write the file in HCL, named .hcl.", filename)}
	}
	src, ds := text(filename, src)
	if ds != nil {
		return nil, ds
	}
	// The findings of the lexer come again from the parser.
	tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos)
	if ds := checkNesting(tokens); ds != nil {
		return nil, ds
	}
	file, found := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if found.HasErrors() {
		return nil, syntaxFindings(src, file, found)
	}
	return &File{Name: filename, Source: src, Body: file.Body.(*hclsyntax.Body), Digest: digest(tokens), split: split(tokens)}, nil
}

// split finds the template sequences that go over a line break, by where they
// begin; of those in another one, only that one.
func split(tokens hclsyntax.Tokens) []hcl.Range {
	var found, open []hcl.Range
	for _, t := range tokens {
		switch {
		case t.Type == hclsyntax.TokenTemplateInterp || t.Type == hclsyntax.TokenTemplateControl:
			open = append(open, t.Range)
		case len(open) == 0:
		case t.Type == hclsyntax.TokenTemplateSeqEnd:
			open = open[:len(open)-1]
		case bytes.IndexByte(t.Bytes, '\n') >= 0 && !slices.Contains(found, open[0]):
			found = append(found, open[0])
		}
	}
	return found
}

// ParseExpression reads one expression, as it is given on a command line.
func ParseExpression(filename string, src []byte) (hclsyntax.Expression, engine.Diagnostics) {
	src, ds := text(filename, src)
	if ds != nil {
		return nil, ds
	}
	tokens, _ := hclsyntax.LexExpression(src, filename, hcl.InitialPos)
	if ds := checkNesting(tokens); ds != nil {
		return nil, ds
	}
	expr, found := hclsyntax.ParseExpression(src, filename, hcl.InitialPos)
	if found.HasErrors() {
		return nil, syntaxFindings(src, nil, found)
	}
	return expr, nil
}

// ParseTemplate reads the text of a template file.
func ParseTemplate(filename string, src []byte) (hclsyntax.Expression, engine.Diagnostics) {
	src, ds := text(filename, src)
	if ds != nil {
		return nil, ds
	}
	tokens, _ := hclsyntax.LexTemplate(src, filename, hcl.InitialPos)
	if ds := checkNesting(tokens); ds != nil {
		return nil, ds
	}
	expr, found := hclsyntax.ParseTemplate(src, filename, hcl.InitialPos)
	if found.HasErrors() {
		return nil, syntaxFindings(src, nil, found)
	}
	return expr, nil
}

// syntaxFindings takes over what the parser says, with better advice where a
// mistake is well known. file, which may be nil, tells the block around it.
func syntaxFindings(src []byte, file *hcl.File, found hcl.Diagnostics) engine.Diagnostics {
	ds := diag.FromHCL(diag.Syntax, diag.Place{}, found)
	for i, d := range ds {
		if d.Subject == nil {
			continue
		}
		if file != nil {
			if body, ok := file.Body.(*hclsyntax.Body); ok {
				ds[i].In = around(body, d.Subject.Start.Byte)
			}
		}
		if d.Summary == "Attribute redefined" {
			name := string(src[d.Subject.Start.Byte:d.Subject.End.Byte])
			ds[i].Summary = "Argument given twice"
			ds[i].Detail = "The argument " + name + " stands here already. Keep one of the two."
		}
		advise(&ds[i], src)
		op := map[string]string{"and": "&&", "or": "||", "not": "!", "=": "==", "in": "contains(LIST, VALUE)", "is": "==", "if": "CONDITION ? VALUE : OTHER"}
		word := string(src[d.Subject.Start.Byte:d.Subject.End.Byte])
		if before, at := wordBefore(src, d.Subject.Start.Byte); before == "not" {
			word = before
			ds[i].Subject.Start.Column -= d.Subject.Start.Byte - at
			ds[i].Subject.Start.Byte = at
			ds[i].Subject.End = ds[i].Subject.Start
			ds[i].Subject.End.Column += len(word)
			ds[i].Subject.End.Byte += len(word)
		}
		if write, ok := op[word]; ok && (d.Summary == "Missing newline after argument" || strings.HasPrefix(d.Summary, "Invalid expression") || strings.HasPrefix(d.Summary, "Missing ") || strings.HasPrefix(d.Summary, "Unbalanced") || strings.HasPrefix(d.Summary, "Extra characters")) {
			ds[i].Code = string(diag.NotAnOperator)
			ds[i].Summary = "Not an operator"
			ds[i].Detail = "There is no operator \"" + word + "\". Write " + write + "."
		}
	}
	return quiet(diag.Sort(ds))
}

// directiveForm is what looks like a directive of a template, at the end of a text.
var directiveForm = regexp.MustCompile(`%\{[^}\n]*\}?$`)

// advise says what to write where the parser says only what it cannot read.
func advise(d *engine.Diagnostic, src []byte) {
	at := d.Subject.Start.Byte
	word := string(src[at:d.Subject.End.Byte])
	switch d.Summary {
	case "Invalid escape sequence":
		d.Detail += " For a backslash write two of them, \\\\."
	case "Invalid template control keyword":
		if directive := directiveForm.FindString(upTo(src, d.Subject.End.Byte, '}')); directive != "" {
			d.Detail = fmt.Sprintf("%q is no directive of a template; those are if and for. For a literal %s write %%%s.", word, directive, directive)
		}
	case "Invalid block definition":
		line := string(src[:at])
		line = strings.TrimSpace(line[strings.LastIndexByte(line, '\n')+1:])
		if name, value, ok := strings.Cut(line, " "); ok && !strings.ContainsAny(line, "{=") {
			d.Detail += fmt.Sprintf(" An argument needs an equals sign: %s = %s.", name, strings.TrimSpace(value))
		}
	case "Unterminated template string":
		tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
		for _, t := range tokens {
			if t.Type != hclsyntax.TokenOHeredoc {
				continue
			}
			marker := strings.TrimLeft(strings.TrimSpace(string(t.Bytes)), "<-")
			d.Summary = "Unclosed text"
			d.Detail = fmt.Sprintf("The text that begins here has no end. Write %s on a line of its own.", marker)
			d.Subject.Start = engine.Pos{Line: t.Range.Start.Line, Column: t.Range.Start.Column, Byte: t.Range.Start.Byte}
			d.Subject.End = d.Subject.Start
			d.Subject.End.Column += len(t.Bytes) - 1
			d.Subject.End.Byte += len(t.Bytes) - 1
		}
	}
}

// upTo is the text up to the next such byte on the same line, with it.
func upTo(src []byte, from int, end byte) string {
	if i := bytes.IndexAny(src[from:], string(end)+"\n"); i >= 0 && src[from+i] == end {
		from += i + 1
	}
	return string(src[:from])
}

// quiet leaves out what only follows from an earlier mistake: a second finding
// at the same place, and all that stands behind a text or block without end.
func quiet(ds engine.Diagnostics) engine.Diagnostics {
	var out engine.Diagnostics
	for _, d := range ds {
		if n := len(out); n > 0 && d.Subject != nil && out[n-1].Subject != nil && d.Subject.Start == out[n-1].Subject.Start {
			continue
		}
		if d.Summary == "Invalid multi-line string" {
			d.Summary = "Unclosed string"
			d.Detail = "A string in quotes ends on the line on which it begins. Write the closing quote, or for a text of several lines <<-EOT and, on a line of its own, EOT."
			return append(out, d)
		}
		out = append(out, d)
		if strings.HasPrefix(d.Summary, "Unclosed") || strings.HasPrefix(d.Summary, "Unterminated") {
			return out
		}
	}
	return out
}

// wordBefore is the word that ends before a byte, behind blanks, and where it
// begins.
func wordBefore(src []byte, at int) (string, int) {
	end := len(bytes.TrimRight(src[:at], " \t"))
	start := end
	for start > 0 && (src[start-1] == '_' || src[start-1] >= 'a' && src[start-1] <= 'z') {
		start--
	}
	return string(src[start:end]), start
}

// around names the innermost block whose text holds the byte.
func around(body *hclsyntax.Body, at int) string {
	in := ""
	for {
		var inner *hclsyntax.Block
		for _, b := range body.Blocks {
			r := b.Range()
			if r.Start.Byte <= at && (at < b.CloseBraceRange.End.Byte || b.CloseBraceRange.End.Byte == 0 || at < b.Body.EndRange.End.Byte) {
				inner = b
			}
		}
		if inner == nil {
			return in
		}
		if len(inner.Labels) > 0 || in == "" {
			in = title(inner)
		}
		body = inner.Body
	}
}

// title is how a block is called in a finding: `task "systemd_unit" "stop"`.
func title(b *hclsyntax.Block) string {
	var s strings.Builder
	s.WriteString(b.Type)
	for _, l := range b.Labels {
		s.WriteString(" \"" + l + "\"")
	}
	return s.String()
}

// header is the range of a block's type and labels, without its brace.
func header(b *hclsyntax.Block) hcl.Range {
	r := b.TypeRange
	if n := len(b.LabelRanges); n > 0 {
		r = hcl.RangeBetween(r, b.LabelRanges[n-1])
	}
	return r
}

// digest is over what counts: a comment that is reworded and a line that is
// moved down do not change it.
func digest(tokens hclsyntax.Tokens) string {
	h := sha256.New()
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenComment, hclsyntax.TokenNewline, hclsyntax.TokenEOF:
		default:
			h.Write(t.Bytes)
			h.Write([]byte{0})
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Same reports whether two texts have the same tokens: what fmt must not change.
func Same(a, b []byte) bool {
	at, _ := hclsyntax.LexConfig(a, "", hcl.InitialPos)
	bt, _ := hclsyntax.LexConfig(b, "", hcl.InitialPos)
	if len(at) != len(bt) {
		return false
	}
	for i := range at {
		x, y := at[i].Bytes, bt[i].Bytes
		if at[i].Type == hclsyntax.TokenComment {
			x, y = bytes.TrimSpace(x), bytes.TrimSpace(y)
		}
		if at[i].Type != bt[i].Type || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}
