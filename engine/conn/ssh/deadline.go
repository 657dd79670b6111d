package ssh

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// deadlineConn gives read deadlines to a connection that has none, as those
// through an SSH channel have none. It reads ahead by one buffer.
type deadlineConn struct {
	net.Conn

	mu       sync.Mutex
	changed  *sync.Cond
	ahead    []byte // what was read and not yet taken
	err      error  // what ended the reading
	deadline time.Time
	timer    *time.Timer
}

func newDeadlineConn(c net.Conn) *deadlineConn {
	d := &deadlineConn{Conn: c}
	d.changed = sync.NewCond(&d.mu)
	go d.readAhead()
	return d
}

func (d *deadlineConn) readAhead() {
	buf := make([]byte, 32<<10)
	for {
		n, err := d.Conn.Read(buf)
		d.mu.Lock()
		d.ahead, d.err = buf[:n], err
		d.changed.Broadcast()
		for len(d.ahead) > 0 && d.err == nil {
			d.changed.Wait()
		}
		ended := d.err != nil
		d.mu.Unlock()
		if ended {
			return
		}
	}
}

func (d *deadlineConn) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case !d.deadline.IsZero() && !time.Now().Before(d.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(d.ahead) > 0:
			n := copy(p, d.ahead)
			d.ahead = d.ahead[n:]
			d.changed.Broadcast()
			return n, nil
		case d.err != nil:
			return 0, d.err
		}
		d.changed.Wait()
	}
}

func (d *deadlineConn) SetReadDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = t
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.changed.Broadcast()
		})
	}
	d.changed.Broadcast()
	return nil
}

// SetWriteDeadline takes note of nothing: a write waits for room in the
// connection's window, and ends when the connection does.
func (d *deadlineConn) SetWriteDeadline(time.Time) error { return nil }

func (d *deadlineConn) SetDeadline(t time.Time) error { return d.SetReadDeadline(t) }

func (d *deadlineConn) Close() error {
	err := d.Conn.Close()
	d.mu.Lock()
	if d.err == nil {
		d.err = net.ErrClosed
	}
	d.changed.Broadcast()
	d.mu.Unlock()
	if err == io.EOF { // the other end closed first
		return nil
	}
	return err
}
