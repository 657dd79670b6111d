package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the program's version",
		Args:  takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			r := versionRecord()
			if a.json {
				a.record(r)
				return nil
			}
			a.screen.Print(r.Message + "\n")
			return nil
		},
	}
}

// versionRecord is also the first record of what plans or runs, so that a
// program knows what it reads.
func versionRecord() render.Record {
	return render.Record{
		Message: fmt.Sprintf("etcdplay %s, language %d, %s/%s, %s", version, syntax.Language, runtime.GOOS, runtime.GOARCH, runtime.Version()),
		Type:    "version", Tool: version, SchemaVersion: "1",
	}
}
