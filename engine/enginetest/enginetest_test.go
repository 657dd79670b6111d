package enginetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// recorder is a test that is run to see it fail.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}

func (r *recorder) Error(args ...any) { r.said = append(r.said, fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

type noteArgs struct {
	Text string `play:"text,required" doc:"What to write."`
}

type noteResults struct {
	Changed bool `play:"changed" doc:"Whether it was written."`
}

type noteState struct {
	Text string `json:"text"`
}

type noteSpec = engine.Spec[noteArgs, noteState, noteResults]

// note is a small right type that writes a text into a file of this machine.
func note(file string) noteSpec {
	read := func() string {
		b, err := os.ReadFile(file)
		if err != nil {
			return ""
		}
		return string(b)
	}
	return noteSpec{
		Name: "note", Doc: "Writes a note.", Effect: engine.Change, Where: engine.Controller,
		Observe: func(context.Context, engine.Look, noteArgs) (noteState, error) { return noteState{read()}, nil },
		Plan: func(_ engine.Planning, a noteArgs, s noteState) (engine.Planned, noteResults) {
			return engine.Planned{Needed: s.Text != a.Text, Summary: "note"}, noteResults{Changed: s.Text != a.Text}
		},
		Apply: func(_ context.Context, _ engine.Hands, a noteArgs, s noteState) (noteResults, error) {
			if s.Text == a.Text {
				return noteResults{}, nil
			}
			return noteResults{Changed: true}, os.WriteFile(file, []byte(a.Text), 0o600)
		},
		Settle: func(_ context.Context, _ engine.Look, a noteArgs, s noteState) (engine.Settlement, noteResults, error) {
			switch read() {
			case a.Text:
				return engine.Done, noteResults{Changed: true}, nil
			case s.Text:
				return engine.NotDone, noteResults{}, nil
			}
			return engine.Conflict, noteResults{}, nil
		},
		Verify: func(_ context.Context, _ engine.Look, a noteArgs, _ noteResults) error {
			if read() != a.Text {
				return fmt.Errorf("it says %q", read())
			}
			return nil
		},
	}
}

// TestRunFindsBrokenTypes plants one mistake at a time and expects the suite to
// name it.
func TestRunFindsBrokenTypes(t *testing.T) {
	scribble := func(file string) { _ = os.WriteFile(file+".trace", []byte(time.Now().String()), 0o600) }
	tests := []struct {
		name  string
		plant func(s *noteSpec, file string)
		want  string // "" means that the suite is content
	}{
		{"a right type", func(*noteSpec, string) {}, ""},
		{"Observe writes", func(s *noteSpec, file string) {
			right := s.Observe
			s.Observe = func(ctx context.Context, l engine.Look, a noteArgs) (noteState, error) {
				scribble(file)
				return right(ctx, l, a)
			}
		}, "Observe has changed the world"},
		{"Verify writes", func(s *noteSpec, file string) {
			right := s.Verify
			s.Verify = func(ctx context.Context, l engine.Look, a noteArgs, r noteResults) error {
				scribble(file)
				return right(ctx, l, a, r)
			}
		}, "Verify has changed the world"},
		{"Settle writes", func(s *noteSpec, file string) {
			right := s.Settle
			s.Settle = func(ctx context.Context, l engine.Look, a noteArgs, st noteState) (engine.Settlement, noteResults, error) {
				scribble(file)
				return right(ctx, l, a, st)
			}
		}, "Settle has changed the world"},
		{"Verify always holds", func(s *noteSpec, _ string) {
			s.Verify = func(context.Context, engine.Look, noteArgs, noteResults) error { return nil }
		}, "Verify holds before Apply"},
		{"Verify never holds", func(s *noteSpec, _ string) {
			s.Verify = func(context.Context, engine.Look, noteArgs, noteResults) error { return os.ErrInvalid }
		}, "Verify after Apply: invalid argument"},
		{"Apply does nothing", func(s *noteSpec, _ string) {
			s.Apply = func(context.Context, engine.Hands, noteArgs, noteState) (noteResults, error) {
				return noteResults{Changed: true}, nil
			}
		}, "Apply: the world is as it was"},
		{"Apply always writes", func(s *noteSpec, file string) {
			s.Apply = func(_ context.Context, _ engine.Hands, a noteArgs, st noteState) (noteResults, error) {
				return noteResults{Changed: st.Text != a.Text}, os.WriteFile(file, []byte(a.Text), 0o600)
			}
		}, "Apply, a second time, has changed the world"},
		{"Plan is never content", func(s *noteSpec, _ string) {
			s.Plan = func(engine.Planning, noteArgs, noteState) (engine.Planned, noteResults) {
				return engine.Planned{Needed: true, Summary: "note"}, noteResults{Changed: true}
			}
		}, "Plan after Apply: still needed: note"},
		{"Plan predicts wrongly", func(s *noteSpec, _ string) {
			s.Plan = func(_ engine.Planning, a noteArgs, st noteState) (engine.Planned, noteResults) {
				return engine.Planned{Needed: st.Text != a.Text, Summary: "note"}, noteResults{}
			}
		}, "Apply's results against Plan's: changed: got cty.True, want cty.False"},
		{"Settle sees what is not", func(s *noteSpec, _ string) {
			s.Settle = func(context.Context, engine.Look, noteArgs, noteState) (engine.Settlement, noteResults, error) {
				return engine.Done, noteResults{Changed: true}, nil
			}
		}, `Settle before Apply: "done"`},
		{"Settle does not see what is", func(s *noteSpec, _ string) {
			s.Settle = func(context.Context, engine.Look, noteArgs, noteState) (engine.Settlement, noteResults, error) {
				return engine.NotDone, noteResults{}, nil
			}
		}, `Settle after Apply: "not done"`},
		{"the model stays behind", func(s *noteSpec, _ string) {
			s.Advance = func(string, string, noteArgs, noteResults, *world.World) {}
		}, "the model says nothing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			spec := note(filepath.Join(dir, "note"))
			test.plant(&spec, filepath.Join(dir, "note"))
			rec := &recorder{TB: t}
			done := make(chan struct{})
			go func() { // the recorder's Fatal ends it
				defer close(done)
				Run(rec, engine.Define(spec), Case{
					Args:        map[string]cty.Value{"text": cty.StringVal("hello")},
					Fingerprint: func(t testing.TB) string { return Tree(t, dir) },
					Advanced: func(t testing.TB, w *world.World) {
						if spec.Advance != nil && w.Hosts["noted"] == nil {
							t.Error("the model says nothing")
						}
					},
				})
			}()
			<-done
			said := strings.Join(rec.said, "\n")
			switch {
			case test.want == "" && said != "":
				t.Errorf("got complaints about a right type:\n%s", said)
			case !strings.Contains(said, test.want):
				t.Errorf("got %q, want a complaint with %q", said, test.want)
			}
		})
	}
}

func TestTreeSeesARewrite(t *testing.T) {
	dir := t.TempDir()
	write := func(content string) string {
		tmp := filepath.Join(dir, "tmp")
		if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, "f")); err != nil {
			t.Fatal(err)
		}
		return Tree(t, dir)
	}
	first := write("a")
	if got := Tree(t, dir); got != first {
		t.Errorf("got %s for an unchanged tree, want %s", got, first)
	}
	if write("a") == first {
		t.Error("a file written again with the same content was not seen")
	}
}
