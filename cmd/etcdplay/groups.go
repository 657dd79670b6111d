package main

import "github.com/spf13/cobra"

// groups is all commands, in the order of the help text.
func (a *app) groups() []group {
	return []group{
		{"runs", "Runs:", []*cobra.Command{
			a.planCommand(), a.runCommand(), a.resumeCommand(), a.abortCommand(),
			a.runsCommand(), a.statusCommand(), a.reportCommand(), a.purgeCommand(),
		}},
		{"playbooks", "Playbooks:", []*cobra.Command{
			a.initCommand(), a.sudoersCommand(), a.validateCommand(), a.fmtCommand(), a.showCommand(), a.varsCommand(), a.graphCommand(), a.clctCommand(),
			a.explainCommand(), a.schemaCommand(),
		}},
		{"try", "To try things on:", []*cobra.Command{
			a.demoCommand(), a.rehearseCommand(), a.sandboxCommand(),
		}},
		{"program", "This program:", []*cobra.Command{
			a.versionCommand(), a.completionCommand(),
		}},
	}
}
