package etcd2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// backupArgs is the arguments of etcd2_backup.
type backupArgs struct {
	DataDir   string  `play:"data_dir,required,abspath,nosecret" doc:"The data directory of a member that is stopped."`
	BackupDir string  `play:"backup_dir,required,abspath,nosecret" doc:"Where the backup goes; nothing may be there. While it is made it is called the same with .partial."`
	Etcdctl   *string `play:"etcdctl,abspath,nosecret" default:"the first of /opt/bin, /usr/local/bin, /usr/bin and /opt/etcd that has one" doc:"The host's etcdctl, of etcd 3.5 or before: later ones know no API 2."`
}

// backupResults is the results of etcd2_backup.
type backupResults struct {
	BackupDir string `play:"backup_dir" doc:"Where the backup is."`
	Size      int64  `play:"size" doc:"Its bytes."`
	Files     int    `play:"files" doc:"How many files it has."`
	WithV3    bool   `play:"with_v3" doc:"Whether the keys of API 3 are in it, too."`
}

// backupState is what there is before.
type backupState struct {
	Done     *marker `json:"done"`     // of a backup that is complete
	Taken    bool    `json:"taken"`    // something else is at its place
	Partial  bool    `json:"partial"`  // one was begun
	Active   string  `json:"active"`   // of the member's unit
	Source   int64   `json:"source"`   // bytes of the data directory
	Free     uint64  `json:"free"`     // bytes at the backup's place
	Exists   bool    `json:"exists"`   // the data directory holds a member
	Etcdctl  string  `json:"etcdctl"`  // "" if the host has none
	WithV3   bool    `json:"with_v3"`  // it can take the keys of API 3 along
	Problem  string  `json:"problem"`  // why it cannot be used
	Searched string  `json:"searched"` // where it was looked for
}

func (a backupArgs) staging() string { return a.BackupDir + ".partial" }

func backup() *engine.Type {
	return engine.Define(engine.Spec[backupArgs, backupState, backupResults]{
		Name: "etcd2_backup",
		Doc: "Copies the data of a stopped member with the host's own etcdctl backup, with the keys of API 3 where it can. " +
			"A backup that is there is complete: it gets its name when all of it is on disk, with a file BACKUP.json that says what it holds.",
		Effect: engine.Change, Where: engine.OnHost, Timeout: 10 * time.Minute,
		Check: func(a backupArgs) error {
			if a.BackupDir == a.DataDir || strings.HasPrefix(a.BackupDir+"/", a.DataDir+"/") {
				return &engine.ArgError{Arg: "backup_dir", Text: "A backup inside of what it is a backup of would be lost with it. Name a directory elsewhere."}
			}
			return nil
		},
		Observe: observeBackup, Plan: planBackup, Guard: guardBackup, Apply: applyBackup, Settle: settleBackup, Verify: verifyBackup,
		Advance: func(host, _ string, a backupArgs, _ backupResults, w *world.World) { w.Host(host).Blur(a.BackupDir) },
	})
}

// etcdctls are the places at which an etcdctl is looked for.
var etcdctls = []string{"/opt/bin/etcdctl", "/usr/local/bin/etcdctl", "/usr/bin/etcdctl", "/opt/etcd/etcdctl"}

func observeBackup(ctx context.Context, l engine.Look, a backupArgs) (s backupState, err error) {
	if s.Done, s.Taken, err = readMarker(ctx, l.Host, a.BackupDir); err != nil || s.Done != nil {
		return s, err
	}
	if _, err := l.Host.Stat(ctx, a.staging()); err == nil {
		s.Partial = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if u, err := l.Host.Unit(ctx, l.Cluster.Unit); err == nil {
		s.Active = u.ActiveState
	} else if !errors.Is(err, conn.ErrNoUnit) {
		return s, err
	}
	if s.Source, _, err = sizeOf(ctx, l.Host, path.Join(a.DataDir, "member")); err == nil {
		s.Exists = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if s.Free, err = l.Host.FreeBytes(ctx, a.BackupDir); err != nil {
		return s, err
	}
	return s, s.findEtcdctl(ctx, l.Host, a)
}

// findEtcdctl looks for an etcdctl that knows API 2, and whether it knows to
// take the keys of API 3 along.
func (s *backupState) findEtcdctl(ctx context.Context, r conn.Reader, a backupArgs) error {
	places := etcdctls
	if a.Etcdctl != nil {
		places = []string{*a.Etcdctl}
	}
	s.Searched = strings.Join(places, ", ")
	for _, p := range places {
		if _, err := r.Stat(ctx, p); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		help, err := r.Query(ctx, conn.Command{Argv: []string{p, "backup", "--help"}, Env: map[string]string{"ETCDCTL_API": "2"}})
		if err != nil {
			return err
		}
		text := string(help.Stdout) + string(help.Stderr)
		if !strings.Contains(text, "--backup-dir") {
			s.Problem = p + " knows no backup: it is of etcd 3.6 or later, or not etcdctl"
			continue
		}
		s.Etcdctl, s.Problem, s.WithV3 = p, "", strings.Contains(text, "--with-v3")
		return nil
	}
	return nil
}

func (a backupArgs) results(m marker) backupResults {
	return backupResults{BackupDir: a.BackupDir, Size: m.Size, Files: m.Files, WithV3: m.WithV3}
}

func planBackup(p engine.Planning, a backupArgs, s backupState) (engine.Planned, backupResults) {
	if s.Done != nil {
		return engine.Planned{Summary: fmt.Sprintf("%q is there already, %d bytes", a.BackupDir, s.Done.Size)}, a.results(*s.Done)
	}
	planned := engine.Planned{Needed: true, Summary: fmt.Sprintf("%q -> %q", a.DataDir, a.BackupDir), Unknown: []string{"size", "files", "with_v3"}}
	for _, arg := range []string{"data_dir", "backup_dir"} {
		if p.Unknown[arg] {
			planned.Summary, planned.Unknown = "a copy of the data", append(planned.Unknown, "backup_dir")
			break
		}
	}
	if s.Etcdctl != "" {
		with := "the keys of API 2 only: this etcdctl can do no more"
		if s.WithV3 {
			with = "the keys of API 2 and API 3"
		}
		planned.Details = []engine.Detail{{Name: "by", Value: s.Etcdctl}, {Name: "holds", Value: with}}
	}
	return planned, backupResults{BackupDir: a.BackupDir}
}

func guardBackup(_ string, a backupArgs, s backupState, _ *world.World) world.Verdict {
	if s.Searched == "" || s.Done != nil {
		return world.Verdict{} // not looked at, or nothing to do
	}
	checks := []world.Check{
		{ID: "stopped", Holds: s.Active != "active" && s.Active != "activating" && s.Active != "deactivating", Text: "the member is " + s.Active, Help: "stop its unit first: a copy of data in use is not one moment's"},
		{ID: "data", Holds: s.Exists, Text: a.DataDir + " holds a member", Help: "name the directory that holds the member's data"},
		{ID: "etcdctl", Holds: s.Etcdctl != "", Text: "etcdctl: " + s.Etcdctl, Help: "install etcdctl of the member's own release there, or name it by the argument etcdctl"},
		{ID: "free", Holds: !s.Taken, Text: a.BackupDir + " is not there yet", Help: "name another place, or move what is there away"},
		{ID: "space", Holds: s.Free >= uint64(s.Source), Text: fmt.Sprintf("the copy needs %d bytes, and %d are free", s.Source, s.Free), Help: "make room there, or name another place"},
	}
	for i := range checks {
		c := &checks[i]
		switch {
		case c.Holds:
			c.Help = ""
		case c.ID == "data":
			c.Text = a.DataDir + " does not hold a member"
		case c.ID == "free":
			c.Text = a.BackupDir + " is there already, and is no complete backup of ours"
		case c.ID == "etcdctl" && s.Problem != "":
			c.Text = s.Problem
		case c.ID == "etcdctl":
			c.Text = "there is no etcdctl at " + s.Searched
		}
	}
	return world.Verdict{Checks: checks}
}

func applyBackup(ctx context.Context, h engine.Hands, a backupArgs, s backupState) (backupResults, error) {
	if s.Done != nil {
		return a.results(*s.Done), nil
	}
	data, err := lookAtData(ctx, h.Host, a.DataDir)
	if err != nil {
		return backupResults{}, engine.Definite(err)
	}
	if s.Partial { // of an attempt that did not live to finish it
		if err := h.Host.Remove(ctx, a.staging(), true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return backupResults{}, err
		}
	}
	if err := h.Host.Mkdir(ctx, a.staging(), conn.Attr{Mode: 0o700}); err != nil {
		return backupResults{}, err
	}
	// Relative to the root that the host has, which need not be this machine's.
	argv := []string{s.Etcdctl, "backup", "--data-dir", "." + a.DataDir, "--backup-dir", "." + a.staging()}
	if s.WithV3 {
		argv = append(argv, "--with-v3")
	}
	h.Say("copying the data")
	r, err := h.Host.Run(ctx, conn.Command{Argv: argv, Env: map[string]string{"ETCDCTL_API": "2"}})
	if err != nil {
		return backupResults{}, err
	}
	if r.ExitCode != 0 {
		return backupResults{}, fmt.Errorf("%s backup exits with %d: %s", s.Etcdctl, r.ExitCode, lastLine(r))
	}
	if r, err = h.Host.Run(ctx, conn.Command{Argv: []string{"sync"}}); err != nil {
		return backupResults{}, err
	}
	m := marker{Run: h.RunID, Member: data.MemberID, WithV3: s.WithV3}
	if m.Size, m.Files, err = sizeOf(ctx, h.Host, a.staging()); err != nil {
		return backupResults{}, err
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return backupResults{}, err
	}
	sum := sha256.Sum256(raw)
	if err := h.Host.WriteFile(ctx, path.Join(a.staging(), markerName), conn.File{
		Content: strings.NewReader(string(raw)), Size: int64(len(raw)), SHA256: hex.EncodeToString(sum[:]), Attr: conn.Attr{Mode: 0o600},
	}); err != nil {
		return backupResults{}, err
	}
	return a.results(m), h.Host.Rename(ctx, a.staging(), a.BackupDir)
}

// lastLine is the last thing that a program said.
func lastLine(r conn.Result) string {
	text := strings.TrimSpace(string(r.Stdout) + "\n" + string(r.Stderr))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func settleBackup(ctx context.Context, l engine.Look, a backupArgs, _ backupState) (engine.Settlement, backupResults, error) {
	m, taken, err := readMarker(ctx, l.Host, a.BackupDir)
	switch {
	case err != nil:
		return "", backupResults{}, err
	case m != nil:
		return engine.Done, a.results(*m), nil
	case taken:
		return engine.Conflict, backupResults{}, nil
	}
	if _, err := l.Host.Stat(ctx, a.staging()); errors.Is(err, fs.ErrNotExist) {
		return engine.NotDone, backupResults{}, nil
	} else if err != nil {
		return "", backupResults{}, err
	}
	return engine.Partial, backupResults{}, nil
}

// verifyBackup holds what is there against what the marker says.
func verifyBackup(ctx context.Context, l engine.Look, a backupArgs, r backupResults) error {
	m, _, err := readMarker(ctx, l.Host, a.BackupDir)
	if err != nil {
		return err
	}
	if m == nil {
		return fmt.Errorf("%s is no complete backup", a.BackupDir)
	}
	size, files, err := sizeOf(ctx, l.Host, path.Join(a.BackupDir, "member"))
	switch {
	case err != nil:
		return err
	case size != m.Size || files != m.Files || r.Size != m.Size:
		return fmt.Errorf("%s has %d files of %d bytes, and its marker says %d of %d", a.BackupDir, files, size, m.Files, m.Size)
	}
	return nil
}
