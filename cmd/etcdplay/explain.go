package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/hcl/reference"
	"github.com/etcdplay/etcdplay/tasks"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [TYPE|FUNCTION|BLOCK]",
		Short: "tell what a task type, a function or a block is",
		Args:  takes(0, 1, "one topic"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return reference.Topics(tasks.Types()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			topic := strings.Join(args, "")
			var b strings.Builder
			if err := reference.Explain(&b, topic, tasks.Types()); err != nil {
				return wrong("", "%s", sentence(err))
			}
			a.text("explanation", topic, b.String())
			return nil
		},
	}
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the language as JSON, for editors and generators",
		Long:  "Prints all blocks, arguments, task types and functions as one JSON object on one\nline, with or without --json.",
		Args:  takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			a.screen.Print(string(rawJSON(reference.Schema(tasks.Types()))) + "\n")
			return nil
		},
	}
}
