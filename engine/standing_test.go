package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// keep adds to a file of its own, and can tell that it is not there any more.
func (b *bench) keep(name, key, host string) *Task {
	t := task(b.site.addType(func(s *Spec[addArgs, addState, addResults]) {
		s.Name, s.Sets = "keep", []string{"key"}
		s.Gone = func(_ context.Context, _ Look, a addArgs) (string, error) {
			if len(b.site.lines(a.Key)) == 0 {
				return a.Key + " is away", nil
			}
			return "", nil
		}
	}), name, map[string]Expr{"key": str(key), "value": str("v-" + name)})
	t.On = onHost(host)
	return t
}

func (b *bench) onHost(t *Task, host string) *Task {
	t.On = onHost(host)
	return t
}

// What is gone when a run is resumed is done again, before anything new is done on
// that host; what an event has made of it since is not.
func TestGoneIsDoneAgain(t *testing.T) {
	fails := func(b *bench) context.Context {
		b.failing(&[]string{"last"}[0])
		return context.Background()
	}
	// cut ends the run while the task that adds to the key is under way; it took
	// effect, or not.
	cut := func(key string, after bool) func(b *bench) context.Context {
		return func(b *bench) context.Context {
			ctx, cancel := context.WithCancel(context.Background())
			hook := func(k string) error {
				if k != key {
					return nil
				}
				cancel()
				return ctx.Err()
			}
			if after {
				b.site.after = hook
			} else {
				b.site.before = hook
			}
			return ctx
		}
	}
	for _, tc := range []struct {
		name  string
		tasks func(b *bench) []*Task
		stop  func(b *bench) context.Context
		away  []string
		want  string // how each task ended in the resume
	}{
		{
			"there", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.onHost(b.add("last", "last"), "a")}
			},
			fails, nil, "one ok recorded; last ok executed",
		},
		{
			"away", func(b *bench) []*Task {
				return []*Task{b.keep("zero", "zero", "a"), b.keep("one", "one", "a"), b.keep("two", "two", "a"), b.onHost(b.add("last", "last"), "a")}
			},
			fails,
			[]string{"one"},
			"zero ok recorded; one ok recorded; two ok recorded; one ok executed; last ok executed",
		},
		{
			"on another host", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "b"), b.onHost(b.add("last", "last"), "a")}
			},
			fails,
			[]string{"one"},
			"one ok recorded; last ok executed",
		},
		{
			"before an event", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.onHost(b.add("event", "event"), "a"), b.onHost(b.add("last", "last"), "a")}
			},
			fails,
			[]string{"one"},
			"one ok recorded; event ok recorded; last ok executed",
		},
		{
			"before an event elsewhere", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.onHost(b.add("event", "event"), "b"), b.onHost(b.add("last", "last"), "a")}
			},
			fails,
			[]string{"one"},
			"one ok recorded; event ok recorded; one ok executed; last ok executed",
		},
		{
			"before a call", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.call("join", "x"), b.onHost(b.add("last", "last"), "a")}
			},
			fails,
			[]string{"one"},
			"one ok recorded; join[\"x\"] ok recorded; last ok executed",
		},
		{
			"set again by a later task", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.keep("again", "one", "a"), b.onHost(b.add("last", "last"), "a")}
			},
			fails,
			[]string{"one"},
			"one ok recorded; again ok recorded; again ok executed; last ok executed",
		},
		{
			"what was cut off took effect", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.onHost(b.add("last", "last"), "a")}
			},
			cut("last", true),
			[]string{"one"},
			"one ok recorded; last ok reconciled",
		},
		{
			"what was cut off did not", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.onHost(b.add("last", "last"), "a")}
			},
			cut("last", false),
			[]string{"one"},
			"one ok recorded; one ok executed; last ok executed",
		},
		{
			"what is begun on a second host", func(b *bench) []*Task {
				return []*Task{b.keep("one", "one", "a"), b.onHost(b.add("last", "last"), "b"), b.onHost(b.add("more", "more"), "a")}
			},
			fails,
			[]string{"one"},
			"one ok recorded; last ok executed; one ok executed; more ok executed",
		},
		{
			"some rounds", func(b *bench) []*Task {
				hostName := expr{f: func(s *Scope) cty.Value { return s.Target.GetAttr("name") }}
				prefixedHost := expr{f: func(s *Scope) cty.Value { return cty.StringVal("on-" + s.Target.GetAttr("name").AsString()) }}
				one := b.keep("one", "", "")
				one.On, one.OnEach = nil, hosts("a", "b")
				one.Args = testArgs{one.Type.Args, map[string]Expr{"key": hostName, "value": str("v")}}
				last := b.add("last", "last")
				last.OnEach, last.Parallel = hosts("a", "b"), lit(cty.NumberIntVal(2))
				last.Args = testArgs{last.Type.Args, map[string]Expr{"key": prefixedHost, "value": str("v")}}
				return []*Task{one, last}
			},
			cutAll,
			[]string{"b"},
			`one["a"] ok recorded; one["b"] ok recorded; last["a"] ok executed; one["b"] ok executed; last["b"] ok executed`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			p := b.program(&Phase{Tasks: tc.tasks(b)})
			if code := Run(tc.stop(b), p, b.env, nil, RunOptions{StateDir: b.state}).ExitCode(); code == ExitOK {
				t.Fatal("the run was to be cut off")
			}
			b.site.before, b.site.after, b.events = nil, nil, nil
			for _, key := range tc.away {
				if err := os.Remove(filepath.Join(b.site.dir, key)); err != nil {
					t.Fatal(err)
				}
			}
			wantCode(t, b.resume(p), ExitOK)
			want(t, "ends", b.ends(), tc.want)
		})
	}
}

// The journal knows what was found gone: a process that dies before it was done
// again leaves that to the next.
func TestGoneIsRecorded(t *testing.T) {
	b := newBench(t)
	fail := "last"
	b.failing(&fail)
	p := b.program(&Phase{Tasks: []*Task{b.keep("one", "one", "a"), b.onHost(b.add("last", "last"), "a")}})
	wantCode(t, Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state}), ExitFailed)
	if err := os.Remove(filepath.Join(b.site.dir, "one")); err != nil {
		t.Fatal(err)
	}
	fail = "one"
	wantCode(t, b.resume(p), ExitFailed)
	var tasks []string
	for _, r := range b.record().Tasks {
		tasks = append(tasks, r.Address)
	}
	want(t, "done by then", strings.Join(tasks, " "), "")
	fail, b.events = "", nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "ends", b.ends(), "one ok executed; last ok executed")
}

// cutAll lets every task of the second kind fail.
func cutAll(b *bench) context.Context {
	b.site.before = func(key string) error {
		if strings.HasPrefix(key, "on-") {
			return Definite(errors.New("no room"))
		}
		return nil
	}
	return context.Background()
}
