// Package render turns plans, events and findings into what a person or a
// program reads: text with or without colour, a live line while a task runs,
// and JSON, one object a line. It knows the shapes of package engine and the
// widths of terminals. It decides nothing, opens nothing, and never reads a
// file; where its words go is the caller's affair.
package render

import (
	"charm.land/lipgloss/v2"

	"github.com/etcdplay/etcdplay/engine"
)

// Paint colours words, or leaves them alone. The zero Paint leaves them alone.
type Paint struct {
	On bool
}

func (p Paint) with(s lipgloss.Style, text string) string {
	if !p.On || text == "" {
		return text
	}
	return s.Render(text)
}

func (p Paint) colour(n, text string) string {
	return p.with(lipgloss.NewStyle().Foreground(lipgloss.Color(n)), text)
}

// Terminal colour numbers are used, not exact shades: they follow the theme of
// whoever looks.
func (p Paint) red(text string) string    { return p.colour("1", text) }
func (p Paint) green(text string) string  { return p.colour("2", text) }
func (p Paint) yellow(text string) string { return p.colour("3", text) }
func (p Paint) cyan(text string) string   { return p.colour("6", text) }
func (p Paint) faint(text string) string  { return p.with(lipgloss.NewStyle().Faint(true), text) }
func (p Paint) bold(text string) string   { return p.with(lipgloss.NewStyle().Bold(true), text) }

// effect colours a marker or an effect's word by how much there is to fear.
func (p Paint) effect(e engine.Effect, text string) string {
	switch e {
	case engine.Destroy:
		return p.with(lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true), text)
	case engine.Change:
		return p.yellow(text)
	case engine.Control:
		return p.cyan(text)
	}
	return text
}
