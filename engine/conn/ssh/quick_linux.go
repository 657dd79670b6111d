package ssh

import (
	"net"
	"syscall"
)

// quick acknowledges at once what it has read. sshd leaves it to TCP to put small
// packets together, so the second of two waits until the first is acknowledged,
// which this side by default delays for up to 40 ms: as long as everything else
// about a look at a cluster together.
type quick struct {
	*net.TCPConn
	raw syscall.RawConn
}

func quickly(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return c
	}
	return &quick{TCPConn: t, raw: raw}
}

func (q *quick) Read(b []byte) (int, error) {
	n, err := q.TCPConn.Read(b)
	// The kernel forgets it after a while. Where it refuses, all is only slower.
	_ = q.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
	return n, err
}
