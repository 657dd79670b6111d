package file

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
)

// A release of etcd is 20 MB; behind a slow link that takes minutes.
const downloadTimeout = 10 * time.Minute

// maxFetched bounds what is kept of an answer and of an archive's member, so
// that a wrong URL cannot fill the disk.
const maxFetched = 4 << 30

// fetched is a file that is here, for a while: whoever has it discards it.
type fetched struct {
	path   string
	size   int64
	sha256 string
}

func (f fetched) discard() {
	_ = os.Remove(f.path) // a leftover in the temporary folder harms nobody
}

// fetch downloads a.URL to a temporary file of mode 0600, through connections
// that the host makes, and compares its checksum. With a.Member the file that
// it returns is that member of the archive.
func fetch(ctx context.Context, l engine.Look, a downloadArgs) (fetched, error) {
	l.Say("fetching %s", a.URL)
	whole, err := get(ctx, l, a.URL)
	if err != nil {
		return fetched{}, err
	}
	if whole.sha256 != strings.ToLower(a.SHA256) {
		whole.discard()
		return fetched{}, fmt.Errorf("%s has sha256 %s, not %s; nothing was written", a.URL, whole.sha256, strings.ToLower(a.SHA256))
	}
	if a.Member == nil {
		return whole, nil
	}
	defer whole.discard()
	if archive(a.URL) == ".zip" {
		return unzip(whole.path, *a.Member)
	}
	return untar(whole.path, *a.Member)
}

// get stores the body of a URL. The connections come from the host, and no
// proxy of this machine's environment is asked.
func get(ctx context.Context, l engine.Look, address string) (fetched, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return l.Host.Dial(ctx, addr) },
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fetched{}, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fetched{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fetched{}, fmt.Errorf("%s answered %s", address, resp.Status)
	}
	var done int64
	return store(resp.Body, func(n int) {
		done += int64(n)
		l.Progress(done, max(resp.ContentLength, 0))
	})
}

// store keeps what r yields in a temporary file.
func store(r io.Reader, progress func(n int)) (f fetched, err error) {
	tmp, err := os.CreateTemp("", "etcdplay-download-")
	if err != nil {
		return f, err
	}
	f.path = tmp.Name()
	defer func() {
		if cerr := tmp.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			f.discard()
		}
	}()
	sum := sha256.New()
	f.size, err = io.Copy(io.MultiWriter(tmp, sum, counter(progress)), io.LimitReader(r, maxFetched+1))
	if err == nil && f.size > maxFetched {
		err = fmt.Errorf("more than %d bytes", int64(maxFetched))
	}
	f.sha256 = hex.EncodeToString(sum.Sum(nil))
	return f, err
}

type counter func(n int)

func (c counter) Write(b []byte) (int, error) {
	c(len(b))
	return len(b), nil
}

// archive is the kind of archive that a URL names: .tar.gz, .zip, or "".
func archive(address string) string {
	name := address
	if u, err := url.Parse(address); err == nil {
		name = u.Path
	}
	switch {
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return ".tar.gz"
	case strings.HasSuffix(name, ".zip"):
		return ".zip"
	}
	return ""
}

func untar(file, member string) (fetched, error) {
	f, err := os.Open(file)
	if err != nil {
		return fetched{}, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fetched{}, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return fetched{}, fmt.Errorf("the archive has no file %q", member)
		case err != nil:
			return fetched{}, err
		case path.Clean(h.Name) != path.Clean(member):
			continue
		case h.Typeflag != tar.TypeReg:
			return fetched{}, fmt.Errorf("%q in the archive is not a plain file", member)
		}
		return store(t, func(int) {})
	}
}

func unzip(file, member string) (fetched, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return fetched{}, err
	}
	defer z.Close()
	for _, f := range z.File {
		if path.Clean(f.Name) != path.Clean(member) {
			continue
		}
		if !f.Mode().IsRegular() {
			return fetched{}, fmt.Errorf("%q in the archive is not a plain file", member)
		}
		r, err := f.Open()
		if err != nil {
			return fetched{}, err
		}
		defer r.Close()
		return store(r, func(int) {})
	}
	return fetched{}, fmt.Errorf("the archive has no file %q", member)
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
