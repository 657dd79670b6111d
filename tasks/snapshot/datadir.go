package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// DataDir reads a member's data directory as it lies there.
func DataDir() *engine.Type {
	return engine.Define(engine.Spec[dataDirArgs, Holdings, dataDirResults]{
		Name: "etcd_data_dir",
		Doc: "Tells what a data directory holds of a member: whose it is, how far its log goes, what its database has. " +
			"Nothing is opened for writing. While an etcd runs on it only the log is read, since the database is locked. " +
			"An empty or damaged directory is an answer, not an error.",
		Effect: engine.Read, Where: engine.OnHost, Retryable: true, Timeout: patience,
		Observe: observeDataDir, Report: reportDataDir, Plan: planDataDir,
	})
}

type dataDirArgs struct {
	Path   *string `play:"path,abspath,nosecret" doc:"The data directory." default:"cluster.data_dir"`
	WALDir *string `play:"wal_dir,abspath,nosecret" doc:"Its log, where etcd runs with --wal-dir." default:"member/wal in it"`
}

type dataDirResults struct {
	Exists      bool   `play:"exists" doc:"Whether a member's data is there."`
	Locked      bool   `play:"locked" doc:"Whether an etcd runs on it. What the database holds is not known then."`
	Problem     string `play:"problem" doc:"Why it is not whole; empty if it is, or if there is nothing."`
	LogReadable bool   `play:"log_readable" doc:"Whether its log could be read."`
	MemberID    string `play:"member_id" doc:"Of the member that it belongs to, hex; empty if that cannot be told."`
	ClusterID   string `play:"cluster_id" doc:"Of its cluster, hex; empty if that cannot be told."`
	Term        uint64 `play:"term" doc:"The raft term of the last entry of its log."`
	Index       uint64 `play:"index" doc:"The index of that entry."`
	Commit      uint64 `play:"commit" doc:"The index up to which the member knew a quorum to agree."`
	Applied     uint64 `play:"applied" doc:"The index up to which the database has the log; 0 if it was not read."`
	SnapIndex   uint64 `play:"snap_index" doc:"The index of the newest raft snapshot."`
	Revision    int64  `play:"revision" doc:"The last revision in the database; 0 if it was not read."`
	Ahead       int64  `play:"ahead" doc:"How many entries of the log that write data the database lacks; -1 if it was not read."`
	Size        int64  `play:"size" doc:"Of the database, in bytes."`
	Version     string `play:"version" doc:"The version of the cluster, as the database has it, such as 3.6.0."`
	Mount       bool   `play:"mount" doc:"Whether the directory is the root of a file system, so that it cannot be renamed."`
	FreeBytes   uint64 `play:"free_bytes" doc:"What is free beside the directory, in bytes."`
	Learner     bool   `play:"learner" doc:"Whether the member had no vote."`
	Removed     bool   `play:"removed" doc:"Whether the member knows that it was removed from its cluster."`
}

func observeDataDir(ctx context.Context, l engine.Look, a dataDirArgs) (h Holdings, err error) {
	dir := l.Cluster.DataDir
	if a.Path != nil {
		dir = *a.Path
	}
	t, err := onhost.Find(ctx, l.Host)
	if err != nil {
		return h, err
	}
	l.Say("reading %s", dir)
	if err := t.Ask(ctx, l.Host, "data-dir", holdingsRequest{DataDir: dir, WALDir: str(a.WALDir)}, &h); err != nil {
		return h, err
	}
	if i, err := l.Host.Stat(ctx, dir); err == nil {
		h.Mount = i.Mount
	} else if !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	h.Free, err = l.Host.FreeBytes(ctx, path.Dir(dir))
	return h, err
}

func reportDataDir(_ dataDirArgs, h Holdings) dataDirResults {
	return dataDirResults{
		Exists: h.Exists, Locked: h.Locked, Problem: h.Problem, LogReadable: h.LogReadable, MemberID: h.Member, ClusterID: h.Cluster,
		Term: h.Term, Index: h.Index, Commit: h.Commit, Applied: h.Applied, SnapIndex: h.Snap, Revision: h.Revision, Ahead: h.Ahead,
		Size: h.Size, Version: h.Version, Learner: h.Learner, Removed: h.Removed, Mount: h.Mount, FreeBytes: h.Free,
	}
}

func planDataDir(p engine.Planning, a dataDirArgs, h Holdings) (engine.Planned, dataDirResults) {
	dir := p.Cluster.DataDir
	if a.Path != nil {
		dir = *a.Path
	}
	switch {
	case p.Unknown["path"]:
		return engine.Planned{Summary: "a data directory " + later}, dataDirResults{}
	case !p.Observed:
		return engine.Planned{Summary: fmt.Sprintf("told during the run: what is in %q", dir)}, dataDirResults{}
	}
	return engine.Planned{Summary: fmt.Sprintf("%q: %s", dir, h.words())}, reportDataDir(a, h)
}

// words is the directory in a line.
func (h Holdings) words() string {
	if !h.Exists {
		return "no member's data"
	}
	var parts []string
	if h.LogReadable {
		parts = append(parts, fmt.Sprintf("member %s, log to term %d, index %d", h.Member, h.Term, h.Index))
	}
	switch {
	case h.Locked:
		parts = append(parts, "an etcd runs on it")
	case h.Revision > 0:
		text := fmt.Sprintf("revision %d", h.Revision)
		if h.Ahead > 0 {
			text += fmt.Sprintf(" and %d writes of the log", h.Ahead)
		}
		parts = append(parts, text)
	}
	if h.Removed {
		parts = append(parts, "it was removed from its cluster")
	}
	if h.Problem != "" {
		parts = append(parts, h.Problem)
	}
	return strings.Join(parts, "; ")
}
