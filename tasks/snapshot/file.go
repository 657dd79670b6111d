package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// A snapshot is the pages of a bolt database, and after them the SHA-256 of
// these pages. A page is a multiple of 512 bytes, so a file that has the sum is
// 32 bytes longer than such a multiple.
const (
	sector    = 512
	sumSize   = sha256.Size
	boltMagic = 0xED0CDAED
)

// Codes of what a file can be refused for.
const (
	codeFormat  = "E_SNAPSHOT_FORMAT"  // it is no snapshot at all
	codeNoHash  = "E_SNAPSHOT_NO_HASH" // a database without its sum
	codeHash    = "E_SNAPSHOT_HASH"    // the sum is another
	codeCorrupt = "E_SNAPSHOT_CORRUPT" // the database is damaged
	codeVersion = "E_SNAPSHOT_VERSION" // of an etcd newer than the server
)

func refuse(code, format string, args ...any) error {
	return &onhost.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Contents is what a snapshot holds.
type Contents struct {
	Size      int64    `json:"size"`       // of the file, in bytes
	SHA256    string   `json:"sha256"`     // of the file
	Sum       string   `json:"sum"`        // of the pages, from the file's end; "" if it has none
	Hash      string   `json:"hash"`       // crc32 over all buckets, as etcdutl prints it
	Revision  int64    `json:"revision"`   // the last one
	TotalKeys int64    `json:"total_keys"` // that are not deleted
	Version   string   `json:"version"`    // of the storage; "" before etcd 3.6
	Alarms    []string `json:"alarms"`     // such as NOSPACE
	Auth      bool     `json:"auth"`       // clients have to log in
	Users     int64    `json:"users"`
	Leases    int64    `json:"leases"`
}

// kindOf looks at the first bytes and the size of a file, and refuses what no
// sum could make a snapshot. hashed reports whether there is room for the sum.
func kindOf(f *os.File, name string, size int64) (hashed bool, err error) {
	head := make([]byte, 4*sector)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	head = head[:n]
	switch {
	case size == 0:
		return false, refuse(codeFormat, "%s is empty", name)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return false, refuse(codeFormat, "%s is compressed with gzip: unpack it first", name)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return false, refuse(codeFormat, "%s is compressed with zstd: unpack it first", name)
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return false, refuse(codeFormat, "%s is a tar archive: unpack it first", name)
	}
	hashed = size%sector == sumSize
	if !hashed && !hasMagic(head) {
		return false, refuse(codeFormat, "%s is no snapshot of etcd: it does not begin like a database", name)
	}
	return hashed, nil
}

// hasMagic reports whether one of the first pages is a meta page of bolt.
func hasMagic(head []byte) bool {
	return len(head) >= 20 && binary.NativeEndian.Uint32(head[16:]) == boltMagic
}

// sums reads the file once: its SHA-256, that of its pages, and the one that it
// ends with.
func sums(ctx context.Context, f *os.File, size int64, hashed bool) (whole, pages, said []byte, err error) {
	n := size
	if hashed {
		n -= sumSize
	}
	h, r := sha256.New(), io.NewSectionReader(f, 0, size)
	buf := make([]byte, 1<<20)
	for left := n; left > 0; {
		if err := ctx.Err(); err != nil {
			return nil, nil, nil, err
		}
		k, err := io.ReadFull(r, buf[:min(left, int64(len(buf)))])
		if err != nil {
			return nil, nil, nil, err
		}
		h.Write(buf[:k])
		left -= int64(k)
	}
	pages = h.Sum(nil)
	if hashed {
		said = make([]byte, sumSize)
		if _, err := io.ReadFull(r, said); err != nil {
			return nil, nil, nil, err
		}
		h.Write(said)
	}
	return h.Sum(nil), pages, said, nil
}

// inspect reads a snapshot, never opening it for writing. The sum is compared
// before the database is looked into, so that a damaged one is never mapped;
// with unhashed, a database without a sum is taken as well.
func inspect(ctx context.Context, root onhost.Root, path string, unhashed bool) (Contents, error) {
	f, err := os.Open(root.Path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return Contents{}, &onhost.Error{Code: codeFormat, Missing: true, Text: "there is no " + path}
	}
	if err != nil {
		return Contents{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return Contents{}, err
	case info.IsDir():
		return Contents{}, refuse(codeFormat, "%s is a directory: a backup of the v2 API or a data directory, not a snapshot; restoring takes a file of etcdctl snapshot save", path)
	case !info.Mode().IsRegular():
		return Contents{}, refuse(codeFormat, "%s is not a file", path)
	}
	hashed, err := kindOf(f, path, info.Size())
	if err != nil {
		return Contents{}, err
	}
	if !hashed && !unhashed {
		return Contents{}, refuse(codeNoHash, "%s does not end with a checksum: it was copied from a data directory, or it is not whole. "+
			"Nothing can tell whether it is damaged; take a snapshot that is whole, or say skip_hash_check = true if this is all there is", path)
	}
	whole, pages, said, err := sums(ctx, f, info.Size(), hashed)
	if err != nil {
		return Contents{}, err
	}
	if hashed && !bytes.Equal(pages, said) {
		return Contents{}, refuse(codeHash, "%s is damaged: its content has sha256 %x, and it ends with %x", path, pages, said)
	}
	c := Contents{Size: info.Size(), SHA256: hex.EncodeToString(whole), Sum: hex.EncodeToString(said)}
	err = c.read(root.Path(path), path)
	return c, err
}

// read fills in what the database in file, called path, says. All its pages are
// checked on the way.
func (c *Contents) read(file, path string) error {
	c.Alarms = []string{}
	db, err := bbolt.Open(file, 0o400, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return refuse(codeCorrupt, "%s is damaged: %v", path, err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for _, name := range []string{"key", "meta"} {
			if tx.Bucket([]byte(name)) == nil {
				return refuse(codeFormat, "%s is a database, but not etcd's: it has no bucket %q", path, name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	st, err := etcdutl.NewV3(zap.NewNop()).Status(file)
	if err != nil {
		return refuse(codeCorrupt, "%s is damaged: %v", path, err)
	}
	c.Hash, c.Revision, c.TotalKeys, c.Version = fmt.Sprintf("%x", st.Hash), st.Revision, int64(st.TotalKey), st.Version
	return db.View(func(tx *bbolt.Tx) error {
		c.Revision = max(c.Revision, leastRevision(tx))
		return c.rest(tx)
	})
}

// leastRevision is what etcd begins with at least, whatever keys there are: 1
// where none was ever written, and the revision of the last compaction, which
// may have taken the last keys.
func leastRevision(tx *bbolt.Tx) int64 {
	least := int64(1)
	meta := tx.Bucket(schema.Meta.Name())
	for _, name := range [][]byte{schema.ScheduledCompactKeyName, schema.FinishedCompactKeyName} {
		if v := meta.Get(name); len(v) >= 8 {
			least = max(least, mvcc.BytesToRev(v).Main)
		}
	}
	return least
}

// rest fills in what etcdutl does not tell.
func (c *Contents) rest(tx *bbolt.Tx) error {
	if b := tx.Bucket([]byte("alarm")); b != nil {
		err := b.ForEach(func(k, _ []byte) error {
			var m etcdserverpb.AlarmMember
			if err := proto.Unmarshal(k, &m); err != nil {
				return refuse(codeCorrupt, "an alarm in it cannot be read: %v", err)
			}
			c.Alarms = append(c.Alarms, fmt.Sprintf("%s of member %x", m.GetAlarm(), m.GetMemberID()))
			return nil
		})
		if err != nil {
			return err
		}
	}
	if b := tx.Bucket([]byte("auth")); b != nil {
		c.Auth = bytes.Equal(b.Get([]byte("authEnabled")), []byte{1})
	}
	if b := tx.Bucket([]byte("authUsers")); b != nil {
		err := b.ForEach(func(_, v []byte) error {
			c.Users++
			return proto.Unmarshal(v, &authpb.User{})
		})
		if err != nil {
			return refuse(codeCorrupt, "a user in it cannot be read: %v", err)
		}
	}
	if b := tx.Bucket([]byte("lease")); b != nil {
		c.Leases = int64(b.Stats().KeyN)
	}
	return nil
}
