package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Download fetches a file over HTTP and installs it on a host.
func Download() *engine.Type {
	return engine.Define(engine.Spec[downloadArgs, downloadState, downloadResults]{
		Name: "download",
		Doc: "Fetches a file over HTTP, as seen from the host, and installs it there once its checksum is right. " +
			"With member, only that file of a .tar.gz, .tgz or .zip archive is installed. No proxy is used. " +
			"With member, and something at path already, the archive is fetched to compare, also in a plan.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true, Timeout: downloadTimeout, Writes: []string{"path"},
		Check: checkDownload, Observe: observeDownload, Plan: planDownload, Guard: guardDownload, Apply: applyDownload,
		Settle: settleDownload, Verify: verifyDownload, Advance: advanceDownload,
	})
}

type downloadArgs struct {
	URL    string  `play:"url,required,url,nosecret" doc:"What to fetch: http or https."`
	SHA256 string  `play:"sha256,required,sha256" doc:"Its SHA-256 (of the archive, where member is given)."`
	Path   string  `play:"path,required,abspath,nosecret" doc:"Where to put it. The directory has to be there."`
	Mode   *string `play:"mode,mode" doc:"Its permission bits." default:"0644 for a new file, else left as it is"`
	Member *string `play:"member,nosecret" doc:"The path of one file in the archive." default:"the whole file"`
}

type downloadResults struct {
	Changed bool   `play:"changed" doc:"Whether anything had to be done."`
	Path    string `play:"path" doc:"Where it is."`
}

type downloadState struct {
	seen
	Parent seen   `json:"parent"`
	SHA256 string `json:"sha256"` // of what is there; "" if that cannot be told
	Want   string `json:"want"`   // of what is to be there; "" if that takes a download
}

// right reports whether the content is as wanted.
func (s downloadState) right() bool { return s.Exists && s.SHA256 != "" && s.SHA256 == s.Want }

// inOrder reports whether content and mode are as wanted.
func (s downloadState) inOrder(a downloadArgs) bool {
	return s.right() && (a.Mode == nil || s.Mode&permissions == parseMode(a.Mode))
}

func checkDownload(a downloadArgs) error {
	if a.Member != nil && archive(a.URL) == "" {
		return &engine.ArgError{Arg: "member", Text: fmt.Sprintf("The name %q is not that of an archive; member is for .tar.gz, .tgz and .zip.", path.Base(a.URL))}
	}
	if a.Member != nil && *a.Member == "" {
		return &engine.ArgError{Arg: "member", Text: "Name one file of the archive, or leave member out."}
	}
	return nil
}

func observeDownload(ctx context.Context, l engine.Look, a downloadArgs) (s downloadState, err error) {
	if s.seen, err = see(ctx, l.Host, a.Path); err != nil {
		return s, err
	}
	if s.Parent, err = see(ctx, l.Host, path.Dir(a.Path)); err != nil {
		return s, err
	}
	if a.Member == nil {
		s.Want = a.SHA256
	}
	if !s.Exists || !s.Mode.IsRegular() {
		return s, nil
	}
	if s.SHA256, err = hashOnHost(ctx, l.Host, a.Path); err != nil {
		return s, err
	}
	if a.Member != nil {
		f, err := fetch(ctx, l, a)
		if err != nil {
			return s, err
		}
		s.Want = f.sha256
		f.discard()
	}
	return s, nil
}

func planDownload(p engine.Planning, a downloadArgs, s downloadState) (engine.Planned, downloadResults) {
	r := downloadResults{Changed: true, Path: a.Path}
	needed := engine.Planned{Needed: true, Summary: shown(p, "path", a.Path) + " from " + a.URL}
	if p.Unknown["url"] {
		needed.Summary = shown(p, "path", a.Path) + " from " + later
	}
	if a.Member != nil {
		needed.Details = append(needed.Details, engine.Detail{Name: "member", Value: *a.Member})
	}
	if !p.Observed {
		needed.Unknown = unknown(p, "changed", "path")
		return needed, r
	}
	if s.imagined() {
		needed.Unknown = []string{"changed"}
		return needed, r
	}
	if !s.inOrder(a) {
		return needed, r
	}
	r.Changed = false
	return engine.Planned{Summary: fmt.Sprintf("%q: there already", a.Path)}, r
}

func guardDownload(_ string, a downloadArgs, s downloadState, _ *world.World) (v world.Verdict) {
	if s.Parent.Looked {
		v.Checks = append(v.Checks, check("directory-exists", s.Parent.Exists && s.Parent.Mode.IsDir(),
			"make it first with a task of type directory", "at %q there is %s", path.Dir(a.Path), s.Parent.kind()))
	}
	if s.Exists {
		v.Checks = append(v.Checks, check("is-file", s.Mode.IsRegular(),
			"name another path", "%q is %s", a.Path, s.kind()))
	}
	return v
}

func applyDownload(ctx context.Context, h engine.Hands, a downloadArgs, s downloadState) (downloadResults, error) {
	r := downloadResults{Changed: !s.inOrder(a), Path: a.Path}
	switch {
	case !r.Changed:
		return r, nil
	case s.right():
		return r, h.Host.SetAttr(ctx, a.Path, conn.Attr{Mode: parseMode(a.Mode)}, false)
	}
	f, err := fetch(ctx, h.Look, a)
	if err != nil {
		return r, engine.Definite(err)
	}
	defer f.discard()
	content, err := os.Open(f.path)
	if err != nil {
		return r, engine.Definite(err)
	}
	defer content.Close()
	attr := conn.Attr{Mode: parseMode(a.Mode)}
	if attr.Mode == 0 && !s.Exists {
		attr.Mode = 0o644
	}
	h.Say("writing %s", a.Path)
	return r, h.Host.WriteFile(ctx, a.Path, conn.File{
		Content: content, Size: f.size, SHA256: f.sha256, Attr: attr,
		Progress: func(written int64) { h.Progress(written, f.size) },
	})
}

// settleDownload rests on WriteFile being whole or nothing.
func settleDownload(ctx context.Context, l engine.Look, a downloadArgs, before downloadState) (engine.Settlement, downloadResults, error) {
	r := downloadResults{Changed: true, Path: a.Path}
	now, err := observeDownload(ctx, l, a)
	switch {
	case err != nil:
		return "", r, err
	case now.inOrder(a):
		return engine.Done, r, nil
	case now.right():
		return engine.Partial, r, nil
	case now.Exists == before.Exists && now.SHA256 == before.SHA256:
		return engine.NotDone, r, nil
	}
	return engine.Conflict, r, nil
}

func verifyDownload(ctx context.Context, l engine.Look, a downloadArgs, _ downloadResults) error {
	s, err := observeDownload(ctx, l, a)
	switch {
	case err != nil:
		return err
	case !s.Exists:
		return fmt.Errorf("nothing is at %s", a.Path)
	case !s.inOrder(a):
		return fmt.Errorf("%s is not what was fetched: sha256 %s, mode %04o", a.Path, s.SHA256, octal(s.Mode))
	}
	return nil
}

func advanceDownload(host, _ string, a downloadArgs, r downloadResults, w *world.World) {
	if r.Changed {
		w.Host(host).Write(a.Path, nil)
	}
}

// hashOnHost is the SHA-256 of a file on the host; "" where the file is too big
// to be read and the host has no sha256sum.
func hashOnHost(ctx context.Context, r conn.Reader, file string) (string, error) {
	content, err := r.ReadFile(ctx, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err == nil:
		return hash(content), nil
	case !errors.Is(err, conn.ErrTooBig):
		return "", err
	}
	sum, _, err := sumOnHost(ctx, r, file)
	if err != nil {
		return "", ctx.Err() // unknown, and so it is fetched and written again
	}
	return sum, nil
}
