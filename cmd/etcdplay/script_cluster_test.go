package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// answerTimeout is for what a script asks of a cluster.
const answerTimeout = 30 * time.Second

// box is the sandbox of the script.
func box(ts *testscript.TestScript) *sandbox.Sandbox {
	s, err := sandbox.Open(filepath.Join(ts.Getenv("XDG_STATE_HOME"), "etcdplay", "sandboxes", "demo"))
	ts.Check(err)
	return s
}

// clientURLs are the addresses of the hosts named, or of all.
func clientURLs(ts *testscript.TestScript, names []string) []string {
	var urls []string
	for _, h := range box(ts).Hosts() {
		if len(names) == 0 || slices.Contains(names, h.Name) {
			urls = append(urls, h.ClientURL())
		}
	}
	if len(urls) == 0 {
		ts.Fatalf("no such hosts: %v", names)
	}
	return urls
}

// boxClient is a client of the sandbox's members, as its inventory has it.
func boxClient(s *sandbox.Sandbox, urls []string) (*clientv3.Client, error) {
	password, err := sandboxPassword(s)
	if err != nil {
		return nil, err
	}
	return sandboxClient(s, urls, password)
}

// etcdctlCommand runs the etcdctl of one release against the host named, from
// outside: with what the inventory of the script's sandbox names, and with none
// of our code.
func etcdctlCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: [!] etcdctl VERSION HOST ARGUMENT…")
	}
	s := box(ts)
	cmd := exec.Command(filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), args[0], "etcdctl"), args[2:]...)
	names := []string{"CACERT", "CERT", "KEY", "USER"}
	if s.API() == 2 {
		names = []string{"CA_FILE", "CERT_FILE", "KEY_FILE", "USERNAME"}
	}
	cmd.Env = []string{"ETCDCTL_ENDPOINTS=" + clientURLs(ts, args[1:2])[0]}
	if args[0] == "3.4" {
		cmd.Env = append(cmd.Env, fmt.Sprintf("ETCDCTL_API=%d", s.API()))
	}
	ca, cert, key := s.ClientFiles()
	password, err := sandboxPassword(s)
	ts.Check(err)
	if password != "" {
		password = root + ":" + password
	}
	for i, value := range []string{ca, cert, key, password} {
		if value != "" {
			cmd.Env = append(cmd.Env, "ETCDCTL_"+names[i]+"="+value)
		}
	}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	if err := cmd.Run(); (err != nil) != neg {
		ts.Fatalf("etcdctl %s: %v", strings.Join(args, " "), err)
	}
}

// keysCommand writes keys, and finds them again.
func keysCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: keys write|read COUNT [HOST…]")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	urls := clientURLs(ts, args[2:])
	client, err := boxClient(box(ts), urls)
	ts.Check(err)
	defer client.Close()
	k := keys{client: client, count: count}
	switch args[0] {
	case "write":
		ts.Check(k.write(ctx))
	case "read":
		ts.Check(k.check(ctx))
		if len(args) > 2 {
			_, _, err := k.hash(ctx, urls)
			ts.Check(err)
		}
	default:
		ts.Fatalf("keys %s?", args[0])
	}
}

// membersCommand prints the members as the first host that answers has them.
func membersCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: members [HOST…]")
	}
	for _, url := range clientURLs(ts, args) {
		if text, _ := membersOf(box(ts), url); text != "" {
			fmt.Fprint(ts.Stdout(), text)
			return
		}
	}
	ts.Fatalf("nobody answers")
}

// membersOf is one line a member, as the server at url remembers them, and its
// revision. Without an answer both are empty.
func membersOf(s *sandbox.Sandbox, url string) (members, revision string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, addr, _ := strings.Cut(url, "://")
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", "" // the client would try again until the end of its time
	}
	_ = c.Close()
	client, err := boxClient(s, []string{url})
	if err != nil {
		return "", ""
	}
	defer client.Close()
	list, err := client.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return "", ""
	}
	status, err := client.Status(ctx, url)
	if err != nil {
		return "", ""
	}
	var lines []string
	for _, m := range list.Members {
		name, vote := m.Name, "voter"
		if name == "" {
			name = "(unstarted)"
		}
		if m.IsLearner {
			vote = "learner"
		}
		lines = append(lines, fmt.Sprintf("%s %s %x\n", name, vote, m.ID))
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), fmt.Sprintf("revision %d\n", status.Header.Revision)
}

// fingerprint writes all that a command which changes nothing has to leave as it
// is: each file of the hosts, what etcd and its journal write by themselves
// aside, and for each host that answers its members and its revision.
func fingerprint(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: fingerprint FILE")
	}
	s := box(ts)
	var b strings.Builder
	root := filepath.Join(s.Dir, "hosts")
	ts.Check(filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch _, below, _ := strings.Cut(rel, "/"); {
		case strings.HasPrefix(below, strings.TrimPrefix(s.DataDir(), "/")+"/member/"), strings.HasPrefix(below, "var/log/"):
			return nil
		case info.Mode().IsRegular():
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s %x\n", info.Mode(), rel, sha256.Sum256(raw))
		default:
			fmt.Fprintf(&b, "%s %s\n", info.Mode(), rel)
		}
		return nil
	}))
	for _, h := range s.Hosts() {
		catchUp(s, h.ClientURL())
		members, revision := membersOf(s, h.ClientURL())
		fmt.Fprint(&b, h.Name, "\n", members, revision)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// catchUp waits until a member has applied what was written before, if it can.
func catchUp(s *sandbox.Sandbox, url string) {
	if members, _ := membersOf(s, url); members == "" {
		return // it does not answer
	}
	client, err := boxClient(s, []string{url})
	if err != nil {
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _ = client.Get(ctx, "any") // without a quorum nobody can tell what it lacks
}

// freeze stops the etcd process of a host in the middle of what it does: its
// port takes connections, and nobody answers. With ! it goes on.
func freeze(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] freeze HOST")
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	host, err := box(ts).Host(ctx, args[0])
	ts.Check(err)
	unit, err := host.Unit(ctx, box(ts).Unit())
	ts.Check(err)
	if unit.MainPID <= 0 {
		ts.Fatalf("%s runs no etcd", args[0])
	}
	if neg {
		ts.Check(syscall.Kill(unit.MainPID, syscall.SIGCONT))
		return
	}
	ts.Check(syscall.Kill(unit.MainPID, syscall.SIGSTOP))
	ts.Defer(func() {
		// It may have ended since, and then there is nothing to do.
		_ = syscall.Kill(unit.MainPID, syscall.SIGCONT)
	})
}
