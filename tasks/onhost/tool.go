package onhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Tool is this program on a host, or what stands in its way there.
//
// On this machine, and on a sandbox's hosts, it is the running file itself. To
// any other host the file is sent: Do installs it, once for each content, below
// etcdplay's own folder (/var/lib/etcdplay/bin/SHA256/etcdplay, of mode 0700;
// for a login that is not root below its home), where it stays. Ask, which must
// not change anything, uses it if it is there; else it sends the file for this
// one question, and nothing of it is left.
type Tool struct {
	Host    string // by its name in the inventory
	Here    bool   // the host has the very file that runs here
	Sandbox bool   // the host is a folder of a sandbox
	Etcdutl string // version of the host's own etcdutl, such as 3.5.21; "" if it has none

	path      string // of the program there, whether or not it is installed
	installed bool   // and holds, bit for bit, this program
	parent    string // an existing folder for a file of a moment
	misfit    error  // why this program cannot run there
}

// probe tells what Find wants to know, a line each. It changes nothing.
const probe = `
uname -s; uname -m
me=$(id -u); echo "$me"
case $me in
0) b=/var/lib/etcdplay p=/var/lib ;;
*) cd; p=$(pwd -P) b=$p/.local/state/etcdplay ;;
esac
echo "$b"; echo "$p"
echo "$SANDBOX_ROOT"
cat /proc/sys/kernel/random/boot_id
stat -Lc %d:%i -- "$1" 2>/dev/null || echo none
f=$b/bin/$2/etcdplay
if [ -f "$f" ] && [ -x "$f" ] && [ ! -L "$f" ] && [ "$(stat -c %u -- "$f")" = "$me" ]; then sha256sum <"$f"; else echo none; fi
etcdutl version 2>/dev/null | sed -n 's/^etcdutl version: *//p'
`

// Find looks at what the host has of this program. It changes nothing.
func Find(ctx context.Context, r conn.Reader) (*Tool, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	own, err := ownSum()
	if err != nil {
		return nil, err
	}
	res, err := r.Query(ctx, conn.Command{Argv: []string{"/bin/sh", "-c", probe, "sh", self, own}})
	if err != nil {
		return nil, err
	}
	said := strings.Split(string(res.Stdout), "\n")
	if len(said) < 10 {
		return nil, fmt.Errorf("what kind of machine it is cannot be told: %s", firstLine(res.Stderr))
	}
	t := &Tool{Host: r.Name(), Sandbox: said[5] != "", Etcdutl: strings.TrimSpace(said[9]), parent: said[4]}
	if boot, inode, err := identity(self); err == nil && said[6] == boot && said[7] == inode {
		t.Here, t.path, t.installed = true, self, true
		return t, nil
	}
	t.path = path.Join(said[3], "bin", own, "etcdplay")
	t.installed = strings.HasPrefix(said[8], own)
	if strings.ToLower(said[0]) != runtime.GOOS || machines[said[1]] != runtime.GOARCH {
		t.misfit = fmt.Errorf("host %s is %s on %s, and this etcdplay is built for %s/%s: run one that fits; to restore a snapshot there, an etcdutl of 3.5 or later will do as well",
			t.Host, said[0], said[1], runtime.GOOS, runtime.GOARCH)
	}
	return t, nil
}

// machines are the names of uname -m in Go's words.
var machines = map[string]string{
	"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64",
	"i686": "386", "i386": "386", "armv7l": "arm", "loongarch64": "loong64",
}

// identity is what only this machine can say of a file, while it is up.
func identity(file string) (boot, inode string, err error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", "", err
	}
	inode, err = deviceAndInode(file)
	return strings.TrimSpace(string(b)), inode, err
}

// ownSum is the SHA-256 of the running file. It cannot change while it runs, so
// it is worked out once.
var ownSum = sync.OnceValues(func() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

// Fits is nil if this program can run on the host; the error says what to do.
func (t *Tool) Fits() error { return t.misfit }

// Installed reports whether Do would not have to send the program.
func (t *Tool) Installed() bool { return t.installed }

// moment runs a program that comes over stdin, from a file that has no name any
// more by the time it is written. $1 is a folder, $2 its size, $3 its SHA-256,
// the rest what it is called with.
const moment = `
umask 077
t=$(mktemp "$1/.etcdplay.XXXXXXXXXX") || exit 2
chmod 0700 "$t" && exec 8>"$t" 9<"$t"
r=$?
rm -f -- "$t"
[ "$r" = 0 ] || exit 2
head -c "$2" >&8 || exit 2
exec 8>&-
s=$(sha256sum <&9)
[ "${s%% *}" = "$3" ] || { echo "the program did not come whole" >&2; exit 2; }
shift 3
exec /proc/self/fd/9 "$@" </dev/null
`

// Ask runs a verb that changes nothing, and reads its answer into a. q must hold
// nothing secret: it may stand in the host's list of processes.
func (t *Tool) Ask(ctx context.Context, r conn.Reader, verb string, q, a any) error {
	if t.misfit != nil {
		return t.misfit
	}
	req, err := request(q)
	if err != nil {
		return err
	}
	c := conn.Command{Argv: []string{t.path, Command, verb}, Stdin: req}
	if !t.installed {
		program, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			return err
		}
		sum, err := ownSum()
		if err != nil {
			return err
		}
		c.Argv = []string{"/bin/sh", "-c", moment, "sh", t.parent, fmt.Sprint(len(program)), sum, Command, verb, string(req)}
		c.Stdin = program
	}
	res, err := r.Query(ctx, c)
	if err != nil {
		return err
	}
	return answer(verb, res.ExitCode, res.Stdout, res.Stderr, a)
}

// Do installs the program where it is not there yet, and runs a verb that may
// change something. An error that wraps conn.ErrOutcomeUnknown says that the
// verb may have run, and may have had its effect; an *Error is the verb's own
// word, and it has ended. progress is told of what is sent, in bytes.
func (t *Tool) Do(ctx context.Context, h conn.Host, progress func(done, total int64), verb string, q, a any) error {
	if err := t.Install(ctx, h, progress); err != nil {
		return err
	}
	req, err := request(q)
	if err != nil {
		return err
	}
	res, err := h.Run(ctx, conn.Command{Argv: []string{t.path, Command, verb}, Stdin: req})
	if err != nil {
		return err
	}
	return answer(verb, res.ExitCode, res.Stdout, res.Stderr, a)
}

// Install puts the program on the host, if it is not there yet.
func (t *Tool) Install(ctx context.Context, h conn.Host, progress func(done, total int64)) error {
	if t.misfit != nil || t.installed {
		return t.misfit
	}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum, err := ownSum()
	if err != nil {
		return err
	}
	attr := conn.Attr{Mode: 0o700}
	for _, dir := range []string{path.Dir(path.Dir(path.Dir(t.path))), path.Dir(path.Dir(t.path)), path.Dir(t.path)} {
		if err := h.Mkdir(ctx, dir, attr); err != nil {
			return err
		}
	}
	err = h.WriteFile(ctx, t.path, conn.File{
		Content: f, Size: info.Size(), SHA256: sum, Attr: attr,
		Progress: func(n int64) { progress(n, info.Size()) },
	})
	if err != nil {
		return fmt.Errorf("send etcdplay itself to host %s: %w", t.Host, err)
	}
	t.installed = true
	return nil
}

// Here runs a verb in a process of its own on this machine, which does not
// outlive this one: for a task that has no host, and for a verb that leaves to
// another what might end it.
func Here(ctx context.Context, verb string, q, a any) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	req, err := request(q)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, Command, verb)
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(req)), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %s was ended: %w", conn.ErrOutcomeUnknown, verb, context.Cause(ctx))
	case err != nil && !errors.As(err, &exit):
		return err
	}
	return answer(verb, cmd.ProcessState.ExitCode(), []byte(stdout.String()), []byte(stderr.String()), a)
}
