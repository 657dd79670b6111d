package hcl

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// reading sets up how files are had: from the file system or as the options say,
// and those that come with the program from where they lie.
func (s *shared) reading() {
	others, template := s.read, eval.ReadBelow
	if others == nil {
		others = readFile
	} else {
		template = func(dir, name string) ([]byte, error) { return others(filepath.Join(dir, filepath.FromSlash(name))) }
	}
	own := func(name string) ([]byte, bool, error) {
		rest, ok := strings.CutPrefix(filepath.ToSlash(name), Shipped+"/")
		if !ok || s.shipped == nil {
			return nil, false, nil
		}
		src, err := fs.ReadFile(s.shipped, path.Clean(rest))
		return src, true, err
	}
	s.read = func(name string) ([]byte, error) {
		if src, ok, err := own(name); ok {
			return src, err
		}
		return others(name)
	}
	s.templates = eval.NewTemplates(func(dir, name string) ([]byte, error) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasPrefix(name, Shipped+"/") {
			file = name
		}
		src, ok, err := own(file)
		if !ok {
			src, err = template(dir, name)
		}
		if err == nil {
			s.sources[file] = src
		}
		return src, err
	})
}

func unreadable(path string, err error) engine.Diagnostic {
	return diag.Bare(diag.FileUnreadable, "File cannot be read", "%s: %s.", path, reason(err))
}

// reason is an error without the path that the finding names already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// readFile reads a regular file, and nothing that could block or be endless.
// What is beyond the limit of a file is left out, but for one byte that shows.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("this is a directory, and a playbook is one file")
	case !info.Mode().IsRegular():
		return nil, errors.New("this is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing can be lost
	return io.ReadAll(io.LimitReader(f, syntax.MaxSize+1))
}
