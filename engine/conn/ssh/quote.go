package ssh

import (
	"errors"
	"fmt"
	"strings"
)

// quote renders words for a POSIX shell, each as one word whatever is in it but
// NUL, which none can hold. It is the only place where a word becomes shell text.
func quote(words ...string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('\'')
		b.WriteString(strings.ReplaceAll(w, "'", `'\''`))
		b.WriteByte('\'')
	}
	return b.String()
}

// programPath is the search path of programs on a host, whatever the path of
// its user is.
const programPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// loginLine is what the login shell of the user gets to see: it reads the
// script of that many bytes from stdin and runs it by /bin/sh. The login shell
// may be fish or csh, so there is nothing in the line that shells read in
// different ways, and nothing of what is to be done.
func loginLine(script string) string {
	return fmt.Sprintf(`exec /usr/bin/env -i PATH=%s LC_ALL=C /bin/sh -c 'eval "$(head -c %d)"'`, programPath, len(script))
}

// checkWords refuses what cannot be an argument of a program.
func checkWords(words []string) error {
	for _, w := range words {
		if strings.IndexByte(w, 0) >= 0 {
			return errors.New("an argument holds a NUL")
		}
	}
	return nil
}
