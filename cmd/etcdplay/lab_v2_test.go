package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLabForceNewCluster loses the quorum of a cluster that speaks API 2 on real
// hosts: one machine is gone, one member is dead, and the third goes on with what
// it has; once etcdplay is killed in the middle of that, and that host booted. All
// is looked at with etcdctl.
func TestLabForceNewCluster(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "secured"}[secured], func(t *testing.T) {
			l := newLab(t, "3.4", 5)
			for host := 1; host <= 5; host++ {
				l.ssh(host, `mkdir -p /etc/systemd/system/etcd-member.service.d && printf '[Service]\nEnvironment="ETCD_ENABLE_V2=true"\n' >/etc/systemd/system/etcd-member.service.d/10-v2.conf && systemctl daemon-reload`)
			}
			if secured {
				l.certificates()
				l.bootstrapTLS(4)
				l.lock2()
			} else {
				l.bootstrap(4, "")
			}
			l.ctl2(1, "set", "/kept", "precious")
			l.forceNewCluster(l.speaks2(l.inventory("core", 4, nil)), !secured)
		})
	}
}

// speaks2 makes an inventory one of a cluster that speaks API 2.
func (l *lab) speaks2(inventory string) string {
	l.t.Helper()
	raw, err := os.ReadFile(inventory)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(inventory, []byte(strings.Replace(string(raw), "token   =", "api     = 2\n  token   =", 1)), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return inventory
}

// lock2 wants a password of everybody over API 2 from now on, also of guests.
func (l *lab) lock2() {
	l.t.Helper()
	l.ctl2(1, "user", "add", "root:"+labPassword)
	l.ctl2(1, "auth", "enable")
	l.ctl2(1, "role", "remove", "guest")
	cmd := exec.Command(l.script, "exec", l.dir, filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), l.version, "etcdctl"),
		"--ca-file="+l.pki+"/ca.pem", "--cert-file="+l.pki+"/client.pem", "--key-file="+l.pki+"/client-key.pem", "--endpoints="+l.client(1), "set", "/kept", "by nobody")
	cmd.Env = append(os.Environ(), "ETCDCTL_API=2")
	if out, err := cmd.CombinedOutput(); err == nil {
		l.t.Errorf("nobody can write: %s", out)
	}
}

func (l *lab) forceNewCluster(inventory string, booted bool) {
	l.t.Helper()
	l.ssh(2, "systemctl enable etcd-member")
	l.lab("kill", l.dir, "4")
	l.wreck(3)
	l.ssh(2, "systemctl stop etcd-member")
	l.ssh(3, "systemctl stop etcd-member")
	if out, err := l.try2(1, "--timeout", "2s", "set", "/kept", "lost"); err == nil {
		l.t.Fatalf("a write went through without a quorum: %s", out)
	}

	run := []string{
		"run", "force-new-cluster-v2", "--yes", "--confirm=lab goes on with " + hostName(1), "-i", inventory,
		"--var", "survivor=" + hostName(1), "--var", "lost=" + hostName(4), "--var", "rejoin=" + hostName(3) + "," + hostName(5),
	}
	var out string
	if booted {
		out = l.forceBooted(run)
	} else {
		out = l.etcdplay(0, run...)
	}
	for _, want := range []string{"Output members = 3", `Output held = ["` + hostName(2) + `"]`} {
		if !strings.Contains(out, want) {
			l.t.Errorf("the output lacks %s:\n%s", want, out)
		}
	}
	l.whole2(1, 3, 5)
	if out := l.ssh(3, "ls -d /var/lib/etcd.before-*/member"); !strings.HasPrefix(out, "/var/lib/etcd.before-") {
		l.t.Errorf("old data: %q", out)
	}
	if out := l.ssh(1, "cat /var/lib/etcd_backup/*/BACKUP.json; ls /var/lib/etcd_backup/*/member/snap/db"); !strings.Contains(out, `"with_v3": true`) {
		l.t.Errorf("backup: %q", out)
	}
	for _, host := range []int{1, 3, 5} {
		shown := l.ssh(host, "systemctl show -p Environment -p NeedDaemonReload etcd-member; ls /run/systemd/system/etcd-member.service.d 2>/dev/null || true")
		if strings.Contains(shown, "FORCE") || strings.Contains(shown, "force") || !strings.Contains(shown, "NeedDaemonReload=no") {
			l.t.Errorf("%s: %s", hostName(host), shown)
		}
	}

	// The next start throws nobody out.
	l.ssh(1, "systemctl restart etcd-member")
	l.eventually("healthy after a restart", func() bool {
		out, err := l.try2(3, "cluster-health")
		return err == nil && strings.Contains(out, "cluster is healthy")
	})
	l.whole2(1, 3, 5)

	// What was held stays so, by hand and by a boot.
	l.ssh(2, "systemctl start etcd-member; true")
	l.lab("kill", l.dir, "2")
	l.lab("boot", l.dir, "2")
	if out := l.ssh(2, "systemctl is-system-running --wait >/dev/null; systemctl is-enabled etcd-member; systemctl show -p ActiveState -p MainPID etcd-member"); !strings.Contains(out, "enabled") || !strings.Contains(out, "ActiveState=inactive") || !strings.Contains(out, "MainPID=0") {
		l.t.Errorf("what was held has been started: %s", out)
	}

	// The machine that was lost comes back with its data: it cannot join.
	l.lab("boot", l.dir, "4")
	l.ssh(4, "systemctl start --no-block etcd-member")
	l.eventually("the old member is told that it was removed", func() bool {
		return strings.Contains(l.ssh(4, "journalctl -u etcd-member --no-pager | tail -100"), "removed")
	})
	l.whole2(1, 3, 5)

	// The machine that was held joins again, by the playbook for one host.
	raw, err := os.ReadFile(inventory)
	if err != nil {
		l.t.Fatal(err)
	}
	now := strings.Replace(string(raw), fmt.Sprintf("%q, %q, %q, %q, ", hostName(1), hostName(2), hostName(3), hostName(4)), fmt.Sprintf("%q, %q, %q", hostName(1), hostName(3), hostName(5)), 1)
	l.etcdplay(0, "run", "join-member-v2", "--yes", "-i", l.file("three.hcl", now), "--var", "new="+hostName(2), "--var", "set_old_data_aside=true")
	l.whole2(1, 2, 3, 5)
}

// forceBooted kills etcdplay once the survivor is set to force a new cluster, and
// boots that host, on which etcd comes up by itself. One resume has to do.
func (l *lab) forceBooted(run []string) (out string) {
	l.t.Helper()
	l.ssh(1, "systemctl enable etcd-member")
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := l.command(ctx, append([]string{"--json"}, run...)...)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	killed, forced := false, false
	for lines.Scan() {
		if !killed && strings.Contains(lines.Text(), `"task.force_on: ok"`) {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				l.t.Error(err)
			}
		}
		forced = forced || strings.Contains(lines.Text(), `"type":"task_start"`) && strings.Contains(lines.Text(), `"task":"task.alone"`)
	}
	_ = cmd.Wait() // it was killed
	l.lab("kill", l.dir, "1")
	l.lab("boot", l.dir, "1")
	l.eventually("etcd runs again", func() bool {
		return strings.Contains(l.ssh(1, "systemctl show -p ActiveState etcd-member"), "ActiveState=activ")
	})
	out = l.etcdplay(0, "resume", "--yes", run[3])
	for _, task := range []string{"task.down", "task.force_on"} {
		if again := strings.Contains(out, task+" on "+hostName(1)+" is done again"); !again && !forced {
			l.t.Errorf("the output does not say that %s is done again:\n%s", task, out)
		}
	}
	return out
}

// try2 runs etcdctl over API 2 against the member of a host.
func (l *lab) try2(host int, args ...string) (string, error) {
	cmd := exec.Command(l.script, append([]string{
		"exec", l.dir, filepath.Join(os.Getenv("ETCDPLAY_ETCDS"), l.version, "etcdctl"), "--endpoints=" + l.client(host),
	}, args...)...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=2")
	if l.pki != "" {
		cmd.Env = append(cmd.Env, "ETCDCTL_CA_FILE="+l.pki+"/ca.pem", "ETCDCTL_CERT_FILE="+l.pki+"/client.pem", "ETCDCTL_KEY_FILE="+l.pki+"/client-key.pem", "ETCDCTL_USERNAME=root:"+labPassword)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

func (l *lab) ctl2(host int, args ...string) string {
	l.t.Helper()
	out, err := l.try2(host, append([]string{"--timeout=30s", "--total-timeout=60s"}, args...)...)
	if err != nil {
		l.t.Fatalf("etcdctl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// whole2 fails unless the cluster has exactly these hosts as healthy members,
// with the data that was there before, and takes writes.
func (l *lab) whole2(hosts ...int) {
	l.t.Helper()
	list := l.ctl2(hosts[0], "member", "list")
	if got := strings.Count(list, "name="); got != len(hosts) {
		l.t.Errorf("%d members, want %d:\n%s", got, len(hosts), list)
	}
	if out := l.ctl2(hosts[0], "cluster-health"); !strings.Contains(out, "cluster is healthy") {
		l.t.Errorf("health: %s", out)
	}
	for _, host := range hosts {
		if !strings.Contains(list, fmt.Sprintf("name=%s peerURLs=%s://%s:2380", hostName(host), l.scheme(), address(host))) {
			l.t.Errorf("%s is not in the list:\n%s", hostName(host), list)
		}
		if out := l.ctl2(host, "get", "/kept"); out != "precious\n" {
			l.t.Errorf("%s has %q", hostName(host), out)
		}
		l.ctl2(host, "set", "/new", hostName(host))
	}
}
