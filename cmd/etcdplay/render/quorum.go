package render

import (
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine/world"
)

// Quorum is the arithmetic around one task: what may fail before it, and what
// may fail after it.
func Quorum(before, after *world.Budget) string {
	switch {
	case before == nil && after == nil:
		return ""
	case before == nil:
		return budget(after)
	case after == nil:
		return budget(before)
	}
	return budget(before) + " -> " + budget(after)
}

func budget(b *world.Budget) string {
	if !b.Known {
		return "quorum not known"
	}
	var parts []string
	parts = append(parts, fmt.Sprintf("quorum %d of %d", b.Quorum, b.Voters), fmt.Sprintf("%d healthy", b.Healthy))
	if b.Learners > 0 {
		parts = append(parts, count(b.Learners, "learner"))
	}
	if t := b.Tolerance(); t >= 0 {
		parts = append(parts, fmt.Sprintf("tolerates %d", t))
	} else {
		parts = append(parts, fmt.Sprintf("lost, %d short", -t))
	}
	return strings.Join(parts, ", ")
}

// count is "1 member", "2 members".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
