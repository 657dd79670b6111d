package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestLabPlan holds that a plan changes nothing on any host: no file, no ledger
// of changes, no unit, nothing in etcd.
func TestLabPlan(t *testing.T) {
	l := newLab(t, "3.6", 4)
	l.bootstrap(3, "")
	inventory := l.inventory("core", 3, nil)
	l.wreck(3)
	before := l.everything()
	if len(before) < 20 {
		t.Fatalf("only %d files are looked at", len(before))
	}
	l.etcdplay(0, "plan", "replace-member", "-i", inventory, "--var", "failed="+hostName(3))
	l.etcdplay(0, "plan", "replace-member", "-i", inventory, "--var", "failed="+hostName(3), "--var", "replacement="+hostName(4))
	// A plan that ends with a refusal has looked, too.
	l.etcdplay(1, "plan", "scale", "-i", inventory, "--var", "new="+hostName(4))
	l.same(before)
	for host := 1; host <= 4; host++ {
		if out := l.ssh(host, "ls -d /run/etcdplay /var/lib/etcdplay 2>/dev/null; true"); out != "" {
			t.Errorf("%s has a ledger after a plan: %s", hostName(host), out)
		}
	}
	l.etcdplay(0, "run", "replace-member", "--yes", "-i", inventory, "--var", "failed="+hostName(3))
	if now := l.everything(); maps.Equal(before, now) {
		t.Error("a run is not seen either")
	}
}

// everything is a digest of each file of each host and of the state of its etcd
// unit, by host and path. The shared part of the file systems cannot change.
// What is left out changes by itself: etcd's data and logs.
func (l *lab) everything() map[string]string {
	l.t.Helper()
	seen := map[string]string{}
	for host := 1; host <= l.hosts; host++ {
		upper := filepath.Join(l.dir, fmt.Sprint(host), "upper")
		err := filepath.WalkDir(upper, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel := strings.TrimPrefix(path, upper)
			if rel == "/var/log" || rel == "/var/lib/etcd" {
				return fs.SkipDir
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return fmt.Errorf("%s: no stat", path)
			}
			var content []byte
			if info.Mode().IsRegular() {
				if content, err = os.ReadFile(path); err != nil {
					return err
				}
			}
			seen[fmt.Sprintf("%d:%s", host, rel)] = fmt.Sprintf("%v %d:%d %d %v %x", info.Mode(), st.Uid, st.Gid, st.Ino, info.ModTime(), sha256.Sum256(content))
			return nil
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
	seen["members"] = fmt.Sprint(l.members(1))
	return seen
}

// same fails for each thing that is not as it was.
func (l *lab) same(before map[string]string) {
	l.t.Helper()
	now := l.everything()
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if now[path] != before[path] {
			l.t.Errorf("%s was %s and is %q", path, before[path], now[path])
		}
	}
	for path := range now {
		if _, ok := before[path]; !ok {
			l.t.Errorf("%s is new", path)
		}
	}
}

// TestLabInit writes an inventory from the live cluster, and plans and runs by it.
func TestLabInit(t *testing.T) {
	l := newLab(t, "3.6", 3)
	l.bootstrap(3, "")
	home := filepath.Join(l.files, ".ssh")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"id": "id_ed25519", "known_hosts": "known_hosts"} {
		content, err := os.ReadFile(filepath.Join(l.dir, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, to), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	written := l.etcdplay(0, "init", "--user=core", "--endpoints=http://"+address(2)+":2379")
	if strings.Contains(written, "member {") {
		t.Errorf("a member is configured as usual, and written all the same:\n%s", written)
	}
	inventory := filepath.Join(l.files, "inventory.hcl")
	if err := os.WriteFile(inventory, []byte(written), 0o600); err != nil {
		t.Fatal(err)
	}
	l.wreck(3)
	l.etcdplay(0, "plan", "replace-member", "-i", inventory, "--var", "failed="+hostName(3))
	l.etcdplay(0, "run", "replace-member", "--yes", "-i", inventory, "--var", "failed="+hostName(3))
	l.whole(1, 2, 3)
	other := regexp.MustCompile(`  id = "[0-9a-f]+"`).ReplaceAllString(written, `  id = "1"`)
	if err := os.WriteFile(inventory, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := l.etcdplay(1, "plan", "replace-member", "-i", inventory, "--var", "failed="+hostName(3)); !strings.Contains(out, "expects cluster 1") {
		t.Errorf("a cluster of another ID: %s", out)
	}
}
