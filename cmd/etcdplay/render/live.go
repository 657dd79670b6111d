package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/etcdplay/etcdplay/engine"
)

// live is a task that runs now.
type live struct {
	entry       *engine.Entry
	since, told time.Time
	waiting     string
	done, total int64 // bytes
	bar         *progressbar.ProgressBar
}

func deleteLive(running []*live, e *engine.Entry) []*live {
	var rest []*live
	for _, l := range running {
		if l.entry != e {
			rest = append(rest, l)
		}
	}
	return rest
}

// draw shows the task that has run longest on the live line.
func (r *Reporter) draw(now time.Time) {
	if !r.Screen.Live {
		return
	}
	if len(r.running) == 0 {
		r.Screen.Show("")
		return
	}
	l := r.running[0]
	text := "  " + l.text(now)
	if n := len(r.running) - 1; n > 0 {
		text += fmt.Sprintf("  (and %s)", count(n, "other"))
	}
	if l.total > 0 {
		text += "  " + l.progress()
	}
	r.Screen.Show(text)
}

// text is the running task in one line: name, host, clock, what it waits for.
func (l *live) text(now time.Time) string {
	parts := []string{l.entry.Name}
	if l.entry.Host != "" {
		parts = append(parts, "on "+l.entry.Host)
	}
	parts = append(parts, clock(now.Sub(l.since)))
	switch {
	case l.total > 0:
		parts = append(parts, fmt.Sprintf("%d of %d bytes", l.done, l.total))
	case l.done > 0:
		parts = append(parts, fmt.Sprintf("%d bytes", l.done))
	}
	if l.waiting != "" {
		parts = append(parts, l.waiting)
	}
	return strings.Join(parts, "  ")
}

// progress is the task's bar, with its rate and what is left.
func (l *live) progress() string {
	if l.bar == nil {
		l.bar = progressbar.NewOptions64(l.total, progressbar.OptionSetWriter(io.Discard),
			progressbar.OptionSetWidth(16), progressbar.OptionShowBytes(true))
	}
	// Set64 fails only above the total, which min rules out.
	_ = l.bar.Set64(min(l.done, l.total))
	return strings.TrimSpace(l.bar.String())
}

// clock is the time a task has run, in whole seconds.
func clock(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return Span(d.Truncate(time.Second))
}

// Span is a duration as a person says it: 12ms, 3.4s, 2m05s.
func Span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "0ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	d = d.Round(time.Second)
	if h := d / time.Hour; h > 0 {
		return fmt.Sprintf("%dh%02dm%02ds", h, d%time.Hour/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
}
