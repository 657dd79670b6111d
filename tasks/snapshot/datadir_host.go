package snapshot

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// Holdings is what a data directory holds of a member.
type Holdings struct {
	Exists  bool   `json:"exists"`  // a member's data is there
	Locked  bool   `json:"locked"`  // an etcd runs on it: its database was left alone
	Problem string `json:"problem"` // why the rest is not whole; "" if it is
	// LogReadable: the log could be read, to its end or to where etcd writes now.
	LogReadable bool   `json:"log_readable"`
	Member      string `json:"member"` // IDs, lower-case hex without leading zeros
	Cluster     string `json:"cluster"`
	Term        uint64 `json:"term"`   // of the last entry of the log
	Index       uint64 `json:"index"`  // of that entry
	Commit      uint64 `json:"commit"` // up to where the member knew the others to agree
	Snap        uint64 `json:"snap"`   // index of the newest raft snapshot
	// Ahead is how many entries of the log that write data the database lacks; -1
	// if it was not read.
	Ahead    int64  `json:"ahead"`
	Applied  uint64 `json:"applied"`  // the index up to which the database has the log
	Revision int64  `json:"revision"` // the last in the database
	Size     int64  `json:"size"`     // of the database, in bytes
	Version  string `json:"version"`  // of the cluster that wrote it, such as 3.6.0
	Learner  bool   `json:"learner"`
	Removed  bool   `json:"removed"` // the member knows that it was removed
	Mount    bool   `json:"mount"`   // the directory is the root of a file system
	Free     uint64 `json:"free"`    // bytes beside it

	members map[string]bool // IDs of those in the database, to whether they have no vote
	gone    []string        // IDs of those that it knows to be removed
}

type holdingsRequest struct {
	DataDir string `json:"data_dir"`
	WALDir  string `json:"wal_dir"` // "" for the usual place
}

// lockPatience is how long the lock of a database is waited for. Who holds it is
// an etcd, and does so as long as it runs.
const lockPatience = 300 * time.Millisecond

// holdingsOf reads a data directory, opening nothing for writing. The log can be
// read while etcd writes it; the database is left alone as long as etcd has it.
func holdingsOf(_ context.Context, root onhost.Root, q holdingsRequest) (Holdings, error) {
	h := Holdings{Ahead: -1}
	member := filepath.Join(root.Path(q.DataDir), "member")
	walDir := filepath.Join(member, "wal")
	if q.WALDir != "" {
		walDir = root.Path(q.WALDir)
	}
	info, err := os.Stat(member)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, nil
	case err != nil:
		return h, err
	case !info.IsDir():
		return h, fmt.Errorf("%s/member is no directory", q.DataDir)
	}
	h.Exists = true
	h.Snap = newestSnap(filepath.Join(member, "snap"))
	var problems []string
	db := filepath.Join(member, "snap", "db")
	if err := h.readDB(db); err != nil {
		problems = append(problems, err.Error())
	}
	if err := h.readLog(walDir); err != nil {
		problems = append(problems, err.Error())
	}
	h.Learner, h.Removed = h.members[h.Member], slices.Contains(h.gone, h.Member)
	if h.LogReadable && h.Applied > 0 && h.Applied < h.Snap {
		// What lies between the two is in neither of them.
		problems = append(problems, fmt.Sprintf("the database ends at index %d and the log begins after the snapshot at %d", h.Applied, h.Snap))
	}
	h.Problem = strings.Join(problems, "; ")
	return h, nil
}

// newestSnap is the index in the name of the newest raft snapshot, TERM-INDEX.snap.
func newestSnap(dir string) (newest uint64) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.snap")) // the pattern is ours
	for _, f := range files {
		_, index, _ := strings.Cut(strings.TrimSuffix(filepath.Base(f), ".snap"), "-")
		if n, err := strconv.ParseUint(index, 16, 64); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}

// readLog reads the write-ahead log from its newest snapshot on.
func (h *Holdings) readLog(dir string) error {
	snaps, err := wal.ValidSnapshotEntries(zap.NewNop(), dir)
	if err != nil {
		return fmt.Errorf("the log cannot be read: %w", err)
	}
	from := &walpb.Snapshot{}
	if len(snaps) > 0 {
		from = snaps[len(snaps)-1]
	}
	w, err := wal.OpenForRead(zap.NewNop(), dir, from)
	if err != nil {
		return fmt.Errorf("the log cannot be read: %w", err)
	}
	defer w.Close() // nothing was written
	term, index := from.GetTerm(), from.GetIndex()
	metadata, state, entries, err := w.ReadAll()
	if err != nil {
		return fmt.Errorf("the log cannot be read: %w", err)
	}
	var ids etcdserverpb.Metadata
	if err := proto.Unmarshal(metadata, &ids); err != nil {
		return fmt.Errorf("the log does not tell whose it is: %w", err)
	}
	if n := len(entries); n > 0 {
		term, index = entries[n-1].GetTerm(), entries[n-1].GetIndex()
	}
	h.Member, h.Cluster = strconv.FormatUint(ids.GetNodeID(), 16), strconv.FormatUint(ids.GetClusterID(), 16)
	h.Term, h.Index, h.Commit, h.LogReadable = term, index, state.GetCommit(), true
	if h.Applied > 0 {
		h.Ahead = 0
		for _, e := range entries {
			if e.GetIndex() > h.Applied && e.GetType() == 0 && writes(e.GetData()) {
				h.Ahead++
			}
		}
	}
	return nil
}

// writes reports whether an entry of the log may raise the revision.
func writes(data []byte) bool {
	if len(data) == 0 {
		return false // a new leader's first entry
	}
	var r etcdserverpb.InternalRaftRequest
	if proto.Unmarshal(data, &r) != nil {
		return true // of the v2 API, or of a later etcd
	}
	return r.Put != nil || r.DeleteRange != nil || r.Txn != nil || r.LeaseRevoke != nil
}

// readDB reads what the database says of itself.
func (h *Holdings) readDB(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("the database cannot be read: %w", err)
	}
	h.Size = info.Size()
	db, err := bbolt.Open(file, 0o400, &bbolt.Options{ReadOnly: true, Timeout: lockPatience})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		h.Locked = true
		return nil
	case err != nil:
		return fmt.Errorf("the database is damaged: %w", err)
	}
	defer db.Close() // nothing was written
	return db.View(h.readBuckets)
}

// readBuckets reads what matters of the database.
func (h *Holdings) readBuckets(tx *bbolt.Tx) error {
	meta, keys := tx.Bucket([]byte("meta")), tx.Bucket([]byte("key"))
	if meta == nil || keys == nil {
		return errors.New("the database is not etcd's")
	}
	if v := meta.Get([]byte("consistent_index")); len(v) == 8 {
		h.Applied = binary.BigEndian.Uint64(v)
	}
	// A key is the revision: eight bytes, a sign, eight bytes.
	if k, _ := keys.Cursor().Last(); len(k) >= 8 {
		h.Revision = int64(binary.BigEndian.Uint64(k))
	}
	// What was deleted and compacted last leaves no key.
	if v := meta.Get([]byte("finishedCompactRev")); len(v) >= 8 {
		h.Revision = max(h.Revision, int64(binary.BigEndian.Uint64(v)))
	}
	if b := tx.Bucket([]byte("cluster")); b != nil {
		h.Version = string(b.Get([]byte("clusterVersion")))
	}
	h.members = map[string]bool{}
	if b := tx.Bucket([]byte("members")); b != nil {
		if err := b.ForEach(func(id, v []byte) error {
			var m struct {
				IsLearner bool `json:"isLearner"`
			}
			h.members[string(id)] = json.Unmarshal(v, &m) == nil && m.IsLearner
			return nil
		}); err != nil {
			return err
		}
	}
	if b := tx.Bucket([]byte("members_removed")); b != nil {
		return b.ForEach(func(id, _ []byte) error {
			h.gone = append(h.gone, string(id))
			return nil
		})
	}
	return nil
}
