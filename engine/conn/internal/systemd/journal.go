package systemd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Journalctl is the command that prints what q asks for; ParseJournal reads it.
func Journalctl(q conn.JournalQuery) conn.Command {
	lines := q.Lines
	if lines <= 0 {
		lines = 1000
	}
	argv := []string{"journalctl", "--output=json", "--no-pager", "--quiet", "--lines=" + strconv.Itoa(lines)}
	if !q.Since.IsZero() {
		// In whole seconds; ParseJournal leaves out what is older.
		argv = append(argv, "--since=@"+strconv.FormatInt(q.Since.Unix(), 10))
	}
	if q.PID1 {
		argv = append(argv, "_PID=1", "UNIT="+q.Unit)
	} else {
		argv = append(argv, "_SYSTEMD_UNIT="+q.Unit)
	}
	return conn.Command{Argv: argv}
}

// ParseJournal reads what Journalctl's command printed. A cut-off last line is
// left out.
func ParseJournal(q conn.JournalQuery, r conn.Result) ([]conn.JournalEntry, error) {
	if r.ExitCode != 0 {
		return nil, fmt.Errorf("journalctl exited with %d: %s", r.ExitCode, bytes.TrimSpace(r.Stderr))
	}
	var entries []conn.JournalEntry
	for line := range bytes.Lines(r.Stdout) {
		var raw struct {
			Cursor   string          `json:"__CURSOR"`
			Time     string          `json:"__REALTIME_TIMESTAMP"`
			Priority string          `json:"PRIORITY"`
			PID      string          `json:"_PID"`
			Message  json.RawMessage `json:"MESSAGE"`
			Start    string          `json:"_SYSTEMD_INVOCATION_ID"`
		}
		if !bytes.HasSuffix(line, []byte("\n")) && r.Truncated {
			break
		}
		if err := json.Unmarshal(line, &raw); err != nil {
			return nil, fmt.Errorf("journalctl printed something else than JSON: %w", err)
		}
		micros, err := strconv.ParseInt(raw.Time, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("journalctl printed the time %q", raw.Time)
		}
		e := conn.JournalEntry{Time: time.UnixMicro(micros), Priority: 6, Cursor: raw.Cursor, Message: message(raw.Message), Invocation: raw.Start}
		if q.PID1 {
			e.Invocation = "" // that is systemd's own
		}
		if n, err := strconv.Atoi(raw.Priority); err == nil && n >= 0 && n <= 7 {
			e.Priority = n
		}
		// An entry without a PID keeps zero.
		e.PID, _ = strconv.Atoi(raw.PID)
		if !e.Time.Before(q.Since) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// message is a string, or an array of bytes where it is not UTF-8, or null
// where it is too long for journalctl to print.
func message(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		var octets []int
		if json.Unmarshal(raw, &octets) != nil {
			return ""
		}
		b := make([]byte, len(octets))
		for i, o := range octets {
			b[i] = byte(o)
		}
		text = string(b)
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", " ")
}
