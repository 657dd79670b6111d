package engine

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/zclconf/go-cty/cty"
)

// minSecret is the length in bytes from which on a sensitive string is looked
// for; shorter ones would tear up ordinary text.
const minSecret = 4

// scrubbed is what stands in the place of a secret.
const scrubbed = "(sensitive)"

// Scrubber removes sensitive strings from text, as the second net below the
// marks on values. It knows each secret plain, in base64 (both alphabets, with
// and without padding), URL-encoded, shell-quoted and as it stands in JSON. The
// zero Scrubber knows none. It may be used from several goroutines.
type Scrubber struct {
	mu       sync.RWMutex
	known    map[string]bool
	replacer *strings.Replacer
	longest  int
}

// Add makes the scrubber look for a secret from now on. One of fewer than four
// bytes is not looked for. Of one with several lines each line counts by itself
// too.
func (s *Scrubber) Add(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.known)
	for _, line := range append(strings.Split(secret, "\n"), secret) {
		if line = strings.TrimRight(line, "\r"); len(line) >= minSecret {
			s.add(line)
		}
	}
	if len(s.known) == before {
		return
	}
	// The replacer takes the first that fits, so longer forms come first.
	var forms []string
	for f := range s.known {
		forms = append(forms, f)
	}
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, f := range forms {
		pairs = append(pairs, f, scrubbed)
	}
	s.replacer, s.longest = strings.NewReplacer(pairs...), len(forms[0])
}

func (s *Scrubber) add(secret string) {
	if s.known == nil {
		s.known = map[string]bool{}
	}
	inJSON, _ := json.Marshal(secret) // a string always has a JSON form
	forms := []string{
		secret,
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
		url.QueryEscape(secret),
		url.PathEscape(secret),
		strings.ReplaceAll(secret, "'", `'\''`),
		string(inJSON[1 : len(inJSON)-1]),
		plainJSON(secret),
	}
	for _, f := range forms {
		if len(f) >= minSecret {
			s.known[f] = true
		}
	}
}

// plainJSON is secret in JSON without the escapes that only HTML needs.
func plainJSON(secret string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(secret); err != nil {
		return secret
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// AddValue adds every string in v that is marked or stands within a marked
// value.
func (s *Scrubber) AddValue(v cty.Value) {
	if v == cty.NilVal {
		return
	}
	s.addMarked(v, false)
}

func (s *Scrubber) addMarked(v cty.Value, within bool) {
	within = within || v.IsMarked()
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() {
		return
	}
	switch {
	case v.Type() == cty.String:
		if within {
			s.Add(v.AsString())
		}
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			s.addMarked(e, within)
		}
	}
}

// marked is v with those of its strings marked that hold a secret, whether or
// not a mark has reached them, so that the journal leaves them out.
func (s *Scrubber) marked(v cty.Value) cty.Value {
	plain, marks := v.UnmarkDeepWithPaths()
	_ = cty.Walk(plain, func(p cty.Path, e cty.Value) (bool, error) { // its function returns no error
		if e.Type() == cty.String && e.IsKnown() && !e.IsNull() && s.String(e.AsString()) != e.AsString() {
			marks = append(marks, cty.PathValueMarks{Path: p.Copy(), Marks: cty.NewValueMarks(Sensitive)})
		}
		return true, nil
	})
	return plain.MarkWithPaths(marks)
}

// String returns text without the secrets.
func (s *Scrubber) String(text string) string {
	if s == nil {
		return text
	}
	s.mu.RLock()
	r := s.replacer
	s.mu.RUnlock()
	if r == nil {
		return text
	}
	return r.Replace(text)
}

// Writer returns a writer that scrubs what goes to w, also secrets that are
// split over several writes: it holds back the end of what was written as long
// as a secret might begin there. Flush writes what was held back; call it at
// the end, and before waiting for the operator.
func (s *Scrubber) Writer(w io.Writer) *ScrubWriter { return &ScrubWriter{scrub: s, to: w} }

// ScrubWriter is what Scrubber.Writer returns. It may be used from several
// goroutines.
type ScrubWriter struct {
	scrub *Scrubber
	to    io.Writer

	mu   sync.Mutex
	held string
}

// Write reports all of p as written although some of it may be held back.
func (w *ScrubWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.held + string(p)
	keep := w.scrub.begun(text)
	w.held = text[len(text)-keep:]
	if _, err := io.WriteString(w.to, w.scrub.String(text[:len(text)-keep])); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what is held back.
func (w *ScrubWriter) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.held
	w.held = ""
	_, err := io.WriteString(w.to, w.scrub.String(text))
	return err
}

// begun is the length of the longest end of text that has to wait for more: it
// is the beginning of a secret, and no complete secret reaches into it that
// could be replaced already.
func (s *Scrubber) begun(text string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n := min(len(text), s.longest-1); n > 0; n-- {
		end := text[len(text)-n:]
		for f := range s.known {
			if len(f) > n && strings.HasPrefix(f, end) {
				return s.widen(text, n)
			}
		}
	}
	return 0
}

// widen keeps a secret that straddles the cut on one side of it.
func (s *Scrubber) widen(text string, keep int) int {
	cut := len(text) - keep
	for f := range s.known {
		for i := max(0, cut-len(f)+1); i < cut; i++ {
			if strings.HasPrefix(text[i:], f) {
				cut = i
				break
			}
		}
	}
	return len(text) - cut
}
