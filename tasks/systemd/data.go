package systemd

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// readHead prints the beginning of the first segment of a member's log below
// the directory $1, relative to the host's root. It exits 3 if there is a member
// without a log, 4 if there is none, and 5 if it may not look.
const readHead = `for f in ".$1"/member/wal/*.wal; do [ -f "$f" ] && exec head -c 4096 "$f"; done
[ -d ".$1/member" ] && exit 3
[ -d ".$1" ] && ! [ -x ".$1" ] && exit 5
exit 4`

// dataOf looks whose data the data directory of a host holds. What cannot be
// looked at is not known, which is no error: it only leaves one check out.
func dataOf(ctx context.Context, l engine.Look) (world.Data, error) {
	if l.Cluster.DataDir == "" {
		return world.Data{}, nil
	}
	r, err := l.Host.Query(ctx, conn.Command{Argv: []string{"sh", "-c", readHead, "sh", l.Cluster.DataDir}})
	switch {
	case errors.Is(err, conn.ErrUnreachable), errors.Is(err, conn.ErrRefused), ctx.Err() != nil:
		return world.Data{}, err
	case err != nil:
		return world.Data{}, nil // in a plan that has changed the host; or without the right
	}
	switch r.ExitCode {
	case 0:
		d := world.Data{Known: true, Present: true}
		if member, cluster, err := owner(r.Stdout); err == nil {
			d.Member, d.Cluster = member, cluster
		}
		return d, nil
	case 3:
		return world.Data{Known: true, Present: true}, nil
	case 4:
		return world.Data{Known: true}, nil
	}
	return world.Data{}, nil
}

var errNoOwner = errors.New("the log does not begin with whose it is")

// owner reads the IDs of member and cluster from the beginning of a segment of
// etcd's write-ahead log: records, each after its length in 56 bits, of which
// the first is a checksum and the second says whose log it is
// (go.etcd.io/etcd/server/v3/storage/wal, Metadata in etcdserverpb).
func owner(head []byte) (member, cluster string, err error) {
	for range 2 {
		if len(head) < 8 {
			return "", "", errNoOwner
		}
		field := binary.LittleEndian.Uint64(head)
		n, padding := field&^(0xff<<56), uint64(0)
		if field>>63 == 1 {
			padding = field >> 56 & 7
		}
		head = head[8:]
		if n+padding > uint64(len(head)) {
			return "", "", errNoOwner
		}
		if fields, ok := varints(head[:n]); ok && fields[1] == 1 {
			data, _ := bytesOf(head[:n], 3)
			ids, ok := varints(data)
			if !ok || ids[1] == 0 || ids[2] == 0 {
				return "", "", errNoOwner
			}
			return strconv.FormatUint(ids[1], 16), strconv.FormatUint(ids[2], 16), nil
		}
		head = head[n+padding:]
	}
	return "", "", errNoOwner
}

// varints are the numbers of a protobuf message, by field.
func varints(message []byte) (fields map[protowire.Number]uint64, ok bool) {
	fields = map[protowire.Number]uint64{}
	ok = walk(message, func(number protowire.Number, kind protowire.Type, value []byte) {
		if kind == protowire.VarintType {
			fields[number], _ = protowire.ConsumeVarint(value)
		}
	})
	return fields, ok
}

// bytesOf is a field of a protobuf message that holds bytes.
func bytesOf(message []byte, field protowire.Number) (content []byte, ok bool) {
	ok = walk(message, func(number protowire.Number, kind protowire.Type, value []byte) {
		if number == field && kind == protowire.BytesType {
			content, _ = protowire.ConsumeBytes(value)
		}
	})
	return content, ok
}

func walk(message []byte, visit func(protowire.Number, protowire.Type, []byte)) bool {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return false
		}
		visit(number, kind, message[:n])
		message = message[n:]
	}
	return true
}
