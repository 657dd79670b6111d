package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
)

// questions puts questions to whoever sits at the terminal.
type questions struct {
	app *app
	yes bool // --yes: answer yes without asking

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
func (q *questions) confirm(ctx context.Context, address, question string) (string, bool, error) {
	if q.yes {
		q.app.say("question", address, question+" yes (--yes)")
		return "yes", true, nil
	}
	typed, err := q.ask(ctx, question+" Only yes goes on: ")
	return typed, strings.EqualFold(typed, "yes"), err
}

// goAhead is the question before a run.
func (q *questions) goAhead(ctx context.Context) (bool, error) {
	if q.yes {
		return true, nil
	}
	typed, err := q.ask(ctx, "\nDo this? Only yes goes on: ")
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
