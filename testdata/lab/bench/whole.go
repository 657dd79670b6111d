package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// whole is what is measured of saving a large cluster, losing it, and restoring
// all of it by the shipped playbooks.
type whole struct {
	Bytes         int64 // of the snapshot
	Keys          int   // in it
	Lost          int   // writes after it
	Save, Restore run
	Down          float64 // seconds from the first stop until all members were healthy with the same data
}

// run is one of etcdplay's.
type run struct {
	Seconds float64 // start and end of the program included
	Phases  []phase
	Outputs map[string]string
	events  []event
}

type phase struct {
	Name    string
	Seconds float64
}

// event is what is needed here of a line of --json.
type event struct {
	Time    time.Time `json:"@timestamp"`
	Type    string    `json:"type"`
	Phase   string    `json:"phase"`
	Task    string    `json:"task"`
	Status  string    `json:"status"`
	Outputs map[string]struct {
		Value any `json:"value"`
	} `json:"outputs"`
}

// measureWhole saves the cluster's snapshot to this machine, writes on, loses the
// quorum, and restores the cluster on its three hosts. Then every member has to
// have what the snapshot had, and nothing else, and the old data has to lie aside
// as it was. It writes whole.json into the lab's folder.
func (c *cluster) measureWhole(ctx context.Context, s setup, keys map[string][sha256.Size]byte) error {
	w := whole{Keys: len(keys)}
	var err error
	backups := filepath.Join(s.Lab, "backups")
	w.Save, err = etcdplay(ctx, s, "snapshot-v3", "--var", "to_controller=true", "--var", "backup_dir="+backups, "--var", "etcd="+filepath.Join(s.Etcd, "etcd"))
	if err != nil {
		return err
	}
	snapshot := w.Save.Outputs["snapshot"]
	i, err := os.Stat(snapshot)
	if err != nil {
		return err
	}
	w.Bytes = i.Size()
	if w.Lost, err = c.writeOn(ctx, keys); err != nil {
		return err
	}
	before, err := c.lose()
	if err != nil {
		return err
	}
	w.Restore, err = etcdplay(ctx, s, "restore-v3", "--confirm", fmt.Sprintf("lose %d revisions", w.Lost), "--var", "snapshot="+snapshot)
	if err != nil {
		return err
	}
	if w.Down, err = w.Restore.between("task.halt", "task.formed"); err != nil {
		return err
	}
	if err := c.isWhole(ctx, keys, before, w.Restore.Outputs["old_data"]); err != nil {
		return err
	}
	return writeJSON(filepath.Join(s.Lab, "whole.json"), w)
}

// etcdplay runs a shipped playbook.
func etcdplay(ctx context.Context, s setup, book string, args ...string) (run, error) {
	cmd := exec.CommandContext(ctx, s.Etcdplay, append([]string{"run", book, "--json", "--yes", "-i", filepath.Join(s.Lab, "inventory.hcl")}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(s.Lab, "state"))
	begun := time.Now()
	out, err := cmd.Output()
	r := run{Seconds: time.Since(begun).Seconds(), Outputs: map[string]string{}}
	if err != nil {
		return r, fmt.Errorf("%s: %w\n%s", book, err, out)
	}
	started := map[string]time.Time{}
	for line := range bytes.Lines(out) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return r, fmt.Errorf("%s: %w: %s", book, err, line)
		}
		r.events = append(r.events, e)
		switch e.Type {
		case "phase_start":
			started[e.Phase] = e.Time
		case "phase_end":
			if e.Status == "ok" {
				r.Phases = append(r.Phases, phase{e.Phase, e.Time.Sub(started[e.Phase]).Seconds()})
			}
		case "outputs":
			for name, o := range e.Outputs {
				r.Outputs[name] = fmt.Sprint(o.Value)
			}
		}
	}
	fmt.Fprintf(os.Stderr, "%s %.1f s\n", book, r.Seconds)
	return r, nil
}

// between is the time from the first start of one task to the last end of
// another, on whatever host.
func (r run) between(from, to string) (float64, error) {
	is := func(e event, kind, task string) bool {
		return e.Type == kind && (e.Task == task || strings.HasPrefix(e.Task, task+"["))
	}
	first := slices.IndexFunc(r.events, func(e event) bool { return is(e, "task_start", from) })
	for i := len(r.events) - 1; i > first && first >= 0; i-- {
		if is(r.events[i], "task_end", to) {
			return r.events[i].Time.Sub(r.events[first].Time).Seconds(), nil
		}
	}
	return 0, fmt.Errorf("there is no %s before an end of %s", from, to)
}

// writeOn writes what the snapshot does not have: new keys, other values, and
// removals. It returns how many writes there were.
func (c *cluster) writeOn(ctx context.Context, keys map[string][sha256.Size]byte) (int, error) {
	var ops []clientv3.Op
	for i := range 1000 {
		ops = append(ops, clientv3.OpPut(fmt.Sprintf("later/%04d", i), "written after the snapshot"))
	}
	i := 0
	for key := range keys {
		if i++; i%100 == 0 {
			ops = append(ops, clientv3.OpDelete(key))
		} else if i%100 == 1 {
			ops = append(ops, clientv3.OpPut(key, "another value"))
		}
	}
	for _, op := range ops {
		if _, err := c.clients[2].Do(ctx, op); err != nil {
			return 0, err
		}
	}
	return len(ops), nil
}

const dataDir = "/var/lib/etcd"

// lose stops all members, damages the log of one, and returns the digests of all
// files of each host's data directory.
func (c *cluster) lose() (map[int]string, error) {
	digests := map[int]string{}
	for n := 1; n <= 3; n++ {
		if err := c.on(n, "systemctl stop etcd-member", ""); err != nil {
			return nil, err
		}
	}
	if err := c.on(failed, "for f in "+dataDir+"/member/wal/*.wal; do head -c 65536 /dev/urandom | dd of=$f conv=notrunc status=none; done; sync", ""); err != nil {
		return nil, err
	}
	for n := 1; n <= 3; n++ {
		var err error
		if digests[n], err = c.digests(n, dataDir); err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// digests is a line with the SHA-256 of each file below a folder of a host.
func (c *cluster) digests(n int, dir string) (string, error) {
	out, err := c.output(n, "cd "+dir+" && find . -type f -exec sha256sum {} + | sort -k 2", "")
	if err == nil && !strings.Contains(out, "./member/snap/db\n") {
		err = fmt.Errorf("host %d: there is no database in %s:\n%s", n, dir, out)
	}
	return out, err
}

// isWhole is nil if every member has these keys, with these values, and no other,
// their hashes are the same, and the old data lies aside as it was.
func (c *cluster) isWhole(ctx context.Context, keys map[string][sha256.Size]byte, before map[int]string, old string) error {
	revisions, hashes := map[int64]bool{}, map[uint32]bool{}
	for n := 1; n <= 3; n++ {
		aside, err := c.digests(n, old)
		if err != nil {
			return err
		}
		if aside != before[n] {
			return fmt.Errorf("the old data of host %d was\n%s and is\n%s", n, before[n], aside)
		}
		member, err := client(n) // those of the old cluster are in the middle of long waits
		if err != nil {
			return err
		}
		err = holds(ctx, member, keys)
		h, herr := member.HashKV(ctx, "http://"+hostAddress(n)+":2379", 0)
		if err := errors.Join(err, herr, member.Close()); err != nil {
			return fmt.Errorf("host %d: %w", n, err)
		}
		revisions[h.Header.Revision], hashes[h.Hash] = true, true
	}
	if len(revisions) != 1 || len(hashes) != 1 {
		return fmt.Errorf("the members are at revisions %v, with hashes %v", revisions, hashes)
	}
	return nil
}

// holds is nil if a member has exactly these keys and values.
func holds(ctx context.Context, member *clientv3.Client, keys map[string][sha256.Size]byte) error {
	seen := 0
	for from := "\x00"; ; {
		page, err := member.Get(ctx, from, clientv3.WithFromKey(), clientv3.WithLimit(128), clientv3.WithSerializable())
		if err != nil {
			return err
		}
		for _, kv := range page.Kvs {
			want, ok := keys[string(kv.Key)]
			if !ok {
				return fmt.Errorf("there is a key %s that the snapshot had not", kv.Key)
			}
			if sha256.Sum256(kv.Value) != want {
				return fmt.Errorf("%s has another value than in the snapshot", kv.Key)
			}
			seen++
			from = string(kv.Key) + "\x00"
		}
		if !page.More {
			break
		}
	}
	if seen != len(keys) {
		return fmt.Errorf("%d keys, and the snapshot had %d", seen, len(keys))
	}
	return nil
}

func (d *document) whole(b *strings.Builder) {
	w := d.Whole
	fmt.Fprintf(b, `## Restoring a whole cluster

%d keys of known values, %.2f GiB as a snapshot, in the cluster of three: saved
to this machine by snapshot-v3, which also has a genuine etcd try what was saved.
Then %d more writes, among them removals and other values; all members are
stopped, and the log of one is damaged. restore-v3 restores the three of them from
this machine. It was done once.

After it every member had each key of the snapshot with its value and no other
key, and all had one hash (HashKV); every file of the old data lay aside on each
host as it was (SHA-256).

| | |
|---|--:|
`, w.Keys, float64(w.Bytes)/(1<<30), w.Lost)
	for _, r := range []struct {
		name string
		run
	}{{"snapshot-v3", w.Save}, {"restore-v3", w.Restore}} {
		fmt.Fprintf(b, "| %s | %.1f s |\n", r.name, r.Seconds)
		for _, p := range r.Phases {
			fmt.Fprintf(b, "| · phase %s | %.1f s |\n", p.Name, p.Seconds)
		}
	}
	fmt.Fprintf(b, "| etcd was stopped for this run, until all members were healthy with the same data | %.1f s |\n\n", w.Down)
}
