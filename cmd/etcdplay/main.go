// Command etcdplay runs etcd's dangerous operations from playbooks. This
// package is the command line: it reads flags, puts the other packages together
// and prints what they say. It decides nothing about clusters; nothing imports
// it. A command is a value made by one function in a file of its own.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/etcdplay/etcdplay/tasks"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

// version is the program's own, set by the linker.
var version = "0.1.0"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run is the whole program: it returns the exit code. Colour, a live line and
// questions are only for a stdin, stdout or stderr that is an *os.File on a
// terminal. env is in the form of os.Environ.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	if len(args) > 0 && args[0] == onhost.Command {
		// Called by itself, on a host: see tasks/onhost.
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return onhost.Serve(ctx, tasks.Verbs(), args[1:], stdin, stdout, stderr)
	}
	a := newApp(args, stdin, stdout, stderr, env)
	root := a.root()
	root.SetArgs(normal(args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.end(root.Execute())
}
