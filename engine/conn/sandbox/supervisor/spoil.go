package supervisor

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// spoil damages the database and the write-ahead log of an etcd data directory:
// each is cut to half, and what is left begins with garbage. The files stay.
func spoil(dir string) error {
	n := 0
	err := filepath.WalkDir(filepath.Join(dir, "member"), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() || d.Name() != "db" && !strings.HasSuffix(p, ".wal") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := os.Truncate(p, info.Size()/2); err != nil {
			return err
		}
		f, err := os.OpenFile(p, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		n++
		_, err = f.WriteAt(bytes.Repeat([]byte("wrecked "), 2048), 0)
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%s holds no etcd data", dir)
	}
	return nil
}
