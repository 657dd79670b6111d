package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
)

// lab is real hosts on this machine, each with systemd, sshd and a network of
// its own (see testdata/lab/lab.sh). The program runs inside their network, as
// on an operator's machine. Only root can make one: `make lab-test`.
type lab struct {
	t       *testing.T
	dir     string
	script  string
	version string // of etcd
	hosts   int
	state   string // the folder of the program's records
	files   string // inventories
	env     []string
	// loopback says that clients are served on 127.0.0.1 of each host only.
	loopback bool
	// connection is what the inventory's connection says besides the login.
	connection string
	pki        string // the folder of certificates, where the cluster wants them and a password
	layout     string // of the inventory; empty is what an inventory says if it says nothing
}

// labPassword is that of etcd's user root, where the cluster wants one.
const labPassword = "lab-etcd-password"

func (l *lab) scheme() string {
	if l.pki != "" {
		return "https"
	}
	return "http"
}

// client is the client URL of a host.
func (l *lab) client(host int) string { return l.scheme() + "://" + address(host) + ":2379" }

// newLab boots a lab with an etcd of this minor release on its hosts, or skips.
// Labs do not see each other, so tests with one run side by side.
func newLab(t *testing.T, version string, hosts int) *lab {
	t.Helper()
	root := os.Getenv("ETCDPLAY_LAB")
	switch {
	case root == "":
		conntest.Skip(t, "ETCDPLAY_LAB does not name the folder for labs; make lab-test does")
	case runtime.GOOS != "linux" || os.Geteuid() != 0:
		conntest.Skip(t, "the lab needs Linux, and root for namespaces and containers")
	}
	for _, needed := range []string{"systemd-nspawn", "ip", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(needed); err != nil {
			conntest.Skip(t, "the lab needs the program "+needed)
		}
	}
	t.Parallel()
	script, err := filepath.Abs("../../testdata/lab/lab.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(root, "t")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{
		t: t, script: script, version: version, hosts: hosts, state: t.TempDir(), files: t.TempDir(),
		dir: dir,
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "down", l.dir).CombinedOutput(); err != nil {
			t.Errorf("the lab does not go down: %v\n%s", err, out)
		}
	})
	l.lab("up", l.dir, filepath.Join(root, "rootfs"), filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), version), fmt.Sprint(hosts))
	return l
}

// lab runs the lab's script.
func (l *lab) lab(args ...string) {
	l.t.Helper()
	if out, err := exec.Command(l.script, args...).CombinedOutput(); err != nil {
		l.t.Fatalf("lab.sh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ssh runs a command on a host, as root and by ssh's own program: what the tests
// do to the hosts does not go through what they test.
func (l *lab) ssh(host int, command string) string {
	l.t.Helper()
	out, err := l.remote(host, command)
	if err != nil {
		l.t.Fatalf("host %d: %s: %v", host, command, err)
	}
	return out
}

func (l *lab) remote(host int, command string) (string, error) {
	cmd := exec.Command(l.script, "exec", l.dir, "ssh", "-F", "none", "-i", filepath.Join(l.dir, "id"), "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile="+filepath.Join(l.dir, "known_hosts"), "root@"+address(host), "--", command)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s%s", err, out, errs.String())
	}
	return string(out), err
}

// listenOnAddress is what an inventory says of the client port of a host if it
// says nothing.
func listenOnAddress(host int) string {
	return "http://" + address(host) + ":2379,http://0.0.0.0:4001"
}

func address(host int) string  { return fmt.Sprintf("10.240.0.%d", host) }
func hostName(host int) string { return fmt.Sprintf("demo-etcd-%d", host) }

// dropin is the configuration of a member, as the shipped template says it for
// the defaults of an inventory.
func dropin(host int, initial []string, state, listen string) string {
	return fmt.Sprintf(`[Service]
ExecStart=
ExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS \
  --name="%[1]s" \
  --listen-peer-urls="http://0.0.0.0:2380" \
  --listen-client-urls="%[5]s" \
  --initial-advertise-peer-urls="http://%[2]s:2380" \
  --initial-cluster="%[3]s" \
  --initial-cluster-state="%[4]s" \
  --initial-cluster-token="lab-token" \
  --advertise-client-urls="http://%[2]s:2379"
`, hostName(host), address(host), strings.Join(initial, ","), state, listen)
}

// bootstrap makes a cluster of the first hosts, as Container Linux's own tool
// would have made it. In listen, %h stands for a host's address; empty is what an
// inventory says if it says nothing.
func (l *lab) bootstrap(members int, listen string) {
	l.t.Helper()
	args := []string{"cluster", l.dir, fmt.Sprint(members)}
	if listen != "" {
		args = append(args, listen)
	}
	l.lab(args...)
	l.loopback = strings.HasPrefix(listen, "http://127.0.0.1")
	for host := 1; host <= members; host++ {
		l.eventually(hostName(host)+" serves", func() bool {
			_, err := l.try(host, "endpoint", "health")
			return err == nil
		})
	}
	l.etcdctl(1, "put", "greeting", "hello")
}

// try runs etcdctl of the lab's release against the member of a host: from
// outside, unless clients are served on the host only.
func (l *lab) try(host int, args ...string) (string, error) {
	if l.loopback {
		return l.remote(host, "ETCDCTL_API=3 /opt/etcd/etcdctl --endpoints=http://127.0.0.1:2379 "+strings.Join(args, " "))
	}
	cmd := exec.Command(l.script, append([]string{
		"exec", l.dir, filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), l.version, "etcdctl"), "--endpoints=" + l.client(host),
	}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	if l.pki != "" {
		cmd.Env = append(cmd.Env, "ETCDCTL_CACERT="+l.pki+"/ca.pem", "ETCDCTL_CERT="+l.pki+"/client.pem", "ETCDCTL_KEY="+l.pki+"/client-key.pem", "ETCDCTL_USER=root:"+labPassword)
	}
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return string(out), err
}

// etcdctl runs it as try does, and it has to succeed: on a busy machine a leader
// may lose its lead at any time, and what was asked meanwhile is asked again.
func (l *lab) etcdctl(host int, args ...string) string {
	l.t.Helper()
	limit := time.Now().Add(time.Minute)
	for {
		out, err := l.try(host, append(args, "--command-timeout=60s")...)
		switch {
		case err == nil:
			return out
		case time.Now().After(limit) || !unled.MatchString(err.Error()):
			l.t.Fatalf("etcdctl %s: %v", strings.Join(args, " "), err)
		}
		l.t.Logf("once more: etcdctl %s: %v", strings.Join(args, " "), err)
		time.Sleep(time.Second)
	}
}

// unled matches what etcd says while it elects another leader.
var unled = regexp.MustCompile(`leader changed|no leader|etcdserver: request timed out`)

func (l *lab) eventually(what string, ok func() bool) {
	l.t.Helper()
	limit := time.Now().Add(3 * time.Minute) // of a slow machine
	for !ok() {
		if time.Now().After(limit) {
			l.t.Fatalf("not within 3 minutes: %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// inventory writes the inventory of the lab. member is what the block of a host
// says besides its address.
func (l *lab) inventory(user string, members int, member func(host int) string) string {
	l.t.Helper()
	become := ""
	switch user {
	case "root":
	case "ops":
		l.env = append(l.env, "OPS_PASSWORD=lab-ops-password")
		become = "\n  become = \"sudo\"\n  become_password_env = \"OPS_PASSWORD\""
	default:
		become = "\n  become = \"sudo\""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `inventory {
  language = 1
}

connection "ssh" {
  user           = %q
  identity_files = [%q]
  known_hosts    = %q%s
}

cluster "lab" {
  token   = "lab-token"
  members = [`, user, filepath.Join(l.dir, "id"), filepath.Join(l.dir, "known_hosts"), become+l.connection)
	for host := 1; host <= members; host++ {
		fmt.Fprintf(&b, "%q, ", hostName(host))
	}
	b.WriteString("]\n")
	if l.layout != "" {
		fmt.Fprintf(&b, "  layout  = %q\n", l.layout)
	}
	b.WriteString(l.securityBlocks() + "}\n")
	for host := 1; host <= l.hosts; host++ {
		more := ""
		if member != nil {
			more = member(host)
		}
		fmt.Fprintf(&b, "\nhost %q {\n  address = %q\n%s}\n", hostName(host), address(host), more)
	}
	path := filepath.Join(l.files, fmt.Sprintf("%s-%d.hcl", user, members))
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// command is etcdplay inside the hosts' network, in the environment of somebody
// whose ssh agent has gone.
func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.script, append([]string{"exec", l.dir, "etcdplay"}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+l.state, "HOME="+l.files, "SSH_AUTH_SOCK="+filepath.Join(l.dir, "gone"), "NO_COLOR=1")
	cmd.Env = append(cmd.Env, l.env...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// etcdplay runs the program, which must end with this exit code, and returns all
// it printed.
func (l *lab) etcdplay(code int, args ...string) string {
	l.t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := l.command(ctx, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		l.t.Fatalf("etcdplay %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, out)
	}
	l.t.Logf("%.1f s: etcdplay %s", time.Since(begun).Seconds(), args[0]+" "+args[1])
	return string(out)
}

// member is one of the cluster, as etcdctl tells.
type labMember struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner"`
}

// members lists those of the cluster, by name.
func (l *lab) members(via int) map[string]labMember {
	l.t.Helper()
	var list struct {
		Members []labMember `json:"members"`
	}
	if err := json.Unmarshal([]byte(l.etcdctl(via, "member", "list", "-w", "json")), &list); err != nil {
		l.t.Fatal(err)
	}
	byName := map[string]labMember{}
	for _, m := range list.Members {
		byName[m.Name] = m
	}
	return byName
}

// whole fails unless the cluster has exactly these hosts as healthy voters, with
// the data that bootstrap wrote.
func (l *lab) whole(hosts ...int) {
	l.t.Helper()
	got := l.members(hosts[0])
	for _, host := range hosts {
		m, ok := got[hostName(host)]
		if !ok || m.IsLearner || !slices.Equal(m.PeerURLs, []string{l.scheme() + "://" + address(host) + ":2380"}) {
			l.t.Errorf("member %s: %+v", hostName(host), m)
		}
		l.etcdctl(host, "endpoint", "health")
		if out := l.etcdctl(host, "get", "greeting", "--print-value-only", "--consistency=s"); out != "hello\n" {
			l.t.Errorf("%s has the greeting %q", hostName(host), out)
		}
	}
	if len(got) != len(hosts) {
		l.t.Errorf("members %v, want hosts %v", got, hosts)
	}
}

// wreck kills the member on a host and spoils its log. Without any log it could
// come back to life under its old ID.
func (l *lab) wreck(host int) {
	l.t.Helper()
	unit, data := l.service()
	l.ssh(host, fmt.Sprintf(`systemctl kill -s KILL %[1]s
for f in %[2]s/member/wal/*.wal; do head -c 4096 /dev/urandom | dd of="$f" conv=notrunc status=none || exit 1; done
systemctl kill -s KILL %[1]s; true`, unit, data))
}

// service is the unit of etcd in the lab's layout, and its data directory.
func (l *lab) service() (unit, data string) {
	if l.layout == "debian" {
		return "etcd", "/var/lib/etcd/default"
	}
	return "etcd-member", "/var/lib/etcd"
}
