package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

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
