package main

import (
	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

func (a *app) sudoersCommand() *cobra.Command {
	var password bool
	cmd := &cobra.Command{
		Use:   "sudoers USER",
		Short: "print the lines that a host's sudoers needs",
		Long: `Prints what belongs into a file below /etc/sudoers.d of each host, such as
/etc/sudoers.d/etcdplay, if connections log in there as USER and have
become = "sudo". Check the file with visudo -c.

It is a single command: a shell that etcdplay's scripts are sent to over the
connection. A shorter list would say no more, since who replaces unit files and
data directories is root; a log of what was done is what the run's journal is.`,
		Args: takes(1, 1, "the user that connections log in as"),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := ssh.Sudoers(args[0], password)
			if err != nil {
				return wrong("", "%s", sentence(err))
			}
			a.text("sudoers", args[0], text)
			return nil
		},
	}
	cmd.Flags().BoolVar(&password, "password", false, "have sudo ask for the user's password, which the inventory's become_password_env holds")
	return cmd
}
