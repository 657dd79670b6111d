package diag

import "github.com/etcdplay/etcdplay/engine"

// Record is a finding for programs to read.
type Record struct {
	Severity engine.Severity `json:"severity"`
	Code     string          `json:"code"`
	Summary  string          `json:"summary"`
	Detail   string          `json:"detail"`
	Range    *engine.Range   `json:"range,omitempty"`
	Snippet  *Snippet        `json:"snippet,omitempty"`
	Task     string          `json:"task,omitempty"`
	Values   []NamedText     `json:"values,omitempty"`
	Notes    []string        `json:"notes,omitempty"`
}

// Snippet is the line that a finding begins on, without its line break, and
// the bytes of it that are meant.
type Snippet struct {
	Context              string `json:"context,omitempty"` // the block around it
	Code                 string `json:"code"`
	StartLine            int    `json:"start_line"`
	HighlightStartOffset int    `json:"highlight_start_offset"`
	HighlightEndOffset   int    `json:"highlight_end_offset"`
}

// NamedText is a reference and its value as text.
type NamedText struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// JSON is d in the form that --json prints; it goes through encoding/json.
func JSON(d engine.Diagnostic, sources map[string][]byte) any {
	r := Record{
		Severity: d.Severity,
		Code:     d.Code,
		Summary:  d.Summary,
		Detail:   d.Detail,
		Range:    d.Subject,
		Task:     d.Task,
		Notes:    d.Notes,
	}
	if d.Subject != nil {
		if s, ok := snippet(*d.Subject, sources[d.Subject.File]); ok {
			r.Snippet = &Snippet{
				Context:              d.In,
				Code:                 s.line,
				StartLine:            d.Subject.Start.Line,
				HighlightStartOffset: s.start,
				HighlightEndOffset:   s.end,
			}
		}
	}
	for _, v := range d.Values {
		r.Values = append(r.Values, NamedText{v.Name, Value(v.Value, "(not known yet)")})
	}
	return r
}
