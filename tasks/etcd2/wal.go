package etcd2

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// wal is what the end of a member's write-ahead log says.
type wal struct {
	Member  string // its ID, lower-case hex without leading zeros
	Cluster string
	Term    uint64 // of the last entry
	Index   uint64 // of the last entry; 0 if the last segment has none
	Commit  uint64 // the highest index it knew to be agreed on
}

// errDamaged says that a log is there and cannot be read to its end.
var errDamaged = errors.New("this is no log of etcd, or it is damaged")

// Kinds of records (go.etcd.io/etcd/server/v3/storage/wal).
const (
	metadataRecord = 1
	entryRecord    = 2
	stateRecord    = 3
	snapshotRecord = 5
)

// readWAL reads the last segment of the log in dataDir, which begins with whose
// it is and where it stood. fs.ErrNotExist says that there is no log.
func readWAL(ctx context.Context, r conn.Reader, dataDir string) (wal, error) {
	dir := path.Join(dataDir, "member/wal")
	infos, err := r.ReadDir(ctx, dir)
	if err != nil {
		return wal{}, err
	}
	last := ""
	for _, i := range infos { // in the order of names, and so of segments
		if strings.HasSuffix(i.Path, ".wal") && i.Mode.IsRegular() {
			last = i.Path
		}
	}
	if last == "" {
		return wal{}, fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
	}
	w, err := parseWAL(bufio.NewReaderSize(&remote{ctx: ctx, r: r, path: last}, 1<<16))
	if err != nil {
		return w, fmt.Errorf("%s: %w", last, err)
	}
	return w, nil
}

// remote reads a file of a host in pieces that an answer can hold.
type remote struct {
	ctx  context.Context
	r    conn.Reader
	path string
	skip int
	rest []byte
	end  bool
}

const piece = conn.MaxOutput

func (f *remote) Read(p []byte) (int, error) {
	if len(f.rest) == 0 && !f.end {
		// Relative to the root that the host has, which need not be this machine's.
		r, err := f.r.Query(f.ctx, conn.Command{Argv: []string{
			"dd", "if=." + f.path, "bs=" + strconv.Itoa(piece), "skip=" + strconv.Itoa(f.skip), "count=1", "status=none",
		}})
		if err != nil {
			return 0, err
		}
		if r.ExitCode != 0 {
			return 0, fmt.Errorf("dd: %s", strings.TrimSpace(string(r.Stderr)))
		}
		f.rest, f.end, f.skip = r.Stdout, len(r.Stdout) < piece, f.skip+1
	}
	if len(f.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// mostRecord bounds a record: etcd takes requests of 1.5 MiB unless told
// otherwise, and nobody sensible says 64 MiB.
const mostRecord = 64 << 20

// parseWAL reads a segment: records, each after its length in 56 bits and the
// length of its padding in the rest, up to the zeros of the part that is not
// written yet.
func parseWAL(r io.Reader) (wal, error) {
	var w wal
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		} else if err != nil {
			return w, err
		}
		field := binary.LittleEndian.Uint64(head[:])
		n, padding := field&^(0xff<<56), uint64(0)
		if field>>63 == 1 {
			padding = field >> 56 & 7
		}
		if n == 0 {
			break
		}
		if n > mostRecord {
			return w, fmt.Errorf("a record of %d bytes: %w", n, errDamaged)
		}
		record := make([]byte, n+padding)
		if _, err := io.ReadFull(r, record); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break // torn by the end of the process that wrote it
		} else if err != nil {
			return w, err
		}
		if err := w.take(record[:n]); err != nil {
			return w, err
		}
	}
	if w.Member == "" {
		return w, fmt.Errorf("it does not say whose it is: %w", errDamaged)
	}
	return w, nil
}

func (w *wal) take(record []byte) error {
	numbers, data, ok := message(record, 3)
	if !ok {
		return fmt.Errorf("a record that cannot be read: %w", errDamaged)
	}
	inner, _, ok := message(data, 0)
	if !ok {
		return nil // of a kind that is not looked into
	}
	switch numbers[1] {
	case metadataRecord:
		w.Member, w.Cluster = strconv.FormatUint(inner[1], 16), strconv.FormatUint(inner[2], 16)
	case entryRecord: // a later one takes the place of an earlier one with its index
		w.Term, w.Index = inner[2], inner[3]
	case stateRecord:
		w.Commit = max(w.Commit, inner[3])
	case snapshotRecord: // all up to here is in a snapshot
		if inner[1] > w.Index {
			w.Index, w.Term = inner[1], inner[2]
		}
		w.Commit = max(w.Commit, inner[1])
	}
	return nil
}

// message is the numbers of a protobuf message by field, and the bytes of one.
func message(raw []byte, field protowire.Number) (numbers map[protowire.Number]uint64, content []byte, ok bool) {
	numbers = map[protowire.Number]uint64{}
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return nil, nil, false
		}
		raw = raw[n:]
		if n = protowire.ConsumeFieldValue(number, kind, raw); n < 0 {
			return nil, nil, false
		}
		switch {
		case kind == protowire.VarintType:
			numbers[number], _ = protowire.ConsumeVarint(raw)
		case kind == protowire.BytesType && number == field:
			content, _ = protowire.ConsumeBytes(raw)
		}
		raw = raw[n:]
	}
	return numbers, content, true
}
