package ssh_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a connection and its server, and cuts it at an exact byte.
type proxy struct {
	port   int
	target string

	mu      sync.Mutex
	conns   map[net.Conn]bool
	up      int64 // bytes passed to the server since the last arm
	down    int64 // bytes passed back
	cutUp   int64 // cut when so many have passed; negative means never
	cutDown int64
	cuts    int
	frozen  map[net.Conn]bool
	delay   time.Duration // what passes is held for so long
	rate    int           // bytes a second in each direction; 0 means as fast as it comes
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{port: l.Addr().(*net.TCPAddr).Port, target: target, conns: map[net.Conn]bool{}, frozen: map[net.Conn]bool{}, cutUp: -1, cutDown: -1}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		running.Wait()
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client, &p.up, &p.cutUp) })
	both.Go(func() { p.pass(client, server, &p.down, &p.cutDown) })
	both.Wait()
	client.Close()
	server.Close()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

func (p *proxy) pass(to, from net.Conn, passed, limit *int64) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		if p.frozen[from] || p.frozen[to] {
			p.mu.Unlock()
			if err != nil {
				return
			}
			continue
		}
		cut := *limit >= 0 && *passed+int64(n) >= *limit
		if cut {
			n = int(*limit - *passed)
			*limit = -1
			p.cuts++
		}
		*passed += int64(n)
		hold := p.delay
		if p.rate > 0 {
			hold += time.Duration(n) * time.Second / time.Duration(p.rate)
		}
		p.mu.Unlock()
		time.Sleep(hold)
		_, werr := to.Write(buf[:n])
		if cut {
			p.cut()
		}
		if err != nil || werr != nil {
			if err == io.EOF {
				to.(*net.TCPConn).CloseWrite()
			}
			return
		}
	}
}

// arm counts from here, and cuts after so many bytes in one direction.
func (p *proxy) arm(up, down int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down, p.cutUp, p.cutDown, p.cuts = 0, 0, up, down, 0
}

// passed returns the bytes since the last arm, and how often it has cut.
func (p *proxy) passed() (up, down int64, cuts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up, p.down, p.cuts
}

// cut resets all connections there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// slow makes a bad line of it.
func (p *proxy) slow(delay time.Duration, rate int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.rate = delay, rate
}

// freeze lets nothing pass any more on the connections there are, as when a
// cable was pulled.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.frozen[c] = true
	}
}
