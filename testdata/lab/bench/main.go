// Command bench measures etcdplay beside what else one would replace a member of
// an etcd cluster with, on the real hosts of the lab, and what it costs to reach
// many hosts and to copy a large file; it writes the figures to a document. It
// runs as root, in the root of the repository. See docs/benchmarks.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// setup is what is measured, with what.
type setup struct {
	RootFS   string // lowerdir of the hosts' root file systems
	Etcd     string // folder with etcd and etcdctl
	Etcdplay string
	Bare     string
	Rounds   int
	Only     string // names of contenders, with commas between them; empty for all
	Lab      string // folder of the lab that is up
	Snapshot int    // MiB of the snapshots; 0 for none
	Turns    int    // measured rounds of saving and restoring; 0 for none
}

// here is the folder of this program in the repository.
const here = "testdata/lab/bench"

func main() {
	var s setup
	var out string
	var inside, only bool
	flag.StringVar(&s.RootFS, "rootfs", "", "`FOLDERS` of the hosts' root file system, the uppermost first, with colons between them")
	flag.StringVar(&s.Etcd, "etcd", "", "`FOLDER` with etcd and etcdctl")
	flag.StringVar(&s.Etcdplay, "etcdplay", "bin/etcdplay", "the program `FILE`")
	flag.StringVar(&s.Bare, "bare", "bin/bench-bare", "the limit's `FILE`")
	flag.IntVar(&s.Rounds, "rounds", 9, "measured rounds of each replacement; 0 leaves it out")
	flag.StringVar(&s.Only, "only", "", "measure only the contenders of these `NAMES`, with commas between them")
	flag.StringVar(&out, "out", "docs/benchmarks.md", "the document `FILE`; - for the terminal")
	flag.BoolVar(&only, "lab-only", false, "measure nothing but the replacement and snapshots")
	flag.IntVar(&s.Snapshot, "snapshot", 1024, "`MIB` of the snapshots that are saved and restored; 0 leaves them out")
	flag.IntVar(&s.Turns, "snapshot-rounds", 3, "measured rounds of saving and of restoring; 0 leaves them out, but not the restore of a whole cluster")
	flag.StringVar(&s.Lab, "lab", "", "the lab that is up (used by the program itself)")
	flag.BoolVar(&inside, "inside", false, "measure in the lab (used by the program itself)")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	var err error
	if inside {
		err = measureInside(ctx, s)
	} else {
		err = measureAll(ctx, s, out, only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measureAll(ctx context.Context, s setup, out string, only bool) error {
	for _, p := range []*string{&s.Etcd, &s.Etcdplay, &s.Bare} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	d := document{Date: time.Now()}
	err := d.look(ctx, s)
	if err != nil {
		return err
	}
	if err := d.measureLab(ctx, s); err != nil {
		return err
	}
	if !only {
		if d.Go, err = measureGo(ctx); err != nil {
			return err
		}
	}
	text := d.text()
	if out == "-" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(out, []byte(text), 0o644)
}

// measureLab boots three hosts, measures in their network, and removes them.
func (d *document) measureLab(ctx context.Context, s setup) (err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	s.Lab = dir
	defer func() { err = errors.Join(err, lab(context.WithoutCancel(ctx), "down", dir)) }()
	if err := lab(ctx, "up", dir, s.RootFS, s.Etcd, "3"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = lab(ctx, "exec", dir, self, "-inside", "-lab", dir, "-etcd", s.Etcd, "-etcdplay", s.Etcdplay, "-bare", s.Bare,
		"-rounds", fmt.Sprint(s.Rounds), "-only", s.Only, "-snapshot", fmt.Sprint(s.Snapshot), "-snapshot-rounds", fmt.Sprint(s.Turns))
	if err != nil {
		return err
	}
	for name, to := range map[string]any{"results.json": &d.Replace, "snapshots.json": &d.Snapshots, "whole.json": &d.Whole} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was left out
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, to); err != nil {
			return err
		}
	}
	return nil
}

func lab(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "testdata/lab/lab.sh", args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("lab.sh %s: %w", args[0], err)
	}
	return nil
}
