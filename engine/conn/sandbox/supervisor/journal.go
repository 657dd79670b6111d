package supervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// maxJournal is the size at which a unit's journal file is set aside, in bytes.
// One older file is kept, so a unit has at most twice as much.
const maxJournal = 8 << 20

// record is one line of a journal file.
type record struct {
	Seq      uint64    `json:"seq"`
	Time     time.Time `json:"time"`
	Priority int       `json:"priority"`
	PID      int       `json:"pid"`
	PID1     bool      `json:"pid1,omitempty"` // systemd's words about the unit
	Start    string    `json:"start,omitempty"`
	Message  string    `json:"message"`
}

// journals are those of all units of one host: one file of JSON lines each.
type journals struct {
	dir   string
	mu    sync.Mutex
	files map[string]*journalFile
}

type journalFile struct {
	f    *os.File
	size int64
	seq  uint64
}

func newJournals(dir string) *journals {
	return &journals{dir: dir, files: map[string]*journalFile{}}
}

func (j *journals) path(unit string) string { return filepath.Join(j.dir, unit+".jsonl") }

// add appends r. A journal that cannot be written must not stop what it is
// about, so an error ends here.
func (j *journals) add(unit string, r record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	file, err := j.open(unit)
	if err != nil {
		return
	}
	file.seq++
	r.Seq = file.seq
	r.Message = strings.ToValidUTF8(r.Message, "\uFFFD")
	line, err := json.Marshal(r)
	if err != nil {
		return
	}
	n, _ := file.f.Write(append(line, '\n'))
	file.size += int64(n)
	if file.size > maxJournal {
		file.f.Close()
		delete(j.files, unit)
		_ = os.Rename(j.path(unit), j.path(unit)+".old")
	}
}

// open returns the journal file of the unit, going on where the last one ended.
func (j *journals) open(unit string) (*journalFile, error) {
	if file := j.files[unit]; file != nil {
		return file, nil
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		return nil, err
	}
	file := &journalFile{}
	for _, p := range []string{j.path(unit) + ".old", j.path(unit)} {
		err := scan(p, func(r record) { file.seq = r.Seq })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	f, err := os.OpenFile(j.path(unit), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil {
		file.size = info.Size()
	}
	// A supervisor that was killed may have left a torn line; what follows must
	// not be torn with it.
	last := []byte("\n")
	if _, err := f.ReadAt(last, max(0, file.size-1)); err == nil && last[0] != '\n' {
		_, _ = f.WriteString("\n") // if that fails, so will the record after it
	}
	file.f = f
	j.files[unit] = file
	return file, nil
}

// scan calls each with the records of a file; a torn line is left out.
func scan(p string, each func(record)) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &r) == nil && r.Seq > 0 {
			each(r)
		}
	}
	return lines.Err()
}

// query returns the entries that fit q, oldest first.
func (j *journals) query(q conn.JournalQuery) ([]conn.JournalEntry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	limit := q.Lines
	if limit <= 0 {
		limit = 1000
	}
	var entries []conn.JournalEntry
	for _, p := range []string{j.path(q.Unit) + ".old", j.path(q.Unit)} {
		err := scan(p, func(r record) {
			if r.PID1 != q.PID1 || r.Time.Before(q.Since) {
				return
			}
			entries = append(entries, conn.JournalEntry{
				Time: r.Time, Priority: r.Priority, PID: r.PID, Message: r.Message,
				Cursor: "s=" + strconv.FormatUint(r.Seq, 10), Invocation: r.Start,
			})
			if len(entries) > 2*limit {
				entries = append(entries[:0], entries[len(entries)-limit:]...)
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return entries[max(0, len(entries)-limit):], nil
}
