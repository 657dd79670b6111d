package eval

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Suggest returns the candidate that given was probably meant to be, or "" if
// none is near enough. Of equally near ones the first wins.
func Suggest(given string, candidates []string) string {
	best, bestDistance := "", 0
	for _, c := range candidates {
		if c == given {
			continue
		}
		d := levenshtein.Distance(strings.ToLower(given), strings.ToLower(c), nil)
		if d > farthest(given, c) {
			continue
		}
		if best == "" || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// farthest is how many letters may differ: two cover a transposition.
func farthest(a, b string) int {
	switch n := max(len(a), len(b)); {
	case n <= 3:
		return 1
	case n <= 8:
		return 2
	}
	return 3
}

// didYouMean is the sentence to append, with a leading space, or "".
func didYouMean(given string, candidates []string) string {
	if s := Suggest(given, candidates); s != "" {
		return " Did you mean " + quote(s) + "?"
	}
	return ""
}
