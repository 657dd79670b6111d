package supervisor

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// TestJournalBound writes more than a journal keeps, with a torn line from a
// supervisor that was killed, and reads it with another supervisor's eyes.
func TestJournalBound(t *testing.T) {
	dir := t.TempDir()
	begin := time.Now()
	j := newJournals(dir)
	long := strings.Repeat("x", 40<<10)
	const n = 500 // 20 MB
	for i := range n {
		j.add("a.service", record{Time: begin.Add(time.Duration(i) * time.Second), Priority: 6, Message: fmt.Sprint(i, " ", long)})
	}
	f, err := os.OpenFile(j.path("a.service"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"seq":99999,"ti`); err != nil {
		t.Fatal(err)
	}
	f.Close()

	j = newJournals(dir)
	j.add("a.service", record{Time: begin.Add(n * time.Second), PID1: true, Message: "from \xff systemd"})
	j.add("a.service", record{Time: begin.Add(n * time.Second), Message: "last"})
	size := int64(0)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 2*maxJournal+100_000 {
		t.Errorf("the journal takes %d bytes, want at most about %d", size, 2*maxJournal)
	}
	got, err := j.query(conn.JournalQuery{Unit: "a.service", Lines: 3})
	if err != nil || len(got) != 3 || !strings.HasPrefix(got[1].Message, "499 ") || got[2].Message != "last" {
		t.Fatalf("the newest: got %d entries, %v", len(got), err)
	}
	if got[1].Cursor != "s=500" || got[2].Cursor != "s=502" {
		t.Errorf("cursors: got %s, %s, want them to go on: s=500, s=502", got[1].Cursor, got[2].Cursor)
	}
	all, err := j.query(conn.JournalQuery{Unit: "a.service", Since: begin.Add(490 * time.Second)})
	if err != nil || len(all) != 11 || !strings.HasPrefix(all[0].Message, "490 ") {
		t.Errorf("since: got %d entries, %v, want 11", len(all), err)
	}
	told, err := j.query(conn.JournalQuery{Unit: "a.service", PID1: true})
	if err != nil || len(told) != 1 || told[0].Message != "from \uFFFD systemd" {
		t.Errorf("of systemd: got %+v, %v", told, err)
	}
}
