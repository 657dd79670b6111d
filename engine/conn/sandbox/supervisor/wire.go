package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Op is what a Request asks for.
type Op string

// The operations. Those from Up on are about one host, and fail with
// conn.ErrUnreachable while it is switched off, PowerOn and PowerOff excepted.
const (
	Ping     Op = "ping"
	List     Op = "list"
	Shutdown Op = "shutdown" // stop all hosts and end the supervisor
	PowerOn  Op = "power-on"
	PowerOff Op = "power-off"
	Up       Op = "up" // only says whether the host is switched on
	Run      Op = "run"
	Unit     Op = "unit"
	Start    Op = "start"
	Stop     Op = "stop"
	Restart  Op = "restart"
	Reload   Op = "reload"
	Mask     Op = "mask"
	Unmask   Op = "unmask"
	Journal  Op = "journal"
	Kill     Op = "kill"  // SIGKILL for the unit's main process
	Wreck    Op = "wreck" // kill the unit and spoil the etcd data below Path before it can start again
)

// reads are the operations whose answer may be lost without harm.
var reads = map[Op]bool{Ping: true, List: true, Up: true, Unit: true, Journal: true}

// Request is one line to the supervisor; each connection carries one.
type Request struct {
	Op      Op
	Host    string             `json:",omitempty"`
	Unit    string             `json:",omitempty"`
	Wait    bool               `json:",omitempty"` // Start, Restart
	Runtime bool               `json:",omitempty"` // Mask, Unmask
	Path    string             `json:",omitempty"` // Wreck
	Command *Command           `json:",omitempty"`
	Journal *conn.JournalQuery `json:",omitempty"`
}

// Command is a conn.Command in bytes, since JSON strings cannot hold them all.
type Command struct {
	Argv  [][]byte
	Env   map[string][]byte
	Dir   string
	Stdin []byte
}

// Reply is the one line that answers.
type Reply struct {
	Error   string              `json:",omitempty"`
	Kind    string              `json:",omitempty"` // which of kinds Error wraps, by its text
	PID     int                 `json:",omitempty"` // Ping: the supervisor's
	Unit    *conn.Unit          `json:",omitempty"`
	Result  *conn.Result        `json:",omitempty"`
	Journal []conn.JournalEntry `json:",omitempty"`
	Hosts   []HostState         `json:",omitempty"`
}

// HostState is what List says of one host.
type HostState struct {
	Name  string
	On    bool
	Units []conn.Unit // those that were looked at since it was switched on
}

// kinds are the errors that keep their identity on the way; of several, the last.
var kinds = []error{
	fs.ErrNotExist, fs.ErrExist, fs.ErrPermission,
	conn.ErrTooBig, conn.ErrNoUnit, conn.ErrUnsupported, conn.ErrUnreachable, conn.ErrOutcomeUnknown,
}

// remote is an error that the supervisor reported.
type remote struct {
	text string
	kind error
}

func (r *remote) Error() string { return r.text }
func (r *remote) Unwrap() error { return r.kind }

func failure(err error) Reply {
	reply := Reply{Error: err.Error()}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			reply.Kind = kind.Error()
		}
	}
	return reply
}

func (r Reply) err() error {
	if r.Error == "" {
		return nil
	}
	for _, kind := range kinds {
		if r.Kind == kind.Error() {
			return &remote{r.Error, kind}
		}
	}
	return errors.New(r.Error)
}

// The files of a supervisor in the sandbox's folder.
const (
	socketFile = "supervisor.sock"
	lockFile   = "supervisor.lock"
	LogFile    = "supervisor.log"
)

// socket returns an address for the socket in dir that fits into the 108 bytes
// the kernel has for one, and the function that frees it.
func socket(dir string) (string, func(), error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return filepath.Join(fmt.Sprintf("/proc/self/fd/%d", fd), socketFile), func() { unix.Close(fd) }, nil
}

// Call asks the supervisor of the sandbox in dir. If none is running there, the
// error wraps conn.ErrUnreachable; if the answer to a change was lost,
// conn.ErrOutcomeUnknown.
func Call(ctx context.Context, dir string, req Request) (Reply, error) {
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	addr, free, err := socket(dir)
	if err != nil {
		return Reply{}, fmt.Errorf("%w: there is no sandbox in %s: %w", conn.ErrUnreachable, dir, err)
	}
	defer free()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", addr)
	if err != nil {
		return Reply{}, fmt.Errorf("%w: the supervisor of %s does not run; start it with: etcdplay sandbox start", conn.ErrUnreachable, dir)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()

	var reply Reply
	err = json.NewEncoder(c).Encode(req)
	if err == nil {
		err = json.NewDecoder(c).Decode(&reply)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		lost := conn.ErrOutcomeUnknown
		if reads[req.Op] {
			lost = conn.ErrUnreachable
			if ctx.Err() != nil {
				return Reply{}, err
			}
		}
		return Reply{}, fmt.Errorf("%w: %s: no answer from the supervisor: %w", lost, req.Op, err)
	}
	return reply, reply.err()
}

// Wait waits until no supervisor runs in dir, and keeps it so until the
// returned function is called.
func Wait(ctx context.Context, dir string) (func(), error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { lock.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			lock.Close()
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			lock.Close()
			return nil, fmt.Errorf("the supervisor of %s is still running: %w", dir, context.Cause(ctx))
		}
	}
}
