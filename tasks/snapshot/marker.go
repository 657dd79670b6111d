package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// MarkerName is the file in a restored data directory that says what it was
// made of. etcd leaves it alone. It is written last, so that a directory without
// it is not whole.
const MarkerName = "RESTORED.json"

// Marker is what a marker says.
type Marker struct {
	Format         int      `json:"format"`
	Run            string   `json:"run"`
	Snapshot       string   `json:"snapshot"` // its path
	Size           int64    `json:"size"`
	Sum            string   `json:"sum"` // the checksum that the snapshot ends with; "" if it had none
	Name           string   `json:"name"`
	PeerURLs       []string `json:"peer_urls"`
	InitialCluster string   `json:"initial_cluster"`
	Token          string   `json:"token"`
	RevisionBump   int64    `json:"revision_bump"`
	ClusterID      string   `json:"cluster_id"`
	MemberID       string   `json:"member_id"`
	Revision       int64    `json:"revision"` // after the bump; not compared
}

const markerFormat = 1

// same reports whether m is of a restore that was asked for in the same words.
func (m Marker) same(o Marker) bool {
	m.Revision, o.Revision = 0, 0
	equal := slices.Equal(m.PeerURLs, o.PeerURLs)
	m.PeerURLs, o.PeerURLs = nil, nil
	return equal && m.Format == markerFormat && m.Format == o.Format && fmt.Sprint(m) == fmt.Sprint(o)
}

// readMarker reads the marker of a data directory; ok is false if there is none
// that can be read.
func readMarker(ctx context.Context, r conn.Reader, dir string) (m Marker, ok bool, err error) {
	b, err := r.ReadFile(ctx, path.Join(dir, MarkerName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, false, nil
	case err != nil:
		return m, false, err
	}
	return m, json.Unmarshal(b, &m) == nil, nil
}

// identities are the IDs that etcd will give the cluster and the member: they
// follow from the peer URLs and the token alone. That is why a token is used
// only once.
func identities(initialCluster, token, name string) (cluster, member string, err error) {
	urls, err := types.NewURLsMap(initialCluster)
	if err != nil {
		return "", "", err
	}
	c, err := membership.NewClusterFromURLsMap(zap.NewNop(), token, urls)
	if err != nil {
		return "", "", err
	}
	m := c.MemberByName(name)
	if m == nil {
		return "", "", fmt.Errorf("initial_cluster has no member %q", name)
	}
	return c.ID().String(), m.ID.String(), nil
}

// saidSum is the checksum at the end of a snapshot; "" if its size leaves no
// room for one. The restore itself finds out whether it is true.
func saidSum(ctx context.Context, r conn.Reader, file string, size int64) (string, error) {
	if size%sector != sumSize {
		return "", nil
	}
	res, err := r.Query(ctx, conn.Command{Argv: []string{
		"/bin/sh", "-c", `tail -c 32 -- "$SANDBOX_ROOT$1" | od -An -v -tx1`, "sh", file,
	}})
	if err != nil {
		return "", err
	}
	sum := strings.Join(strings.Fields(string(res.Stdout)), "")
	if len(sum) != 2*sumSize {
		return "", fmt.Errorf("the checksum at the end of %s cannot be read: %s", file, strings.TrimSpace(string(res.Stderr)))
	}
	return sum, nil
}

// usedBy finds data directories, beside the new one and beside the cluster's,
// that another run has restored with the same token.
func usedBy(ctx context.Context, l engine.Look, a restoreArgs) (dirs []string, err error) {
	beside := []string{path.Dir(a.DataDir)}
	if d := path.Dir(l.Cluster.DataDir); path.IsAbs(l.Cluster.DataDir) && d != "/" && !slices.Contains(beside, d) {
		beside = append(beside, d)
	}
	for _, parent := range beside {
		if p, err := see(ctx, l.Host, parent); err != nil {
			return nil, err
		} else if !p.Mode.IsDir() {
			continue
		}
		infos, err := l.Host.ReadDir(ctx, parent)
		if err != nil {
			return nil, err
		}
		for _, i := range infos {
			if !i.Mode.IsDir() {
				continue
			}
			m, ok, err := readMarker(ctx, l.Host, i.Path)
			if err == nil && ok && m.Token == a.Token && m.Run != l.RunID { // what cannot be read is not one of ours
				dirs = append(dirs, i.Path)
			}
		}
	}
	return dirs, nil
}
