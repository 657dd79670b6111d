package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the program's version",
		Args:  takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			text := fmt.Sprintf("etcdplay %s, language 1, %s/%s, %s", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			if a.json {
				a.record(render.Record{Message: text, Type: "version", Tool: version, SchemaVersion: "1"})
				return nil
			}
			a.screen.Print(text + "\n")
			return nil
		},
	}
}
