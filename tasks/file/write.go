package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Write makes sure that a file has a content.
func Write() *engine.Type {
	return engine.Define(engine.Spec[writeArgs, writeState, writeResults]{
		Name: "file",
		Doc: "Makes sure that a file is there with the given content. It is replaced whole or not at all, and its " +
			"directory has to be there. The file of variables that configures a member of the cluster (env_file of the inventory) is " +
			"compared with the member list first, and the service has to read it. A drop-in of a unit is written by systemd_dropin.",
		Effect: engine.Change, Where: engine.OnHost, Retryable: true, Surveyed: true, Writes: []string{"path"},
		Observe: observeWrite, Plan: planWrite, Guard: guardWrite, Apply: applyWrite,
		Settle: settleWrite, Verify: verifyWrite, Advance: advanceWrite,
	})
}

type writeArgs struct {
	Path    string  `play:"path,required,abspath,nosecret" doc:"The file."`
	Content *string `play:"content,required" doc:"Its content."` // nil while it is not known
	Mode    *string `play:"mode,mode" doc:"Its permission bits." default:"0644 for a new one, else left as it is"`
	Owner   *string `play:"owner,nosecret" doc:"Its owner: a name, or a decimal uid." default:"left as it is"`
	Group   *string `play:"group,nosecret" doc:"Its group: a name, or a decimal gid." default:"left as it is"`
}

type writeResults struct {
	Changed bool   `play:"changed" doc:"Whether anything had to be done."`
	Path    string `play:"path" doc:"The file."`
	SHA256  string `play:"sha256" doc:"The SHA-256 of its content."`
}

func (a writeArgs) results(changed bool) writeResults {
	return writeResults{Changed: changed, Path: a.Path, SHA256: sum(str(a.Content))}
}

type writeState struct {
	seen
	SHA256   string   `json:"sha256"`   // of the file that is there
	Mismatch []string `json:"mismatch"` // what besides the content is not as wanted: "mode 0755 -> 0700"
	Dir      bool     `json:"dir"`      // the directory it goes to is there
	Before   string   `json:"-"`        // the content: it may hold what no journal should
	// Unread says that this file configures the cluster's members, and that the
	// service named does not read it; "" if it does, or is none of it.
	Unread     string `json:"unread"`
	Configures bool   `json:"configures"`
}

func observeWrite(ctx context.Context, l engine.Look, a writeArgs) (st writeState, err error) {
	if st.seen, err = see(ctx, l.Host, a.Path); err != nil {
		return st, err
	}
	dir, err := see(ctx, l.Host, path.Dir(a.Path))
	if err != nil {
		return st, err
	}
	st.Dir = dir.Exists && (dir.Mode.IsDir() || dir.Mode&fs.ModeSymlink != 0)
	if st.Configures = a.Path == l.Cluster.EnvFile && l.Cluster.Layout == "debian"; st.Configures {
		u, err := l.Host.Unit(ctx, l.Cluster.Unit)
		switch {
		case errors.Is(err, conn.ErrNoUnit):
			st.Unread = "there is no unit " + l.Cluster.Unit
		case err != nil:
			return st, err
		case !slices.Contains(u.EnvironmentFiles, a.Path):
			st.Unread = fmt.Sprintf("%s does not read %s (it has no such EnvironmentFile=)", l.Cluster.Unit, a.Path)
		}
	}
	if !st.Exists || !st.Mode.IsRegular() {
		return st, nil
	}
	content, err := l.Host.ReadFile(ctx, a.Path)
	if err != nil {
		return st, err
	}
	st.Before, st.SHA256 = string(content), sum(string(content))
	if st.imagined() {
		return st, nil
	}
	if m := parseMode(a.Mode); a.Mode != nil && st.Mode&permissions != m {
		st.Mismatch = append(st.Mismatch, fmt.Sprintf("mode %04o -> %s", octal(st.Mode), *a.Mode))
	}
	who := readOwners(ctx, l.Host, str(a.Owner), str(a.Group))
	if !who.isUser(st.Owner, str(a.Owner)) {
		st.Mismatch = append(st.Mismatch, "owner "+st.Owner+" -> "+*a.Owner)
	}
	if !who.isGroup(st.Group, str(a.Group)) {
		st.Mismatch = append(st.Mismatch, "group "+st.Group+" -> "+*a.Group)
	}
	return st, nil
}

// right reports whether nothing has to be done.
func (st writeState) right(a writeArgs) bool {
	return st.Exists && st.SHA256 == sum(str(a.Content)) && len(st.Mismatch) == 0
}

func planWrite(p engine.Planning, a writeArgs, st writeState) (engine.Planned, writeResults) {
	r := a.results(true)
	if !p.Observed || p.Unknown["content"] {
		planned := engine.Planned{Needed: true, Summary: "written: " + shown(p, "path", a.Path), Unknown: unknown(p, "changed", "path")}
		if p.Unknown["content"] {
			planned.Unknown = append(planned.Unknown, "sha256")
		}
		return planned, r
	}
	if st.right(a) {
		r.Changed = false
		return engine.Planned{Summary: fmt.Sprintf("%q: there already", a.Path)}, r
	}
	diff := &engine.Diff{Path: a.Path, Before: st.Before, After: str(a.Content), Exists: st.Exists}
	switch {
	case !st.Exists:
		diff.Action = "create"
	case len(st.Mismatch) > 0:
		diff.Action = strings.Join(st.Mismatch, ", ")
		if diff.Before != diff.After {
			diff.Action = "update, " + diff.Action
		}
	default:
		diff.Action = "update"
	}
	return engine.Planned{Needed: true, Summary: diff.Action, Diff: diff}, r
}

func guardWrite(_ string, a writeArgs, st writeState, w *world.World) (v world.Verdict) {
	if st.Exists && !st.Mode.IsRegular() {
		v.Checks = append(v.Checks, check("is-file", false, "name another path, or move what is there aside", "%q is %s, not a file", a.Path, st.kind()))
	}
	if st.Looked && !st.Dir {
		v.Checks = append(v.Checks, check("has-directory", false, "make it with a task of type directory", "there is no directory %q", path.Dir(a.Path)))
	}
	if st.Unread != "" {
		v.Checks = append(v.Checks, check("takes-effect", false, "let the service read it, or correct layout and env_file in the inventory", "%s", st.Unread))
	}
	if !st.Configures {
		return v
	}
	vars := variables(str(a.Content))
	name, initial, state := vars["ETCD_NAME"], vars["ETCD_INITIAL_CLUSTER"], vars["ETCD_INITIAL_CLUSTER_STATE"]
	if initial != "" && state == "existing" && w.Cluster.Known {
		v.Checks = append(v.Checks, w.Cluster.MayJoin(name, initial, state).Checks...)
	}
	v.Checks = append(v.Checks, w.Cluster.MayConfigure(str(a.Content)).Checks...)
	return v
}

func applyWrite(ctx context.Context, h engine.Hands, a writeArgs, st writeState) (writeResults, error) {
	if st.right(a) {
		return a.results(false), nil
	}
	attr := conn.Attr{Mode: parseMode(a.Mode), Owner: str(a.Owner), Group: str(a.Group)}
	if a.Mode == nil {
		if attr.Mode = 0o644; st.Exists {
			attr.Mode = st.Mode & permissions
		}
	}
	if st.Exists && attr.Owner == "" {
		attr.Owner = st.Owner
	}
	if st.Exists && attr.Group == "" {
		attr.Group = st.Group
	}
	return a.results(true), h.Host.WriteFile(ctx, a.Path, conn.File{
		Content: strings.NewReader(str(a.Content)), Size: int64(len(str(a.Content))), SHA256: sum(str(a.Content)), Attr: attr,
	})
}

func settleWrite(ctx context.Context, l engine.Look, a writeArgs, before writeState) (engine.Settlement, writeResults, error) {
	r := a.results(true)
	now, err := observeWrite(ctx, l, a)
	switch {
	case err != nil:
		return "", r, err
	case now.right(a):
		return engine.Done, r, nil
	case now.Exists == before.Exists && now.SHA256 == before.SHA256 && slices.Equal(now.Mismatch, before.Mismatch):
		return engine.NotDone, r, nil
	}
	return engine.Conflict, r, nil
}

func verifyWrite(ctx context.Context, l engine.Look, a writeArgs, _ writeResults) error {
	st, err := observeWrite(ctx, l, a)
	switch {
	case err != nil:
		return err
	case st.right(a):
		return nil
	case len(st.Mismatch) > 0:
		return fmt.Errorf("%s is not as it should be: %s", a.Path, strings.Join(st.Mismatch, ", "))
	}
	return fmt.Errorf("%s is not what was to be written", a.Path)
}

func advanceWrite(host, _ string, a writeArgs, _ writeResults, w *world.World) {
	if a.Content == nil {
		w.Host(host).Write(a.Path, nil)
		return
	}
	w.Host(host).Write(a.Path, []byte(*a.Content))
}

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

// variables reads NAME=value lines whose values stand in double quotes, or in
// none: the form in which such files are written.
func variables(content string) map[string]string {
	vars := map[string]string{}
	for line := range strings.Lines(content) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if inner, ok := strings.CutPrefix(value, `"`); ok {
			value = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`").Replace(strings.TrimSuffix(inner, `"`))
		}
		vars[name] = value
	}
	return vars
}
