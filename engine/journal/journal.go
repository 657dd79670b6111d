// Package journal is the append-only record of one run: lines chained by a
// checksum, each on disk before Append returns. It knows files and bytes, and
// how values are written down; it does not know what the records mean.
//
// A line is
//
//	SEQ SP CRC SP PAYLOAD LF
//
// SEQ counts from 1 in decimal. CRC is eight lower-case hex digits, CRC-32C over
// the four bytes (big-endian) of the line before's CRC, zero for the first, and
// the payload. PAYLOAD is one JSON object without a line feed. The chain shows
// torn, changed, swapped, doubled and missing lines. It is no seal: whoever may
// write the file can forge it, so the file belongs to its owner alone.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// Version is the format that this package writes. The first payload holds it
	// as "v".
	Version = 1

	// Reserve is the size in bytes of the file that is given up when the disk is
	// full, so that the last records still find room.
	Reserve = 256 << 10

	fileName    = "journal"
	reserveName = "reserve"

	// lockPatience covers a reader that holds the lock for an instant to see
	// whether an engine does.
	lockPatience = 300 * time.Millisecond
)

var (
	// ErrLocked says that another process has the journal open for writing.
	ErrLocked = errors.New("journal is in use by another etcdplay")
	// ErrEnded says that the run is over and its journal closed.
	ErrEnded = errors.New("journal has ended")
	// ErrPerms says that the journal could have been written by somebody else.
	ErrPerms = errors.New("journal is not safely owned")
	// ErrVersion says that a newer etcdplay wrote the journal.
	ErrVersion = errors.New("journal has a format that is not known here")
)

// file is what the journal needs of an *os.File.
type file interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Close() error
}

// Journal is a run's journal, open for writing. It is not safe for concurrent use.
type Journal struct {
	f       file
	dir     string
	seq     uint64
	crc     uint32
	size    int64
	ended   bool
	failure error // of an earlier write; nothing is written after it
}

// Create makes dir, which must not exist, and an empty journal in it, on disk
// with every folder that leads to it, and locked.
func Create(dir string) (*Journal, error) {
	parent := filepath.Dir(dir)
	if err := MakeDir(parent); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, closing(f, err)
	}
	if err := os.WriteFile(filepath.Join(dir, reserveName), make([]byte, Reserve), 0o600); err != nil {
		return nil, closing(f, err)
	}
	if err := f.Sync(); err != nil {
		return nil, closing(f, err)
	}
	for _, d := range []string{dir, parent} {
		if err := SyncDir(d); err != nil {
			return nil, closing(f, err)
		}
	}
	return &Journal{f: f, dir: dir}, nil
}

// Repair says that the journal's last line was torn and has been cut off.
type Repair struct {
	Copy string // the file as it was found
	Lost int    // bytes cut off
}

// Open opens the journal in dir for writing and returns its payloads. A line
// that was not written to its end is cut off, after the whole file has been
// copied to journal.broken.N; any other damage is a *CorruptError and changes
// nothing.
func Open(dir string) (*Journal, []json.RawMessage, *Repair, error) {
	if err := ownDir(dir); err != nil {
		return nil, nil, nil, err
	}
	f, err := openFile(dir, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := lock(f); err != nil {
		return nil, nil, nil, closing(f, err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, nil, closing(f, err)
	}
	l, err := check(data)
	if err != nil {
		return nil, nil, nil, closing(f, err)
	}
	j := &Journal{f: f, dir: dir, seq: uint64(len(l.Payloads)), crc: l.crc, size: int64(len(data))}
	repair, err := j.repair(data, l)
	if err != nil {
		return nil, nil, nil, closing(f, err)
	}
	if n := len(l.Payloads); n > 0 {
		j.ended = kind(l.Payloads[n-1]) == "end"
	}
	return j, l.Payloads, repair, nil
}

// Read returns the payloads of the journal in dir, without locking or changing
// it; a torn end is left out. It may be used while another process writes.
func Read(dir string) ([]json.RawMessage, error) {
	if err := ownDir(dir); err != nil {
		return nil, err
	}
	f, err := openFile(dir, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	l, err := check(data)
	return l.Payloads, err
}

// InUse reports whether a process has the journal in dir open for writing.
func InUse(dir string) bool {
	f, err := openFile(dir, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close() // releases the lock as well
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// Append writes a record, a value that is a JSON object, and returns once it is
// on disk. After an error nothing can be written any more: what the disk then
// holds is not known, and trying again would hide that. A full disk is the
// exception, once: the reserve makes room. A record whose "t" is "end" is the
// last one.
func (j *Journal) Append(record any) error {
	switch {
	case j.ended:
		return ErrEnded
	case j.failure != nil:
		return j.failure
	}
	line, crc, err := j.line(record)
	if err != nil {
		return err
	}
	err = j.write(line)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = j.again(line, err)
	}
	if err != nil {
		j.failure = fmt.Errorf("journal: %w", err)
		return j.failure
	}
	j.seq, j.crc, j.size = j.seq+1, crc, j.size+int64(len(line))
	j.ended = kind(payloadOf(line)) == "end"
	return nil
}

// Tear writes the first half of what Append would write and no more, as a
// process does that dies in the middle. It is for tests of what follows.
func (j *Journal) Tear(record any) error {
	line, _, err := j.line(record)
	if err != nil {
		return err
	}
	_, err = j.f.Write(line[:len(line)/2])
	return err
}

// Close releases the lock.
func (j *Journal) Close() error { return j.f.Close() }

func (j *Journal) line(record any) ([]byte, uint32, error) {
	payload, err := json.Marshal(record)
	if err != nil {
		return nil, 0, fmt.Errorf("journal: %w", err)
	}
	line, crc := render(j.seq+1, j.crc, payload)
	return line, crc, nil
}

func (j *Journal) write(line []byte) error {
	if _, err := j.f.Write(line); err != nil {
		return err
	}
	return j.f.Sync()
}

// again gives up the reserve and writes the line once more.
func (j *Journal) again(line []byte, cause error) error {
	if err := os.Remove(filepath.Join(j.dir, reserveName)); err != nil {
		return cause
	}
	if err := j.f.Truncate(j.size); err != nil {
		return err
	}
	return j.write(line)
}

// repair brings the file to the state that l describes.
func (j *Journal) repair(data []byte, l Loaded) (*Repair, error) {
	switch {
	case l.Unended:
		if err := j.write([]byte("\n")); err != nil {
			return nil, err
		}
		j.size++
		return nil, nil
	case l.Good == len(data):
		return nil, nil
	}
	name, err := keepCopy(j.dir, data)
	if err != nil {
		return nil, err
	}
	if err := j.f.Truncate(int64(l.Good)); err != nil {
		return nil, err
	}
	if err := j.f.Sync(); err != nil {
		return nil, err
	}
	j.size = int64(l.Good)
	return &Repair{Copy: name, Lost: len(data) - l.Good}, nil
}

func keepCopy(dir string, data []byte) (string, error) {
	for n := 1; ; n++ {
		name := filepath.Join(dir, fmt.Sprintf("%s.broken.%d", fileName, n))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(f, bytes.NewReader(data)); err != nil {
			return "", closing(f, err)
		}
		if err := f.Sync(); err != nil {
			return "", closing(f, err)
		}
		if err := f.Close(); err != nil {
			return "", err
		}
		return name, SyncDir(dir)
	}
}

func kind(payload []byte) string {
	var r struct {
		T string `json:"t"`
	}
	if json.Unmarshal(payload, &r) != nil {
		return ""
	}
	return r.T
}

// closing closes f, whose error would only hide err, and returns err.
func closing(f io.Closer, err error) error {
	_ = f.Close()
	return err
}
