package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "print a shell's completion script",
		Long:      "Prints a script that completes commands and flags. In bash:\n\n  source <(etcdplay completion bash)",
		Args:      takes(1, 1, "one of bash, zsh, fish"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var b strings.Builder
			var err error
			switch args[0] {
			case "bash":
				err = cmd.Root().GenBashCompletionV2(&b, true)
			case "zsh":
				err = cmd.Root().GenZshCompletion(&b)
			case "fish":
				err = cmd.Root().GenFishCompletion(&b, true)
			default:
				return wrong("Usage: "+cmd.UseLine(), "There is no completion for %q; there is for bash, zsh and fish.", args[0])
			}
			if err != nil {
				return err
			}
			a.screen.Print(b.String())
			return nil
		},
	}
}
