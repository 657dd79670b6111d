package hcl

import (
	"bytes"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Format gives a file the canonical layout: indentation, and equals signs in
// columns. The meaning never changes: where the layout cannot be improved
// without touching a token, the text comes back as it is, with a finding.
func Format(filename string, src []byte) ([]byte, engine.Diagnostics) {
	return format(filename, src, hclwrite.Format)
}

// format trusts the layout only where it keeps every token and is its own
// layout; the library has broken both for heredocs in the past.
func format(filename string, src []byte, layout func([]byte) []byte) ([]byte, engine.Diagnostics) {
	file, found := syntax.Parse(filename, src)
	if found.HasErrors() {
		return src, found
	}
	once := layout(file.Source)
	if !bytes.Equal(once, layout(once)) || !syntax.Same(file.Source, once) {
		return src, engine.Diagnostics{diag.Bare(diag.FormatMeaning, "Left as it is",
			"%s cannot be formatted without changing what it means; most often a line break inside ${ } in a heredoc is the reason. Put the expression on one line, or give it a name in locals.", filename)}
	}
	return once, nil
}
