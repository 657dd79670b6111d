package ssh_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// listenApart is listen in a process of its own, so that what this one uses is
// used for its own half of the connections.
func listenApart(b *testing.B, homes string) (addr *net.TCPAddr, key gossh.PublicKey) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFanServer$", "-test.v")
	cmd.Env = append(os.Environ(), "ETCDPLAY_FAN="+homes)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait() // it ends with its stdin
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		port, line, found := strings.Cut(strings.TrimPrefix(lines.Text(), "fan "), " ")
		if !found || !strings.HasPrefix(lines.Text(), "fan ") {
			continue
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			b.Fatal(err)
		}
		key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			b.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, out) }()
		return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n}, key
	}
	b.Fatal("the server does not say where it listens")
	return nil, nil
}

// TestFanServer is the servers of BenchmarkFanOut, until its stdin ends.
func TestFanServer(t *testing.T) {
	homes := os.Getenv("ETCDPLAY_FAN")
	if homes == "" {
		return // it is a part of the benchmark
	}
	addr, key := listen(t, homes)
	fmt.Printf("fan %d %s", addr.Port, gossh.MarshalAuthorizedKey(key))
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0) // connections that are still open need not be waited for
}

// listen is an SSH server in this process that lets everybody in and runs what
// it is told to by /bin/sh. It stands for any number of hosts: the user that logs
// in says which one, and has the folder of that name for a home, so that hosts
// have nothing in common.
func listen(b testing.TB, homes string) (addr *net.TCPAddr, key gossh.PublicKey) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		b.Fatal(err)
	}
	config := &gossh.ServerConfig{NoClientAuth: true, PublicKeyCallback: func(gossh.ConnMetadata, gossh.PublicKey) (*gossh.Permissions, error) {
		return nil, nil
	}}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	b.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c, config, homes) })
		}
	})
	return l.Addr().(*net.TCPAddr), signer.PublicKey()
}

func serve(c net.Conn, config *gossh.ServerConfig, homes string) {
	defer c.Close()
	client, channels, requests, err := gossh.NewServerConn(c, config)
	if err != nil {
		return // the client sees it too
	}
	go gossh.DiscardRequests(requests)
	var sessions sync.WaitGroup
	for n := range channels {
		if n.ChannelType() != "session" {
			_ = n.Reject(gossh.UnknownChannelType, "there are sessions only")
			continue
		}
		channel, requests, err := n.Accept()
		if err != nil {
			break
		}
		sessions.Go(func() { session(channel, requests, filepath.Join(homes, client.User())) })
	}
	sessions.Wait()
}

func session(channel gossh.Channel, requests <-chan *gossh.Request, home string) {
	defer channel.Close()
	for r := range requests {
		var line struct{ Text string }
		if r.Type != "exec" || gossh.Unmarshal(r.Payload, &line) != nil {
			_ = r.Reply(false, nil)
			continue
		}
		_ = r.Reply(true, nil)
		go gossh.DiscardRequests(requests)
		cmd := exec.Command("/bin/sh", "-c", line.Text)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
		cmd.Dir = home
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if os.Geteuid() == 0 {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		}
		var status struct{ Code uint32 }
		var ended *exec.ExitError
		if err := cmd.Run(); errors.As(err, &ended) {
			status.Code = uint32(ended.ExitCode())
		}
		_, _ = channel.SendRequest("exit-status", false, gossh.Marshal(&status))
		return
	}
}

// nobody is whom the hosts' shells belong to where the benchmark runs as root:
// root's ledger would be that of this machine, and one for all hosts.
const nobody = 65534

// width is how many hosts are worked on at the same time.
const width = 32

// text is the file that is written to each host.
const text = "[Service]\nEnvironment=ETCD_SNAPSHOT_COUNT=10000\n"

// BenchmarkFanOut connects to many hosts, looks at one file and writes another on
// each of them, with all connections kept until the end, as a run does. Beside it
// stands a bare loop over x/crypto/ssh that does the same: one session looks, one
// writes a temporary file, sums it up, syncs, and renames. KB/host is what this
// process had more in use with all connections open; the servers are another.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := newFan(b, n)
			var took, bare time.Duration
			var used, bareUsed uint64
			for range b.N {
				d, u := f.measure(b, f.bare)
				bare, bareUsed = bare+d, max(bareUsed, u)
				d, u = f.measure(b, f.host)
				took, used = took+d, max(used, u)
			}
			b.ReportMetric(float64(took.Microseconds())/float64(b.N*n), "µs/host")
			b.ReportMetric(float64(bare.Microseconds())/float64(b.N*n), "bare-µs/host")
			b.ReportMetric(took.Seconds()/bare.Seconds(), "x-bare")
			b.ReportMetric(float64(used)/1000/float64(n), "KB/host")
			b.ReportMetric(float64(bareUsed)/1000/float64(n), "bare-KB/host")
		})
	}
}

type fan struct {
	n        int
	dir      string
	addr     *net.TCPAddr
	key      gossh.PublicKey
	identity string
	known    string
}

func newFan(b *testing.B, n int) *fan {
	dir, err := os.MkdirTemp("", "etcdplay-fan-")
	if err != nil {
		b.Fatal(err)
	}
	f := &fan{n: n, dir: dir}
	b.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		home := filepath.Join(dir, hostUser(i))
		if err := os.Mkdir(home, 0o755); err != nil {
			b.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(home, nobody, nobody); err != nil {
				b.Fatal(err)
			}
		}
	}
	f.identity, f.known = newKey(b, filepath.Join(f.dir, "id")), filepath.Join(f.dir, "known_hosts")
	f.addr, f.key = listenApart(b, dir)
	write(b, f.known, fmt.Sprintf("[127.0.0.1]:%d %s", f.addr.Port, gossh.MarshalAuthorizedKey(f.key)))
	return f
}

// measure does the work on all hosts, and returns how long it took and how many
// bytes more were in use at the end of it.
func (f *fan) measure(b *testing.B, work func(b *testing.B, i int) (func(), error)) (time.Duration, uint64) {
	before := inUse()
	closers, errs := make([]func(), f.n), make([]error, f.n)
	begun := time.Now()
	var all sync.WaitGroup
	slots := make(chan struct{}, width)
	for i := range f.n {
		slots <- struct{}{}
		all.Go(func() {
			closers[i], errs[i] = work(b, i)
			<-slots
		})
	}
	all.Wait()
	took := time.Since(begun)
	after := inUse()
	for _, c := range closers {
		if c != nil {
			c()
		}
	}
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return took, after - min(before, after)
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func (f *fan) path(i int, who string) string {
	return filepath.Join(f.dir, hostUser(i), who+".conf")
}

func hostUser(i int) string { return fmt.Sprint("host", i) }

// host does one host's work by this package.
func (f *fan) host(b *testing.B, i int) (func(), error) {
	h, err := ssh.Open(ssh.Config{
		Name: fmt.Sprint(i), Address: "127.0.0.1", Port: f.addr.Port, User: hostUser(i),
		IdentityFiles: []string{f.identity}, KnownHosts: []string{f.known}, ConnectTimeout: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	end := func() { h.Close() }
	if _, err := h.Stat(b.Context(), "/etc/hostname"); err != nil {
		return end, err
	}
	sum := sha256.Sum256([]byte(text))
	return end, h.WriteFile(b.Context(), f.path(i, "play"), conn.File{
		Content: strings.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Attr: conn.Attr{Mode: 0o644},
	})
}

// bare does one host's work without it.
func (f *fan) bare(_ *testing.B, i int) (func(), error) {
	pem, err := os.ReadFile(f.identity)
	if err != nil {
		return nil, err
	}
	signer, err := gossh.ParsePrivateKey(pem)
	if err != nil {
		return nil, err
	}
	c, err := gossh.Dial("tcp", f.addr.String(), &gossh.ClientConfig{
		User: hostUser(i), Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.FixedHostKey(f.key),
	})
	if err != nil {
		return nil, err
	}
	end := func() { c.Close() }
	run := func(line, stdin string) error {
		s, err := c.NewSession()
		if err != nil {
			return err
		}
		defer s.Close()
		s.Stdin = strings.NewReader(stdin)
		if out, err := s.CombinedOutput(line); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := run("stat -c '%f %s %u %g %d %i %Y' /etc/hostname", ""); err != nil {
		return end, err
	}
	sum := sha256.Sum256([]byte(text))
	p := f.path(i, "bare")
	return end, run(fmt.Sprintf("set -e; cat >%[1]s.tmp; chmod 644 %[1]s.tmp; echo '%[2]x  %[1]s.tmp' | sha256sum -c --quiet; sync %[1]s.tmp; mv -T %[1]s.tmp %[1]s; sync %[3]s", p, sum, filepath.Dir(p)), text)
}

// BenchmarkUpload writes a file of 1 GiB to a host with a genuine sshd, checked
// and synced, and beside it lets scp copy it.
func BenchmarkUpload(b *testing.B) {
	const size = 1 << 30
	s := startServer(b)
	scp := program(b, "scp")
	dir := b.TempDir()
	from := filepath.Join(dir, "from")
	sum := sha256.New()
	w, err := os.Create(from)
	if err != nil {
		b.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range size / len(block) {
		_, _ = rand.Read(block) // it never fails
		sum.Write(block)
		if _, err := w.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		b.Fatal(err)
	}
	h := open(b, s.config())
	if err := h.Connect(b.Context()); err != nil {
		b.Fatal(err)
	}
	var took, other time.Duration
	b.SetBytes(size)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		begun := time.Now()
		out, err := exec.Command(scp, "-q", "-B", "-i", s.identity, "-o", "UserKnownHostsFile="+s.known, "-P", fmt.Sprint(s.port),
			from, s.user+"@127.0.0.1:"+filepath.Join(dir, "scp")).CombinedOutput()
		if err != nil {
			b.Fatalf("scp: %v: %s", err, out)
		}
		syncFile(b, filepath.Join(dir, "scp"))
		other += time.Since(begun)
		b.StartTimer()
		begun = time.Now()
		r, err := os.Open(from)
		if err != nil {
			b.Fatal(err)
		}
		err = h.WriteFile(b.Context(), filepath.Join(dir, "play"), conn.File{Content: r, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))})
		r.Close()
		if err != nil {
			b.Fatal(err)
		}
		took += time.Since(begun)
	}
	b.ReportMetric(float64(size)*float64(b.N)/other.Seconds()/1e6, "scp-MB/s")
	b.ReportMetric(other.Seconds()/took.Seconds(), "x-scp")
}

// syncFile is what scp leaves out, so that both end with the file on disk.
func syncFile(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
}
