package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// life is that of one cluster: what one playbook leaves is what the next begins
// with. Its members are on the first hosts.
type life struct {
	*lab
	user    string
	members int
}

// lifeSteps are the playbooks for API 3 in the order of a life. Each can follow
// any other before it.
var lifeSteps = []struct {
	name string
	do   func(*life)
}{
	{"bootstrap", (*life).begin},
	{"scale", (*life).scale},
	{"snapshot", (*life).snapshot},
	{"provision", func(f *life) { f.provision(f.members + 1) }},
	{"replace", (*life).replace},
	{"restore", (*life).restore},
	{"recover", (*life).recover},
}

// TestLabSecured runs every playbook for API 3 on clusters with certificates and
// a password: on real hosts, where the keys are etcd's alone and the operator
// becomes root by sudo. Each playbook comes once a day, each release with some
// of them; with ETCDPLAY_LAB_MATRIX=all each release has all of them.
func TestLabSecured(t *testing.T) {
	for _, c := range []struct {
		version, user string
		daily         []string
	}{
		{"3.4", "csh", nil}, // daily with API 2: TestLabForceNewCluster
		{"3.5", "root", []string{"restore", "recover"}},
		{"3.6", "core", []string{"scale", "replace"}},
		{"3.7", "ops", []string{"bootstrap", "snapshot", "provision"}},
	} {
		all := os.Getenv("ETCDPLAY_LAB_MATRIX") == "all"
		if !all && c.daily == nil {
			continue
		}
		t.Run(c.version+"-"+c.user, func(t *testing.T) {
			hosts := 3
			for _, step := range []string{"scale", "provision"} {
				if all || slices.Contains(c.daily, step) {
					hosts++
				}
			}
			f := &life{lab: newLab(t, c.version, hosts), user: c.user}
			f.certificates()
			for _, step := range lifeSteps {
				switch {
				case all || slices.Contains(c.daily, step.name):
					step.do(f)
				case step.name == "bootstrap":
					f.bootstrapTLS(3)
					f.inhabit()
				}
			}
			f.keptSecret()
		})
	}
}

// inventory is that of the cluster as it is.
func (f *life) inventory() string { return f.lab.inventory(f.user, f.members, nil) }

// inhabit puts a key and a password into a cluster of three.
func (f *life) inhabit() {
	f.members = 3
	f.etcdctl(1, "put", "greeting", "hello")
	f.lock()
	f.whole(1, 2, 3)
}

// begin makes the cluster by the playbook. The inventory names the user already
// that etcd will have afterwards.
func (f *life) begin() {
	inventory := f.lab.inventory(f.user, 3, nil)
	run := []string{"run", "bootstrap", "--yes", "-i", inventory, "--var", "etcd=/opt/etcd/etcd"}
	f.ssh(2, "chown root:root "+labCerts+"/member-key.pem")
	if out := f.etcdplay(1, run...); !strings.Contains(out, "cannot read "+labCerts+"/member-key.pem") {
		f.t.Errorf("with a key of root's:\n%s", out)
	}
	f.ssh(2, "chown etcd:etcd "+labCerts+"/member-key.pem")
	f.etcdplay(0, run...)
	f.inhabit()
}

// scale grows the cluster by one.
func (f *life) scale() {
	host := f.members + 1
	grow := []string{"run", "scale", "--yes", "-i", f.inventory(), "--var", "new=" + hostName(host)}

	// A key that only root can read, and one that etcd cannot get at.
	f.ssh(host, "chown root:root "+labCerts+"/member-key.pem")
	if out := f.etcdplay(1, grow...); !strings.Contains(out, "etcd's user etcd cannot read "+labCerts+"/member-key.pem on "+hostName(host)+" (mode 0400, of root:root)") {
		f.t.Errorf("with a key of root's:\n%s", out)
	}
	f.ssh(host, "chown etcd:etcd "+labCerts+"/member-key.pem && chmod 0700 "+labCerts)
	if out := f.etcdplay(1, grow...); !strings.Contains(out, "cannot read "+labCerts+"/member-key.pem") {
		f.t.Errorf("with a folder of root's:\n%s", out)
	}
	f.ssh(host, "chmod 0755 "+labCerts)
	f.whole(first(f.members)...)

	out := f.etcdplay(0, grow...)
	if !strings.Contains(out, "in order, valid until") || !strings.Contains(out, fmt.Sprintf("agrees with %d peers", f.members)) {
		f.t.Errorf("certificates in order:\n%s", out)
	}
	f.members = host
	f.whole(first(host)...)
}

// first is the numbers of so many hosts.
func first(n int) []int {
	var hosts []int
	for host := 1; host <= n; host++ {
		hosts = append(hosts, host)
	}
	return hosts
}

// snapshot takes one on a host, and one to this machine.
func (f *life) snapshot() {
	inventory := f.inventory()
	out := f.etcdplay(0, "run", "snapshot-v3", "--yes", "-i", inventory, "--var", "etcd=/opt/etcd/etcd")
	snapshot := f.output(out, "snapshot")
	if got := strings.Fields(f.ssh(1, "sha256sum "+snapshot))[0]; got != f.output(out, "sha256") {
		f.t.Errorf("sha256 is %s, and the run said %s", got, f.output(out, "sha256"))
	}
	if trial := f.ssh(1, "cat "+snapshot+".trial.json"); !strings.Contains(trial, `"etcd": "`+f.version+".") {
		f.t.Errorf("the trial did not run the host's etcd %s: %s", f.version, trial)
	}
	out = f.etcdplay(0, "run", "snapshot-v3", "--yes", "-i", inventory, "--var", "node="+hostName(2),
		"--var", "to_controller=true", "--var", "backup_dir="+filepath.Join(f.files, "backups"))
	content, err := os.ReadFile(f.output(out, "snapshot"))
	if err != nil {
		f.t.Fatal(err)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != f.output(out, "sha256") {
		f.t.Errorf("sha256 is %x, and the run said %s", sum, f.output(out, "sha256"))
	}
}

// provision lets a machine join that is not there yet: it boots for the first
// time with what was written for it.
func (f *life) provision(host int) {
	f.lab.lab("kill", f.dir, fmt.Sprint(host))
	files := f.t.TempDir()
	boot := func() {
		conf := filepath.Join(f.dir, fmt.Sprint(host), "root", dropinPath)
		wants := filepath.Join(f.dir, fmt.Sprint(host), "root/etc/systemd/system/multi-user.target.wants")
		out, err := exec.Command("sh", "-ec", `mkdir -p "${2%/*}" "$3"; cp "$1" "$2"; ln -s ../etcd-member.service "$3"/; exec "$4" boot "$5" "$6"`, "sh",
			filepath.Join(files, hostName(host)+"."+filepath.Base(dropinPath)), conf, wants, f.script, f.dir, fmt.Sprint(host)).CombinedOutput()
		if err != nil {
			f.t.Errorf("the machine is not made: %v\n%s", err, out)
		}
	}
	code, out := f.watch("task_start", "task.arrived", boot, "run", "provision-member", "--yes", "-i", f.inventory(),
		"--var", "new="+hostName(host), "--var", "directory="+files)
	if code != 0 {
		f.t.Fatalf("provision-member ends with %d\n%s", code, out)
	}
	f.members = host
	f.whole(first(host)...)
}

// replace wrecks a member and replaces it.
func (f *life) replace() {
	before := f.lab.members(1)[hostName(2)]
	f.wreck(2)
	f.etcdplay(0, "run", "replace-member", "--yes", "-i", f.inventory(), "--var", "failed="+hostName(2))
	f.whole(first(f.members)...)
	if after := f.lab.members(1)[hostName(2)]; after.ID == before.ID {
		f.t.Errorf("the member of %s still has the ID %x", hostName(2), after.ID)
	}
}

// restore loses the quorum: machines are gone, one member's data is damaged and
// one has stopped. Of five members one still runs, where nobody can log in any
// more. The cluster is restored from a snapshot on the hosts that are left.
func (f *life) restore() {
	snapshot := filepath.Join(f.files, "backup.db")
	f.etcdctl(1, "snapshot", "save", snapshot)
	want := f.labKeys(1)
	f.etcdctl(1, "put", "later", "lost")
	inventory := f.inventory()
	left := max(f.members-2, 2)
	var lost []string
	for host := left + 1; host <= f.members; host++ {
		f.lab.lab("destroy", f.dir, fmt.Sprint(host))
		lost = append(lost, hostName(host))
	}
	f.wreck(2)
	unit, _ := f.service()
	f.ssh(1, "systemctl stop "+unit)
	f.etcdplay(0, "run", "restore-v3", "--yes", "--confirm", "lose 1 revisions", "-i", inventory,
		"--var", "snapshot="+snapshot, "--var", "lost="+strings.Join(lost, ","))
	f.members = left
	f.holds(want, first(left)...)
}

// recover goes on with what one of two members has.
func (f *life) recover() {
	inventory := f.lab.inventory(f.user, 3, nil)
	f.etcdctl(1, "put", "again", "kept")
	want := f.labKeys(1)
	if f.members == 3 {
		f.lab.lab("destroy", f.dir, "3")
	}
	f.wreck(2)
	f.etcdplay(0, "run", "recover-quorum-v3", "--yes", "--confirm", "lose 0 revisions", "-i", inventory, "--var", "lost="+hostName(3))
	f.members = 2
	f.holds(want, 1, 2)
}

// holds fails unless the cluster is whole on these hosts, and each has these keys
// and no other.
func (f *life) holds(want []string, hosts ...int) {
	f.t.Helper()
	f.whole(hosts...)
	for _, host := range hosts {
		if got := f.labKeys(host); !reflect.DeepEqual(got, want) {
			f.t.Errorf("%s has\n%v\nwant\n%v", hostName(host), got, want)
		}
	}
}

// keptSecret fails if the password is anywhere but in the environment it was
// given in.
func (f *life) keptSecret() {
	f.t.Helper()
	for _, host := range first(f.members) {
		// grep fails where there is nothing. The program that was sent is that of this
		// test, which has the password in it.
		out, err := f.remote(host, "grep -rl --exclude-dir=bin "+labPassword+" /etc /run /var/log /var/lib/etcdplay /var/lib/etcd_backup /var/tmp /tmp /home /root 2>/dev/null; journalctl -q | grep "+labPassword)
		if out != "" {
			f.t.Errorf("the password is on %s (%v):\n%s", hostName(host), err, out)
		}
	}
	if out, err := exec.Command("grep", "-rl", labPassword, f.state).CombinedOutput(); err == nil {
		f.t.Errorf("the password is in the program's own records:\n%s", out)
	}
}

// TestLabProvision lets a machine join a plain cluster that is not there yet, and
// takes the learner out again where the machine never comes.
func TestLabProvision(t *testing.T) {
	versions := []string{"3.5"}
	if os.Getenv("ETCDPLAY_LAB_MATRIX") == "all" {
		versions = []string{"3.4", "3.5", "3.6", "3.7"}
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			f := &life{lab: newLab(t, version, 4), user: "core", members: 3}
			f.bootstrap(3, "")
			out := f.etcdplay(1, "run", "provision-member", "--yes", "-i", f.inventory(), "--var", "new="+hostName(4),
				"--var", "directory="+t.TempDir(), "--var", "arrival_timeout=3s")
			if !strings.Contains(out, "task.undo_add") {
				t.Errorf("a machine that never comes:\n%s", out)
			}
			f.whole(1, 2, 3)
			f.provision(4)
		})
	}
}
