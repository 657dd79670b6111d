package syntax

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// The parser, and whatever later walks an expression, calls itself once per
// level, and a stack overflow ends a Go process without a chance to say why.
// So the levels are counted on the tokens, which takes no recursion, before
// anything is parsed.
const (
	MaxSize  = 1 << 20 // bytes of one file
	maxDepth = 100     // brackets, blocks, templates, unary operators and conditionals inside each other
	maxChain = 1000    // operators and indexes in a row within one expression
)

// text is what every reader of a file begins with: the size limit, the
// encoding, and line ends made equal.
func text(filename string, src []byte) ([]byte, engine.Diagnostics) {
	if len(src) > MaxSize {
		d := diag.Bare(diag.FileTooBig, "File too big", "%s is longer than 1 MiB (%d bytes), which is the limit. Long texts belong in template files.", filename, MaxSize)
		return nil, engine.Diagnostics{d}
	}
	refuse := func(format string, args ...any) engine.Diagnostics {
		return engine.Diagnostics{diag.Bare(diag.FileEncoding, "Not UTF-8 text", "%s", filename+" "+fmt.Sprintf(format, args...))}
	}
	switch {
	case bytes.HasPrefix(src, []byte{0xff, 0xfe}), bytes.HasPrefix(src, []byte{0xfe, 0xff}):
		return nil, refuse("is UTF-16. Save it as UTF-8.")
	case bytes.IndexByte(src, 0) >= 0:
		return nil, refuse("holds a NUL byte at offset %d, so it is no text.", bytes.IndexByte(src, 0))
	case !utf8.Valid(src):
		at := 0
		for at < len(src) {
			r, n := utf8.DecodeRune(src[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		return nil, refuse("has a byte at offset %d that is not UTF-8. Save it as UTF-8.", at)
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if bytes.IndexByte(src, '\r') >= 0 {
		src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	}
	return src, nil
}

// level is one open bracket, block, template sequence or quotation.
type level struct {
	closer hclsyntax.TokenType // what ends it
	lines  bool                // a line break begins a new item
	depth  int                 // signs, conditionals and open directives since the last separator
	chain  int                 // operators and indexes since the last separator
}

// nesting measures how deep a parser would have to go. It errs only upwards:
// a closing bracket that fits nothing closes nothing.
type nesting struct {
	stack        []level
	depth, chain int // sums over the stack
}

func (n *nesting) top() *level { return &n.stack[len(n.stack)-1] }

func (n *nesting) open(closer hclsyntax.TokenType, lines bool) {
	n.stack = append(n.stack, level{closer: closer, lines: lines})
}

func (n *nesting) close(with hclsyntax.TokenType) {
	if len(n.stack) == 1 || n.top().closer != with {
		return
	}
	n.separate()
	n.stack = n.stack[:len(n.stack)-1]
}

// separate begins a new expression on the same level.
func (n *nesting) separate() {
	t := n.top()
	n.depth -= t.depth
	n.chain -= t.chain
	t.depth, t.chain = 0, 0
}

func (n *nesting) deepen(by int) {
	n.top().depth += by
	n.depth += by
}

func (n *nesting) lengthen() {
	n.top().chain++
	n.chain++
}

// token counts the i-th token.
func (n *nesting) token(tokens hclsyntax.Tokens, i int) {
	switch t := tokens[i]; t.Type {
	case hclsyntax.TokenOParen:
		n.open(hclsyntax.TokenCParen, false)
	case hclsyntax.TokenOBrace:
		n.open(hclsyntax.TokenCBrace, next(tokens, i) != "for")
	case hclsyntax.TokenOBrack:
		n.lengthen() // it may be an index, and a row of those nests to the left
		n.open(hclsyntax.TokenCBrack, false)
	case hclsyntax.TokenOQuote:
		n.open(hclsyntax.TokenCQuote, false)
	case hclsyntax.TokenOHeredoc:
		n.open(hclsyntax.TokenCHeredoc, false)
	case hclsyntax.TokenTemplateInterp:
		n.open(hclsyntax.TokenTemplateSeqEnd, false)
	case hclsyntax.TokenTemplateControl:
		switch next(tokens, i) {
		case "if", "for":
			n.deepen(1)
		case "endif", "endfor":
			if n.top().depth > 0 {
				n.deepen(-1)
			}
		}
		n.open(hclsyntax.TokenTemplateSeqEnd, false)
	case hclsyntax.TokenCParen, hclsyntax.TokenCBrace, hclsyntax.TokenCBrack,
		hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
		n.close(t.Type)
	case hclsyntax.TokenComma:
		n.separate()
	case hclsyntax.TokenNewline:
		if n.top().lines {
			n.separate()
		}
	case hclsyntax.TokenBang, hclsyntax.TokenQuestion:
		n.deepen(1)
	case hclsyntax.TokenMinus:
		if unary(tokens, i) {
			n.deepen(1)
		} else {
			n.lengthen()
		}
	case hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent,
		hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual,
		hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq,
		hclsyntax.TokenDot:
		n.lengthen()
	}
}

// next is the word after the i-th token, "" if it is none.
func next(tokens hclsyntax.Tokens, i int) string {
	for i++; i < len(tokens); i++ {
		switch tokens[i].Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
		case hclsyntax.TokenIdent:
			return string(tokens[i].Bytes)
		default:
			return ""
		}
	}
	return ""
}

// unary reports whether the minus at i is a sign.
func unary(tokens hclsyntax.Tokens, i int) bool {
	if i == 0 {
		return true
	}
	switch tokens[i-1].Type {
	case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenCParen, hclsyntax.TokenCBrack,
		hclsyntax.TokenCBrace, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenStar:
		return false
	}
	return true
}

// checkNesting refuses what would make a recursive reader of these tokens go
// deeper than the limits.
func checkNesting(tokens hclsyntax.Tokens) engine.Diagnostics {
	n := nesting{stack: []level{{lines: true}}}
	for i, t := range tokens {
		n.token(tokens, i)
		switch {
		case len(n.stack)-1+n.depth > maxDepth:
			return engine.Diagnostics{diag.New(diag.FileNesting, "Nested too deeply", t.Range, diag.Place{},
				"Brackets, blocks, templates, signs and conditionals may lie in each other up to %d deep. Give the inner parts names in locals.", maxDepth)}
		case n.chain > maxChain:
			return engine.Diagnostics{diag.New(diag.FileNesting, "Expression too long", t.Range, diag.Place{},
				"One expression may hold up to %d operators. Give its parts names in locals.", maxChain)}
		}
	}
	return nil
}
