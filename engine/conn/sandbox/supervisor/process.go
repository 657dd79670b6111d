package supervisor

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn/internal/program"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/unitfile"
)

// process is a child of the supervisor, the leader of its own process group.
type process struct {
	pid     int
	command unitfile.Command
	isMain  bool
	ended   chan struct{} // closed when it has been waited for
}

// runQueue runs commands one after the other as control processes (those of a
// oneshot count as main) and calls done with the result of the first that
// failed, or "success".
func (s *service) runQueue(commands []unitfile.Command, done func(result string)) {
	s.queue, s.queueDone = commands, done
	s.nextInQueue("success")
}

func (s *service) nextInQueue(result string) {
	if result != "success" || len(s.queue) == 0 {
		done := s.queueDone
		s.queue, s.queueDone = nil, nil
		done(result)
		return
	}
	c := s.queue[0]
	s.queue = s.queue[1:]
	main := s.state == starting
	p, err := s.launch(c, main)
	if err != nil {
		s.say(3, "%s: Failed to execute %s: %v", s.name, c.Path, err)
		if c.IgnoreFailure {
			s.nextInQueue("success")
			return
		}
		s.exitStatus = 203
		s.nextInQueue("exit-code")
		return
	}
	s.control = p
	if main {
		s.mainPID = p.pid
	}
}

// launch starts a command of the unit; its end and its output are taken care of.
func (s *service) launch(c unitfile.Command, main bool) (*process, error) {
	u := s.unit.svc
	env, err := s.environment(main)
	if err != nil {
		return nil, err
	}
	argv, err := c.Expand(env)
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		return nil, errors.New("nothing is left of the command after its variables were expanded")
	}
	file, err := s.machine.lookup(c.Path)
	if err != nil {
		return nil, err
	}
	work := u.WorkingDirectory
	if work == "" {
		work = "/"
	}
	dir, err := s.machine.root.Resolve(work)
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Cmd{
		Path: file, Args: argv, Env: env, Dir: dir, Stdout: in, Stderr: in,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if err = startWithMask(&cmd, int(u.UMask)); err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, command: c, isMain: main, ended: make(chan struct{})}
	s.groups[p.pid] = true
	setLimit(p.pid, u.LimitNOFILE)
	mark, told := "\x00"+rand.Text(), make(chan struct{})
	go s.record(out, p.pid, s.invocation, mark, told)
	go func() {
		// The error only repeats what the state says.
		_ = cmd.Wait()
		close(p.ended)
		// Its last words are in the journal before its end is seen, also if
		// others hold the pipe. A reader that has given up has closed it.
		_, _ = in.WriteString("\n" + mark + "\n")
		in.Close()
		<-told
		s.post(func() { s.exited(p, cmd.ProcessState.Sys().(syscall.WaitStatus)) })
	}()
	return p, nil
}

// startWithMask starts cmd with the umask. That is a property of this whole
// process, but all its other files get their modes by chmod or are its own.
func startWithMask(cmd *exec.Cmd, mask int) error {
	if mask == 0o022 {
		return cmd.Start()
	}
	old := unix.Umask(mask)
	defer unix.Umask(old)
	return cmd.Start()
}

// setLimit sets RLIMIT_NOFILE of a process that has just begun. It cannot go
// above the hard limit this process has, which is all an unprivileged user can do.
func setLimit(pid int, n uint64) {
	if n == 0 {
		return
	}
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return
	}
	n = min(n, own.Max)
	// If the process has ended already, its limit does not matter.
	_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}, nil)
}

// environment is what a process of the unit gets: systemd's own variables, then
// Environment=, then the files of EnvironmentFile=.
func (s *service) environment(main bool) ([]string, error) {
	u := s.unit.svc
	env := []string{"PATH=" + program.Path, "LANG=C.UTF-8", "INVOCATION_ID=" + s.invocation}
	if u.User != "" {
		if me, err := user.Current(); err == nil {
			env = append(env, "USER="+me.Username, "LOGNAME="+me.Username, "HOME="+me.HomeDir, "SHELL=/bin/sh")
		}
	}
	if len(u.RuntimeDirectory) > 0 {
		env = append(env, "RUNTIME_DIRECTORY=/run/"+strings.Join(u.RuntimeDirectory, ":/run/"))
	}
	env = append(env, u.Environment...)
	for _, f := range u.EnvironmentFiles {
		content, err := s.machine.root.ReadFile(context.Background(), f.Path, 1<<20)
		if errors.Is(err, fs.ErrNotExist) && f.Optional {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("environment file: %w", err)
		}
		more, err := unitfile.ReadEnvironment(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		env = append(env, more...)
	}
	env = append(env, "SANDBOX_ROOT="+s.machine.dir)
	if s.mainPID > 0 {
		env = append(env, "MAINPID="+strconv.Itoa(s.mainPID))
	}
	if u.NotifyAccess == "none" {
		return env, nil
	}
	if s.notify == nil {
		n, err := newNotifier(s)
		if err != nil {
			return nil, err
		}
		s.notify = n
	}
	return append(env, "NOTIFY_SOCKET="+s.notify.name), nil
}

// maxLine is where the journal breaks a longer line, in bytes.
const maxLine = 48 << 10

// record writes to the journal what a process prints, until all who hold the
// pipe have closed it. It closes told once it has written what came before the
// mark, which is a line of its own after a line break of its own.
func (s *service) record(out io.ReadCloser, pid int, invocation, mark string, told chan struct{}) {
	defer out.Close()
	tell := sync.OnceFunc(func() { close(told) })
	defer tell()
	add := func(text string) {
		priority := 6
		if len(text) >= 3 && text[0] == '<' && text[2] == '>' && text[1] >= '0' && text[1] <= '7' {
			priority, text = int(text[1]-'0'), text[3:]
		}
		s.machine.journal.add(s.name, record{Time: time.Now(), Priority: priority, PID: pid, Message: text, Start: invocation})
	}
	r := bufio.NewReaderSize(out, maxLine)
	empty := false // the line before was empty, which may be the mark's
	for {
		line, err := r.ReadSlice('\n')
		text := strings.TrimRight(string(line), "\r\n")
		if empty && text != mark {
			add("")
		}
		empty = text == "" && err == nil
		switch text {
		case mark:
			tell()
		case "": // it waits for the next line
		default:
			add(text)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// notifier is the socket of one unit that sd_notify speaks to. Its name is
// abstract, so its length does not depend on where the sandbox is, and random.
type notifier struct {
	name string
	fd   int
	file *os.File
}

func newNotifier(s *service) (*notifier, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	n := &notifier{name: "@etcdplay/notify/" + rand.Text(), fd: fd, file: os.NewFile(uintptr(fd), "notify")}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: n.name}); err != nil {
		n.close()
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		n.close()
		return nil, err
	}
	go n.listen(s)
	return n, nil
}

func (n *notifier) close() { n.file.Close() }

func (n *notifier) listen(s *service) {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return
	}
	data, oob := make([]byte, 4096), make([]byte, 256)
	for {
		var size, oobSize int
		var readErr error
		err := raw.Read(func(fd uintptr) bool {
			size, oobSize, _, _, readErr = unix.Recvmsg(int(fd), data, oob, unix.MSG_CMSG_CLOEXEC)
			return !errors.Is(readErr, unix.EAGAIN)
		})
		if err != nil || readErr != nil {
			return // closed, which is the end
		}
		pid := sender(oob[:oobSize])
		message := string(data[:size])
		s.post(func() {
			if s.notify == n {
				s.notified(pid, message)
			}
		})
	}
}

func sender(oob []byte) int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return int(cred.Pid)
		}
	}
	return 0
}

// notified takes one message of sd_notify.
func (s *service) notified(pid int, message string) {
	switch s.unit.svc.NotifyAccess {
	case "main":
		if s.main == nil || pid != s.main.pid {
			s.say(4, "%s: Got notification message from PID %d, but reception only permitted for main PID %d", s.name, pid, s.mainPID)
			return
		}
	case "exec":
		if (s.main == nil || pid != s.main.pid) && (s.control == nil || pid != s.control.pid) {
			return
		}
	}
	for _, line := range strings.Split(message, "\n") {
		if line == "READY=1" && s.state == starting && s.unit.svc.Type == "notify" {
			s.started()
		}
	}
}
