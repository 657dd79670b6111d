package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
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
	if err := same(file, m); err != nil {
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
	err = etcdutl.NewV3(zap.NewNop()).Restore(etcdutl.RestoreConfig{
		SnapshotPath: file, Name: m.Name, OutputDataDir: dir, PeerURLs: m.PeerURLs,
		InitialCluster: m.InitialCluster, InitialClusterToken: m.Token, SkipHashCheck: m.Sum == "",
		// The default of 10 GiB is refused where address space is limited.
		InitialMmapSize: uint64(m.Size) + 64<<20,
		RevisionBump:    uint64(m.RevisionBump), MarkCompacted: m.RevisionBump > 0,
	})
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "expected sha256"):
		return m, refuse(codeHash, "%s is damaged: its content does not have the sha256 that it ends with", m.Snapshot)
	case err != nil:
		return m, err
	case ctx.Err() != nil:
		return m, context.Cause(ctx)
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

// same refuses a file that is not the one that was looked at.
func same(file string, m Marker) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(codeFormat, "there is no %s", m.Snapshot)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum := ""
	if info.Size()%sector == sumSize {
		b := make([]byte, sumSize)
		if _, err := f.ReadAt(b, info.Size()-sumSize); err != nil {
			return err
		}
		sum = hex.EncodeToString(b)
	}
	if info.Size() != m.Size || sum != m.Sum {
		return fmt.Errorf("%s is another file than it was when it was looked at", m.Snapshot)
	}
	return nil
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

// useOwn reports whether the host's etcdutl restores, rather than this program:
// on another machine that has one which is new enough. Before 3.5 etcdutl left
// old members in the database.
func useOwn(t *onhost.Tool) bool {
	major, minor, ok := minor(t.Etcdutl)
	return !t.Here && !t.Sandbox && ok && (major > 3 || major == 3 && minor >= 5)
}

// restoreWithOwn does what restore does with the host's own etcdutl. The pages are
// looked at while they are copied: both take the time of reading the snapshot.
func restoreWithOwn(ctx context.Context, h engine.Hands, q restoreRequest) (Marker, error) {
	m := q.Marker
	looked := make(chan error, 1)
	go func() { looked <- m.lookWithOwn(ctx, h.Host, q) }()
	argv := []string{
		"etcdutl", "snapshot", "restore", q.Marker.Snapshot, "--data-dir", q.Staging, "--name", q.Marker.Name,
		"--initial-advertise-peer-urls", strings.Join(q.Marker.PeerURLs, ","), "--initial-cluster", q.Marker.InitialCluster,
		"--initial-cluster-token", q.Marker.Token, "--skip-hash-check=" + strconv.FormatBool(q.Marker.Sum == "" && q.Unhashed),
	}
	if q.Marker.RevisionBump > 0 {
		argv = append(argv, "--bump-revision", strconv.FormatInt(q.Marker.RevisionBump, 10), "--mark-compacted")
	}
	run := func(argv ...string) error {
		_, err := said(ctx, argv, h.Host.Run)
		return err
	}
	err := run(argv...)
	if lerr := <-looked; lerr != nil && !errors.Is(err, conn.ErrOutcomeUnknown) {
		err = lerr // it says more of what is wrong with the snapshot
	}
	if err != nil {
		return m, err
	}
	if err := run("sync", "-f", path.Join(q.Staging, "member")); err != nil {
		return m, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	text = append(text, '\n')
	sum := sha256.Sum256(text)
	return m, h.Host.WriteFile(ctx, path.Join(q.Staging, MarkerName), conn.File{
		Content: bytes.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Attr: conn.Attr{Mode: 0o600},
	})
}

// lookWithOwn fills in the revision. The host's etcdutl looks at every page.
func (m *Marker) lookWithOwn(ctx context.Context, r conn.Reader, q restoreRequest) error {
	out, err := said(ctx, []string{"etcdutl", "snapshot", "status", q.Marker.Snapshot, "-w", "json"}, r.Query)
	if err != nil {
		return err
	}
	var st struct {
		Revision int64  `json:"revision"`
		Version  string `json:"version"`
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return &onhost.Error{Text: fmt.Sprintf("what etcdutl says of %s cannot be read: %v", q.Marker.Snapshot, err)}
	}
	m.Revision = st.Revision + q.Marker.RevisionBump
	if err := errors.Join(fits(st.Version, q.ServerVersion), m.ahead(q.LastRevision)); err != nil {
		return &onhost.Error{Text: err.Error()}
	}
	return nil
}

// said is what a program prints; that it fails is its own word.
func said(ctx context.Context, argv []string, run func(context.Context, conn.Command) (conn.Result, error)) ([]byte, error) {
	res, err := run(ctx, conn.Command{Argv: argv})
	if err == nil && res.ExitCode != 0 {
		err = &onhost.Error{Text: fmt.Sprintf("%s ended with exit code %d: %s", strings.Join(argv[:min(3, len(argv))], " "), res.ExitCode, lastLine(res.Stderr))}
	}
	return res.Stdout, err
}

// lastLine is the last line of what a program said.
func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(b), "?")), "\n")
	return lines[len(lines)-1]
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
