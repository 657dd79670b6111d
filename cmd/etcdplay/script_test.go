package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

var update = flag.Bool("update", false, "write the expected files of scripts anew")

// TestMain makes this test binary the program itself when it is called by the
// name etcdplay: scripts run it as a process of its own, and the sandbox
// supervisors, etcd servers and processes on hosts that it starts are this
// binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == onhost.Command {
		main() // on a host it has whatever name it was given there
	}
	testscript.Main(m, map[string]func(){
		"etcdplay": func() { main() },
		// What members of a new cluster find each other through; see script_find_test.go.
		"discovery-service": discoveryService,
		"nameserver":        nameServer,
	})
}

// TestScripts runs testdata/scripts. Each file is what a user could have typed;
// see testscript's documentation for the form. Beside its commands there are
//
//	cmpout FILE           the last stdout is FILE, run IDs and ports aside
//	cmperr FILE           the same for stderr
//	exits CODE etcdplay…  runs the program, which must end with that exit code
//	capture NAME REGEXP   sets $NAME to the first match in the last stdout, or to its last group
//	keys write COUNT      writes keys into the cluster of the script's sandbox
//	keys read COUNT HOST… finds them, and the same HashKV on all hosts named
//	members [HOST…]       prints name, vote and ID of each member
//	etcdctl VERSION HOST… runs that release's own etcdctl against a host; with ! it must fail
//	certify HOST server|peer FAULT [NAME…] issues a certificate of a host anew, with a fault or good
//	fingerprint FILE      writes what a command that changes nothing leaves equal
//	freeze HOST           stops a host's etcd with SIGSTOP; with ! it goes on
//	begin NAME COMMAND…   starts a command beside the script
//	await NAME REGEXP     waits until it has said that
//	interrupt NAME        is Ctrl-C for it
//	records FILE          prints the types of the records of --json in it
//	holdings FROM TO      writes what an answer of etcdctl get -w json holds
//	ends CODE NAME        waits for its end; its output becomes the last one
//
// and the conditions [long] (not go test -short), [etcd:3.5], an etcd of that
// version below $ETCDPLAY_ETCDS, and [namespaces], a system that lets a script have
// a network of its own. [chosen] is that $ETCDPLAY_SCRIPT_ETCD chooses the version
// of etcd for the scripts that run with any one: make test takes their own. Every script has folders of its own for
// state and sandboxes; what is left of a sandbox at its end is brought down.
func TestScripts(t *testing.T) {
	t.Parallel()
	p := scriptParams()
	p.Dir = filepath.Join("testdata", "scripts")
	testscript.Run(t, p)
}

// scriptParams is what all scripts have in common.
func scriptParams() testscript.Params {
	return testscript.Params{
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: false,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"capture": capture,
			"etcdctl": etcdctlCommand,
			"certify": certify,
			"keys":    keysCommand, "members": membersCommand, "fingerprint": fingerprint, "freeze": freeze,
			"begin": begin, "await": await, "interrupt": interrupt, "ends": ends, "records": records,
			"holdings": holdingsCommand,
			"cmpout":   func(ts *testscript.TestScript, neg bool, args []string) { compare(ts, neg, args, "stdout") },
			"cmperr":   func(ts *testscript.TestScript, neg bool, args []string) { compare(ts, neg, args, "stderr") },
		},
	}
}

func setUp(env *testscript.Env) error {
	for name, folder := range map[string]string{"HOME": "home", "XDG_STATE_HOME": "state", "TMPDIR": "tmp"} {
		dir := filepath.Join(env.WorkDir, "."+folder)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		env.Setenv(name, dir)
	}
	env.Defer(func() { bringDown(env.T(), env.WorkDir) })
	env.Values[processesKey{}] = processes{}
	for _, name := range []string{"ETCDPLAY_ETCDS", "ETCDPLAY_NOSKIP", "ETCDPLAY_SCRIPT_ETCD"} {
		env.Setenv(name, os.Getenv(name))
	}
	books, err := filepath.Abs(filepath.Join("..", "..", "playbooks"))
	if err != nil {
		return err
	}
	env.Setenv("PLAYBOOKS", books)
	return nil
}

// bringDown ends all sandboxes below dir, whatever became of the script.
func bringDown(t testscript.T, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "sandbox.json" {
			return nil // what cannot be read is being removed, and is no sandbox
		}
		s, err := sandbox.Open(filepath.Dir(path))
		if err == nil {
			err = s.Down(ctx, false)
		}
		return err
	})
	if err != nil {
		t.Log("bringing sandboxes down: ", err)
		t.FailNow()
	}
}

func condition(name string) (bool, error) {
	switch version, isEtcd := strings.CutPrefix(name, "etcd:"); {
	case name == "long":
		return !testing.Short(), nil
	case name == "chosen":
		return os.Getenv("ETCDPLAY_SCRIPT_ETCD") != "", nil
	case name == "namespaces":
		out, err := exec.Command("unshare", "-rmn", "true").CombinedOutput()
		if err != nil && os.Getenv("ETCDPLAY_NOSKIP") == "1" {
			return false, fmt.Errorf("namespaces are needed, since ETCDPLAY_NOSKIP is 1: %w: %s", err, out)
		}
		return err == nil, nil
	case isEtcd:
		path := filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), version, "etcd")
		_, err := os.Stat(path)
		if err != nil && os.Getenv("ETCDPLAY_NOSKIP") == "1" {
			return false, fmt.Errorf("%s is needed, since ETCDPLAY_NOSKIP is 1: %w", path, err)
		}
		return err == nil, nil
	}
	return false, nil
}

// varying is what differs from run to run, and what stands for it.
var varying = []struct {
	pattern *regexp.Regexp
	stands  string
}{
	{regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{4}`), "RUN"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\b\d+(\.\d+)?m?s\b`), "TIME"},
}

// steady is text with all that varies replaced.
func steady(ts *testscript.TestScript, text string) string {
	text = strings.ReplaceAll(text, ts.Getenv("WORK"), "WORK")
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.stands)
	}
	return text
}

func compare(ts *testscript.TestScript, neg bool, args []string, which string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: cmpout FILE")
	}
	got, want := steady(ts, ts.ReadFile(which)), steady(ts, ts.ReadFile(args[0]))
	if got == want {
		return
	}
	ts.Fatalf("%s is not %s:\n%s\nwant:\n%s", which, args[0], got, want)
}

// exits runs a command that must end with the exit code given.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// capture keeps a piece of the last stdout for later commands.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("no match for %q in stdout", args[1])
	}
	ts.Setenv(args[0], found[len(found)-1])
}
