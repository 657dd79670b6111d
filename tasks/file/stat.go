package file

import (
	"context"
	"fmt"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Stat tells what is at a path.
func Stat() *engine.Type {
	return engine.Define(engine.Spec[statArgs, statState, statResults]{
		Name: "stat",
		Doc: "Tells whether anything is at a path, what it is, and how much space its file system has left. " +
			"A symbolic link is described, not followed. That nothing is there is an answer, not an error.",
		Effect: engine.Read, Where: engine.OnHost, Retryable: true, Volatile: true,
		Observe: observeStat, Report: reportStat, Plan: planStat, Model: modelStat,
	})
}

type statArgs struct {
	Path string `play:"path,required,abspath,nosecret" doc:"The path."`
}

type statResults struct {
	Exists    bool   `play:"exists" doc:"Whether anything is there."`
	FreeBytes uint64 `play:"free_bytes" doc:"Bytes that an unprivileged writer has on the file system of the path, or of its nearest existing parent."`
	IsDir     bool   `play:"is_dir" doc:"Whether it is a directory."`
	Owner     string `play:"owner" doc:"The name of its owner, the uid where it has none, empty if nothing is there."`
	Size      int64  `play:"size" doc:"Bytes of a file; zero if nothing is there."`
}

type statState struct {
	seen
	Free uint64 `json:"free"`
}

func observeStat(ctx context.Context, l engine.Look, a statArgs) (s statState, err error) {
	if s.seen, err = see(ctx, l.Host, a.Path); err != nil {
		return s, err
	}
	s.Free, err = l.Host.FreeBytes(ctx, a.Path)
	return s, err
}

func reportStat(_ statArgs, s statState) statResults {
	return statResults{Exists: s.Exists, FreeBytes: s.Free, IsDir: s.Mode.IsDir(), Owner: s.Owner, Size: s.Size}
}

func planStat(p engine.Planning, a statArgs, s statState) (engine.Planned, statResults) {
	switch {
	case !p.Observed:
		return engine.Planned{Summary: "told during the run: what is at " + shown(p, "path", a.Path)}, statResults{}
	case !s.Exists:
		return engine.Planned{Summary: fmt.Sprintf("%q: does not exist", a.Path)}, reportStat(a, s)
	case s.Mode.IsRegular():
		return engine.Planned{Summary: fmt.Sprintf("%q: %s of %d bytes", a.Path, s.kind(), s.Size)}, reportStat(a, s)
	}
	return engine.Planned{Summary: fmt.Sprintf("%q: %s", a.Path, s.kind())}, reportStat(a, s)
}

// modelStat answers for what the plan has made or taken away.
func modelStat(host string, a statArgs, w *world.World) (statResults, []string, bool) {
	switch state, _, content := w.Hosts[host].Look(a.Path); state {
	case world.Absent:
		return statResults{}, []string{"free_bytes"}, true
	case world.Dir:
		return statResults{Exists: true, IsDir: true}, []string{"free_bytes", "owner", "size"}, true
	case world.File:
		unknown := []string{"free_bytes", "owner"}
		if content == nil {
			unknown = append(unknown, "size")
		}
		return statResults{Exists: true, Size: int64(len(content))}, unknown, true
	}
	return statResults{}, nil, false
}
