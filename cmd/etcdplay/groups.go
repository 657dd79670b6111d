package main

import "github.com/spf13/cobra"

// groups is all commands, in the order of the help text.
func (a *app) groups() []group {
	return []group{
		{"runs", "Runs:", []*cobra.Command{
			a.runsCommand(), a.statusCommand(), a.reportCommand(),
		}},
		{"try", "To try things on:", []*cobra.Command{
			a.sandboxCommand(),
		}},
		{"program", "This program:", []*cobra.Command{
			a.versionCommand(), a.completionCommand(),
		}},
	}
}
