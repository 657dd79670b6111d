package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
)

func (a *app) fmtCommand() *cobra.Command {
	var check, diffs bool
	cmd := &cobra.Command{
		Use:   "fmt [-check] [-diff] FILE…",
		Short: "lay out playbooks, inventories and files of values",
		Long: `Lays files out in the one form, without changing what they mean, and prints the
names of those that it changed. The file - is stdin, laid out to stdout.`,
		Args: takes(1, -1, "one file or several, or - for stdin"),
		RunE: func(_ *cobra.Command, args []string) error {
			code := engine.ExitOK
			for _, path := range args {
				changed, err := a.format(path, check, diffs)
				switch {
				case err != nil:
					code = max(code, a.end(err))
				case changed && check:
					code = max(code, engine.ExitFailed)
				}
			}
			return exit(code)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit code 1 if a file is not laid out")
	cmd.Flags().BoolVar(&diffs, "diff", false, "print what changes")
	return cmd
}

// format lays out one file, and reports whether it was not.
func (a *app) format(path string, check, diffs bool) (bool, error) {
	var src []byte
	var err error
	if path == "-" {
		src, err = io.ReadAll(a.stdin)
	} else {
		src, err = readInput(path)
	}
	if err != nil {
		return false, err
	}
	laid, ds := hcl.Format(path, src)
	if err := found(ds, map[string][]byte{path: src}); err != nil {
		return false, err
	}
	changed := !bytes.Equal(src, laid)
	if diffs && changed {
		a.text("diff", path, string(diff.Diff(path, src, path+" (laid out)", laid)))
	}
	switch {
	case path == "-" && !check && !diffs:
		a.text("formatted", path, string(laid))
		return changed, nil
	case !changed:
		return false, nil
	}
	if !diffs {
		a.text("formatted", path, path+"\n")
	}
	if check || path == "-" {
		return true, nil
	}
	return true, replaceFile(path, laid)
}

// replaceFile replaces the file whole or not at all, and keeps its mode.
func replaceFile(path string, content []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".etcdplay-fmt-*")
	if err != nil {
		return err
	}
	// After the rename there is nothing left to remove.
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	for _, step := range []func() error{
		func() error { return f.Chmod(info.Mode().Perm()) },
		f.Sync,
		f.Close,
		func() error { return os.Rename(f.Name(), path) },
	} {
		if err == nil {
			err = step()
		}
	}
	return err
}
