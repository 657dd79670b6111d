package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Upload sends a file to a host.
func Upload() *engine.Type {
	return engine.Define(engine.Spec[uploadArgs, uploadState, uploadResults]{
		Name: "upload",
		Doc: "Sends a file to a host: one of the machine that etcdplay runs on, or with from_host one of another host. " +
			"It has its name there only once it is whole and its checksum is right. Another file of that name is replaced.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true, Timeout: 2 * time.Hour, Writes: []string{"path"},
		Observe: observeUpload, Plan: planUpload, Guard: guardUpload, Apply: applyUpload,
		Settle: settleUpload, Verify: verifyUpload, Advance: advanceUpload,
	})
}

type uploadArgs struct {
	From     string  `play:"from,required,abspath,nosecret" doc:"The file to send."`
	FromHost *string `play:"from_host,nosecret" doc:"The name of the host that has it." default:"the machine that etcdplay runs on"`
	SHA256   *string `play:"sha256,sha256" doc:"Its SHA-256; a file with another is refused." default:"not compared"`
	Path     string  `play:"path,required,abspath,nosecret" doc:"Where to put it. The directory has to be there."`
	Mode     *string `play:"mode,mode" doc:"Its permission bits." default:"0600 for a new file, else left as it is"`
}

type uploadResults struct {
	Changed bool   `play:"changed" doc:"Whether anything had to be done."`
	Path    string `play:"path" doc:"Where it is."`
	SHA256  string `play:"sha256" doc:"Of the file, as sha256sum prints it."`
}

type uploadState struct {
	seen
	Parent seen   `json:"parent"`
	SHA256 string `json:"sha256"` // of what is there
	Want   string `json:"want"`   // of what is to be there
	Bytes  int64  `json:"bytes"`  // of that
	Free   uint64 `json:"free"`   // bytes where it is to be
}

func (s uploadState) inOrder(a uploadArgs) bool {
	return s.Exists && s.SHA256 != "" && s.SHA256 == s.Want && (a.Mode == nil || s.Mode&permissions == parseMode(a.Mode))
}

func observeUpload(ctx context.Context, l engine.Look, a uploadArgs) (s uploadState, err error) {
	l.Say("reading %s", a.From)
	if s.Want, s.Bytes, err = a.source(ctx, l); err != nil {
		return s, err
	}
	if a.SHA256 != nil && *a.SHA256 != s.Want {
		return s, fmt.Errorf("%s has sha256 %s, not %s; nothing was sent", a.From, s.Want, *a.SHA256)
	}
	if s.seen, err = see(ctx, l.Host, a.Path); err != nil {
		return s, err
	}
	if s.Parent, err = see(ctx, l.Host, path.Dir(a.Path)); err != nil {
		return s, err
	}
	if s.Exists && s.Mode.IsRegular() && s.Size == s.Bytes {
		if s.SHA256, _, err = sumOnHost(ctx, l.Host, a.Path); err != nil {
			return s, err
		}
	}
	s.Free, err = l.Host.FreeBytes(ctx, a.Path)
	return s, err
}

// source is checksum and size of the file to send.
func (a uploadArgs) source(ctx context.Context, l engine.Look) (sum string, size int64, err error) {
	if a.FromHost != nil {
		r, err := l.At(ctx, *a.FromHost)
		if err != nil {
			return "", 0, err
		}
		return sumOnHost(ctx, r, a.From)
	}
	f, err := os.Open(a.From)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", 0, errors.Join(err, fmt.Errorf("%s is not a file", filepath.Clean(a.From)))
	}
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// sumOnHost is SHA-256 and size of a file on a host, worked out there. In a
// sandbox its root stands before the path.
func sumOnHost(ctx context.Context, r conn.Reader, file string) (string, int64, error) {
	i, err := r.Stat(ctx, file)
	if err != nil {
		return "", 0, err
	}
	res, err := r.Query(ctx, conn.Command{Argv: []string{"/bin/sh", "-c", `sha256sum -- "$SANDBOX_ROOT$1"`, "sh", file}})
	if err != nil {
		return "", 0, err
	}
	// A name with odd characters makes the line begin with a backslash.
	out := string(res.Stdout)
	if len(out) > 0 && out[0] == '\\' {
		out = out[1:]
	}
	if res.ExitCode != 0 || len(out) < 64 {
		return "", 0, fmt.Errorf("the checksum of %s on %s cannot be worked out: %s", file, r.Name(), tail(res.Stderr))
	}
	return out[:64], i.Size, nil
}

func tail(b []byte) string {
	if len(b) > 200 {
		b = b[:200]
	}
	return string(b)
}

func (a uploadArgs) where() string {
	if a.FromHost != nil {
		return a.From + " of " + *a.FromHost
	}
	return a.From + " of this machine"
}

func planUpload(p engine.Planning, a uploadArgs, s uploadState) (engine.Planned, uploadResults) {
	r := uploadResults{Changed: true, Path: a.Path, SHA256: s.Want}
	needed := engine.Planned{Needed: true, Summary: shown(p, "path", a.Path) + " from " + a.where()}
	if p.Unknown["from"] || p.Unknown["from_host"] {
		needed.Summary = shown(p, "path", a.Path) + " from " + later
	}
	switch {
	case !p.Observed:
		needed.Unknown = append(unknown(p, "changed", "path"), "sha256")
		return needed, r
	case s.imagined():
		needed.Unknown = []string{"changed"}
		return needed, r
	case !s.inOrder(a):
		needed.Details = []engine.Detail{{Name: "size", Value: fmt.Sprintf("%d bytes", s.Bytes)}, {Name: "sha256", Value: s.Want}}
		return needed, r
	}
	r.Changed = false
	return engine.Planned{Summary: fmt.Sprintf("%q: there already", a.Path)}, r
}

func guardUpload(_ string, a uploadArgs, s uploadState, _ *world.World) (v world.Verdict) {
	if s.Parent.Looked {
		v.Checks = append(v.Checks, check("directory-exists", s.Parent.Exists && s.Parent.Mode.IsDir(),
			"make it first with a task of type directory", "at %q there is %s", path.Dir(a.Path), s.Parent.kind()))
	}
	if s.Exists {
		v.Checks = append(v.Checks, check("is-file", s.Mode.IsRegular(), "name another path", "%q is %s", a.Path, s.kind()))
	}
	if s.Looked && !s.inOrder(a) && s.Free > 0 {
		v.Checks = append(v.Checks, check("enough-space", s.Free >= uint64(s.Bytes),
			"make room, or name a path on another file system", "%d bytes are needed at %q, and %d are free", s.Bytes, a.Path, s.Free))
	}
	return v
}

func applyUpload(ctx context.Context, h engine.Hands, a uploadArgs, s uploadState) (uploadResults, error) {
	r := uploadResults{Changed: !s.inOrder(a), Path: a.Path, SHA256: s.Want}
	if !r.Changed {
		return r, nil
	}
	content, err := a.open(ctx, h.Look)
	if err != nil {
		return r, engine.Definite(err)
	}
	defer content.Close()
	attr := conn.Attr{Mode: parseMode(a.Mode)}
	if attr.Mode == 0 && !s.Exists {
		attr.Mode = 0o600
	}
	h.Say("sending %s", a.From)
	return r, h.Host.WriteFile(ctx, a.Path, conn.File{
		Content: content, Size: s.Bytes, SHA256: s.Want, Attr: attr,
		Progress: func(written int64) { h.Progress(written, s.Bytes) },
	})
}

func (a uploadArgs) open(ctx context.Context, l engine.Look) (io.ReadCloser, error) {
	if a.FromHost == nil {
		return os.Open(a.From)
	}
	r, err := l.At(ctx, *a.FromHost)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(&pieces{ctx: ctx, host: r, path: a.From}), nil
}

// pieces reads a file of a host piece by piece, each no larger than what a
// program may answer.
type pieces struct {
	ctx  context.Context
	host conn.Reader
	path string
	next int
	have []byte
	end  bool
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.have) == 0 && !p.end {
		res, err := p.host.Query(p.ctx, conn.Command{Argv: []string{
			"/bin/sh", "-c", `exec dd if="$SANDBOX_ROOT$1" bs="$2" skip="$3" count=1 iflag=fullblock 2>/dev/null`,
			"sh", p.path, fmt.Sprint(conn.MaxOutput), fmt.Sprint(p.next),
		}})
		if err == nil && res.ExitCode != 0 {
			err = fmt.Errorf("reading %s on %s: dd ended with exit code %d", p.path, p.host.Name(), res.ExitCode)
		}
		if err != nil {
			return 0, err
		}
		p.next++
		p.have, p.end = res.Stdout, len(res.Stdout) < conn.MaxOutput
	}
	if len(p.have) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.have)
	p.have = p.have[n:]
	return n, nil
}

// settleUpload rests on WriteFile being whole or nothing.
func settleUpload(ctx context.Context, l engine.Look, a uploadArgs, before uploadState) (engine.Settlement, uploadResults, error) {
	now, err := observeUpload(ctx, l, a)
	r := uploadResults{Changed: true, Path: a.Path, SHA256: now.Want}
	switch {
	case err != nil:
		return "", r, err
	case now.inOrder(a):
		return engine.Done, r, nil
	case now.Exists == before.Exists && now.SHA256 == before.SHA256:
		return engine.NotDone, r, nil
	}
	return engine.Conflict, r, nil
}

func verifyUpload(ctx context.Context, l engine.Look, a uploadArgs, r uploadResults) error {
	sum, _, err := sumOnHost(ctx, l.Host, a.Path)
	if err == nil && sum != r.SHA256 {
		return fmt.Errorf("%s has sha256 %s, and %s was sent", a.Path, sum, r.SHA256)
	}
	return err
}

func advanceUpload(host, _ string, a uploadArgs, _ uploadResults, w *world.World) {
	if a.Path != "" { // in a plan it may be known during the run only
		w.Host(host).Write(a.Path, nil)
	}
}
