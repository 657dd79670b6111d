package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestLabDebian works on Debian's own etcd.service, which is configured by
// variables in /etc/default/etcd: a member joins, one is replaced, and a flag
// that Debian's etcd does not know is found before the unit is started.
func TestLabDebian(t *testing.T) {
	l := newLab(t, "3.4", 4) // Debian's release
	var initial []string
	for host := 1; host <= 3; host++ {
		initial = append(initial, hostName(host)+"=http://"+address(host)+":2380")
	}
	for host := 1; host <= 4; host++ {
		// As the package leaves it, were it not masked for the other tests; what an
		// operator has to do there first comes below.
		l.ssh(host, "rm -f /etc/systemd/system/etcd.service && systemctl daemon-reload")
		if host < 4 {
			l.ssh(host, "cat >/etc/default/etcd <<'EOF'\n"+debianFile(host, initial)+"EOF\nsystemctl start --no-block etcd")
		}
	}
	for host := 1; host <= 3; host++ {
		l.eventually(hostName(host)+" serves", func() bool {
			_, err := l.try(host, "endpoint", "health")
			return err == nil
		})
	}
	l.etcdctl(1, "put", "greeting", "hello")

	out := l.etcdplay(1, "run", "scale", "--yes", "-i", l.debian("core", 3), "--var", "new="+hostName(4))
	if !strings.Contains(out, "chown root: DIR") {
		t.Errorf("a folder that etcd could swap:\n%s", out)
	}
	for host := 1; host <= 4; host++ {
		l.ssh(host, "chown root: /var/lib/etcd && chmod 0755 /var/lib/etcd")
	}
	l.etcdplay(0, "run", "scale", "--yes", "-i", l.debian("core", 3), "--var", "new="+hostName(4))
	l.whole(1, 2, 3, 4)

	l.ssh(2, `systemctl kill -s KILL etcd
for f in /var/lib/etcd/default/member/wal/*.wal; do head -c 4096 /dev/urandom | dd of="$f" conv=notrunc status=none || exit 1; done
systemctl kill -s KILL etcd; true`)
	l.ssh(2, "mkdir -p /etc/systemd/system/etcd.service.d && printf '[Service]\\nEnvironment=DAEMON_ARGS=--feature-gates=X=true\\n' >/etc/systemd/system/etcd.service.d/10-flags.conf && systemctl daemon-reload")
	inventory := l.debian("ops", 4)
	out = l.etcdplay(1, "run", "replace-member", "--yes", "-i", inventory, "--var", "failed="+hostName(2))
	if !strings.Contains(out, "does not know --feature-gates") {
		t.Errorf("a flag of another release:\n%s", out)
	}
	if got := l.members(1); len(got) != 3 {
		t.Errorf("members after the rescue: %v", got)
	}
	l.ssh(2, "rm /etc/systemd/system/etcd.service.d/10-flags.conf && systemctl daemon-reload")
	l.etcdplay(0, "resume", "--yes")
	l.whole(1, 2, 3, 4)

	for _, host := range []int{2, 4} {
		file := l.ssh(host, "cat /etc/default/etcd")
		if !strings.Contains(file, `ETCD_INITIAL_CLUSTER_STATE="existing"`) || !strings.Contains(file, fmt.Sprintf("ETCD_NAME=%q", hostName(host))) {
			t.Errorf("/etc/default/etcd of %s:\n%s", hostName(host), file)
		}
		if out := l.ssh(host, "ls /etc/systemd/system/etcd.service.d 2>/dev/null; true"); strings.TrimSpace(out) != "" {
			t.Errorf("%s has drop-ins too: %s", hostName(host), out)
		}
		if owner := l.ssh(host, "stat -c %U:%a /var/lib/etcd/default"); owner != "etcd:700\n" {
			t.Errorf("the data directory of %s is %s", hostName(host), owner)
		}
	}
}

// debianFile configures a first member.
func debianFile(host int, initial []string) string {
	a := address(host)
	return fmt.Sprintf(`ETCD_NAME="%s"
ETCD_LISTEN_PEER_URLS="http://0.0.0.0:2380"
ETCD_LISTEN_CLIENT_URLS="http://%[2]s:2379,http://0.0.0.0:4001"
ETCD_INITIAL_ADVERTISE_PEER_URLS="http://%[2]s:2380"
ETCD_ADVERTISE_CLIENT_URLS="http://%[2]s:2379"
ETCD_INITIAL_CLUSTER="%[3]s"
ETCD_INITIAL_CLUSTER_STATE="new"
ETCD_INITIAL_CLUSTER_TOKEN="lab-token"
`, hostName(host), a, strings.Join(initial, ","))
}

// debian is the inventory of the lab with Debian's layout.
func (l *lab) debian(user string, members int) string {
	l.t.Helper()
	path := l.inventory(user, members, nil)
	text, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "cluster \"lab\" {", "cluster \"lab\" {\n  layout = \"debian\"", 1)), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}
