package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// openSSH is the transport of the system's ssh program, for sites whose login
// needs what only it can do: its own configuration, ProxyCommand, Kerberos,
// hardware keys. It keeps one master process and opens channels through its
// socket, which lies in a private folder.
type openSSH struct {
	config Config

	turn   chan struct{} // holds one token: the right to connect
	mu     sync.Mutex
	dir    string    // private; empty before the first connection
	master *exec.Cmd // nil if there is none
	ended  chan struct{}
	said   *lockedBuffer // what the master says, for messages
	closed bool
}

func newOpenSSH(c Config) *openSSH {
	o := &openSSH{config: c, turn: make(chan struct{}, 1)}
	o.turn <- struct{}{}
	return o
}

// args are what every ssh process gets: never a question, never a forwarded
// agent, host keys as strict as the configuration says.
func (o *openSSH) args(more ...string) []string {
	c := o.config
	strict := "yes"
	args := []string{
		"-o", "BatchMode=yes", "-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "ClearAllForwardings=yes",
		"-o", "ServerAliveInterval=" + strconv.Itoa(max(1, int(c.Keepalive/time.Second))), "-o", "ServerAliveCountMax=3",
		"-o", "ConnectTimeout=" + strconv.Itoa(max(1, int(c.ConnectTimeout/time.Second))),
		"-o", "ControlPath=" + filepath.Join(o.dir, "master"), "-o", "ControlPersist=no", "-T",
	}
	known := c.KnownHosts
	if c.HostKeyPolicy == "accept-new" {
		strict = "accept-new"
		known = append([]string{c.AcceptedKeys}, known...)
	}
	args = append(args, "-o", "StrictHostKeyChecking="+strict)
	if len(known) > 0 {
		args = append(args, "-o", "UserKnownHostsFile="+strings.Join(known, " "))
	}
	for _, file := range c.IdentityFiles {
		args = append(args, "-i", expand(file))
	}
	all := slices.Concat(certAlgorithms, plainAlgorithms)
	if narrow := c.Shared.narrowed(all, c.addr()); len(narrow) < len(all) {
		args = append(args, "-o", "HostKeyAlgorithms="+strings.Join(narrow, ","))
	}
	if c.ProxyJump != "" {
		args = append(args, "-J", c.ProxyJump)
	}
	if c.SSHConfig != "" {
		args = append(args, "-F", c.SSHConfig)
	}
	if c.User != "" {
		args = append(args, "-l", c.User)
	}
	if c.Port != 0 {
		args = append(args, "-p", strconv.Itoa(c.Port))
	}
	return append(append(args, more...), "--", c.Address)
}

// connect starts the master, unless it runs.
func (o *openSSH) connect(ctx context.Context) error {
	select {
	case <-o.turn:
		defer func() { o.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return net.ErrClosed
	}
	if o.master != nil {
		select {
		case <-o.ended:
			o.master = nil
		default:
			return nil
		}
	}
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "etcdplay-ssh-")
		if err != nil {
			return err
		}
		o.dir = dir
	}
	said := new(lockedBuffer)
	cmd := exec.Command("ssh", append([]string{"-M", "-N", "-o", "LogLevel=DEBUG1"}, o.args()...)...)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the system's ssh: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // why it ended is in what it said
		close(ended)
	}()
	o.master, o.ended, o.said = cmd, ended, said
	return o.await(ctx)
}

// await waits until the master's socket is there.
func (o *openSSH) await(ctx context.Context) error {
	limit := time.After(o.config.ConnectTimeout + 5*time.Second)
	for {
		if _, err := os.Stat(filepath.Join(o.dir, "master")); err == nil {
			if err := o.shown(); err != nil {
				o.stop()
				return err
			}
			return nil
		}
		select {
		case <-o.ended:
			o.master = nil
			return masterError(o.config, o.said.String())
		case <-ctx.Done():
			o.stop()
			return ctx.Err()
		case <-limit:
			o.stop()
			return fmt.Errorf("%w: ssh made no connection in time", conn.ErrUnreachable)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// shown notes the host's key, which ssh has accepted, and refuses it where an
// earlier process of the run saw another.
func (o *openSSH) shown() error {
	keys := saidKey.FindAllStringSubmatch(o.said.String(), -1)
	if len(keys) == 0 {
		return nil
	}
	addr, last := o.config.addr(), keys[len(keys)-1]
	if err := o.config.Shared.unexpected(addr, last[1], last[2]); err != nil {
		return err
	}
	o.config.Shared.met(addr, last[1], last[2])
	return nil
}

func (o *openSSH) start(ctx context.Context, line string) (*stream, error) {
	return o.child(ctx, nil, line)
}

// child runs one ssh process through the master.
func (o *openSSH) child(ctx context.Context, more []string, line ...string) (*stream, error) {
	if err := o.connect(ctx); err != nil {
		return nil, err
	}
	// ProxyCommand=false: without its master the process must not connect by itself.
	args := append([]string{"-o", "ControlMaster=no", "-o", "ProxyCommand=false"}, o.args(more...)...)
	cmd := exec.Command("ssh", append(args, line...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// os.Pipe, so that Wait does not close what is still being read.
	out, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	stderr, errW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, out.Close(), outW.Close())
	}
	cmd.Stdout, cmd.Stderr = outW, errW
	err = cmd.Start()
	outW.Close()
	errW.Close()
	if err != nil {
		out.Close()
		stderr.Close()
		return nil, fmt.Errorf("the system's ssh: %w", err)
	}
	go func() { _ = cmd.Wait() }() // its ends tell what there is to tell
	return &stream{in: in, out: out, err: stderr, close: func() error {
		in.Close()
		_ = cmd.Process.Kill() // it may have ended by itself
		out.Close()
		return stderr.Close()
	}}, nil
}

func (o *openSSH) dial(ctx context.Context, addr string) (net.Conn, error) {
	s, err := o.child(ctx, []string{"-W", addr})
	if err != nil {
		return nil, err
	}
	// ssh says nothing when the connection stands, and why when it does not.
	p := &pipeConn{stream: s, addr: addr}
	said, err := p.settled(ctx)
	if err != nil {
		p.Close()
		return nil, err
	}
	if said != "" {
		p.Close()
		return nil, fmt.Errorf("dial %s: %s", addr, said)
	}
	return newDeadlineConn(p), nil
}

// stop ends the master.
func (o *openSSH) stop() {
	if o.master != nil {
		_ = o.master.Process.Kill() // it may have ended by itself
		<-o.ended
		o.master = nil
		_ = os.Remove(filepath.Join(o.dir, "master"))
	}
}

func (o *openSSH) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.stop()
	if o.dir == "" {
		return nil
	}
	return os.RemoveAll(o.dir)
}

// lockedBuffer keeps the end of what is written to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > 16<<10 {
		l.b.Reset()
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// pipeConn is a connection through the ends of an ssh -W.
type pipeConn struct {
	*stream
	addr string
}

// settled waits until it can be told whether the connection stands.
func (p *pipeConn) settled(ctx context.Context) (string, error) {
	ch := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(io.LimitReader(p.err, 4096))
		ch <- strings.TrimSpace(string(said))
	}()
	select {
	case said := <-ch:
		if said == "" {
			said = "the connection was refused"
		}
		return said, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return "", nil
	}
}

func (p *pipeConn) Read(b []byte) (int, error)         { return p.out.Read(b) }
func (p *pipeConn) Write(b []byte) (int, error)        { return p.in.Write(b) }
func (p *pipeConn) Close() error                       { return p.stream.close() }
func (p *pipeConn) LocalAddr() net.Addr                { return pipeAddr("ssh") }
func (p *pipeConn) RemoteAddr() net.Addr               { return pipeAddr(p.addr) }
func (p *pipeConn) SetDeadline(t time.Time) error      { return errors.ErrUnsupported }
func (p *pipeConn) SetReadDeadline(t time.Time) error  { return errors.ErrUnsupported }
func (p *pipeConn) SetWriteDeadline(t time.Time) error { return errors.ErrUnsupported }

type pipeAddr string

func (a pipeAddr) Network() string { return "tcp" }
func (a pipeAddr) String() string  { return string(a) }
