package engine

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"
)

// Severity tells errors from warnings.
type Severity string

// A warning never stops anything.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one finding about what the author or the operator wrote: a
// stable code, the place, what is wrong, and what to write instead.
type Diagnostic struct {
	Severity Severity     `json:"severity"`
	Code     string       `json:"code"` // "EP1203": never changes its meaning
	Summary  string       `json:"summary"`
	Detail   string       `json:"detail"`          // sentences; a blank line parts paragraphs
	Subject  *Range       `json:"range,omitempty"` // what is meant, as tight as possible
	In       string       `json:"in,omitempty"`    // the block around it: `task "systemd_unit" "stop"`
	Task     string       `json:"task,omitempty"`  // the task's address, where one is concerned
	Values   []NamedValue `json:"-"`               // what the expressions of a failed condition were
	Notes    []string     `json:"notes,omitempty"` // lines shown indented below, as they are
}

// NamedValue is one reference of an expression, and what it was.
type NamedValue struct {
	Name  string // "task.before.count"
	Value cty.Value
}

// Range is a piece of a source file. Lines and columns start at 1, columns
// count grapheme clusters, bytes start at 0; the end is exclusive.
type Range struct {
	File  string `json:"file"`
	Start Pos    `json:"start"`
	End   Pos    `json:"end"`
}

// Pos is one position in a source file.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// Diagnostics is all findings of one stage, in the order of the source.
type Diagnostics []Diagnostic

// HasErrors reports whether any finding is an error.
func (ds Diagnostics) HasErrors() bool {
	for _, d := range ds {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Error makes Diagnostics usable where a Go error is wanted.
func (ds Diagnostics) Error() string {
	for _, d := range ds {
		if d.Severity != Error {
			continue
		}
		if d.Subject == nil {
			return fmt.Sprintf("%s: %s", d.Summary, d.Detail)
		}
		return fmt.Sprintf("%s:%d: %s: %s", d.Subject.File, d.Subject.Start.Line, d.Summary, d.Detail)
	}
	return "no errors"
}
