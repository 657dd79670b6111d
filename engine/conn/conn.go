// Package conn knows what a host is to the engine: a machine whose files,
// programs and units can be looked at (Reader) and changed (Host). It knows
// nothing of etcd, of playbooks, or of how a particular connection works; the
// packages below it (local, sandbox, ssh) are the connections, and all of them
// pass the one suite in conntest.
package conn

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"time"
)

// Errors that callers tell apart. Everything else that a connection returns is
// a plain failure of that one operation, with no effect on the host, except
// where it wraps ErrOutcomeUnknown.
var (
	// ErrUnreachable says that the host did not answer, and that nothing of the
	// operation reached it.
	ErrUnreachable = errors.New("host is unreachable")

	// ErrRefused says that the host answered and the connection was still not made:
	// its host key is not the known one, or it refused the login or the privileges.
	// Nothing of the operation reached it.
	ErrRefused = errors.New("connection was refused")

	// ErrFenced says that another engine has taken the host over since, and that
	// the operation was refused for it, with no effect.
	ErrFenced = errors.New("another engine has taken over the host")

	// ErrOutcomeUnknown says that the operation was sent and its answer lost: it
	// may have happened, may still be happening, or may never happen. Only
	// looking at the host can tell.
	ErrOutcomeUnknown = errors.New("outcome is unknown")

	// ErrTooBig says that a file or an answer is larger than the bound of the call.
	ErrTooBig = errors.New("larger than allowed")

	// ErrNoUnit says that the host has no unit of that name.
	ErrNoUnit = errors.New("unit not found")

	// ErrUnsupported says that this kind of connection cannot do the operation at
	// all; the message says why, and nothing was changed.
	ErrUnsupported = errors.New("not supported on this connection")
)

// Bounds that every connection keeps.
const (
	MaxFile   = 16 << 20 // bytes ReadFile returns; a larger file is ErrTooBig
	MaxOutput = 1 << 20  // bytes kept of each of stdout and stderr; the rest is dropped and Result.Truncated set
)

// Reader is the half of a host that cannot change it. Paths are absolute and
// clean, as seen on the host; a missing file is an error wrapping
// fs.ErrNotExist, one without rights wraps fs.ErrPermission. Every method gives
// up when ctx ends.
type Reader interface {
	// Name is the host's name in the inventory.
	Name() string

	// ReadFile returns the bytes of a regular file, at most MaxFile of them.
	ReadFile(ctx context.Context, path string) ([]byte, error)

	// Stat describes path itself: a symbolic link is described, not followed.
	Stat(ctx context.Context, path string) (Info, error)

	// ReadDir describes what is directly in the directory, in the order of names.
	ReadDir(ctx context.Context, path string) ([]Info, error)

	// FreeBytes is the space, in bytes, that an unprivileged writer has on the
	// file system of path, or of its nearest existing parent.
	FreeBytes(ctx context.Context, path string) (uint64, error)

	// Query runs a program of which the caller vouches that it changes nothing.
	// A non-zero exit code is a Result, not an error.
	Query(ctx context.Context, c Command) (Result, error)

	// Dial connects to a TCP address as seen from the host, in the form host:port.
	Dial(ctx context.Context, addr string) (net.Conn, error)

	// Unit describes a systemd unit. A unit that does not exist is an error
	// wrapping ErrNoUnit.
	Unit(ctx context.Context, name string) (Unit, error)

	// Journal returns the unit's journal entries that fit q, oldest first.
	Journal(ctx context.Context, q JournalQuery) ([]JournalEntry, error)
}

// Host is a machine that can also be changed. A method returns nil only when
// the change is there and durable (files and their folders are fsynced); an
// error that wraps ErrOutcomeUnknown means it may be there; any other error
// means it is not.
type Host interface {
	Reader

	// Run runs a program. A non-zero exit code is a Result, not an error.
	Run(ctx context.Context, c Command) (Result, error)

	// WriteFile replaces the file at path, whole or not at all: the bytes go to a
	// temporary file in the same folder, whose size and SHA-256 are compared with
	// f's, whose mode and owner are set, and which is then renamed. The folder
	// must exist. A symbolic link at path is replaced, not followed.
	WriteFile(ctx context.Context, path string, f File) error

	// Mkdir makes the directory and the parents it lacks, and gives it (not the
	// parents) a. An existing directory only gets a.
	Mkdir(ctx context.Context, path string, a Attr) error

	// SetAttr sets mode and owner of path; with recursive also of all below it,
	// on the same file system. Symbolic links are never followed, and their mode
	// stays. With recursive, a.Mode goes to path alone.
	SetAttr(ctx context.Context, path string, a Attr, recursive bool) error

	// Rename moves from to to. It never overwrites (fs.ErrExist) and never copies:
	// another file system is an error wrapping syscall.EXDEV.
	Rename(ctx context.Context, from, to string) error

	// Remove removes a file or an empty directory; with recursive all below it,
	// on the same file system only. A missing path is fs.ErrNotExist.
	Remove(ctx context.Context, path string, recursive bool) error

	// Units changes the state of units.
	Units() Units
}

// Fencer is a host that can tell which engine's turn it is. Fence waits for a
// change that is still under way there, also one of an engine that died, and
// then takes the host over: changes asked for by any other engine are ErrFenced
// from then on. The epoch is the number of this turn, to be recorded.
type Fencer interface {
	Fence(ctx context.Context) (epoch uint64, err error)
}

// Units changes what systemd runs on one host.
type Units interface {
	// Start starts the unit. With wait it returns once the unit is active (for
	// Type=notify: once it has said READY) or its start has failed, which is an
	// error; without, once the job is queued.
	Start(ctx context.Context, unit string, wait bool) error

	// Stop stops the unit and waits until it is inactive or failed. A unit that
	// is not running is no error.
	Stop(ctx context.Context, unit string) error

	// Restart stops and starts the unit, waiting as Start does.
	Restart(ctx context.Context, unit string, wait bool) error

	// Reload makes systemd read all unit files and drop-ins again.
	Reload(ctx context.Context) error

	// Mask makes the unit unstartable until Unmask, or with runtime until the
	// next boot at the latest.
	Mask(ctx context.Context, unit string, runtime bool) error
	Unmask(ctx context.Context, unit string, runtime bool) error
}

// Command is a program to run. There is never a shell in between: whoever wants
// one says Argv = ["/bin/sh", "-c", …].
type Command struct {
	Argv  []string          // the program and its arguments; never empty
	Env   map[string]string // added to the connection's fixed small environment
	Dir   string            // working directory; empty means "/"
	Stdin []byte
}

// Result is how a program ended.
type Result struct {
	ExitCode  int // 128+n when signal n ended it
	Stdout    []byte
	Stderr    []byte
	Truncated bool // an output was longer than MaxOutput
}

// File is the content that WriteFile installs.
type File struct {
	Content io.Reader // read once, to its end
	Size    int64     // in bytes; Content must yield exactly these many
	SHA256  string    // of Content, lower-case hex
	Attr
	// Progress, if not nil, is called now and then with the bytes written so far.
	Progress func(written int64)
}

// Attr is what a file may be given. A zero field is left as it is, or for a new
// file: mode 0600 (a directory 0700), the connection's user and group.
type Attr struct {
	Mode  fs.FileMode // permission bits only
	Owner string      // a name, or a decimal uid
	Group string      // a name, or a decimal gid
}

// Info describes one file.
type Info struct {
	Path   string
	Mode   fs.FileMode // type and permission bits
	Size   int64       // in bytes
	Owner  string      // name, or the uid where it has none
	Group  string
	Device uint64
	Inode  uint64
	MTime  time.Time
	Mount  bool // path is the root of a mounted file system
}

// Unit is what systemd says of a unit; the field names are its property names.
type Unit struct {
	Name             string
	LoadState        string // loaded, not-found, masked, bad-setting, error
	ActiveState      string // active, reloading, inactive, failed, activating, deactivating
	SubState         string
	Result           string // success, exit-code, signal, timeout, …
	Type             string // of a service: simple, exec, notify, oneshot, …
	UnitFileState    string // enabled, disabled, static, masked, masked-runtime, …
	InvocationID     string // 32 lower-case hex digits; empty if never started
	MainPID          int    // zero if none
	ExecMainStatus   int    // exit status of the last main process
	NRestarts        int
	NeedDaemonReload bool
	FragmentPath     string
	DropInPaths      []string   // in the order of their effect
	ExecStart        [][]string // effective argv of each command, unit-file escapes undone, variables not expanded
	Environment      []string   // effective NAME=value, EnvironmentFile= not included
	EnvironmentFiles []string
}

// JournalQuery selects journal entries of one unit.
type JournalQuery struct {
	Unit  string
	PID1  bool      // what systemd itself says of the unit, instead of the unit's own words
	Since time.Time // zero means from the beginning
	Lines int       // the newest so many; zero means 1,000
}

// JournalEntry is one line of a journal.
type JournalEntry struct {
	Time       time.Time
	Priority   int // syslog's: 0 emergency … 3 error, 4 warning, 6 info, 7 debug
	PID        int
	Message    string // one line, valid UTF-8
	Cursor     string
	Invocation string // the InvocationID of the start of the unit that said it; empty where the unit was over before the journal looked
}
