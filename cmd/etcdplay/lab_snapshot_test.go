package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const statusBook = `playbook "status" {
  language = 1
}

phase "look" {
  task "etcd_snapshot_status" "it" {
    on   = cluster.members[0]
    path = "/var/lib/taken/backup.db"
  }
}
`

const restoreBook = `playbook "restore" {
  language = 1
}

variable "snapshot" {
  type = string
}

variable "data_dir" {
  type = string
}

phase "restore" {
  task "etcd_snapshot_restore" "it" {
    on                    = cluster.members[0]
    snapshot              = var.snapshot
    data_dir              = var.data_dir
    name                  = cluster.members[0].member.name
    peer_urls             = cluster.members[0].member.peer_urls
    initial_cluster       = etcd::initial_cluster([cluster.members[0].member])
    initial_cluster_token = "${cluster.token}-${run.id}"
    revision_bump         = 1000
    mark_compacted        = true
    owner                 = "core"
    group                 = "core"
  }
}
`

// TestLabSnapshot saves, checks, tries and restores a snapshot on hosts that
// have nothing of etcdplay but what it sends there, and no etcdutl at first.
func TestLabSnapshot(t *testing.T) {
	for _, c := range labCases() {
		t.Run(c[0]+"-"+c[1], func(t *testing.T) {
			l := newLab(t, c[0], 2)
			l.bootstrap(2, "")
			inventory := l.inventory(c[1], 2, nil)

			// What a plan reads on a host leaves nothing there, not even the program.
			l.ssh(1, "mkdir -m 0700 /var/lib/taken && ETCDCTL_API=3 /opt/etcd/etcdctl --endpoints=http://127.0.0.1:4001 snapshot save /var/lib/taken/backup.db")
			before := l.ssh(1, "find /var/lib /home /root -newermt 2000-01-01 -not -path '/var/lib/etcd/*' -not -path '/var/lib/systemd/*' | sort")
			out := l.etcdplay(0, "plan", l.file("status.hcl", statusBook), "-i", inventory)
			if !regexp.MustCompile(`revision 2, 1 keys, \d+ bytes`).MatchString(out) {
				t.Errorf("plan: %s", out)
			}
			if after := l.ssh(1, "find /var/lib /home /root -newermt 2000-01-01 -not -path '/var/lib/etcd/*' -not -path '/var/lib/systemd/*' | sort"); after != before {
				t.Errorf("a plan leaves on the host:\n%s\nwhere there was\n%s", after, before)
			}
			l.ssh(1, "printf x | dd of=/var/lib/taken/backup.db bs=1 seek=9000 conv=notrunc status=none")
			if out := l.etcdplay(1, "plan", l.file("status.hcl", statusBook), "-i", inventory); !strings.Contains(out, "is damaged") {
				t.Errorf("a damaged snapshot: %s", out)
			}

			// Saved on the host, by a member that is asked there.
			out = l.etcdplay(0, "run", "snapshot-v3", "--yes", "-i", inventory, "--var", "etcd=/opt/etcd/etcd")
			snapshot := l.output(out, "snapshot")
			if got := strings.Fields(l.ssh(1, "sha256sum "+snapshot))[0]; got != l.output(out, "sha256") {
				t.Errorf("sha256 is %s, and the run said %s", got, l.output(out, "sha256"))
			}
			if got := l.ssh(1, "stat -c '%a %U' "+snapshot+" "+snapshot+".json "+snapshot+".trial.json /var/lib/etcdplay/bin/*/etcdplay"); got != "600 root\n600 root\n600 root\n700 root\n" {
				t.Errorf("modes and owners: %s", got)
			}
			if got := l.ssh(1, "ls -A "+filepath.Dir(snapshot)); strings.Count(got, "\n") != 3 {
				t.Errorf("beside the snapshot there is\n%s", got)
			}
			if trial := l.ssh(1, "cat "+snapshot+".trial.json"); !strings.Contains(trial, `"etcd": "`+c[0]+".") {
				t.Errorf("the trial did not run the host's etcd %s: %s", c[0], trial)
			}

			// Streamed through the connection to this machine.
			out = l.etcdplay(0, "run", "snapshot-v3", "--yes", "-i", inventory, "--var", "node="+hostName(2),
				"--var", "to_controller=true", "--var", "backup_dir="+filepath.Join(l.files, "backups"))
			content, err := os.ReadFile(l.output(out, "snapshot"))
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != l.output(out, "sha256") {
				t.Errorf("sha256 is %x, and the run said %s", sum, l.output(out, "sha256"))
			}

			// Restored by the program that was sent, and by the host's own etcdutl.
			l.restored(inventory, snapshot, 1)
			if c[0] != "3.4" {
				l.ssh(1, "ln -s /opt/etcd/etcdutl /usr/local/bin/etcdutl && rm -rf /var/lib/etcdplay/bin")
				l.restored(inventory, snapshot, 2)
				l.ssh(1, "! test -e /var/lib/etcdplay/bin")
			}
		})
	}
}

// file writes a playbook.
func (l *lab) file(name, text string) string {
	l.t.Helper()
	path := filepath.Join(l.files, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// output is an output of a run, from what it printed.
func (l *lab) output(printed, name string) string {
	l.t.Helper()
	found := regexp.MustCompile(`(?m)^Output `+name+` = "(.*)"$`).FindAllStringSubmatch(printed, -1)
	if len(found) == 0 {
		l.t.Fatalf("no output %s in\n%s", name, printed)
	}
	return found[len(found)-1][1]
}

// restored restores the snapshot on the first host, and has the host's etcd run
// on it, as the user that the data directory is to belong to.
func (l *lab) restored(inventory, snapshot string, n int) {
	l.t.Helper()
	dir := fmt.Sprintf("/var/lib/restored-%d", n)
	l.etcdplay(0, "run", l.file("restore.hcl", restoreBook), "--yes", "-i", inventory, "--var", "snapshot="+snapshot, "--var", "data_dir="+dir)
	if got := l.ssh(1, "stat -c '%a %U:%G' "+dir+" "+dir+"/member/snap/db "+dir+"/RESTORED.json; ls -A /var/lib | grep -c etcdplay.*new; true"); got != "700 core:core\n600 core:core\n600 core:core\n0\n" {
		l.t.Errorf("%s: %s", dir, got)
	}
	unit := fmt.Sprintf("restored-%d", n)
	l.ssh(1, fmt.Sprintf("systemd-run --quiet --unit=%s --uid=core /opt/etcd/etcd --name=%s --data-dir=%s "+
		"--listen-peer-urls=http://127.0.0.1:%d --listen-client-urls=http://127.0.0.1:%d --advertise-client-urls=http://127.0.0.1:%[5]d",
		unit, hostName(1), dir, 3400+n, 3300+n))
	l.eventually(unit+" serves", func() bool {
		out, err := l.remote(1, fmt.Sprintf("ETCDCTL_API=3 /opt/etcd/etcdctl --endpoints=http://127.0.0.1:%d get greeting -w fields", 3300+n))
		return err == nil && strings.Contains(out, `"Value" : "hello"`) && strings.Contains(out, `"Revision" : 1002`)
	})
	l.ssh(1, "systemctl stop "+unit)
}
