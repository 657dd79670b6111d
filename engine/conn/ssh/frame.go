package ssh

import (
	"bytes"
	"io"
	"sync"
)

// frame takes what comes from one end of a shell and cuts answers out of it. An
// answer ends with a line of the mark that was agreed for it and a status; the
// mark is random and told to the shell alone, so no output can contain it.
type frame struct {
	mu      sync.Mutex
	mark    []byte // with a newline before it and a space after; nil while no answer is expected
	keep    int    // bytes kept of the answer
	data    []byte
	cut     bool
	pending []byte        // the newest bytes, in which the mark may be
	word    string        // what came after the mark
	whole   bool          // the mark has come
	done    chan struct{} // closed when the answer is whole or the stream has ended
	err     error         // why the stream ended
	rest    io.Writer     // if not nil, gets all that follows the answer
}

// expect begins an answer.
func (f *frame) expect(mark string, keep int, rest io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mark, f.keep, f.rest = []byte("\n"+mark+" "), keep, rest
	f.data, f.pending, f.cut, f.whole = nil, nil, false, false
	f.done = make(chan struct{})
	if f.err != nil {
		f.mark = nil
		close(f.done)
	}
}

// pass has all that comes from now on go to rest.
func (f *frame) pass(rest io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rest = rest
	if p, ok := rest.(*io.PipeWriter); ok && f.err != nil {
		p.CloseWithError(f.err)
	}
}

// pump moves bytes from r into the frame until r ends. Its buffer is small until
// there is much to read: most shells wait most of the time, on many hosts.
func (f *frame) pump(r io.Reader) {
	buf := make([]byte, 1<<10)
	for {
		n, err := r.Read(buf)
		if n == len(buf) && n < 32<<10 {
			f.take(buf)
			buf, n = make([]byte, 2*n), 0
		}
		if n > 0 {
			f.take(buf[:n])
		}
		if err != nil {
			f.end(err)
			return
		}
	}
}

func (f *frame) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	if f.mark != nil {
		f.mark = nil
		close(f.done)
	}
	if p, ok := f.rest.(*io.PipeWriter); ok {
		p.CloseWithError(err)
	}
}

func (f *frame) take(p []byte) {
	f.mu.Lock()
	if f.mark == nil {
		rest := f.rest
		f.mu.Unlock()
		if rest != nil {
			_, _ = rest.Write(p) // who reads it has gone, and will close the shell
		}
		return
	}
	defer f.mu.Unlock()
	f.pending = append(f.pending, p...)
	at := bytes.Index(f.pending, f.mark)
	if at < 0 {
		if sure := len(f.pending) - len(f.mark); sure > 0 {
			f.add(f.pending[:sure])
			f.pending = append(f.pending[:0], f.pending[sure:]...)
		}
		return
	}
	line, after, whole := bytes.Cut(f.pending[at+len(f.mark):], []byte("\n"))
	if !whole {
		return
	}
	f.add(f.pending[:at])
	f.word = string(line)
	f.mark, f.pending, f.whole = nil, nil, true
	close(f.done)
	if f.rest != nil && len(after) > 0 {
		rest, data := f.rest, bytes.Clone(after)
		f.mu.Unlock()
		_, _ = rest.Write(data)
		f.mu.Lock()
	}
}

func (f *frame) add(p []byte) {
	n := min(len(p), f.keep-len(f.data))
	f.data = append(f.data, p[:n]...)
	f.cut = f.cut || n < len(p)
}

// answer returns what came and the word after the mark; whole is false if the stream ended before the mark.
func (f *frame) answer() (data []byte, word string, cut, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.data, f.word, f.cut, f.whole
}

// said returns what came so far, for an error message.
func (f *frame) said() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(bytes.Clone(f.data), f.pending...)
}
