package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// Record is what is written beside a snapshot, as PATH.json.
type Record struct {
	Format    int       `json:"format"`
	Run       string    `json:"run"`
	Path      string    `json:"path"`
	Endpoint  string    `json:"endpoint"`
	ClusterID string    `json:"cluster_id"`
	MemberID  string    `json:"member_id"`
	Server    string    `json:"server"` // the version of etcd that it is of
	TakenAt   time.Time `json:"taken_at"`
	Contents
}

const recordFormat = 1

func recordPath(path string) string { return path + ".json" }

// saveRequest is what the verb snapshot-save is asked. Its answer is the Record.
type saveRequest struct {
	Source source `json:"source"`
	Path   string `json:"path"`
	Run    string `json:"run"`
}

// part is where the file grows, under a name that no other run has.
func (q saveRequest) part() string { return q.Path + ".etcdplay." + q.Run + ".part" }

// saveHere saves a snapshot on the host that this process runs on. A member that
// listens on loopback only, and advertises the host's address, is found there.
func saveHere(ctx context.Context, root onhost.Root, q saveRequest) (Record, error) {
	return save(ctx, root, q, func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if host, port, serr := net.SplitHostPort(addr); err != nil && serr == nil && ours(host) {
			if conn, lerr := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port)); lerr == nil {
				return conn, nil
			}
		}
		return conn, err
	}, func(int64, int64) {}, pages)
}

// pagesRequest is what the verb snapshot-pages is asked: what is in the database
// in File, to be called Path. Its checksum is known to be right.
type pagesRequest struct {
	File string `json:"file"`
	Path string `json:"path"`
}

// pages reads a database, all of it. A member whose own database is damaged sends
// one whose checksum is right, and reading that may end this process.
func pages(_ context.Context, q pagesRequest) (c Contents, err error) {
	err = c.read(q.File, q.Path)
	return c, err
}

func pagesOf(ctx context.Context, _ onhost.Root, q pagesRequest) (Contents, error) {
	return pages(ctx, q)
}

// pagesApart reads it in a process of its own.
func pagesApart(ctx context.Context, q pagesRequest) (c Contents, err error) {
	err = onhost.Here(ctx, "snapshot-pages", q, &c)
	return c, damaged(q.Path, err)
}

// save streams a snapshot of one member into a file. Nothing is at q.Path before
// the file is whole, compared with its checksum, looked at page by page, and on
// disk; and then its record is beside it.
func save(ctx context.Context, root onhost.Root, q saveRequest, dial func(ctx context.Context, addr string) (net.Conn, error),
	progress func(done, total int64), look func(context.Context, pagesRequest) (Contents, error),
) (r Record, err error) {
	c, err := q.Source.open(ctx, dial)
	if err != nil {
		return r, fmt.Errorf("%s: %w", q.Source.Endpoint, q.Source.alone(ctx, dial, explain(err)))
	}
	defer c.Close()
	asked, cancel := context.WithTimeout(ctx, loginFor)
	defer cancel()
	st, err := c.Status(asked, q.Source.Endpoint)
	if err != nil {
		return r, fmt.Errorf("%s: %w", q.Source.Endpoint, explain(err))
	}
	r = Record{
		Format: recordFormat, Run: q.Run, Path: q.Path, Endpoint: q.Source.Endpoint, Server: st.Version, TakenAt: time.Now().UTC(),
		ClusterID: fmt.Sprintf("%x", st.Header.ClusterId), MemberID: fmt.Sprintf("%x", st.Header.MemberId),
	}
	part, final := root.Path(q.part()), root.Path(q.Path)
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an earlier attempt of this run
		return r, err
	}
	defer os.Remove(part) // it is gone if all went well
	if r.Contents, err = receive(ctx, c, part, progress); err != nil {
		err = explain(err)
		if wantsLogin(err) {
			err = q.Source.alone(ctx, dial, err)
		}
		return r, fmt.Errorf("%s: %w", q.Source.Endpoint, err)
	}
	got := r.Contents
	if r.Contents, err = look(ctx, pagesRequest{File: part, Path: q.Path}); err != nil {
		return r, err
	}
	r.Size, r.SHA256, r.Sum = got.Size, got.SHA256, got.Sum
	return r, r.install(part, final)
}

// receive writes what the member sends to a new file, makes it durable and
// compares its checksum.
func receive(ctx context.Context, c *clientv3.Client, path string, progress func(done, total int64)) (got Contents, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return got, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	stream, err := pb.NewMaintenanceClient(c.ActiveConnection()).Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return got, err
	}
	sum := newSummer()
	defer sum.end()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return got, err
		}
		b := m.GetBlob()
		if got.Size == 0 {
			if err := enough(path, int64(len(b))+int64(m.GetRemainingBytes())); err != nil {
				return got, err
			}
		}
		if _, err := f.Write(b); err != nil {
			return got, err
		}
		got.Size += int64(len(b))
		sum.next <- b
		progress(got.Size, got.Size+int64(m.GetRemainingBytes()))
	}
	whole, pages, said := sum.end()
	got.SHA256, got.Sum = hex.EncodeToString(whole), hex.EncodeToString(said)
	if got.Size%sector != sumSize || !bytes.Equal(pages, said) {
		return got, refuse(codeHash, "what came is not what was sent: %d bytes with sha256 %x, and the checksum at their end is %x", got.Size, pages, said)
	}
	return got, f.Sync()
}

// summer works out the checksums of what comes, beside its coming.
type summer struct {
	next  chan []byte
	done  chan struct{}
	close func()

	whole, pages, last []byte // last is what may be the checksum, and pages the sum of all before it
}

func newSummer() *summer {
	s := &summer{next: make(chan []byte, 64), done: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.next) })
	go func() {
		defer close(s.done)
		h := sha256.New()
		for b := range s.next {
			s.last = hashAllBut(h, s.last, b)
		}
		s.pages = h.Sum(nil)
		h.Write(s.last)
		s.whole = h.Sum(nil)
	}()
	return s
}

// end waits for the sums. Nothing may come afterwards; called again, it says the
// same.
func (s *summer) end() (whole, pages, last []byte) {
	s.close()
	<-s.done
	return s.whole, s.pages, s.last
}

// hashAllBut hashes what came before and b, but for the last 32 bytes, which it
// returns.
func hashAllBut(h io.Writer, before, b []byte) []byte {
	if len(b) < sumSize {
		b = append(before, b...)
		n := max(0, len(b)-sumSize)
		_, _ = h.Write(b[:n]) // a hash takes everything
		return b[n:]
	}
	_, _ = h.Write(before)
	_, _ = h.Write(b[:len(b)-sumSize])
	return append([]byte(nil), b[len(b)-sumSize:]...)
}

// enough refuses what the file system has no room for.
func enough(path string, size int64) error {
	var st syscall.Statfs_t
	dir := filepath.Dir(path)
	if err := syscall.Statfs(dir, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < size {
		return fmt.Errorf("%s has %d bytes free, and the snapshot is about %d bytes", dir, free, size)
	}
	return nil
}

// install gives the file its name, never that of another, after its record has
// one. What is found under the name is so always whole and on record.
func (r Record) install(part, final string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	record := recordPath(final)
	if old, err := os.ReadFile(record); err == nil {
		var was Record
		if json.Unmarshal(old, &was) != nil || was.Run != r.Run {
			return fmt.Errorf("%s is there already, of another run", recordPath(r.Path))
		}
		if _, err := os.Lstat(final); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already", r.Path)
		}
		if err := os.Remove(record); err != nil { // of an attempt that ended just here
			return err
		}
	}
	if err := writeDurably(record, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Link(part, final); err != nil {
		_ = os.Remove(record) // the error of the link says what is wrong
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; nothing is ever overwritten", r.Path)
		}
		return err
	}
	if err := os.Remove(part); err != nil {
		return err
	}
	return syncDir(filepath.Dir(final))
}
