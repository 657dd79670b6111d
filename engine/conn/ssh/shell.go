package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

var (
	//go:embed host.sh
	hostScript string
	//go:embed files.sh
	filesScript string
	//go:embed loop.sh
	loopScript string
)

// shell is a POSIX shell that runs on the host, with the privileges of the
// connection, and carries out scripts one after the other: one round trip each,
// and sudo is asked once. It is used by one goroutine at a time.
type shell struct {
	stream   *stream
	out, err frame
	closing  sync.Once
	word     string // with which it said that it is ready
}

// answer is how a script ended.
type answer struct {
	status   int
	out, err []byte
	cut      bool
}

// payload is what a script reads from the connection: exactly size bytes.
type payload struct {
	content  io.Reader
	size     int64
	progress func(int64)
}

// chunk is the most that is written at once, and how often progress is told.
const chunk = 256 << 10

// shellScript is what a shell is told at the beginning, without the comments and
// the indentation, which every shell of every host would have to read. No text
// of the scripts goes over lines that begin with a tab.
var shellScript = sync.OnceValue(func() string {
	var b strings.Builder
	for line := range strings.Lines(hostScript + filesScript + loopScript) {
		if line = strings.TrimLeft(line, "\t"); !strings.HasPrefix(line, "#") && line != "\n" {
			b.WriteString(line)
		}
	}
	return b.String()
})

func newMark() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// openShell starts a shell on the host. With sudo it first tries whether sudo
// lets us in without a password, once; where it does not, the password goes to
// sudo's own prompt and nothing else is sent before sudo has let us in.
func (h *Host) openShell(ctx context.Context) (*shell, error) {
	return h.openWith(ctx, shellScript())
}

// openWith starts a shell that runs this script, which says $READY and a word
// when it has begun.
func (h *Host) openWith(ctx context.Context, script string) (*shell, error) {
	mark := newMark()
	script = "READY=" + mark + "\n" + script
	switch {
	case h.config.Become != "sudo":
		return h.begin(ctx, loginLine(script), script, mark, "")
	case !h.password.Load():
		inner := fmt.Sprintf(`exec sudo -n -- /bin/sh -c 'eval "$(head -c %d)"'`, len(script))
		s, err := h.begin(ctx, loginLine(inner), inner+script, mark, "")
		var refused *sudoError
		if !errors.As(err, &refused) {
			return s, err
		}
		if h.config.BecomePassword == nil {
			return nil, refused
		}
	}
	ready, prompt := newMark(), newMark()
	inner := fmt.Sprintf(`exec sudo -S -k -p %s -- /bin/sh -c 'printf "\n%%s ready\n" %s; eval "$(head -c %d)"'`, prompt, ready, len(script))
	s, err := h.begin(ctx, loginLine(inner), inner, ready, prompt)
	if err != nil {
		return nil, err
	}
	h.password.Store(true)
	s.out.expect(mark, 4096, nil)
	if _, err := s.stream.in.Write([]byte(script)); err != nil {
		s.close()
		return nil, &dropError{err}
	}
	return s, s.ready(ctx)
}

// begin starts the line, sends first, and waits for the mark. Where a prompt is
// given, the password is sent when it is seen.
func (h *Host) begin(ctx context.Context, line, first, mark, prompt string) (*shell, error) {
	ctx, cancel := context.WithTimeout(ctx, h.config.ConnectTimeout+h.shellTime())
	defer cancel()
	st, err := h.transport.start(ctx, line)
	if err != nil {
		return nil, err
	}
	s := &shell{stream: st}
	s.out.expect(mark, 4096, nil)
	asked := make(chan error, 1)
	var errs io.Reader = st.err
	s.err.expect(newMark(), 4096, nil) // it never comes; what does is kept for a message
	if prompt != "" {
		errs = &prompted{Reader: st.err, prompt: []byte(prompt), answer: func() error { return h.sendPassword(ctx, st.in) }, failed: func(err error) {
			asked <- err
			s.close()
		}}
	}
	go s.out.pump(st.out)
	go s.err.pump(errs)
	if _, err := io.WriteString(st.in, first); err != nil {
		s.close()
		return nil, &dropError{err}
	}
	err = s.ready(ctx)
	select {
	case why := <-asked:
		s.close()
		return nil, why
	default:
	}
	return s, err
}

func (h *Host) shellTime() time.Duration {
	if h.config.BecomePassword != nil {
		return 2 * time.Minute // in which a person may have to type
	}
	return h.config.ConnectTimeout
}

// ready waits for the mark of the beginning.
func (s *shell) ready(ctx context.Context) error {
	select {
	case <-s.out.done:
	case <-ctx.Done():
		s.close()
		return fmt.Errorf("%w: no shell could be started in time: %w", conn.ErrUnreachable, ctx.Err())
	}
	if _, word, _, whole := s.out.answer(); whole {
		s.word = word
		return nil
	}
	select { // what it said may come a moment after its end
	case <-s.err.done:
	case <-time.After(time.Second):
	}
	s.close()
	said := strings.TrimSpace(string(s.err.said()))
	if strings.Contains(said, "sudo:") || strings.Contains(said, "sudoers") {
		return &sudoError{said}
	}
	if said != "" {
		return fmt.Errorf("%w: no shell could be started: %s", conn.ErrRefused, lastLine(said))
	}
	return &dropError{errors.New("the host ended it before a shell was started")}
}

// sudoError says that sudo did not let us in.
type sudoError struct{ said string }

func (e *sudoError) Error() string {
	if strings.Contains(e.said, "password is required") {
		return conn.ErrRefused.Error() + ": sudo asks for a password, and the connection has no become_password_env"
	}
	return conn.ErrRefused.Error() + ": sudo: " + strings.TrimPrefix(lastLine(e.said), "sudo: ")
}

func (e *sudoError) Unwrap() error { return conn.ErrRefused }

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// sendPassword answers sudo's prompt.
func (h *Host) sendPassword(ctx context.Context, w io.Writer) error {
	password, err := h.config.BecomePassword(ctx)
	if err != nil {
		return err
	}
	if bytes.ContainsAny(password, "\n\x00") {
		return fmt.Errorf("%w: the password for sudo holds a newline or a NUL", conn.ErrRefused)
	}
	line := append(bytes.Clone(password), '\n')
	_, err = w.Write(line)
	clear(line)
	clear(password)
	return err
}

// prompted passes on what it reads, and has a prompt answered the first time it
// is seen. A second one means that the answer was wrong.
type prompted struct {
	io.Reader
	prompt []byte
	seen   int
	tail   []byte
	answer func() error
	failed func(error) // called at most once
}

func (p *prompted) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.tail = append(p.tail, b[:n]...)
	for {
		at := bytes.Index(p.tail, p.prompt)
		if at < 0 {
			break
		}
		p.tail = p.tail[at+len(p.prompt):]
		p.seen++
		why := fmt.Errorf("%w: sudo does not accept the password", conn.ErrRefused)
		if p.seen == 1 {
			why = p.answer()
		}
		if why != nil {
			p.failed(why)
			return n, io.EOF
		}
	}
	if keep := len(p.prompt); len(p.tail) > keep {
		p.tail = append(p.tail[:0], p.tail[len(p.tail)-keep:]...)
	}
	return n, err
}

// do carries out one script. A *dropError means that the answer did not come,
// whatever became of the script; the shell is of no use then, as it is after any
// other error.
func (s *shell) do(ctx context.Context, script string, forget []string, p *payload, keep int) (answer, error) {
	mark := newMark()
	s.out.expect(mark, keep, nil)
	s.err.expect(mark, conn.MaxOutput+1, nil)
	sent := make(chan error, 1)
	var content *contentError
	go func() { sent <- s.send(request(script, mark, forget), p) }()
	for _, done := range []chan struct{}{s.out.done, s.err.done} {
	wait:
		for {
			select {
			case <-done:
				break wait
			case <-ctx.Done():
				s.close()
				return answer{out: s.out.said()}, ctx.Err()
			case err := <-sent:
				sent = nil
				switch {
				case errors.As(err, &content):
					s.stream.in.Close() // which the script sees, and gives up
				case err != nil:
					s.close() // which the other ends show
				}
			}
		}
	}
	out, word, cut, whole := s.out.answer()
	errs, _, errCut, errWhole := s.err.answer()
	if !whole || !errWhole {
		s.close()
		return answer{}, &dropError{errors.New("no answer came")}
	}
	status, err := strconv.Atoi(word)
	if err != nil {
		s.close()
		return answer{}, &dropError{fmt.Errorf("the host's shell says %q", word)}
	}
	a := answer{status: status, out: out, err: errs, cut: cut || errCut}
	if content != nil {
		s.close()
		return a, content
	}
	return a, nil
}

// request is a script as the loop on the host reads it.
func request(script, mark string, forget []string) string {
	lines := 0
	if len(script) < maxLines {
		script = strings.TrimSuffix(script, "\n") + "\n"
		lines = strings.Count(script, "\n")
	}
	return fmt.Sprintf("%d %d %s %s\n%s", len(script), lines, mark, strings.Join(forget, " "), script)
}

// maxLines is the length below which a script is sooner read line by line, each
// byte by itself, than by a program that has to be started.
const maxLines = 3000

// contentError says that what was to be sent could not be read here, and that
// the script was told so.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }
func (e *contentError) Unwrap() error { return e.err }

func (s *shell) send(text string, p *payload) error {
	if _, err := io.WriteString(s.stream.in, text); err != nil || p == nil {
		return err
	}
	buf := make([]byte, min(chunk, p.size))
	for written := int64(0); written < p.size; {
		n, err := p.content.Read(buf[:min(int64(len(buf)), p.size-written)])
		if written+int64(n) == p.size && (err == nil || err == io.EOF) {
			if extra, _ := io.ReadFull(p.content, make([]byte, 1)); extra > 0 {
				return &contentError{fmt.Errorf("content is longer than its %d bytes", p.size)}
			}
		}
		if n > 0 {
			if _, err := s.stream.in.Write(buf[:n]); err != nil {
				return err
			}
			if written += int64(n); p.progress != nil {
				p.progress(written)
			}
		}
		switch {
		case err == io.EOF && written < p.size:
			return &contentError{fmt.Errorf("content has %d bytes instead of %d", written, p.size)}
		case err != nil && err != io.EOF:
			return &contentError{err}
		}
	}
	return nil
}

func (s *shell) close() {
	// It may have ended by itself.
	s.closing.Do(func() { _ = s.stream.close() })
}
