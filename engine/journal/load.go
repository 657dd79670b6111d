package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Loaded is what the bytes of a journal hold.
type Loaded struct {
	Payloads []json.RawMessage
	Good     int  // bytes up to which every line is sound; what follows is torn
	Unended  bool // the last line lacks nothing but its line feed, and counts

	crc uint32
}

// CorruptError is damage that no interrupted write can explain.
type CorruptError struct {
	Line int // from 1
	Why  string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal is damaged at line %d: %s", e.Line, e.Why)
}

// Load checks the bytes of a journal: sound, torn (Good < len(data)), or a
// *CorruptError. Torn is only what an append cut short leaves: a last line
// without its line feed.
func Load(data []byte) (Loaded, error) {
	var l Loaded
	for n := uint64(1); l.Good < len(data); n++ {
		rest := data[l.Good:]
		end := bytes.IndexByte(rest, '\n')
		line, ended := rest, end >= 0
		if ended {
			line = rest[:end]
		}
		payload, crc, why := l.parse(n, line)
		switch {
		case why == "":
		case ended:
			return Loaded{}, &CorruptError{Line: int(n), Why: why}
		case l.changedEnd(n, line):
			return Loaded{}, &CorruptError{Line: int(n), Why: "its end has been changed"}
		default:
			return l, nil
		}
		l.Payloads, l.crc = append(l.Payloads, payload), crc
		l.Good += len(line)
		if !ended {
			l.Unended = true
			return l, nil
		}
		l.Good++
	}
	return l, nil
}

// parse takes line n apart; why is empty if it is sound.
func (l *Loaded) parse(n uint64, line []byte) (payload []byte, crc uint32, why string) {
	parts := bytes.SplitN(line, []byte(" "), 3)
	if len(parts) != 3 {
		return nil, 0, "it is not made of a number, a checksum and a record"
	}
	payload = parts[2]
	want, crc := render(n, l.crc, payload)
	switch {
	case !json.Valid(payload) || len(payload) == 0 || payload[0] != '{':
		return nil, 0, "its record is no JSON object"
	case !bytes.Equal(line, want[:len(want)-1]):
		return nil, 0, "its number or checksum does not fit"
	}
	return payload, crc, ""
}

// changedEnd reports whether the unended line is a sound one whose line feed was
// turned into something else: an append cut short never leaves that.
func (l *Loaded) changedEnd(n uint64, line []byte) bool {
	if len(line) == 0 {
		return false
	}
	_, _, why := l.parse(n, line[:len(line)-1])
	return why == ""
}

// Save renders payloads as a journal: the inverse of Load.
func Save(payloads []json.RawMessage) []byte {
	var out []byte
	var crc uint32
	for i, p := range payloads {
		var line []byte
		line, crc = render(uint64(i)+1, crc, p)
		out = append(out, line...)
	}
	return out
}

func render(seq uint64, prev uint32, payload []byte) ([]byte, uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], prev)
	crc := crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, payload)
	return fmt.Appendf(nil, "%d %08x %s\n", seq, crc, payload), crc
}

func payloadOf(line []byte) []byte {
	parts := bytes.SplitN(line, []byte(" "), 3)
	return parts[2]
}

// check loads data and refuses a format that is not known.
func check(data []byte) (Loaded, error) {
	l, err := Load(data)
	if err != nil || len(l.Payloads) == 0 {
		return l, err
	}
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(l.Payloads[0], &head); err != nil {
		return Loaded{}, &CorruptError{Line: 1, Why: "it names no format"}
	}
	if head.V != Version {
		return Loaded{}, fmt.Errorf("%w: format %d, known is %d", ErrVersion, head.V, Version)
	}
	return l, nil
}
