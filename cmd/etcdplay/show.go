package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/hcl"
)

func (a *app) showCommand() *cobra.Command {
	var resolved bool
	cmd := &cobra.Command{
		Use:   "show PLAYBOOK",
		Short: "print a playbook, or what a site playbook comes to",
		Long: `Prints the text of a playbook, a file or one that comes with the program. With
--resolved a site playbook and all that it extends become one playbook that
extends nothing, with a comment at each change: a preset, an override, a task
that was added or dropped.`,
		Args:              takes(1, 1, "one playbook"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			pb, path, err := a.load(args[0])
			if err != nil {
				return err
			}
			text := pb.File.Source
			data := map[string]any{"playbook": path}
			if resolved {
				out, dir, ds := pb.Resolve()
				a.findings(ds, pb.Sources())
				text, data["relative_to"] = out, dir
				if changes := pb.Changes(); len(changes) > 0 {
					data["changes"] = changes
				}
			}
			if a.json {
				data["text"] = string(text)
				a.record(render.Record{Message: fmt.Sprintf("%s: %s", path, hcl.Summary(pb)), Type: "playbook", Data: data})
				return nil
			}
			a.screen.Print(strings.TrimSuffix(string(text), "\n") + "\n")
			return nil
		},
	}
	cmd.Flags().BoolVar(&resolved, "resolved", false, "with all that a site playbook changes in its place")
	return cmd
}
