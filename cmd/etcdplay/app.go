package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
)

// app is what every command has: where words come from and go to.
type app struct {
	stdin io.Reader
	env   map[string]string
	// environ is env as it came, in the form of os.Environ.
	environ []string
	screen  *render.Screen
	json    bool // one JSON object a line instead of text
	asks    bool // stdin is a terminal, so that questions can be asked
	found   bool // findings were printed, so that further ones follow a blank line
	now     func() time.Time
}

func newApp(args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) *app {
	a := &app{stdin: stdin, env: map[string]string{}, environ: env, asks: isTerminal(stdin), now: time.Now}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		a.env[name] = value
	}
	// These two are looked for before cobra parses anything, so that also a
	// complaint about the flags obeys them.
	colour := a.env["NO_COLOR"] == "" && a.env["TERM"] != "dumb"
	for _, arg := range args {
		switch arg {
		case "--":
			args = nil
		case "--json", "--json=true":
			a.json = true
		case "--no-color", "--no-color=true":
			colour = false
		}
		if args == nil {
			break
		}
	}
	colour = colour && !a.json
	a.screen = &render.Screen{
		Out:   stdout,
		Err:   stderr,
		Paint: render.Paint{On: colour && isTerminal(stdout)},
		Warn:  render.Paint{On: colour && isTerminal(stderr)},
		Live:  !a.json && a.env["TERM"] != "dumb" && isTerminal(stderr),
		Width: width(stderr),
	}
	return a
}

// isTerminal reports whether f is a file on a terminal.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// width is the terminal's, in cells; zero if there is none.
func width(f any) int {
	if file, ok := f.(*os.File); ok {
		if w, _, err := term.GetSize(int(file.Fd())); err == nil {
			return w
		}
	}
	return 0
}

func (a *app) root() *cobra.Command {
	cobra.EnableCommandSorting = false // groups has the order in which they are wanted
	root := &cobra.Command{
		Use:   "etcdplay",
		Short: "run etcd's dangerous operations from playbooks",
		Long: `etcdplay runs the dangerous jobs on an etcd cluster (grow it, replace a dead
member) from playbooks that a person can read, rehearse, run, interrupt and
resume.`,
		Example: `  etcdplay demo
  etcdplay plan replace-member --var failed=demo-etcd-2
  etcdplay run replace-member --var failed=demo-etcd-2
  etcdplay resume`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.ArbitraryArgs,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !a.json {
				cmd.SetOut(a.screen.Err)
				return errors.Join(cmd.Help(), exit(engine.ExitInput))
			}
			if len(args) == 0 {
				return noCommand(cmd)
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.PersistentFlags().Bool("json", false, "print one JSON object a line")
	root.PersistentFlags().Bool("no-color", false, "no colour, also on a terminal")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(&cobra.Command{Use: "help [COMMAND]", Short: "tell about a command", Hidden: true, RunE: func(cmd *cobra.Command, args []string) error {
		target, _, err := root.Find(args)
		if err != nil || (target == root && len(args) > 0) {
			return unknownCommand(root, strings.Join(args, " "))
		}
		return target.Help()
	}})
	root.SetHelpCommandGroupID("program")
	for _, g := range a.groups() {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	a.layOut(root)
	return root
}

// group is commands that stand together in the help text.
type group struct {
	id, title string
	commands  []*cobra.Command
}

// normal allows -check and -diff, as gofmt and terraform have them, beside
// --check and --diff.
func normal(args []string) []string {
	out := make([]string, 0, len(args))
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...)
		}
		if arg == "-check" || arg == "-diff" {
			arg = "-" + arg
		}
		out = append(out, arg)
	}
	return out
}
