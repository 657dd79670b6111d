// Package conntest knows what every connection must do alike: one suite that
// holds a conn.Host to the promises of package conn. It must not know any
// connection; each brings itself as a Fixture.
package conntest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Fixture is a host for one test, and what may be done with it. The suite needs
// /bin/sh and the usual small programs there, and undoes what it did.
type Fixture struct {
	Host conn.Host

	// Dir is an empty directory on the host, absolute and clean, whose file system
	// the suite may write to.
	Dir string

	// User and Group are what new files on the host belong to.
	User, Group string

	// OtherUser is a user to whom files can be given; empty if the connection has
	// no right to do that, which must then be an error wrapping fs.ErrPermission.
	OtherUser string

	// OtherFS is an empty directory on another file system than Dir's; if empty,
	// NoOtherFS says why there can be none.
	OtherFS, NoOtherFS string

	// Reached is the IP address of the machine of the tests under which the host
	// reaches it; empty if that is the host itself.
	Reached string

	// NoUnits says why nothing about units can be tried; Unsupported, that all
	// about them must then be conn.ErrUnsupported. Otherwise unit files can be
	// written to UnitDir, and Notify is a command that says READY=1 to systemd.
	NoUnits     string
	Unsupported bool
	UnitDir     string
	Notify      []string
}

// Run holds connections to all that package conn promises. fresh is called once
// for each part, with that part's t.
func Run(t *testing.T, fresh func(t *testing.T) Fixture) {
	parts := []struct {
		name string
		test func(*testing.T, Fixture)
	}{
		{"WriteFile", testWriteFile},
		{"WriteFileRefused", testWriteFileRefused},
		{"WriteFileAttr", testWriteFileAttr},
		{"ReadFile", testReadFile},
		{"Stat", testStat},
		{"ReadDir", testReadDir},
		{"Glance", testGlance},
		{"Mkdir", testMkdir},
		{"SetAttr", testSetAttr},
		{"Rename", testRename},
		{"RenameAcross", testRenameAcross},
		{"Remove", testRemove},
		{"Paths", testPaths},
		{"FreeBytes", testFreeBytes},
		{"Argv", testArgv},
		{"Environment", testEnvironment},
		{"ExitCode", testExitCode},
		{"Output", testOutput},
		{"Cancel", testCancel},
		{"Dial", testDial},
		{"NoUnits", testNoUnits},
		{"UnitLife", testUnitLife},
		{"UnitNotify", testUnitNotify},
		{"UnitFailure", testUnitFailure},
		{"UnitDropIn", testUnitDropIn},
		{"UnitMask", testUnitMask},
		{"UnitJournal", testUnitJournal},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.test(t, fresh(t)) })
	}
}

// Skip skips the test, unless ETCDPLAY_NOSKIP=1 makes that a failure: then this
// machine was meant to have all that the tests need.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("ETCDPLAY_NOSKIP") == "1" {
		t.Fatalf("ETCDPLAY_NOSKIP=1 and yet: %s", reason)
	}
	t.Skip(reason)
}

// patience is how long anything may take that the suite waits for.
const patience = 20 * time.Second

// eventually waits until ok, asking again and again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not %s within %v", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// file is a conn.File of text.
func file(text string, a conn.Attr) conn.File {
	sum := sha256.Sum256([]byte(text))
	return conn.File{
		Content: strings.NewReader(text), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Attr: a,
	}
}

// write writes text to the path below f.Dir and returns the whole path.
func (f Fixture) write(t *testing.T, name, text string, a conn.Attr) string {
	t.Helper()
	p := path.Join(f.Dir, name)
	if err := f.Host.WriteFile(t.Context(), p, file(text, a)); err != nil {
		t.Fatalf("write %s: %v", p, err)
	}
	return p
}

func (f Fixture) read(t *testing.T, p string) string {
	t.Helper()
	data, err := f.Host.ReadFile(t.Context(), p)
	if err != nil {
		t.Fatalf("read %s: %v", p, err)
	}
	return string(data)
}

func (f Fixture) stat(t *testing.T, p string) conn.Info {
	t.Helper()
	info, err := f.Host.Stat(t.Context(), p)
	if err != nil {
		t.Fatalf("stat %s: %v", p, err)
	}
	return info
}

// stranger is a user other than f.User.
func (f Fixture) stranger() string {
	if f.User == "root" {
		return "nobody"
	}
	return "root"
}

// mkdir makes a directory below f.Dir and returns its path.
func (f Fixture) mkdir(t *testing.T, name string) string {
	t.Helper()
	p := path.Join(f.Dir, name)
	if err := f.Host.Mkdir(t.Context(), p, conn.Attr{}); err != nil {
		t.Fatalf("mkdir %s: %v", p, err)
	}
	return p
}

// sh runs a script whose working directory is f.Dir, with args as $1 and on.
// Scripts use relative paths: in a sandbox, programs see the machine's root.
func (f Fixture) sh(t *testing.T, script string, args ...string) string {
	t.Helper()
	r, err := f.Host.Run(t.Context(), conn.Command{
		Argv: append([]string{"/bin/sh", "-c", script, "sh"}, args...), Dir: f.Dir,
	})
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	if r.ExitCode != 0 {
		t.Fatalf("%s: exit code %d, stderr %q", script, r.ExitCode, r.Stderr)
	}
	return string(r.Stdout)
}

// names lists what is in a directory.
func (f Fixture) names(t *testing.T, dir string) []string {
	t.Helper()
	infos, err := f.Host.ReadDir(t.Context(), dir)
	if err != nil {
		t.Fatalf("read directory %s: %v", dir, err)
	}
	var names []string
	for _, i := range infos {
		names = append(names, path.Base(i.Path))
	}
	return names
}

// want checks that err is of the kind.
func want(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want an error that is %v", what, err, kind)
	}
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
