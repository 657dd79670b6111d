package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
)

// questions puts questions to whoever sits at the terminal.
type questions struct {
	app *app
	yes bool // --yes: answer yes without asking
	// given is the texts of --confirm: what would have to be typed.
	given []string
	// rehearsed: nothing is at stake, and what would have to be typed is given.
	rehearsed bool

	lines chan answer // nil before the first question
}

type answer struct {
	text string
	err  error
}

// ask shows text and returns the line that is typed. Nobody at a terminal is an
// error, and so is an end of the input.
func (q *questions) ask(ctx context.Context, text string) (string, error) {
	if !q.app.asks {
		return "", errors.New("there is a question, and stdin is no terminal to ask at; --yes answers yes")
	}
	if q.lines == nil {
		q.lines = make(chan answer)
		go q.read(q.app.stdin)
	}
	q.app.screen.Show("")
	q.app.screen.Tell(text)
	select {
	case a := <-q.lines:
		return a.text, a.err
	case <-ctx.Done():
		q.app.screen.Tell("\n")
		return "", engine.ErrInterrupted
	}
}

// read hands over lines for as long as the process lives: a read from a
// terminal cannot be taken back.
func (q *questions) read(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = engine.ErrInterrupted
		}
		q.lines <- answer{strings.TrimSpace(line), err}
		if err != nil {
			return
		}
	}
}

// confirm is the question of a task.
func (q *questions) confirm(ctx context.Context, x engine.Question) (string, bool, error) {
	switch {
	case x.Typed != "" && slices.Contains(q.given, x.Typed):
		q.app.say("question", x.Address, fmt.Sprintf("%s %s (--confirm)", x.Text, x.Typed))
		return x.Typed, true, nil
	case x.Typed != "" && q.rehearsed:
		q.app.say("question", x.Address, fmt.Sprintf("%s %s (this is a rehearsal)", x.Text, x.Typed))
		return x.Typed, true, nil
	case x.Typed != "" && !q.app.asks:
		return "", false, errors.New(unconfirmed(x.Address, x.Typed))
	case x.Typed != "":
		typed, err := q.ask(ctx, fmt.Sprintf("%s\nTo go on, type %s: ", x.Text, x.Typed))
		return typed, typed == x.Typed, err
	case q.yes:
		q.app.say("question", x.Address, x.Text+" yes (--yes)")
		return "yes", true, nil
	}
	typed, err := q.ask(ctx, x.Text+" Only yes goes on: ")
	return typed, strings.EqualFold(typed, "yes"), err
}

// unconfirmed says how a question is answered for which a text has to be typed.
func unconfirmed(address, typed string) string {
	return fmt.Sprintf("%s has to be answered by typing %q, and --yes does not answer it; without a terminal, --confirm=%q does", address, typed, typed)
}

// unanswered is the first question of the plan that nobody would answer: a text
// would have to be typed, there is no terminal, and it was not given.
func (q *questions) unanswered(plan *engine.Plan) string {
	if q.app.asks || q.rehearsed {
		return ""
	}
	for _, e := range plan.Entries {
		if e.Role != engine.Confirm || e.Skipped || e.Perhaps || e.Recorded {
			continue
		}
		v, _ := e.Args.GetAttr("typed").Unmark()
		if v.IsKnown() && !v.IsNull() && !slices.Contains(q.given, v.AsString()) {
			return unconfirmed(e.Address, v.AsString())
		}
	}
	return ""
}

// goAhead is the question before a run.
func (q *questions) goAhead(ctx context.Context, text string) (bool, error) {
	if q.yes {
		return true, nil
	}
	typed, err := q.ask(ctx, "\n"+text+" Only yes goes on: ")
	return strings.EqualFold(typed, "yes"), err
}

// say tells something that is no result.
func (a *app) say(kind, task, text string) {
	if a.json {
		a.record(render.Record{Message: text, Type: kind, Task: task})
		return
	}
	a.screen.Tell(text + "\n")
}
