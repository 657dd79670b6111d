package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// timed runs the task within its time, retries included. A call and a question
// have none of their own: the called tasks, and a person, have theirs.
func (x *taskRun) timed(ctx context.Context) (cty.Value, error) {
	limit, ds := duration(x.t.Timeout, x.scope, x.t.Type.Timeout)
	if ds.HasErrors() {
		return cty.NilVal, ds
	}
	tctx, cancel := context.WithCancel(ctx)
	if x.t.Timeout != nil || x.t.Type.Role == Plain {
		cancel()
		tctx, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	v, err := x.byRole(tctx)
	switch {
	case err == nil || errors.Is(err, errAborted):
	case ctx.Err() != nil && !errors.Is(err, ErrState):
		return cty.NilVal, fmt.Errorf("%w: %w", ErrInterrupted, err)
	case errors.Is(tctx.Err(), context.DeadlineExceeded) && statusOf(err) == Failed && !errors.Is(err, ErrState):
		return cty.NilVal, fmt.Errorf("gave up after %s: %w", limit.Round(time.Millisecond), err)
	}
	return v, err
}

func (x *taskRun) byRole(ctx context.Context) (cty.Value, error) {
	switch x.t.Type.Role {
	case Assert:
		return x.assert()
	case Confirm:
		return x.confirm(ctx)
	case Calls:
		return x.call(ctx)
	}
	return x.retried(ctx)
}

// connect returns the task's host, nil if it has none.
func (x *taskRun) connect(ctx context.Context) (conn.Host, error) {
	if x.host == "" {
		return nil, nil
	}
	if x.env.Host == nil {
		return nil, fmt.Errorf("host %s: %w: no connections here", x.host, conn.ErrUnreachable)
	}
	h, err := x.env.Host(ctx, x.spec)
	if merr := x.meet(); merr != nil {
		return nil, merr
	}
	return h, err
}

// eyes is what the task may look with.
func (x *taskRun) eyes(h conn.Host) Look {
	l := lookAt(x.runWalk.program, x.env, nil)
	if x.replaced() {
		l.Cluster.ID = "" // the inventory's is of the cluster that was there before
	}
	if h != nil {
		l.Host = readOnly{h}
	}
	l.Failed = x.others
	l.Say = func(format string, args ...any) {
		x.emit(x.event(TaskProgress, func(e *Event) { e.Message = oneLine(fmt.Sprintf(format, args...)) }))
	}
	l.Progress = func(done, total int64) {
		x.emit(x.event(TaskProgress, func(e *Event) { e.Done, e.Total = done, total }))
	}
	return l
}

func (x *taskRun) assert() (cty.Value, error) {
	x.start(Planned{})
	holds, known := boolOf(x.plain.GetAttr("condition"))
	if !known || !holds {
		return cty.NilVal, Diagnostics{x.t.failedAssert(x.args, x.address, x.scope)}
	}
	return x.finish(cty.EmptyObjectVal, nil)
}

// confirm asks the operator. A yes that an earlier process has recorded holds.
func (x *taskRun) confirm(ctx context.Context) (cty.Value, error) {
	message, typed := x.plain.GetAttr("message").AsString(), ""
	if v := x.plain.GetAttr("typed"); !v.IsNull() {
		typed = v.AsString()
	}
	x.start(Planned{Summary: oneLine(message)})
	q := Question{Address: x.address, Text: x.scrub.String(message), Typed: typed}
	a, known := x.fold.answers[x.address]
	if !known || a.Question != q.Text || !a.Yes || typed != "" && a.Answer != typed {
		var err error
		if a, err = x.ask(ctx, x.address, q); err != nil {
			return cty.NilVal, err
		}
		if a.Yes && typed != "" {
			if err := x.override(fmt.Sprintf("%s: %q was typed", x.address, typed)); err != nil {
				return cty.NilVal, err
			}
		}
	}
	switch {
	case !a.Yes && typed != "":
		return cty.NilVal, fmt.Errorf("%w: %s did not type %q", ErrInterrupted, a.By, typed)
	case !a.Yes:
		return cty.NilVal, fmt.Errorf("%w: %s answered no", ErrInterrupted, a.By)
	}
	attrs := map[string]cty.Value{}
	for _, r := range x.t.Type.Results {
		attrs[r.Name] = cty.NullVal(r.Type)
	}
	attrs["answered_by"] = cty.StringVal(a.By)
	return x.finish(cty.ObjectVal(attrs), nil)
}

// ask puts a question to the operator and records the answer under key.
func (x *taskRun) ask(ctx context.Context, key string, q Question) (answerLine, error) {
	if x.env.Ask == nil {
		return answerLine{}, fmt.Errorf("nobody is there to be asked: %s", q.Text)
	}
	answer, yes, err := x.env.Ask(ctx, q)
	if err != nil {
		return answerLine{}, err
	}
	a := answerLine{
		T: "answer", Task: key, Question: q.Text, Answer: x.scrub.String(answer),
		Yes: yes, By: x.by, At: x.env.now(),
	}
	return a, x.record(a)
}

// call runs the called playbook. It shares run, journal and world with this one,
// and no names.
func (x *taskRun) call(ctx context.Context) (cty.Value, error) {
	x.start(Planned{Summary: x.t.Call.Source})
	program, ds := x.t.Call.Bind(withOf(x.args), x.scope)
	if ds.HasErrors() {
		return cty.NilVal, ds
	}
	for _, in := range program.Inputs {
		x.scrub.AddValue(in.Value)
	}
	if x.changesAccepted {
		if err := x.sameBeginning(program, x.address+"/"); err != nil {
			return cty.NilVal, fmt.Errorf("%w: %w", errOtherPlaybook, err)
		}
	}
	w := runWalk{runner: x.runner, program: program, prefix: x.address + "/"}
	s := newScope(x.env.Identity)
	if err := w.phases(ctx, s); err != nil {
		return cty.NilVal, err
	}
	outs, err := w.outputs(s)
	if err != nil {
		return cty.NilVal, err
	}
	return x.finish(outputsValue(outs), nil)
}

// plainSigns takes back what JSON does for the sake of HTML.
var plainSigns = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

// brief is a value in a message: as JSON, cut where it is long, sensitive values
// hidden.
func (s *Scrubber) brief(v cty.Value) string {
	if v.ContainsMarked() {
		return scrubbed
	}
	if !v.IsWhollyKnown() {
		return "(not known)"
	}
	b, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		return v.Type().FriendlyName()
	}
	text := s.String(plainSigns.Replace(string(b)))
	if r := []rune(text); len(r) > 120 {
		text = string(r[:120]) + "…"
	}
	return text
}
