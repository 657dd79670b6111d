package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// restoredEnding is what has to be equal after every run, however it was
// disturbed.
type restoredEnding struct {
	Members []string          // name, URLs and vote
	Hash    map[string]uint32 // HashKV by host, at the revision of the data that stays
	Same    bool              // and at the last revision they are equal
	Lost    int64             // revisions, of those that were before
	Keys    int64             // all there are
	Dropins map[string]string // by host, without the run's ID
	Units   map[string]string // active state by host
	Needs   map[string]bool   // NeedDaemonReload by host
	Kept    map[string]string // by host, where the very directory is that was the member's data
	Files   []string          // what else lies beside the data or among the drop-ins
}

func (e restoredEnding) String() string {
	out, err := json.MarshalIndent(e, "  ", "  ")
	if err != nil {
		return err.Error()
	}
	return "  " + string(out)
}

func (r *restoring) root(host string) string { return filepath.Join(r.m.box.Dir, "hosts", host) }

// beside is what lies beside the data directory of a host and among its drop-ins.
func (r *restoring) beside(host string) []string {
	var all []string
	for _, pattern := range []string{"var/lib/*", "var/lib/.*", "etc/systemd/system/*.d/*", "run/systemd/system/*"} {
		found, err := filepath.Glob(filepath.Join(r.root(host), pattern))
		if err != nil {
			r.m.t.Error(err)
		}
		all = append(all, found...)
	}
	return all
}

func inode(path string) uint64 {
	info, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

var runID = regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{4}`)

// end looks at cluster and hosts.
func (r *restoring) end(data map[string]uint64, known map[string]bool) (e restoredEnding, err error) {
	e.Hash, e.Dropins, e.Units = map[string]uint32{}, map[string]string{}, map[string]string{}
	e.Needs, e.Kept = map[string]bool{}, map[string]string{}
	last := map[uint32]bool{}
	for i, h := range r.m.box.Hosts() {
		r.files(h.Name, data[h.Name], known, &e)
		if h.Name == r.gone {
			continue
		}
		c := r.client(h.Name)
		defer c.Close()
		if i == 0 {
			if err := r.holds(c, &e); err != nil {
				return e, err
			}
		}
		for _, look := range []struct {
			at int64
			to func(uint32)
		}{
			{r.revision, func(hash uint32) { e.Hash[h.Name] = hash }},
			{r.last - e.Lost, func(hash uint32) { last[hash] = true }},
		} {
			hash, err := c.HashKV(r.m.context(), h.ClientURL(), look.at)
			if err != nil {
				return e, err
			}
			look.to(hash.Hash)
		}
		host, err := r.m.box.Host(r.m.context(), h.Name)
		if err != nil {
			return e, err
		}
		unit, err := host.Unit(r.m.context(), sandbox.Unit)
		if err != nil {
			return e, err
		}
		e.Units[h.Name], e.Needs[h.Name] = unit.ActiveState, unit.NeedDaemonReload
		e.Dropins[h.Name] = r.named(runID.ReplaceAllString(r.m.dropin(h.Name), "RUN"))
	}
	e.Same = len(last) == 1
	return e, nil
}

// holds asks the cluster what it holds.
func (r *restoring) holds(c *clientv3.Client, e *restoredEnding) error {
	list, err := c.MemberList(r.m.context())
	if err != nil {
		return err
	}
	for _, x := range list.Members {
		e.Members = append(e.Members, r.named(fmt.Sprintf("%s %v %v learner=%v", x.Name, x.PeerURLs, x.ClientURLs, x.IsLearner)))
	}
	slices.Sort(e.Members)
	all, err := c.Get(r.m.context(), "", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	e.Lost, e.Keys = r.last-all.Header.Revision, all.Count
	return nil
}

// files looks for the directory that was the member's data, and for what is left
// on a host that was not there before.
func (r *restoring) files(host string, data uint64, known map[string]bool, e *restoredEnding) {
	for _, f := range r.beside(host) {
		name := runID.ReplaceAllString(strings.TrimPrefix(f, r.root(host)), "RUN")
		switch {
		case inode(f) == data:
			e.Kept[host] = name
		case strings.HasPrefix(filepath.Base(name), ".etcdplay-"):
			// Hosts are changed side by side: what one of them was writing when the
			// process was killed at another's point stays, under a name that nothing reads.
		case !known[f]:
			e.Files = append(e.Files, host+name)
		}
	}
}

// named is text with the hosts' names for their addresses.
func (r *restoring) named(text string) string {
	for _, h := range r.m.box.Hosts() {
		text = strings.ReplaceAll(text, h.Address+":", h.Name+":")
	}
	return text
}
