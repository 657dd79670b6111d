package ssh_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
)

// server is a genuine sshd on a loopback address, for one test.
type server struct {
	dir      string
	addr     string // 127.0.0.1:port
	port     int
	user     string
	identity string // path of a private key that may log in
	known    string // path of a known_hosts file that knows the server
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// keyTypes are the host keys that a server has.
var keyTypes = []string{"ed25519", "ecdsa", "rsa"}

// program finds a program, also where only root looks.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if p := filepath.Join(dir, name); exists(p) {
			return p
		}
	}
	conntest.Skip(t, "there is no "+name+" on this machine")
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startServer runs sshd with these lines added to its configuration. The host's
// own ledger is not used: sshd sees a private one.
func startServer(t testing.TB, lines ...string) *server {
	t.Helper()
	return startIn(t, []string{"--mount"}, lines...)
}

// startIn is startServer in these namespaces of unshare.
func startIn(t testing.TB, namespaces []string, lines ...string) *server {
	t.Helper()
	sshd, keygen := program(t, "sshd"), program(t, "ssh-keygen")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{dir: t.TempDir(), port: freePort(t), user: me.Username, log: new(lockedBuffer)}
	s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	s.identity = newKey(t, filepath.Join(s.dir, "id"))
	s.known = filepath.Join(s.dir, "known_hosts")
	authorized := authorize(t, s.identity)
	config := []string{
		"Port " + strconv.Itoa(s.port), "ListenAddress 127.0.0.1", "PidFile none", "StrictModes no", "UsePAM no",
		"PermitRootLogin prohibit-password", "AuthorizedKeysFile " + authorized, "LogLevel VERBOSE",
		"MaxStartups 100", "Subsystem sftp internal-sftp",
	}
	var known []string
	for _, kind := range keyTypes {
		file := filepath.Join(s.dir, "host_"+kind)
		if out, err := exec.Command(keygen, "-q", "-N", "", "-t", kind, "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		config = append(config, "HostKey "+file)
		known = append(known, fmt.Sprintf("[127.0.0.1]:%d %s", s.port, publicKey(t, file)))
	}
	write(t, s.known, strings.Join(known, "\n")+"\n")
	file := filepath.Join(s.dir, "sshd_config")
	write(t, file, strings.Join(append(lines, config...), "\n")+"\n")
	s.run(t, namespaces, sshd, file)
	return s
}

// authorize copies the key's public half to where every user can read it.
func authorize(t testing.TB, identity string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "etcdplay-authorized-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "keys")
	write(t, file, publicKey(t, identity)+"\n")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(file, 0o644)); err != nil {
		t.Fatal(err)
	}
	return file
}

func (s *server) run(t testing.TB, namespaces []string, sshd, config string) {
	t.Helper()
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	if os.Geteuid() == 0 {
		for _, dir := range []string{"/run/sshd", "/run/etcdplay", "/var/lib/etcdplay"} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd = exec.Command(program(t, "unshare"), slices.Concat(namespaces, []string{
			"/bin/sh", "-c",
			"mount -t tmpfs -o mode=0700 run /run/etcdplay && mount -t tmpfs -o mode=0700 lib /var/lib/etcdplay && exec \"$@\"", "sh", sshd, "-D", "-e", "-f", config,
		})...)
	}
	cmd.Stderr = s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("sshd said:\n%s", s.log)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("sshd ended: %v\n%s", err, s.log)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %v", err)
		}
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// publicKey is the type and key of a key's public half.
func publicKey(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(data))[:2], " ")
}

// newKey makes an ed25519 key without a passphrase.
func newKey(t testing.TB, file string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "a test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := gossh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(pem.EncodeToMemory(block)))
	write(t, file+".pub", string(gossh.MarshalAuthorizedKey(key)))
	return file
}

// config is how the server is reached.
func (s *server) config() ssh.Config {
	return ssh.Config{
		Name: "host", Address: "127.0.0.1", Port: s.port, User: s.user,
		IdentityFiles: []string{s.identity}, KnownHosts: []string{s.known},
	}
}

// open opens the server's host, to be closed with the test.
func open(t testing.TB, c ssh.Config) *ssh.Host {
	t.Helper()
	h, err := ssh.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}
