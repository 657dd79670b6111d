package render

import (
	"io"
	"strings"
	"sync"

	"github.com/mattn/go-runewidth"
)

// Screen is where words go: results to one writer, findings and progress to
// another, and on a terminal one live line that is redrawn at its bottom. All
// that is written passes through Clean first. It may be used from several
// goroutines.
type Screen struct {
	Out   io.Writer // results, for people or with JSON
	Err   io.Writer // findings and progress
	Paint Paint     // of Out
	Warn  Paint     // of Err
	Live  bool      // Err is a terminal that can redraw a line
	Width int       // of that terminal, in cells; zero means 80

	mu    sync.Mutex
	clean func(string) string // nil leaves text as it is
	live  string              // what the live line shows; "" if there is none
}

// Scrub makes every later word pass through clean.
func (s *Screen) Scrub(clean func(string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clean = clean
}

// Print writes text as it is to Out.
func (s *Screen) Print(text string) { s.write(s.Out, text) }

// Tell writes text as it is to Err.
func (s *Screen) Tell(text string) { s.write(s.Err, text) }

// write ignores failures: a reader who has gone away must not stop a run, and
// there is nobody else to tell.
func (s *Screen) write(w io.Writer, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clean != nil {
		text = s.clean(text)
	}
	shown := s.live
	s.erase()
	_, _ = io.WriteString(w, text)
	if shown != "" && strings.HasSuffix(text, "\n") {
		s.draw(shown)
	}
}

// Show replaces the live line; "" removes it. Without a live terminal it does
// nothing.
func (s *Screen) Show(line string) {
	if !s.Live {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clean != nil {
		line = s.clean(line)
	}
	if line = s.fit(line); line != s.live {
		s.erase()
		s.draw(line)
	}
}

func (s *Screen) erase() {
	if s.live != "" {
		_, _ = io.WriteString(s.Err, "\r\x1b[2K")
		s.live = ""
	}
}

func (s *Screen) draw(line string) {
	if line != "" {
		_, _ = io.WriteString(s.Err, line)
		s.live = line
	}
}

// fit cuts line to the terminal's width. One cell stays free, since a full line
// would wrap on some terminals and could then not be erased.
func (s *Screen) fit(line string) string {
	width := s.Width
	if width <= 0 {
		width = 80
	}
	return runewidth.Truncate(strings.ReplaceAll(line, "\n", " "), max(width-1, 1), "…")
}
