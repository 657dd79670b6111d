package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// exitCodes ends the help of the program; engine.ExitCode and README say the same.
const exitCodes = `
Exit codes:
  0    done, or nothing to do
  1    a task or a check failed; the state is known
  2    what was given is wrong; nothing was contacted
  3    refused: it would not be safe, or the world is no longer as it was
  4    the journal or its folder cannot be used
  5    the effect of a task is not known; etcdplay resume looks
  6    another etcdplay works on this cluster or this run
  7    a host does not answer, or does not let in; its key is not the known one
  130  interrupted; the journal knows where
`

// helpWidth is how wide help texts are.
const helpWidth = 80

// layOut gives the help of all commands one form: whole sentences, lines that
// fit, and one line of usage.
func (a *app) layOut(root *cobra.Command) {
	usage := root.UsageTemplate()
	for old, now := range map[string]string{
		".LocalFlags.FlagUsages":     fmt.Sprintf(".LocalFlags.FlagUsagesWrapped %d", helpWidth),
		".InheritedFlags.FlagUsages": fmt.Sprintf(".InheritedFlags.FlagUsagesWrapped %d", helpWidth),
		"{{if .Runnable}}\n  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}\n  {{.CommandPath}} [command]{{end}}": "\n  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND [flags]{{else}}{{.UseLine}}{{end}}",
		`{{.CommandPath}} [command] --help" for more information about a command.`:                                    `{{.CommandPath}} COMMAND --help" for more about a command.`,
	} {
		if !strings.Contains(usage, old) {
			panic("etcdplay: cobra's template is another one: " + old)
		}
		usage = strings.ReplaceAll(usage, old, now)
	}
	root.SetUsageTemplate(usage)
	sentences(root)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if strings.Contains(cmd.Use, "PLAYBOOK") {
			cmd.Long += "\n\n" + a.shippedList()
		}
		help(cmd, args)
		if cmd == root {
			fmt.Fprint(cmd.OutOrStdout(), exitCodes)
		}
	})
}

// sentences makes the one line that lists show of a command a sentence where the
// command's own help has nothing longer.
func sentences(cmd *cobra.Command) {
	if cmd.Long == "" {
		first, size := utf8.DecodeRuneInString(cmd.Short)
		cmd.Long = string(unicode.ToUpper(first)) + cmd.Short[size:] + "."
	}
	for _, c := range cmd.Commands() {
		sentences(c)
	}
}

// shippedList names the playbooks that come with the program, and what they do.
func (a *app) shippedList() string {
	var b strings.Builder
	b.WriteString("Playbooks that come with the program:\n")
	const column = 21
	for _, file := range shipped() {
		name := strings.TrimSuffix(file, ".hcl")
		about := ""
		if pb, _, err := a.load(name); err == nil {
			about, _, _ = strings.Cut(strings.Join(strings.Fields(pb.Header.Description), " "), ". ")
		}
		line := fmt.Sprintf("  %-*s", column, name)
		for _, word := range strings.Fields(strings.TrimSuffix(about, ".")) {
			if len(line)+1+len(word) > helpWidth {
				b.WriteString(line + "\n")
				line = strings.Repeat(" ", column+2)
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
