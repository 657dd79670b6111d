package control_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/local"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/control"
)

// here is this machine as a host.
func here(t *testing.T) conn.Host {
	t.Helper()
	h, err := local.Dial("localhost")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func str(s string) cty.Value { return cty.StringVal(s) }

func words(w ...string) cty.Value {
	var vs []cty.Value
	for _, s := range w {
		vs = append(vs, str(s))
	}
	return cty.ListVal(vs)
}

func codes(n int64) cty.Value { return cty.ListVal([]cty.Value{cty.NumberIntVal(n)}) }

func TestExecLaws(t *testing.T) {
	tests := []struct {
		name    string
		already bool
		args    func(dir string) map[string]cty.Value
	}{
		{"creates", false, func(dir string) map[string]cty.Value {
			return map[string]cty.Value{"argv": words("touch", dir+"/f"), "creates": str(dir + "/f")}
		}},
		{"has created", true, func(dir string) map[string]cty.Value {
			return map[string]cty.Value{"argv": words("touch", dir+"/there"), "creates": str(dir + "/there")}
		}},
		{"a shell with all it takes", false, func(dir string) map[string]cty.Value {
			return map[string]cty.Value{
				"shell": str(`cat >> "$F"; echo done; echo aside >&2`), "stdin": str("line\n"), "dir": str(dir),
				"env": cty.MapVal(map[string]cty.Value{"F": str("f")}), "creates": str(dir + "/f"),
			}
		}},
		{"reads", false, func(dir string) map[string]cty.Value {
			return map[string]cty.Value{"argv": words("ls", dir), "read_only": cty.True}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			enginetest.Run(t, control.Exec(), enginetest.Case{
				Host: here(t), Args: test.args(dir), Already: test.already, Blind: []string{"stdout", "stderr"},
				Fingerprint: func(t testing.TB) string { return enginetest.Tree(t, dir) },
			})
		})
	}
}

func TestExecCheck(t *testing.T) {
	tests := map[string]struct {
		args map[string]cty.Value
		want string
	}{
		"neither":     {nil, "argument argv"},
		"both":        {map[string]cty.Value{"argv": words("ls"), "shell": str("ls")}, "argument shell"},
		"empty list":  {map[string]cty.Value{"argv": cty.ListValEmpty(cty.String)}, "argument argv"},
		"empty name":  {map[string]cty.Value{"argv": words("", "x")}, "argument argv"},
		"zero byte":   {map[string]cty.Value{"argv": words("ls", "a\x00b")}, "argument argv"},
		"bad env":     {map[string]cty.Value{"shell": str("ls"), "env": cty.MapVal(map[string]cty.Value{"A=B": str("c")})}, "argument env"},
		"read writes": {map[string]cty.Value{"shell": str("ls"), "read_only": cty.True, "creates": str("/a")}, "argument creates"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := control.Exec().Check(enginetest.Args(control.Exec(), test.args))
			var wrong *engine.ArgError
			if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), test.want+":") {
				t.Errorf("got %v, want an ArgError that begins with %q", err, test.want)
			}
		})
	}
}

func TestExecEffect(t *testing.T) {
	for readOnly, want := range map[bool]engine.Effect{true: engine.Read, false: engine.Change} {
		args := enginetest.Args(control.Exec(), map[string]cty.Value{"shell": str("true"), "read_only": cty.BoolVal(readOnly)})
		if got := control.Exec().EffectOf(args); got != want {
			t.Errorf("read_only = %t: got effect %s, want %s", readOnly, got, want)
		}
	}
}

func TestExecAnswers(t *testing.T) {
	tests := map[string]struct {
		args map[string]cty.Value
		out  string // of stdout
		code int64
		want string // of the error
	}{
		"arguments are not for a shell": {map[string]cty.Value{"argv": words("printf", "%s|", "a b", "$HOME", "*")}, "a b|$HOME|*|", 0, ""},
		"an allowed exit code":          {map[string]cty.Value{"shell": str("exit 3"), "success_codes": codes(3)}, "", 3, ""},
		"another exit code": {
			map[string]cty.Value{"shell": str("echo one >&2; echo why >&2; exit 3")},
			"", 0,
			"sh: echo one >&2; echo why >&2; exit 3 ended with exit code 3: why",
		},
		"zero, where it is not listed": {map[string]cty.Value{"shell": str("true"), "success_codes": codes(3)}, "", 0, "sh: true ended with exit code 0"},
		"no text on stdout":            {map[string]cty.Value{"shell": str(`printf '\377'`)}, "", 0, "stdout is not UTF-8 text"},
		"no text on stderr":            {map[string]cty.Value{"shell": str(`printf '\377' >&2`)}, "", 0, "stderr is not UTF-8 text"},
		"too much":                     {map[string]cty.Value{"shell": str(`head -c 2000000 /dev/zero | tr '\0' a`)}, "", 0, "wrote more than 1048576 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			typ := control.Exec()
			args := enginetest.Args(typ, test.args)
			l := engine.Look{Host: here(t)}
			s, err := typ.Observe(t.Context(), l, args)
			if err != nil {
				t.Fatal(err)
			}
			r, err := typ.Apply(t.Context(), engine.Hands{Look: l, Host: here(t)}, args, s)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || !errors.Is(err, engine.ErrDefinite) {
					t.Fatalf("got %v, want an error that is definite, with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			code, _ := r.GetAttr("exit_code").AsBigFloat().Int64()
			if out := r.GetAttr("stdout").AsString(); out != test.out || code != test.code {
				t.Errorf("got %q and %d, want %q and %d", out, code, test.out, test.code)
			}
		})
	}
}

// TestExecReadFails expects a read that ends badly to be an error of looking.
func TestExecReadFails(t *testing.T) {
	typ := control.Exec()
	args := enginetest.Args(typ, map[string]cty.Value{"shell": str("echo no >&2; exit 1"), "read_only": cty.True})
	if _, err := typ.Observe(t.Context(), engine.Look{Host: here(t)}, args); err == nil || !strings.Contains(err.Error(), "exit code 1: no") {
		t.Errorf("got %v, want the exit code and the last words", err)
	}
}

// TestExecCannotSettle expects that without creates nobody guesses.
func TestExecCannotSettle(t *testing.T) {
	typ := control.Exec()
	args := enginetest.Args(typ, map[string]cty.Value{"shell": str("true")})
	found, _, err := typ.Settle(t.Context(), engine.Look{Host: here(t)}, args, engine.State{})
	if err == nil {
		t.Errorf("got %q, want an error", found)
	}
}

func TestExecNeedsAHost(t *testing.T) {
	typ := control.Exec()
	args := enginetest.Args(typ, map[string]cty.Value{"shell": str("true")})
	if _, err := typ.Observe(t.Context(), engine.Look{}, args); err == nil || !strings.Contains(err.Error(), "on = localhost") {
		t.Errorf("got %v, want an error that says on = localhost", err)
	}
}

func TestExecInAPlan(t *testing.T) {
	typ := control.Exec()
	tests := map[string]string{
		"a b":               "sh: a b",
		"set -e\nrm -f x\n": "sh: set -e …",
		"\n\n  touch f  \n": "sh: touch f",
	}
	for shell, want := range tests {
		args := enginetest.Args(typ, map[string]cty.Value{"shell": str(shell)})
		planned, r := typ.Plan(engine.Planning{World: &world.World{}}, args, engine.State{})
		if planned.Summary != want || !planned.Needed || r.GetAttr("stdout").IsKnown() {
			t.Errorf("%q: got %q, needed %t, %#v; want %q, needed, unknown", shell, planned.Summary, planned.Needed, r, want)
		}
	}
}
