package snapshot

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// restoreRequest is what the verb snapshot-restore is asked. Its answer is the
// Marker, with the revision.
type restoreRequest struct {
	Marker        Marker `json:"marker"`
	Staging       string `json:"staging"`
	Unhashed      bool   `json:"unhashed"`
	ServerVersion string `json:"server_version"`
	LastRevision  int64  `json:"last_revision"`
}

// restore makes the data directory q.Staging, which must not be there yet. When
// it returns, the directory is whole and on disk, or it is gone again.
func restore(ctx context.Context, root onhost.Root, q restoreRequest) (m Marker, err error) {
	m = q.Marker
	dir, file := root.Path(q.Staging), root.Path(m.Snapshot)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s is there already", q.Staging)
	}
	before, err := same(file, m)
	if err != nil {
		return m, err
	}
	if m.Sum == "" { // what has a checksum is compared while it is copied
		if _, err := inspect(ctx, root, m.Snapshot, q.Unhashed); err != nil {
			return m, err
		}
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // what is left is removed by the next attempt
		}
	}()
	if err := unpackAndProve(ctx, root, q); err != nil {
		return m, err
	}
	if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return m, fmt.Errorf("%s was changed while it was restored", m.Snapshot)
	}
	if err := m.look(filepath.Join(dir, "member", "snap", "db"), q); err != nil {
		return m, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if err := flush(dir); err != nil {
		return m, err
	}
	if err := writeDurably(filepath.Join(dir, MarkerName), append(text, '\n')); err != nil {
		return m, err
	}
	return m, syncDir(filepath.Dir(dir))
}

// unpackAndProve compares a snapshot with the checksum that it ends with while
// the data directory is made of it: each takes the time of reading it all. A
// damaged database may end the process that opens it, so that is another one,
// and what it has made is of use only once the checksum is known to be right.
func unpackAndProve(ctx context.Context, root onhost.Root, q restoreRequest) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	proved := make(chan error, 1)
	go func() {
		err := prove(ctx, root, q.Marker)
		if err != nil {
			stop()
		}
		proved <- err
	}()
	err := damaged(q.Marker.Snapshot, onhost.Here(ctx, "snapshot-unpack", q, &struct{}{}))
	if perr := <-proved; perr != nil {
		return perr
	}
	return err
}

// prove refuses a snapshot that does not have the checksum that it ends with.
func prove(ctx context.Context, root onhost.Root, m Marker) error {
	if m.Sum == "" {
		return nil // it has none; all its pages were looked at
	}
	f, err := os.Open(root.Path(m.Snapshot))
	if err != nil {
		return err
	}
	defer f.Close()
	_, pages, said, err := sums(ctx, f, m.Size, true)
	if err == nil && !bytes.Equal(pages, said) {
		err = refuse(codeHash, "%s is damaged: its content has sha256 %x, and it ends with %x", m.Snapshot, pages, said)
	}
	return err
}

// unpack makes the data directory, and looks at no checksum.
func unpack(_ context.Context, root onhost.Root, q restoreRequest) (done struct{}, err error) {
	m := q.Marker
	return done, etcdutl.NewV3(zap.NewNop()).Restore(etcdutl.RestoreConfig{
		SnapshotPath: root.Path(m.Snapshot), Name: m.Name, OutputDataDir: root.Path(q.Staging), PeerURLs: m.PeerURLs,
		InitialCluster: m.InitialCluster, InitialClusterToken: m.Token, SkipHashCheck: true,
		// The default of 10 GiB is refused where address space is limited.
		InitialMmapSize: uint64(m.Size) + 64<<20,
		RevisionBump:    uint64(m.RevisionBump), MarkCompacted: m.RevisionBump > 0,
	})
}

// same refuses a file that is not the one that was looked at.
func same(file string, m Marker) (fs.FileInfo, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(codeFormat, "there is no %s", m.Snapshot)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	sum := ""
	if info.Size()%sector == sumSize {
		b := make([]byte, sumSize)
		if _, err := f.ReadAt(b, info.Size()-sumSize); err != nil {
			return nil, err
		}
		sum = hex.EncodeToString(b)
	}
	if info.Size() != m.Size || sum != m.Sum {
		return nil, fmt.Errorf("%s is another file than it was when it was looked at", m.Snapshot)
	}
	return info, nil
}

// look fills in the revision of a restored database, and refuses one that the
// server would not take or whose revision would go back.
func (m *Marker) look(db string, q restoreRequest) error {
	b, err := bbolt.Open(db, 0o400, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer b.Close()
	var version string
	err = b.View(func(tx *bbolt.Tx) error {
		keys := tx.Bucket([]byte("key"))
		if keys == nil || tx.Bucket([]byte("meta")) == nil {
			return refuse(codeFormat, "%s is a database, but not etcd's", m.Snapshot)
		}
		m.Revision = leastRevision(tx)
		if k, _ := keys.Cursor().Last(); len(k) >= 8 {
			m.Revision = max(m.Revision, mvcc.BytesToRev(k).Main)
		}
		if v := schema.ReadStorageVersionFromSnapshot(tx); v != nil {
			version = v.String()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := fits(version, q.ServerVersion); err != nil {
		return err
	}
	return m.ahead(q.LastRevision)
}

// ahead refuses a bump that does not go beyond what clients have seen.
func (m *Marker) ahead(last int64) error {
	if m.RevisionBump > 0 && m.Revision <= last {
		return fmt.Errorf("revision_bump = %d is too small: the snapshot ends at revision %d, and clients have seen %d; at least %d are needed",
			m.RevisionBump, m.Revision-m.RevisionBump, last, last-(m.Revision-m.RevisionBump)+1)
	}
	return nil
}

// flush makes all below dir durable: etcdutl syncs neither folders nor all files.
func flush(dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(p)
	})
}

// syncDir makes a folder, or a file, durable.
func syncDir(p string) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// writeDurably writes a new file, and makes it and its folder durable.
func writeDurably(p string, content []byte) (err error) {
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if serr := f.Sync(); err == nil {
		err = serr
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(p))
}

// settled makes an error definite where the verb itself has spoken: it has ended
// and has taken back what it did.
func settled(err error) error {
	var said *onhost.Error
	if errors.As(err, &said) {
		return engine.Definite(err)
	}
	return err
}

// orMissing is err, or that the file is not there.
func orMissing(err error) error {
	if err == nil {
		return fs.ErrNotExist
	}
	return err
}
