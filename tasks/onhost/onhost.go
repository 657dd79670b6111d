// Package onhost knows how a piece of this program runs on a host: how the
// program gets there, how it is asked and how it answers. The pieces are verbs;
// the packages of the task types bring them. It must not know what they do.
//
// A verb runs as a process of its own, `etcdplay on-host VERB`, that reads one
// JSON object and writes one. So it sees the host's files as they are, nothing
// large goes over the connection, and what makes it panic (a damaged database)
// ends no run.
package onhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Command is the hidden command below which the verbs stand.
const Command = "on-host"

// protocol goes up when a request or an answer changes its meaning. Both sides
// are the same file, so that a difference is a mistake of ours.
const protocol = 1

// Verb is one piece of the program.
type Verb struct {
	Name string
	run  func(ctx context.Context, root Root, request json.RawMessage) (any, error)
}

// Define makes a verb of a function from a request to an answer. Both go
// through JSON. The context ends when the process is told to end.
func Define[Q, A any](name string, f func(ctx context.Context, root Root, q Q) (A, error)) Verb {
	return Verb{Name: name, run: func(ctx context.Context, root Root, request json.RawMessage) (any, error) {
		var q Q
		d := json.NewDecoder(bytes.NewReader(request))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			return nil, fmt.Errorf("request to %s: %w", name, err)
		}
		return f(ctx, root, q)
	}}
}

// Root is where the host's paths begin: "" on a real host, the host's folder in
// a sandbox.
type Root string

// Path is where the file called p on the host is found.
func (r Root) Path(p string) string {
	if r == "" {
		return p
	}
	return filepath.Join(string(r), p)
}

// envelope is what goes over stdin and stdout.
type envelope struct {
	V    int             `json:"v"`
	Body json.RawMessage `json:"body,omitempty"`
	// Error is why the verb gave no answer.
	Error *Error `json:"error,omitempty"`
}

// Error is what a verb says instead of an answer.
type Error struct {
	Text string `json:"text"`
	// Code tells kinds of errors apart for the package that has the verb.
	Code string `json:"code,omitempty"`
	// Missing says that a file is not there; such an error is fs.ErrNotExist.
	Missing bool `json:"missing,omitempty"`
}

func (e *Error) Error() string { return e.Text }

// Is makes a file that was missing on the host one that is missing here.
func (e *Error) Is(target error) bool { return e.Missing && target == fs.ErrNotExist }

// Serve carries out the verb that args name and returns the exit code: 0 with
// an answer, 1 with an error, both on stdout as JSON, and 2 for a call that is
// none of ours, which stderr is told. args is VERB, or VERB and the request;
// without the latter the request is read from stdin.
func Serve(ctx context.Context, verbs []Verb, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	misuse := func(format string, args ...any) int {
		fmt.Fprintf(stderr, "etcdplay on-host: "+format+"\n", args...)
		return 2
	}
	if len(args) == 0 || len(args) > 2 {
		return misuse("it is called by etcdplay itself, with a verb and a request")
	}
	var raw []byte
	if len(args) == 2 {
		raw = []byte(args[1])
	} else {
		var err error
		if raw, err = io.ReadAll(stdin); err != nil {
			return misuse("request: %v", err)
		}
	}
	var in envelope
	if err := json.Unmarshal(raw, &in); err != nil {
		return misuse("request: %v", err)
	}
	if in.V != protocol {
		return misuse("the request has version %d, and this program speaks %d", in.V, protocol)
	}
	for _, v := range verbs {
		if v.Name != args[0] {
			continue
		}
		out, code := envelope{V: protocol}, 0
		answer, err := v.run(ctx, Root(os.Getenv("SANDBOX_ROOT")), in.Body)
		if err == nil {
			out.Body, err = json.Marshal(answer)
		}
		if err != nil {
			out.Error, code = described(err), 1
		}
		if err := json.NewEncoder(stdout).Encode(out); err != nil {
			return misuse("answer: %v", err)
		}
		return code
	}
	return misuse("there is no verb %q", args[0])
}

// described is err as it goes over the wire.
func described(err error) *Error {
	e := &Error{}
	if !errors.As(err, &e) {
		e = &Error{}
	}
	return &Error{Text: err.Error(), Code: e.Code, Missing: e.Missing || errors.Is(err, fs.ErrNotExist)}
}

// request is q as a verb reads it.
func request(q any) ([]byte, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{V: protocol, Body: body})
}

// answer reads what a verb wrote into a.
func answer(verb string, code int, stdout, stderr []byte, a any) error {
	var out envelope
	if err := json.Unmarshal(stdout, &out); err != nil || out.V != protocol || code > 1 {
		return &Error{Code: Crashed, Text: fmt.Sprintf("%s ended with exit code %d and no answer: %s", verb, code, firstLine(stderr))}
	}
	if out.Error != nil {
		return out.Error
	}
	return json.Unmarshal(out.Body, a)
}

// Crashed is the code of an Error that the verb did not make itself: its
// process ended without an answer.
const Crashed = "crashed"

// firstLine is the first line with something in it: of a panic, its reason.
func firstLine(b []byte) string {
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return string(bytes.ToValidUTF8(line, []byte("?")))
		}
	}
	return "it said nothing"
}
