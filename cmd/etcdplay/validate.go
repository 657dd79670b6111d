package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate PLAYBOOK…",
		Short: "check playbooks, as far as it goes without an inventory and hosts",
		Long: `Checks everything that can be checked without an inventory and without hosts,
and prints all that is wrong at once. Of a site playbook it lists all in which it
deviates from the one it extends.`,
		Args:              takes(1, -1, "one playbook or several"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			code := engine.ExitOK
			for _, ref := range args {
				pb, path, err := a.load(ref)
				if err != nil {
					code = max(code, a.end(err))
					continue
				}
				text := fmt.Sprintf("%s is valid: %s.", path, hcl.Summary(pb))
				if a.json {
					data := map[string]any{"playbook": path}
					if changes := pb.Changes(); len(changes) > 0 {
						data["changes"] = changes
					}
					a.record(render.Record{Message: text, Type: "valid", Data: data})
					continue
				}
				a.screen.Print(text + "\n")
				for _, c := range pb.Changes() {
					a.screen.Print("  " + render.Change(c) + "\n")
				}
			}
			return exit(code)
		},
	}
}
