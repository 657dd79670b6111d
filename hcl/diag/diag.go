// Package diag makes diagnostics and shows them. It knows their codes, how they
// look on a terminal and in JSON, and how a position of the HCL library becomes
// one of ours. It does not know what a playbook is.
package diag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"

	"github.com/etcdplay/etcdplay/engine"
)

// Place is the block that a finding lies in.
type Place struct {
	In   string // `task "systemd_unit" "stop"`; "" outside any block
	Task string // "task.stop", where one is concerned
}

// New makes an error with its code, the range it is about and a detail made of
// sentences: what is wrong, and what to write instead.
func New(code Code, summary string, at hcl.Range, p Place, format string, args ...any) engine.Diagnostic {
	return engine.Diagnostic{
		Severity: engine.Error,
		Code:     string(code),
		Summary:  summary,
		Detail:   fmt.Sprintf(format, args...),
		Subject:  Range(at),
		In:       p.In,
		Task:     p.Task,
	}
}

// Bare makes an error that no place in a file belongs to.
func Bare(code Code, summary, format string, args ...any) engine.Diagnostic {
	return engine.Diagnostic{
		Severity: engine.Error,
		Code:     string(code),
		Summary:  summary,
		Detail:   fmt.Sprintf(format, args...),
	}
}

// Warn makes a warning of a finding.
func Warn(d engine.Diagnostic) engine.Diagnostic {
	d.Severity = engine.Warning
	return d
}

// Range is r in the engine's form.
func Range(r hcl.Range) *engine.Range {
	return &engine.Range{
		File:  r.Filename,
		Start: engine.Pos{Line: r.Start.Line, Column: r.Start.Column, Byte: r.Start.Byte},
		End:   engine.Pos{Line: r.End.Line, Column: r.End.Column, Byte: r.End.Byte},
	}
}

// FromHCL takes over what the HCL library found, under one code.
func FromHCL(code Code, p Place, found hcl.Diagnostics) engine.Diagnostics {
	var ds engine.Diagnostics
	for _, f := range found {
		d := engine.Diagnostic{
			Severity: engine.Error,
			Code:     string(code),
			Summary:  f.Summary,
			Detail:   f.Detail,
			In:       p.In,
			Task:     p.Task,
		}
		if f.Severity == hcl.DiagWarning {
			d.Severity = engine.Warning
		}
		if f.Subject != nil {
			d.Subject = Range(*f.Subject)
		}
		ds = append(ds, d)
	}
	return ds
}

// Sort puts findings into the order of the source: those of the first file
// that is mentioned, by position, then those of the next. Findings without a
// place come first. Two findings that say the same of the same place are one.
func Sort(ds engine.Diagnostics) engine.Diagnostics {
	files := map[string]int{}
	for _, d := range ds {
		if d.Subject != nil {
			if _, ok := files[d.Subject.File]; !ok {
				files[d.Subject.File] = len(files) + 1
			}
		}
	}
	place := func(d engine.Diagnostic) (file, start int) {
		if d.Subject == nil {
			return 0, 0
		}
		return files[d.Subject.File], d.Subject.Start.Byte
	}
	slices.SortStableFunc(ds, func(a, b engine.Diagnostic) int {
		af, as := place(a)
		bf, bs := place(b)
		if af != bf {
			return af - bf
		}
		return as - bs
	})
	return slices.CompactFunc(ds, func(a, b engine.Diagnostic) bool {
		if a.Code != b.Code || a.Summary != b.Summary || a.Detail != b.Detail || (a.Subject == nil) != (b.Subject == nil) {
			return false
		}
		return a.Subject == nil || *a.Subject == *b.Subject
	})
}

// Closest is the candidate that was most likely meant by word, or "" if none
// is near.
func Closest(word string, candidates []string) string {
	best, distance := "", 0
	for _, c := range candidates {
		d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(c), nil)
		if transposed(strings.ToLower(word), strings.ToLower(c)) {
			d = 1
		}
		if n := max(len(word), len(c)); d <= farthest(n) && d < n && c != word && (best == "" || d < distance) {
			best, distance = c, d
		}
	}
	return best
}

// transposed reports whether a becomes b by exchanging two neighbouring letters.
func transposed(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i+1 < len(a); i++ {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// farthest is how many letters of a word of this length may differ; two cover
// a transposition.
func farthest(length int) int {
	switch {
	case length <= 3:
		return 1
	case length <= 8:
		return 2
	}
	return 3
}

// DidYouMean is ` Did you mean "x"?` with its leading space, or "" if no
// candidate is near.
func DidYouMean(word string, candidates []string) string {
	if c := Closest(word, candidates); c != "" {
		return fmt.Sprintf(" Did you mean %q?", c)
	}
	return ""
}
