//go:build faultinject

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

const (
	childDir  = "ENGINE_TEST_CHILD"
	childCase = "ENGINE_TEST_CASE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir, os.Getenv(childCase)))
	}
	os.Exit(m.Run())
}

// child is one process of a run: it begins it, or resumes it if it was begun.
func child(dir, name string) int {
	b := &bench{site: &site{dir: filepath.Join(dir, "site"), down: map[string]bool{}}, state: filepath.Join(dir, "state")}
	id, err := NewIdentity(b.env.now(), "ada")
	if err != nil {
		panic(err)
	}
	b.env = b.site.env(id)
	p := killCases[name](b)
	r, err := OpenRun(b.state, "")
	if err == nil && r.State != RunNotBegun {
		o := Resume(context.Background(), p, b.env, r, ResumeOptions{StateDir: b.state})
		return o.ExitCode()
	}
	o := Run(context.Background(), p, b.env, nil, RunOptions{StateDir: b.state})
	return o.ExitCode()
}

// killCases are the programs that are killed; with what their effects are at the
// end, however often they were.
var killCases = map[string]func(b *bench) *Program{
	"plain": func(b *bench) *Program {
		value := result("one", "token")
		two := task(b.site.addType(nil), "two", map[string]Expr{"key": str("two"), "value": value})
		host := expr{f: func(s *Scope) cty.Value { return s.Target.GetAttr("name") }}
		each := task(b.site.addType(nil), "each", map[string]Expr{"key": host, "value": str("v")})
		each.OnEach = hosts("a", "b")
		return b.program(&Phase{Name: "p", Tasks: []*Task{b.add("one", "one"), two, each, b.call("join", "x", "y")}})
	},
	// Two fails in the phase's first pass, so that rescue and always run once, and
	// then the phase anew.
	"rescue": func(b *bench) *Program {
		b.site.before = func(key string) error {
			if key != "two" || len(b.site.lines("one")) > 1 {
				return nil
			}
			return Definite(errors.New("no room"))
		}
		return b.program(
			&Phase{Name: "before", Tasks: []*Task{b.add("zero", "zero")}},
			&Phase{
				Name: "p", Tasks: []*Task{b.add("one", "one"), b.add("two", "two")},
				Rescue: []*Task{b.add("undo", "undone")}, Always: []*Task{b.add("last", "last")},
			},
		)
	},
}

// process runs a child and says how it ended; killed is true if by itself.
func process(t *testing.T, dir, name string, at int) (code int, killed bool) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir, childCase+"="+name, fmt.Sprintf("ETCDPLAY_KILL_AT=%d", at))
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, false
	case !errors.As(err, &exit):
		t.Fatal(err)
	}
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() && st.Signal() == syscall.SIGKILL {
		return 0, true
	}
	if exit.ExitCode() == 2 && strings.Contains(string(out), "panic") {
		t.Fatalf("child: %s", out)
	}
	return exit.ExitCode(), false
}

// finish resumes until the run has ended well.
func finish(t *testing.T, dir, name string) {
	t.Helper()
	for range 5 {
		if code, killed := process(t, dir, name, 0); code == 0 && !killed {
			return
		}
	}
	t.Fatal("the run does not come to an end")
}

func siteIn(t *testing.T) (dir string, effects func() string) {
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "site"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, func() string {
		b := &bench{site: &site{dir: filepath.Join(dir, "site")}}
		return b.effects("zero", "one", "two", "a", "b", "x", "y", "sum", "undone", "last")
	}
}

// However a run is killed, and its resume is killed again, what it has done in
// the end is what the uninterrupted run does.
func TestKilledAnywhere(t *testing.T) {
	for name, second := range map[string]int{"plain": 5, "rescue": 4} {
		t.Run(name, func(t *testing.T) {
			dir, effects := siteIn(t)
			finish(t, dir, name)
			whole := effects()
			n := 1
			for ; ; n++ {
				dir, effects := siteIn(t)
				_, killed := process(t, dir, name, n)
				if !killed {
					break
				}
				// The resumed process is killed as well, somewhere else each time.
				process(t, dir, name, 1+n%second)
				finish(t, dir, name)
				if got := effects(); got != whole {
					t.Fatalf("killed at point %d: got %s, want %s", n, got, whole)
				}
			}
			if least := map[string]int{"plain": 50, "rescue": 28}[name]; n < least {
				t.Errorf("only %d points, want at least %d", n, least)
			}
			t.Logf("%d points, each with a second kill: %s", n-1, whole)
		})
	}
}
