package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// snapshots is what is measured of saving and restoring.
type snapshots struct {
	Bytes         int64 // of the snapshot
	Save, Restore []contender
}

// fill writes so many MiB, and returns the digest of each key's value.
func (c *cluster) fill(ctx context.Context, mib int) (map[string][sha256.Size]byte, error) {
	keys := map[string][sha256.Size]byte{}
	value := make([]byte, 128<<10)
	for i := range mib << 20 / len(value) {
		_, _ = rand.Read(value) // it never fails
		key := fmt.Sprintf("fill/%06d", i)
		if _, err := c.clients[1].Put(ctx, key, string(value)); err != nil {
			return nil, err
		}
		keys[key] = sha256.Sum256(value)
	}
	return keys, nil
}

// measureSnapshot has a snapshot of the cluster saved to this machine and
// restored on a host, by turns. It writes snapshots.json into the lab's folder.
func (c *cluster) measureSnapshot(ctx context.Context, s setup) error {
	const there, etcd = "/var/tmp/snapshot.db", "ETCDCTL_API=3 /opt/etcd/"
	here := filepath.Join(s.Lab, "snapshots")
	if err := os.MkdirAll(here, 0o700); err != nil {
		return err
	}
	options := []string{"-F", "none", "-i", filepath.Join(s.Lab, "id"), "-o", "UserKnownHostsFile=" + filepath.Join(s.Lab, "known_hosts")}
	to := "root@" + hostAddress(1)
	word := func(argv ...string) string { return "'" + strings.Join(argv, "' '") + "'" }
	ssh := word(append([]string{"ssh"}, append(options, to, "--")...)...)
	scp := word(append([]string{"scp", "-q"}, options...)...)
	state := []string{"XDG_STATE_HOME=" + filepath.Join(s.Lab, "state")}
	run := func(book string, vars ...string) string {
		argv := []string{s.Etcdplay, "run", filepath.Join("testdata/lab/bench", book), "--yes", "-i", filepath.Join(s.Lab, "inventory.hcl")}
		for _, v := range vars {
			argv = append(argv, "--var", v)
		}
		return word(argv...)
	}
	saved, restored := filepath.Join(here, "snapshot.db"), "/var/tmp/restored"
	all := snapshots{
		Save: []contender{
			{
				Name: "scp", Title: "etcdctl snapshot save on the host, then scp, synced",
				Argv: []string{"sh", "-ec", ssh + " '" + etcd + "etcdctl --endpoints=http://127.0.0.1:4001 snapshot save " + there + "'; " + scp + " " + to + ":" + there + " " + saved + "; sync " + saved},
			},
			{Name: "etcdplay", Title: "etcdplay, streamed through the connection, every page looked at", Env: state, Argv: []string{"sh", "-ec", run("save.hcl", "path="+saved)}},
		},
		Restore: []contender{
			{
				Name: "etcdutl", Title: "etcdutl snapshot restore over ssh, synced",
				Argv: []string{"sh", "-ec", ssh + " '" + etcd + "etcdutl snapshot restore " + there + " --data-dir " + restored + " && sync -f " + restored + "'"},
			},
			{Name: "etcdplay", Title: "etcdplay", Env: state, Argv: []string{"sh", "-ec", run("restore.hcl", "snapshot="+there, "data_dir="+restored)}},
		},
	}
	for round := range s.Turns + 1 {
		for _, list := range [][]contender{all.Save, all.Restore} {
			for i := range list {
				which := &list[(round+i)%len(list)]
				if err := c.on(1, "rm -rf "+restored+"; sync", ""); err != nil {
					return err
				}
				for _, old := range []string{saved, saved + ".json"} {
					if err := os.RemoveAll(old); err != nil {
						return err
					}
				}
				took, err := timed(ctx, *which)
				if err != nil {
					return fmt.Errorf("%s: %w", which.Title, err)
				}
				fmt.Fprintf(os.Stderr, "round %d  %-8s %.3f s\n", round, which.Name, took)
				if round > 0 {
					which.Seconds = append(which.Seconds, took)
				}
				if i, err := os.Stat(saved); err == nil {
					all.Bytes = i.Size()
				}
			}
		}
	}
	return writeJSON(filepath.Join(s.Lab, "snapshots.json"), all)
}

func timed(ctx context.Context, c contender) (float64, error) {
	limited, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limited, c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	return time.Since(begun).Seconds(), nil
}

func (d *document) snapshots(b *strings.Builder) {
	fmt.Fprintf(b, `## Snapshots

A snapshot of %.2f GiB, of the first member of the lab's cluster: saved to this
machine, and restored on the host. Starts of the programs, connections, and for
etcdplay its plan and its records are included. All take turns, %d rounds after
one that is not counted.

`, float64(d.Snapshots.Bytes)/(1<<30), len(d.Snapshots.Save[0].Seconds))
	b.WriteString("| | median | fastest | slowest |\n|---|--:|--:|--:|\n")
	for _, c := range slices.Concat(d.Snapshots.Save, d.Snapshots.Restore) {
		fmt.Fprintf(b, "| %s | %.1f s | %.1f s | %.1f s |\n", c.Title, c.median(), slices.Min(c.Seconds), slices.Max(c.Seconds))
	}
	save := d.Snapshots.Save[0].median() / d.Snapshots.Save[1].median()
	restore := d.Snapshots.Restore[1].median() / d.Snapshots.Restore[0].median()
	fmt.Fprintf(b, `
| goal | | |
|---|--:|---|
| saving at least 0.9 × as fast as etcdctl and scp | %.2f × | %s |
| restoring in at most 1.1 × the time of etcdutl | %.2f × | %s |

`, save, met(save >= 0.9), restore, met(restore <= 1.1))
}
