package onhost

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/local"
)

type question struct {
	Word string `json:"word"`
}

type reply struct {
	Word string `json:"word"`
	Exe  string `json:"exe"`
}

// verbs are those of the program that this test binary is on a host.
func verbs() []Verb {
	return []Verb{
		Define("echo", func(_ context.Context, root Root, q question) (reply, error) {
			exe, _ := os.Readlink("/proc/self/exe") // "" would fail the test
			return reply{Word: root.Path(q.Word), Exe: exe}, nil
		}),
		Define("missing", func(context.Context, Root, question) (reply, error) {
			_, err := os.Stat("/nonexistent")
			return reply{}, err
		}),
		Define("refused", func(context.Context, Root, question) (reply, error) {
			return reply{}, &Error{Code: "E_NO", Text: "no"}
		}),
		Define("panic", func(context.Context, Root, question) (reply, error) { panic("damaged") }),
	}
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Serve(context.Background(), verbs(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func here(t *testing.T) conn.Host {
	t.Helper()
	h, err := local.Dial("localhost")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHere asks the running file, where the host is this machine.
func TestHere(t *testing.T) {
	tool, err := Find(t.Context(), here(t))
	if err != nil || !tool.Here || !tool.Installed() || tool.Fits() != nil {
		t.Fatalf("got %+v, %v", tool, err)
	}
	var r reply
	if err := tool.Ask(t.Context(), here(t), "echo", question{"hello"}, &r); err != nil || r.Word != "hello" {
		t.Errorf("got %+v, %v", r, err)
	}
	if err := tool.Ask(t.Context(), here(t), "missing", question{}, &r); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	var said *Error
	if err := tool.Do(t.Context(), here(t), nil, "refused", question{}, &r); !errors.As(err, &said) || said.Code != "E_NO" || said.Text != "no" {
		t.Errorf("a refusal: %v", err)
	}
	for _, err := range []error{
		tool.Ask(t.Context(), here(t), "panic", question{}, &r),
		Here(t.Context(), "panic", question{}, &r),
	} {
		if !errors.As(err, &said) || said.Code != Crashed || !strings.Contains(said.Text, "panic: damaged") {
			t.Errorf("a panic: %v", err)
		}
	}
	if err := Here(t.Context(), "echo", question{"hello"}, &r); err != nil || r.Word != "hello" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// elsewhere is this machine in the role of another, on which dir is etcdplay's.
func elsewhere(t *testing.T, dir string) *Tool {
	t.Helper()
	sum, err := ownSum()
	if err != nil {
		t.Fatal(err)
	}
	return &Tool{Host: "other", path: filepath.Join(dir, "state", "bin", sum, "etcdplay"), parent: dir}
}

// TestElsewhere sends the program: for one question, of which nothing is left,
// and to stay.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	tool := elsewhere(t, dir)
	var r reply
	if err := tool.Ask(t.Context(), here(t), "echo", question{"hello"}, &r); err != nil || r.Word != "hello" || !strings.HasSuffix(r.Exe, " (deleted)") {
		t.Errorf("got %+v, %v; want a program without a name", r, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("a question leaves %v, %v", left, err)
	}
	var sent int64
	if err := tool.Do(t.Context(), here(t), func(done, _ int64) { sent = done }, "echo", question{"hello"}, &r); err != nil || r.Exe != tool.path {
		t.Errorf("got %+v, %v; want %s", r, err, tool.path)
	}
	info, err := os.Stat(tool.path)
	if err != nil || info.Mode().Perm() != 0o700 || info.Size() != sent {
		t.Errorf("installed: %v, %v, and told of %d bytes", info, err, sent)
	}
	sent = 0
	if err := tool.Ask(t.Context(), here(t), "echo", question{"hello"}, &r); err != nil || r.Exe != tool.path {
		t.Errorf("got %+v, %v; want %s", r, err, tool.path)
	}
	if err := tool.Do(t.Context(), here(t), func(done, _ int64) { sent = done }, "echo", question{"hello"}, &r); err != nil || sent != 0 {
		t.Errorf("sent again: %d bytes, %v", sent, err)
	}
}

// TestNotWhole cuts the program short on its way: it is not run.
func TestNotWhole(t *testing.T) {
	dir := t.TempDir()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := ownSum()
	if err != nil {
		t.Fatal(err)
	}
	res, err := here(t).Query(t.Context(), conn.Command{
		Argv:  []string{"/bin/sh", "-c", moment, "sh", dir, "100000000", sum, Command, "echo", `{"v":1,"body":{}}`},
		Stdin: program[:len(program)/2],
	})
	if err != nil || res.ExitCode != 2 || len(res.Stdout) != 0 || !bytes.Contains(res.Stderr, []byte("did not come whole")) {
		t.Errorf("got %d, %s%s, %v", res.ExitCode, res.Stdout, res.Stderr, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// machine is a host that gives this answer to the probe.
type machine struct {
	conn.Host
	lines string
}

func (m machine) Query(context.Context, conn.Command) (conn.Result, error) {
	return conn.Result{Stdout: []byte(m.lines)}, nil
}

// TestMisfit finds a host that this program cannot run on, and says what to do.
func TestMisfit(t *testing.T) {
	answer := "Linux\nsparc64\n0\n/var/lib/etcdplay\n/var/lib\n\nboot\n1:1\nnone\n3.5.21\n"
	tool, err := Find(t.Context(), machine{here(t), answer})
	if err != nil || tool.Here || tool.Installed() || tool.Etcdutl != "3.5.21" {
		t.Fatalf("got %+v, %v", tool, err)
	}
	want := "host localhost is Linux on sparc64, and this etcdplay is built for"
	for _, err := range []error{
		tool.Fits(),
		tool.Ask(t.Context(), here(t), "echo", question{}, &reply{}),
		tool.Do(t.Context(), here(t), nil, "echo", question{}, &reply{}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "run one that fits") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := Find(t.Context(), machine{here(t), "sh: no\n"}); err == nil {
		t.Error("a host that says nothing of use is taken for one")
	}
}

// TestServeRefuses gives calls that are not of this program.
func TestServeRefuses(t *testing.T) {
	for _, args := range [][]string{
		nil, {"echo", "{}", "more"}, {"echo", "text"}, {"echo", `{"v":2,"body":{}}`}, {"none", `{"v":1,"body":{}}`},
	} {
		var out, errs bytes.Buffer
		if code := Serve(t.Context(), verbs(), args, strings.NewReader(""), &out, &errs); code != 2 || out.Len() != 0 || errs.Len() == 0 {
			t.Errorf("%q: code %d, %s%s", args, code, &out, &errs)
		}
	}
	var out bytes.Buffer
	if code := Serve(t.Context(), verbs(), []string{"echo"}, strings.NewReader(`{"v":1,"body":{"wrod":"x"}}`), &out, &out); code != 1 || !strings.Contains(out.String(), "unknown field") {
		t.Errorf("a misspelt field: code %d, %s", code, &out)
	}
}
