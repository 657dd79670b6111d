package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// labKeys is all that a member has, with revisions, as etcdctl tells it.
func (l *lab) labKeys(host int) []string {
	l.t.Helper()
	var answer struct {
		KVs []struct {
			Key     string `json:"key"`
			Value   string `json:"value"`
			Create  int64  `json:"create_revision"`
			Mod     int64  `json:"mod_revision"`
			Version int64  `json:"version"`
		} `json:"kvs"`
	}
	out := l.etcdctl(host, "get", "", "--prefix", "-w", "json", "--consistency=s")
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		l.t.Fatal(err)
	}
	var keys []string
	for _, kv := range answer.KVs {
		keys = append(keys, fmt.Sprintf("%s=%s %d %d %d", kv.Key, kv.Value, kv.Create, kv.Mod, kv.Version))
	}
	slices.Sort(keys)
	return keys
}

// TestLabRestore restores a cluster of which one machine is gone and one member's
// data is damaged, and then recovers it once more without a snapshot.
func TestLabRestore(t *testing.T) {
	cases := [][2]string{{"3.6", "core"}}
	if os.Getenv("ETCDPLAY_LAB_MATRIX") == "all" {
		cases = labCases()
	}
	for _, c := range cases {
		t.Run(c[0]+"-"+c[1], func(t *testing.T) {
			l := newLab(t, c[0], 3)
			l.bootstrap(3, "")
			inventory := l.inventory(c[1], 3, nil)
			for i := range 20 {
				l.etcdctl(1, "put", fmt.Sprintf("kept/%d", i), "value")
			}
			snapshot := filepath.Join(l.files, "backup.db")
			l.etcdctl(1, "snapshot", "save", snapshot)
			want := l.labKeys(1)
			l.etcdctl(1, "put", "later", "lost")
			l.lab("destroy", l.dir, "3")
			l.wreck(2)

			given := []string{"--var", "snapshot=" + snapshot, "--var", "lost=" + hostName(3), "-i", inventory, "--yes"}
			out := l.etcdplay(1, "run", "restore-v3", "--yes", "--confirm", "lose 1 revisions", "-i", inventory, "--var", "snapshot="+snapshot)
			if !strings.Contains(strings.Join(strings.Fields(out), " "), "No answer from "+hostName(3)) {
				t.Errorf("a host that does not answer is not named:\n%s", out)
			}
			l.etcdplay(0, append([]string{"run", "restore-v3", "--confirm", "lose 1 revisions"}, given...)...)
			l.whole(1, 2)
			for host := 1; host <= 2; host++ {
				if got := l.labKeys(host); !reflect.DeepEqual(got, want) {
					t.Errorf("%s has\n%v\nwant what the snapshot has,\n%v", hostName(host), got, want)
				}
				if out := l.ssh(host, "ls -d /var/lib/etcd.before-*/member"); strings.Count(out, "\n") != 1 {
					t.Errorf("old data of %s: %q", hostName(host), out)
				}
				if out := l.ssh(host, "stat -c '%a %U:%G' /var/lib/etcd; systemctl show -p DropInPaths etcd-member"); !strings.HasPrefix(out, "700 etcd:etcd") || strings.Contains(out, "masked") {
					t.Errorf("%s: %s", hostName(host), out)
				}
			}

			// Once more, without a snapshot: one member's log is damaged.
			l.etcdctl(1, "put", "again", "kept")
			want = l.labKeys(1)
			l.wreck(2)
			l.etcdplay(0, "run", "recover-quorum-v3", "--yes", "--confirm", "lose 0 revisions", "-i", inventory, "--var", "lost="+hostName(3))
			l.whole(1, 2)
			for host := 1; host <= 2; host++ {
				if got := l.labKeys(host); !reflect.DeepEqual(got, want) {
					t.Errorf("%s has\n%v\nwant what the survivor had,\n%v", hostName(host), got, want)
				}
			}
		})
	}
}
