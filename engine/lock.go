package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"github.com/etcdplay/etcdplay/engine/journal"
)

// clusterLock keeps a second engine with the same state folder off a cluster.
// There is one lock file for each endpoint, so that two inventories which name
// one cluster differently still meet. The kernel releases the locks when the
// process ends, however it ends; what stands in the files only says who.
type clusterLock struct{ files []*os.File }

var unsafeInName = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func lockCluster(stateDir string, c Cluster, h Holder) (*clusterLock, error) {
	dir := filepath.Join(stateDir, "clusters")
	if err := journal.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	names := slices.Clone(c.Endpoints)
	if len(names) == 0 {
		names = []string{"cluster-" + c.Name}
	}
	slices.Sort(names)
	l := &clusterLock{}
	for _, name := range slices.Compact(names) {
		path := filepath.Join(dir, unsafeInName.ReplaceAllString(name, "_")+".lock")
		if err := l.take(path, c.Name, h); err != nil {
			l.release()
			return nil, err
		}
	}
	return l, nil
}

func (l *clusterLock) take(path, cluster string, h Holder) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		locked := &LockedError{Cluster: cluster}
		if data, err := io.ReadAll(f); err == nil {
			_ = json.Unmarshal(data, &locked.Holder) // a torn text only says less
		}
		_ = f.Close() // it was only read
		return locked
	}
	l.files = append(l.files, f)
	if err != nil {
		return fmt.Errorf("%w: lock %s: %w", ErrState, path, err)
	}
	data, err := json.Marshal(h)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err != nil {
		return fmt.Errorf("%w: lock %s: %w", ErrState, path, err)
	}
	return nil
}

func (l *clusterLock) release() {
	for _, f := range l.files {
		_ = f.Close() // which releases the lock, and nothing was to be written
	}
}
