package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Exec runs a program.
func Exec() *engine.Type {
	return engine.Define(engine.Spec[execArgs, execState, execResults]{
		Name: "exec",
		Doc: "Runs a program on a host (on = localhost for this machine). It is the way out where no other type fits: " +
			"what it does cannot be planned, and whether it took effect can only be told by creates. " +
			"With read_only it counts as a read, and is run in a plan too.",
		Effect: engine.Change, Where: engine.Either, Timeout: 5 * time.Minute,
		EffectOf: effectOfExec, Check: checkExec, Observe: observeExec, Report: reportExec, Plan: planExec,
		Apply: applyExec, Settle: settleExec, Verify: verifyExec, Advance: advanceExec,
	})
}

type execArgs struct {
	Argv         []string          `play:"argv,nosecret" doc:"The program and its arguments; no shell reads them. Either this or shell."`
	Shell        *string           `play:"shell,nosecret" doc:"A text for /bin/sh -c; make words safe with shellquote(). Either this or argv."`
	Creates      *string           `play:"creates,abspath,nosecret" doc:"A path that is there exactly if the program has done its work: then it is not run."`
	Dir          *string           `play:"dir,abspath,nosecret" doc:"The working directory." default:"/"`
	Env          map[string]string `play:"env" doc:"Added to a small fixed environment."`
	ReadOnly     bool              `play:"read_only" doc:"It changes nothing: run it in a plan too." default:"false"`
	Stdin        *string           `play:"stdin" doc:"What it reads." default:"nothing"`
	SuccessCodes []int             `play:"success_codes" doc:"The exit codes that are no error." default:"[0]"`
}

type execResults struct {
	ExitCode int    `play:"exit_code" doc:"How it ended; 128+n if signal n ended it; 0 if it was not run."`
	Stderr   string `play:"stderr" doc:"What it wrote to stderr, at most 1 MiB."`
	Stdout   string `play:"stdout" doc:"What it wrote to stdout, at most 1 MiB."`
}

type execState struct {
	Created bool        `json:"created"` // what creates names is there
	Answer  execResults `json:"-"`       // of a read: it may be long, and is read again
}

func effectOfExec(a execArgs) engine.Effect {
	if a.ReadOnly {
		return engine.Read
	}
	return engine.Change
}

func checkExec(a execArgs) error {
	switch {
	case len(a.Argv) == 0 && a.Shell == nil:
		return &engine.ArgError{Arg: "argv", Text: "Write what to run: argv = [\"program\", \"argument\"], or shell = \"text\"."}
	case a.Argv != nil && a.Shell != nil:
		return &engine.ArgError{Arg: "shell", Text: "Write either argv or shell, not both."}
	case a.Argv != nil && a.Argv[0] == "":
		return &engine.ArgError{Arg: "argv", Text: "The first element names the program and cannot be empty."}
	case a.ReadOnly && a.Creates != nil:
		return &engine.ArgError{Arg: "creates", Text: "What is read_only creates nothing; leave one of them out."}
	}
	for name, value := range a.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return &engine.ArgError{Arg: "env", Text: fmt.Sprintf("%q cannot be a variable of an environment.", name)}
		}
	}
	for _, word := range append(slices.Clone(a.Argv), str(a.Shell)) {
		if strings.Contains(word, "\x00") {
			return &engine.ArgError{Arg: "argv", Text: "A zero byte cannot be passed to a program."}
		}
	}
	return nil
}

func (a execArgs) command() conn.Command {
	c := conn.Command{Argv: a.Argv, Env: a.Env, Dir: str(a.Dir), Stdin: []byte(str(a.Stdin))}
	if a.Shell != nil {
		c.Argv = []string{"/bin/sh", "-c", *a.Shell}
	}
	return c
}

func observeExec(ctx context.Context, l engine.Look, a execArgs) (s execState, err error) {
	switch {
	case l.Host == nil:
		return s, errors.New("exec needs a host to run on; write on = localhost for this machine")
	case a.ReadOnly:
		res, err := l.Host.Query(ctx, a.command())
		if err != nil {
			return s, err
		}
		s.Answer, err = a.answer(res)
		return s, err
	case a.Creates != nil:
		_, err := l.Host.Stat(ctx, *a.Creates)
		s.Created = err == nil
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return s, err
	}
	return s, nil
}

func reportExec(_ execArgs, s execState) execResults { return s.Answer }

func planExec(p engine.Planning, a execArgs, s execState) (engine.Planned, execResults) {
	all := []string{"exit_code", "stderr", "stdout"}
	switch {
	case p.Unknown["argv"] || p.Unknown["shell"]:
		return engine.Planned{Needed: true, Summary: "a program that is known during the run", Unknown: all}, execResults{}
	case p.Observed && a.Creates != nil && s.Created:
		return engine.Planned{Summary: fmt.Sprintf("%q is there already", *a.Creates)}, execResults{}
	case p.Observed && a.ReadOnly:
		return engine.Planned{Summary: a.words()}, s.Answer
	}
	return engine.Planned{Needed: !a.ReadOnly, Summary: a.words(), Unknown: all}, execResults{}
}

// words is the command on one line.
func (a execArgs) words() string {
	if a.Shell != nil {
		first, rest, more := strings.Cut(strings.TrimSpace(*a.Shell), "\n")
		if more && strings.TrimSpace(rest) != "" {
			first += " …"
		}
		return "sh: " + first
	}
	words := make([]string, len(a.Argv))
	for i, w := range a.Argv {
		words[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n\"'\\$`*?;&|<>()") {
			words[i] = strconv.Quote(w)
		}
	}
	return strings.Join(words, " ")
}

func applyExec(ctx context.Context, h engine.Hands, a execArgs, s execState) (execResults, error) {
	if h.Host == nil {
		return execResults{}, engine.Definite(errors.New("exec needs a host to run on; write on = localhost for this machine"))
	}
	if s.Created {
		return execResults{}, nil
	}
	res, err := h.Host.Run(ctx, a.command())
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && a.Dir != nil:
		return execResults{}, engine.Definite(fmt.Errorf("%w; the host lacks the program, or the directory %q", err, *a.Dir))
	case !errors.Is(err, conn.ErrOutcomeUnknown) && ctx.Err() == nil:
		return execResults{}, engine.Definite(err) // by the promise of conn.Host nothing began
	default:
		return execResults{}, err
	}
	r, err := a.answer(res)
	return r, engine.Definite(err)
}

// answer makes results of how the program ended. What it wrote becomes values,
// and those are text: bytes that are none, or a text that was cut, would go on
// as something else than what the program said.
func (a execArgs) answer(res conn.Result) (execResults, error) {
	r := execResults{ExitCode: res.ExitCode, Stdout: string(res.Stdout), Stderr: string(res.Stderr)}
	codes := a.SuccessCodes
	if codes == nil {
		codes = []int{0}
	}
	switch {
	case !slices.Contains(codes, res.ExitCode):
		text := fmt.Sprintf("%s ended with exit code %d", a.words(), res.ExitCode)
		if tail := tail(res.Stderr); tail != "" {
			text += ": " + tail
		}
		return r, errors.New(text)
	case res.Truncated:
		return r, fmt.Errorf("%s wrote more than %d bytes; send what it writes to a file", a.words(), conn.MaxOutput)
	case !utf8.Valid(res.Stdout):
		return r, fmt.Errorf("what %s wrote to stdout is not UTF-8 text; pass it through base64", a.words())
	case !utf8.Valid(res.Stderr):
		return r, fmt.Errorf("what %s wrote to stderr is not UTF-8 text; pass it through base64", a.words())
	}
	return r, nil
}

// tail is the last line that is not empty.
func tail(b []byte) string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(b), "\uFFFD")), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// settleExec can tell only where the author said how: by creates. Without it a
// person has to look, which is what Conflict brings about.
func settleExec(ctx context.Context, l engine.Look, a execArgs, _ execState) (engine.Settlement, execResults, error) {
	if a.Creates == nil {
		return "", execResults{}, fmt.Errorf("%w whether %s took effect; creates would have told", engine.ErrBlind, a.words())
	}
	s, err := observeExec(ctx, l, a)
	switch {
	case err != nil:
		return "", execResults{}, err
	case s.Created:
		return engine.Done, execResults{}, nil
	}
	return engine.Partial, execResults{}, nil
}

func verifyExec(ctx context.Context, l engine.Look, a execArgs, _ execResults) error {
	if a.Creates == nil {
		return nil
	}
	s, err := observeExec(ctx, l, a)
	if err == nil && !s.Created {
		return fmt.Errorf("%s ended well, but there is no %q", a.words(), *a.Creates)
	}
	return err
}

func advanceExec(host, _ string, a execArgs, _ execResults, w *world.World) {
	if a.Creates != nil {
		w.Host(host).Blur(*a.Creates)
	}
}

func str(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
