package etcd2

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// marker is the file that says that a backup is complete. It is written last,
// before the backup gets its name.
type marker struct {
	Run    string `json:"run"`
	Member string `json:"member"`
	Size   int64  `json:"size"`
	Files  int    `json:"files"`
	WithV3 bool   `json:"with_v3"`
}

const markerName = "BACKUP.json"

// readMarker reads the marker of a complete backup. taken says that something
// without one is at its place.
func readMarker(ctx context.Context, r conn.Reader, dir string) (m *marker, taken bool, err error) {
	raw, err := r.ReadFile(ctx, path.Join(dir, markerName))
	if errors.Is(err, fs.ErrNotExist) {
		_, err := r.Stat(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil
		}
		return nil, err == nil, err
	}
	if err != nil {
		return nil, false, err
	}
	m = &marker{}
	if json.Unmarshal(raw, m) != nil {
		return nil, true, nil
	}
	return m, false, nil
}

// sizeOf adds up the regular files below dir.
func sizeOf(ctx context.Context, r conn.Reader, dir string) (bytes int64, files int, err error) {
	infos, err := r.ReadDir(ctx, dir)
	if err != nil {
		return 0, 0, err
	}
	for _, i := range infos {
		switch {
		case i.Mode.IsDir():
			b, n, err := sizeOf(ctx, r, i.Path)
			if err != nil {
				return 0, 0, err
			}
			bytes, files = bytes+b, files+n
		case i.Mode.IsRegular():
			bytes, files = bytes+i.Size, files+1
		}
	}
	return bytes, files, nil
}
