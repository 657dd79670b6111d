package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestLabDebian works on Debian's own etcd.service, which is configured by
// variables in /etc/default/etcd: the clusters of one that the package makes are
// cleared away, three hosts begin a cluster, a member joins, one is replaced, and
// a flag that Debian's etcd does not know is found before the unit is started.
func TestLabDebian(t *testing.T) {
	l := newLab(t, "3.4", 4) // Debian's release
	l.installed(3)
	l.clearPackage("core")
	l.etcdctl(1, "put", "greeting", "hello")
	l.whole(1, 2, 3)

	out := l.etcdplay(1, "run", "scale", "--yes", "-i", l.inventory("core", 3, nil), "--var", "new="+hostName(4))
	if !strings.Contains(strings.Join(strings.Fields(out), " "), "chown root: /var/lib/etcd && chmod 0755 /var/lib/etcd.") {
		t.Errorf("a folder that etcd could swap:\n%s", out)
	}
	l.rooted(4)
	l.etcdplay(0, "run", "scale", "--yes", "-i", l.inventory("core", 3, nil), "--var", "new="+hostName(4))
	l.whole(1, 2, 3, 4)

	l.wreck(2)
	l.ssh(2, "mkdir -p /etc/systemd/system/etcd.service.d && printf '[Service]\\nEnvironment=DAEMON_ARGS=--feature-gates=X=true\\n' >/etc/systemd/system/etcd.service.d/10-flags.conf && systemctl daemon-reload")
	inventory := l.inventory("ops", 4, nil)
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

	// A restore would move what lies in that folder, once everything is stopped.
	l.ssh(1, "chown etcd: /var/lib/etcd")
	out = l.etcdplay(1, "plan", "restore-v3", "-i", inventory, "--var", "even_if_healthy=true", "--var", "snapshot=/var/tmp/none.db", "--var", "snapshot_on="+hostName(1))
	if !strings.Contains(strings.Join(strings.Fields(out), " "), "Once, on "+hostName(1)+": chown root: /var/lib/etcd && chmod 0755 /var/lib/etcd.") {
		t.Errorf("a restore over a folder that etcd could swap:\n%s", out)
	}
}

// TestLabDebianSecured is the life of a cluster with certificates and a password
// in Debian's layout: what members are told, they are told by variables.
func TestLabDebianSecured(t *testing.T) {
	f := &life{lab: newLab(t, "3.4", 4), user: "core"}
	f.installed(0)
	f.certificates()
	for host := 1; host <= 4; host++ {
		f.rooted(host)
	}
	f.begin()
	f.scale()
	f.snapshot()
	f.replace()
	f.restore()
	f.recover()
	f.keptSecret()
	file := f.ssh(1, "cat /etc/default/etcd")
	for _, want := range []string{`ETCD_CLIENT_CERT_AUTH="true"`, `ETCD_PEER_KEY_FILE="` + labCerts + `/member-key.pem"`, `ETCD_INITIAL_CLUSTER_STATE="existing"`} {
		if !strings.Contains(file, want) {
			t.Errorf("/etc/default/etcd has no %s:\n%s", want, file)
		}
	}
}

// installed makes the lab one of Debian's layout, with every host as the package
// leaves it; on the first of them its cluster of one runs.
func (l *lab) installed(running int) {
	l.t.Helper()
	l.layout = "debian"
	for host := 1; host <= l.hosts; host++ {
		// It is masked for the other tests.
		l.ssh(host, "rm -f /etc/systemd/system/etcd.service && systemctl daemon-reload")
		if host <= running {
			l.ssh(host, "systemctl start etcd")
		}
	}
}

// clearPackage makes a cluster of the first three hosts, which run the package's
// own, each by itself.
func (l *lab) clearPackage(user string) {
	l.t.Helper()
	inventory := l.inventory(user, 3, nil)
	begin := []string{"run", "bootstrap", "--yes", "-i", inventory}
	clear := []string{"run", "clear-package", "--yes", "-i", inventory, "--var", "hosts=" + hostName(1) + "," + hostName(2) + "," + hostName(3)}
	if out := l.etcdplay(1, begin...); strings.Count(out, "clear-package") != 3 {
		l.t.Errorf("a bootstrap over the package's clusters:\n%s", out)
	}
	l.etcdplay(0, clear...)
	if out := l.etcdplay(1, begin...); !strings.Contains(strings.Join(strings.Fields(out), " "), "chown root: /var/lib/etcd && chmod 0755 /var/lib/etcd.") {
		l.t.Errorf("a folder that etcd could swap:\n%s", out)
	}
	for host := 1; host <= 3; host++ {
		l.rooted(host)
	}
	l.etcdplay(0, begin...)
	for host := 1; host <= 3; host++ {
		if out := l.ssh(host, "ls -d /var/lib/etcd/default.package-*/member"); strings.Count(out, "\n") != 1 {
			l.t.Errorf("the package's data on %s: %q", hostName(host), out)
		}
	}
}

// rooted gives the folder of the data directory to root, as an operator has to do
// once where Debian's package gave it to etcd.
func (l *lab) rooted(host int) {
	l.t.Helper()
	l.ssh(host, "chown root: /var/lib/etcd && chmod 0755 /var/lib/etcd")
}
