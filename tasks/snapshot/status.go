package snapshot

import (
	"context"
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// Status checks a snapshot and tells what is in it.
func Status() *engine.Type {
	return engine.Define(engine.Spec[statusArgs, Contents, statusResults]{
		Name: "etcd_snapshot_status",
		Doc: "Checks a snapshot and tells what is in it. The checksum at its end is worked out anew, then every page of the " +
			"database is looked at; the file is never opened for writing. Whatever is no whole snapshot fails the task.",
		Effect: engine.Read, Where: engine.Either, Retryable: true, Timeout: patience,
		Check: checkStatus, Observe: observeStatus, Report: reportStatus, Plan: planStatus,
	})
}

type statusArgs struct {
	Path          string  `play:"path,required,abspath,nosecret" doc:"The snapshot."`
	ServerVersion *string `play:"server_version,nosecret" doc:"The version of the etcd that is to run with it, such as 3.6: a snapshot of a later minor version is refused." default:"any"`
	SkipHashCheck bool    `play:"skip_hash_check" doc:"Take a file without a checksum as well, such as the db of a data directory. Its pages are checked; its content nobody can." default:"false"`
}

type statusResults struct {
	Path        string   `play:"path" doc:"The snapshot."`
	SHA256      string   `play:"sha256" doc:"Of the whole file, as sha256sum prints it."`
	Size        int64    `play:"size" doc:"Of the whole file, in bytes."`
	Hash        string   `play:"hash" doc:"As etcdutl prints it. A restored member has another."`
	Revision    int64    `play:"revision" doc:"The last revision in it."`
	TotalKeys   int64    `play:"total_keys" doc:"How many keys there are at that revision."`
	Version     string   `play:"version" doc:"The version of the storage, such as 3.6.0; empty before etcd 3.6."`
	Hashed      bool     `play:"hashed" doc:"Whether it has a checksum."`
	Alarms      []string `play:"alarms" doc:"The alarms in it. They are raised again in the restored cluster, where a NOSPACE alarm refuses all writes until it is disarmed."`
	AuthEnabled bool     `play:"auth_enabled" doc:"Whether clients will have to log in, as the users in it."`
	Users       int64    `play:"users" doc:"How many users of etcd are in it."`
	Leases      int64    `play:"leases" doc:"How many leases are in it. They count down from the beginning after a restore."`
}

// statusRequest is what the verb snapshot-status is asked.
type statusRequest struct {
	Path     string `json:"path"`
	Unhashed bool   `json:"unhashed"`
}

func statusOf(ctx context.Context, root onhost.Root, q statusRequest) (Contents, error) {
	return inspect(ctx, root, q.Path, q.Unhashed)
}

func checkStatus(a statusArgs) error { return checkVersion(a.ServerVersion) }

func observeStatus(ctx context.Context, l engine.Look, a statusArgs) (c Contents, err error) {
	l.Say("checking %s", a.Path)
	if err := ask(ctx, l, a.Path, "snapshot-status", statusRequest{Path: a.Path, Unhashed: a.SkipHashCheck}, &c); err != nil {
		return c, err
	}
	return c, fits(c.Version, str(a.ServerVersion))
}

func reportStatus(a statusArgs, c Contents) statusResults {
	return statusResults{
		Path: a.Path, SHA256: c.SHA256, Size: c.Size, Hash: c.Hash, Revision: c.Revision, TotalKeys: c.TotalKeys,
		Version: c.Version, Hashed: c.Sum != "", Alarms: c.Alarms, AuthEnabled: c.Auth, Users: c.Users, Leases: c.Leases,
	}
}

func planStatus(p engine.Planning, a statusArgs, c Contents) (engine.Planned, statusResults) {
	if !p.Observed {
		return engine.Planned{Summary: shown(p, "path", a.Path)}, statusResults{}
	}
	planned := engine.Planned{Summary: fmt.Sprintf("%q: %s", a.Path, c.words())}
	for _, text := range c.warnings() {
		planned.Details = append(planned.Details, engine.Detail{Name: "note", Value: text})
	}
	return planned, reportStatus(a, c)
}

// words is the contents in a line.
func (c Contents) words() string {
	text := fmt.Sprintf("revision %d, %d keys, %d bytes", c.Revision, c.TotalKeys, c.Size)
	if c.Version != "" {
		text += ", etcd " + c.Version
	}
	return text
}

// warnings is what somebody who restores it should know.
func (c Contents) warnings() []string {
	var ws []string
	if c.Sum == "" {
		ws = append(ws, "it has no checksum: its pages are in order, but nobody can tell whether its content is")
	}
	if len(c.Alarms) > 0 {
		ws = append(ws, "it brings alarms along: "+strings.Join(c.Alarms, ", ")+"; disarm them after the restore")
	}
	if c.Auth {
		ws = append(ws, fmt.Sprintf("clients will have to log in, as one of the %d users in it", c.Users))
	}
	return ws
}
