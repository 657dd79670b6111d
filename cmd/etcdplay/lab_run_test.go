package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// labCases are releases of etcd and users: each release and each user once a
// day, all of them with ETCDPLAY_LAB_MATRIX=all.
func labCases() [][2]string {
	versions, users := []string{"3.4", "3.5", "3.6", "3.7"}, []string{"root", "core", "ops", "csh"}
	var cases [][2]string
	for i, v := range versions {
		for j, u := range users {
			if i == j || os.Getenv("ETCDPLAY_LAB_MATRIX") == "all" {
				cases = append(cases, [2]string{v, u})
			}
		}
	}
	return cases
}

// TestLabScaleAndReplace grows a cluster by two members, one run each, and
// replaces one that was killed.
func TestLabScaleAndReplace(t *testing.T) {
	for _, c := range labCases() {
		t.Run(c[0]+"-"+c[1], func(t *testing.T) {
			l := newLab(t, c[0], 5)
			l.bootstrap(3, "")
			for n := 4; n <= 5; n++ {
				l.etcdplay(0, "run", "scale", "--yes", "-i", l.inventory(c[1], n-1, nil), "--var", "new="+hostName(n))
				var hosts []int
				for host := 1; host <= n; host++ {
					hosts = append(hosts, host)
				}
				l.whole(hosts...)
				l.sameDropin(n, hosts)
			}
			before := l.members(1)[hostName(2)]
			l.wreck(2)
			l.etcdplay(0, "run", "replace-member", "--yes", "-i", l.inventory(c[1], 5, nil), "--var", "failed="+hostName(2))
			l.whole(1, 2, 3, 4, 5)
			l.sameDropin(2, []int{1, 2, 3, 4, 5})
			if after := l.members(1)[hostName(2)]; after.ID == before.ID {
				t.Errorf("the member of %s still has the ID %x", hostName(2), after.ID)
			}
			if out := l.ssh(2, "ls -d /var/lib/etcd.replaced-*"); !strings.HasPrefix(out, "/var/lib/etcd.replaced-") {
				t.Errorf("old data: %q", out)
			}
		})
	}
}

// sameDropin compares the drop-in of a member that joined with what the template
// says, byte for byte but for the order of the initial cluster, which is etcd's.
func (l *lab) sameDropin(host int, hosts []int) {
	l.t.Helper()
	got := l.ssh(host, "cat "+dropinPath)
	_, rest, _ := strings.Cut(got, `--initial-cluster="`)
	listed, _, _ := strings.Cut(rest, `"`)
	initial := strings.Split(listed, ",")
	if want := dropin(host, initial, "existing", listenOnAddress(host)); got != want {
		l.t.Errorf("drop-in of %s:\n%s\nwant\n%s", hostName(host), got, want)
	}
	for _, h := range hosts {
		if member := fmt.Sprintf("%s=http://%s:2380", hostName(h), address(h)); strings.Count(listed, member) != 1 || len(initial) != len(hosts) {
			l.t.Errorf("initial cluster of %s is %s, and has to have %s", hostName(host), listed, member)
		}
	}
	if out := l.ssh(host, "stat -c '%a %U:%G' "+dropinPath); out != "644 root:root\n" {
		l.t.Errorf("the drop-in of %s has %s", hostName(host), out)
	}
}

// TestLabLoopback serves clients on 127.0.0.1 of the hosts only, so that nothing
// but the connection to each host leads to its etcd.
func TestLabLoopback(t *testing.T) {
	l := newLab(t, "3.6", 4)
	const listen = "http://127.0.0.1:2379"
	l.bootstrap(3, listen)
	member := func(int) string { return "  member {\n    listen_client_urls = [\"" + listen + "\"]\n  }\n" }
	l.etcdplay(0, "run", "scale", "--yes", "-i", l.inventory("core", 3, member), "--var", "new="+hostName(4))
	l.whole(1, 2, 3, 4)
	if got := l.ssh(4, "cat "+dropinPath); !strings.Contains(got, `--listen-client-urls="`+listen+`"`) {
		t.Errorf("drop-in: %s", got)
	}
	l.wreck(3)
	l.etcdplay(0, "run", "replace-member", "--yes", "-i", l.inventory("core", 4, member), "--var", "failed="+hostName(3))
	l.whole(1, 2, 3, 4)
}

// TestLabGone replaces a member whose machine is no more by one on a spare host.
func TestLabGone(t *testing.T) {
	l := newLab(t, "3.6", 4)
	l.bootstrap(3, "")
	l.lab("destroy", l.dir, "2")
	l.etcdplay(0, "run", "replace-member", "--yes", "-i", l.inventory("core", 3, nil),
		"--var", "failed="+hostName(2), "--var", "replacement="+hostName(4))
	l.whole(1, 3, 4)
}

// TestLabHostKeys holds that a host whose key is not the known one ends the
// command before anything is done, with what the operator has to look at.
func TestLabHostKeys(t *testing.T) {
	l := newLab(t, "3.6", 4)
	l.bootstrap(3, "")
	inventory := l.inventory("core", 3, nil)
	known := filepath.Join(l.dir, "known_hosts")
	right, err := os.ReadFile(known)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := strings.Fields(l.ssh(2, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
	lines := strings.SplitAfter(string(right), "\n")
	before := l.logins()
	for _, c := range []struct{ name, content, want string }{
		{"unknown", lines[0] + lines[2] + lines[3], known},
		{"changed", lines[0] + strings.Replace(lines[2], address(3), address(2), 1) + lines[2] + lines[3], known + ":2"},
		{"revoked", strings.Join(lines, "") + "@revoked " + lines[1], known + ":5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(known, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"run", "scale", "--yes", "-i", inventory, "--var", "new=" + hostName(4)},
				{"run", "replace-member", "--yes", "-i", inventory, "--var", "failed=" + hostName(2), "--var", "even_if_healthy=true"},
			} {
				out := l.etcdplay(7, args...)
				flat := strings.Join(strings.Fields(out), " ")
				if !strings.Contains(flat, fingerprint) || !strings.Contains(strings.ReplaceAll(flat, " ", ""), c.want) {
					t.Errorf("want the fingerprint %s and the file %s in:\n%s", fingerprint, c.want, out)
				}
				if strings.Contains(out, "Phase") {
					t.Errorf("it went on to a plan:\n%s", out)
				}
			}
		})
	}
	if err := os.WriteFile(known, right, 0o600); err != nil {
		t.Fatal(err)
	}
	l.whole(1, 2, 3)
	// The hosts with the right keys were logged in to, at most. The spare, which
	// comes later in every plan, was not contacted at all.
	if after := l.logins(); after[4] != before[4] || after[2] != before[2] {
		t.Errorf("logins as core before %v and after %v", before, after)
	}
	l.etcdplay(0, "plan", "scale", "-i", inventory, "--var", "new="+hostName(4))
	if now := l.logins(); now[4] == before[4] || now[2] == before[2] {
		t.Errorf("a login is not seen: before %v and now %v", before, now)
	}
}

// logins counts the logins of core on each host.
func (l *lab) logins() map[int]string {
	l.t.Helper()
	counts := map[int]string{}
	for host := 1; host <= l.hosts; host++ {
		counts[host] = l.ssh(host, "journalctl -q -t sshd -o cat | grep -c 'Accepted publickey for core' || true")
	}
	return counts
}
