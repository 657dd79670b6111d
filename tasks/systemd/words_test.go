package systemd

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

func TestLater(t *testing.T) {
	var all []conn.JournalEntry
	for _, e := range [][2]string{{"old", "a"}, {"old", "b"}, {"first", "c"}, {"", "d"}, {"second", "e"}} {
		all = append(all, conn.JournalEntry{Invocation: e[0], Message: e[1]})
	}
	for _, c := range []struct {
		name, before, now string
		want              []string
	}{
		{"a second attempt of the start", "old", "second", []string{"c", "d", "e"}},
		{"the start before is forgotten", "", "second", []string{"e"}},
		{"the start has said nothing", "second", "third", nil},
		{"forgotten, and nothing said", "", "third", []string{"a", "b", "c", "d", "e"}},
		{"it was under way already", "second", "second", []string{"a", "b", "c", "d", "e"}},
		{"never started before", "", "old", []string{"a", "b", "c", "d", "e"}},
		{"over before the journal looked", "", "third", []string{"d"}},
		{"over before the journal looked, and not the first start", "first", "third", []string{"d"}},
	} {
		all := all
		if strings.HasPrefix(c.name, "over") {
			all = all[:4]
		}
		var got []string
		for _, e := range later(all, c.before, c.now) {
			got = append(got, e.Message)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
