package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"

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
