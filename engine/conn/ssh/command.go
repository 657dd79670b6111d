package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// words are the folder, assignments and arguments of c, as the host's script
// wants them after the name of what it is to do with them.
func words(c conn.Command) ([]string, error) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return nil, errors.New("command is empty")
	}
	dir := c.Dir
	if dir == "" {
		dir = "/"
	}
	if !path.IsAbs(dir) {
		return nil, fmt.Errorf("working directory %q is not absolute", dir)
	}
	all := []string{dir, "PATH=" + programPath, "LANG=C.UTF-8"}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return nil, fmt.Errorf("%q is no name of a variable", name)
		}
		all = append(all, name+"="+c.Env[name])
	}
	if strings.Contains(c.Argv[0], "=") {
		// env would take it for an assignment.
		all = append(all, "/bin/sh", "-c", `exec "$@"`, "sh")
	}
	all = append(all, c.Argv...)
	return all, checkWords(all)
}

// input is what a program reads, to be taken from the connection.
func input(stdin []byte) *payload {
	if len(stdin) == 0 {
		return nil
	}
	return &payload{content: bytes.NewReader(stdin), size: int64(len(stdin))}
}

// Query runs a program that changes nothing.
func (h *Host) Query(ctx context.Context, c conn.Command) (conn.Result, error) {
	return h.query(ctx, c, conn.MaxOutput)
}

func (h *Host) query(ctx context.Context, c conn.Command, keep int) (conn.Result, error) {
	args, err := words(c)
	if err != nil {
		return conn.Result{}, h.failed("query", "", err)
	}
	script := "keep=" + strconv.Itoa(keep+1) + "\n" +
		"found " + quote(args[0], c.Argv[0]) + "\nquery " + quote(append([]string{strconv.Itoa(len(c.Stdin))}, args...)...)
	for attempt := 0; ; attempt++ {
		a, err := h.once(ctx, script, input(c.Stdin), keep+64)
		var drop *dropError
		switch {
		case errors.As(err, &drop) && attempt == 0 && ctx.Err() == nil:
			continue
		case err != nil:
			h.kill(ctx, a.out)
			return conn.Result{}, h.failed(c.Argv[0], "", unreachable(err))
		}
		line, out, begun := bytes.Cut(a.out, []byte("\n"))
		if !begun || !bytes.HasPrefix(line, []byte("pid ")) {
			return conn.Result{}, h.hostError(c.Argv[0], "", a.status, a.err)
		}
		return result(a.status, out, a.err, a.cut, keep), nil
	}
}

// Run runs a program. Its output goes to files on the host, so that it goes on,
// and its end is known, whatever becomes of the connection.
func (h *Host) Run(ctx context.Context, c conn.Command) (conn.Result, error) {
	args, err := words(c)
	if err != nil {
		return conn.Result{}, h.failed("run", "", err)
	}
	e, err := h.change(ctx, change{
		script: func(id, op string) string {
			in, take := "''", ""
			if len(c.Stdin) > 0 {
				in = `"$R/` + id + `.in"`
				take = "take " + strconv.Itoa(len(c.Stdin)) + " " + in + "\n"
			}
			return "found " + quote(args[0], c.Argv[0]) + "\n" + take +
				"op " + op + " run " + in + " " + quote(args...)
		},
		payload: func() *payload { return input(c.Stdin) },
		killed:  true,
		keep:    conn.MaxOutput + 64,
	})
	switch {
	case errors.Is(err, errNotBegun):
		return conn.Result{}, h.hostError(c.Argv[0], "", e.status, e.err)
	case err != nil:
		return conn.Result{}, h.failed(c.Argv[0], "", err)
	}
	return result(e.status, e.out, e.err, e.cut, conn.MaxOutput), nil
}

func result(status int, out, err []byte, cut bool, keep int) conn.Result {
	return conn.Result{
		ExitCode:  status,
		Stdout:    out[:min(len(out), keep)],
		Stderr:    err[:min(len(err), conn.MaxOutput)],
		Truncated: cut || len(out) > keep || len(err) > conn.MaxOutput,
	}
}

// kill ends what a query left running when its context ended: nothing of it
// is wanted any more. What it had printed begins with its process number.
func (h *Host) kill(ctx context.Context, printed []byte) {
	line, _, begun := bytes.Cut(printed, []byte("\n"))
	pid, isPID := strings.CutPrefix(string(line), "pid ")
	if _, err := strconv.Atoi(pid); ctx.Err() == nil || !begun || !isPID || err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	// It may have ended by itself; if the host does not answer, it is left alone.
	_, _ = h.ask(ctx, "kill -s KILL -- -"+pid, 0)
}
