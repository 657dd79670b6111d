package eval

import "github.com/etcdplay/etcdplay/hcl/diag"

// Suggest returns the candidate that given was probably meant to be, or "" if
// none is near enough.
func Suggest(given string, candidates []string) string { return diag.Closest(given, candidates) }

// didYouMean is the sentence to append, with a leading space, or "".
func didYouMean(given string, candidates []string) string {
	return diag.DidYouMean(given, candidates)
}
