package etcd2

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
)

// TestLife takes one cluster through all that the types of this package do to
// it, each held to the suite of all types.
func TestLife(t *testing.T) {
	t.Parallel()
	c := boot(t)
	c.eventually("three healthy members", func() bool { s := c.survey(); return s.Known && s.Budget().Healthy == 3 && s.Leader != "" })
	c.hold(members(), -1, false, nil, c.members)
	c.hold(health(), -1, false, nil, c.members)
	c.hold(data(), 0, false, map[string]cty.Value{"data_dir": str(sandbox.DataDir)}, c.members)
	c.hold(proxies(), 0, false, nil, c.members)

	// The list grows and shrinks; an answer that is lost is made up for by looking.
	spare := map[string]cty.Value{"name": str("spare"), "peer_urls": strs(c.peer(3))}
	c.hold(memberAdd(quick), -1, false, spare, c.members)
	c.refused(memberAdd(quick), spare, "Q16")
	c.refused(memberAdd(quick), map[string]cty.Value{"name": str("other"), "peer_urls": strs("http://127.0.0.9:1")}, "Q2")
	added := map[string]cty.Value{"id": str(c.id(3))}
	c.hold(memberRemove(quick), -1, false, added, c.members)
	c.hold(memberRemove(quick), -1, true, added, c.members)
	c.loseAnswer(spare)
	c.hold(memberRemove(quick), -1, false, map[string]cty.Value{"id": str(c.id(3))}, c.members)
	c.refused(memberRemove(quick), map[string]cty.Value{"id": str(c.id(1))}, "Q7")

	third := c.id(2)
	elsewhere := map[string]cty.Value{"id": str(third), "peer_urls": strs("http://127.0.0.9:2380")}
	c.hold(memberUpdate(quick), -1, false, elsewhere, c.members)
	c.hold(memberUpdate(quick), -1, true, elsewhere, c.members)
	c.refused(memberUpdate(quick), map[string]cty.Value{"id": str(third), "peer_urls": strs(c.peer(0))}, "Q16")
	c.hold(memberUpdate(quick), -1, false, map[string]cty.Value{"id": str(third), "peer_urls": strs(c.peer(2))}, c.members)

	c.quorumLost()
	c.force()
}

// refused holds that the guard of a type refuses by this check.
func (c *cluster) refused(typ *engine.Type, given map[string]cty.Value, id string) {
	c.t.Helper()
	l := c.look()
	s, err := typ.Observe(c.t.Context(), l, enginetest.Args(typ, given))
	if err != nil {
		c.t.Fatal(err)
	}
	v := typ.Guard("", enginetest.Args(typ, given), s, &world.World{Cluster: c.survey()})
	if !slices.ContainsFunc(v.Checks, func(q world.Check) bool { return q.ID == id && !q.Holds && q.Help != "" }) {
		c.t.Errorf("%s: got %+v, want a refusal by %s", typ.Name, v.Checks, id)
	}
}

// loseAnswer adds a member whose addition is answered to nobody: it is found,
// and not added again.
func (c *cluster) loseAnswer(given map[string]cty.Value) {
	c.t.Helper()
	var cut atomic.Int32
	c.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		inner, err := d.DialContext(ctx, "tcp", addr)
		return &cutter{Conn: inner, cut: &cut}, err
	}
	defer func() { c.dial = nil }()
	typ, l := memberAdd(settleFor), c.look()
	args := enginetest.Args(typ, given)
	s, err := typ.Observe(c.t.Context(), l, args)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := typ.Apply(c.t.Context(), engine.Hands{Look: l}, args, s)
	if err != nil || cut.Load() != 1 {
		c.t.Fatalf("got %v, with %d answers lost", err, cut.Load())
	}
	if id := r.GetAttr("id").AsString(); id != c.id(3) {
		c.t.Errorf("got %s, want the member that was added, %s", id, c.id(3))
	}
}

// quorumLost stops two members, and then the last one as well: what is left is
// told as long as anything of it answers.
func (c *cluster) quorumLost() {
	c.t.Helper()
	c.stop(1)
	c.stop(2)
	if s := c.survey(); !s.Known || len(s.Members) != 3 || s.Budget().Healthy != 0 {
		c.t.Fatalf("without a quorum: got %+v", s)
	}
	// Started anew it waits for a quorum and serves no clients; its peer port tells.
	if err := c.host(0).Units().Restart(c.t.Context(), sandbox.Unit, false); err != nil {
		c.t.Fatal(err)
	}
	c.eventually("the peer port tells the members", func() bool {
		s := c.survey()
		return s.Known && len(s.Members) == 3 && strings.Contains(fmt.Sprint(s.Members[0].Why), "serves no clients")
	})
	backing := map[string]cty.Value{"data_dir": str(sandbox.DataDir), "backup_dir": str("/var/lib/etcd_backup/r1")}
	c.refusedOn(backup(), backing, "stopped")
	c.stop(0)
	if s := c.survey(); s.Known || !strings.Contains(s.Why, "connection refused") {
		c.t.Errorf("where nobody answers: got %+v", s)
	}
	tree := func() string { return c.tree("var/lib/etcd_backup") }
	c.hold(backup(), 0, false, backing, tree)
	c.hold(backup(), 0, true, backing, tree)
	c.partial(backing)
	c.refusedOn(backup(), map[string]cty.Value{"data_dir": str("/var/lib/none"), "backup_dir": str("/var/lib/etcd_backup")}, "data")
	c.refusedOn(backup(), map[string]cty.Value{"data_dir": str(sandbox.DataDir), "backup_dir": str("/var/lib/etcd_backup")}, "free")
}

// partial takes the marker from a backup under way: it is made again, whole.
func (c *cluster) partial(backing map[string]cty.Value) {
	c.t.Helper()
	dir := filepath.Join(c.box.Dir, "hosts", c.box.Hosts()[0].Name, "var/lib/etcd_backup/r1")
	if err := os.Remove(filepath.Join(dir, markerName)); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".partial"); err != nil {
		c.t.Fatal(err)
	}
	c.hold(backup(), 0, false, backing, func() string { return c.tree("var/lib/etcd_backup") })
}

func (c *cluster) refusedOn(typ *engine.Type, given map[string]cty.Value, id string) {
	c.t.Helper()
	if got := c.checks(typ, given); !slices.Contains(got, id) {
		c.t.Errorf("%s: got refusals by %v, want one by %s", typ.Name, got, id)
	}
}

// checks is by what a type on host 0 is refused.
func (c *cluster) checks(typ *engine.Type, given map[string]cty.Value) (ids []string) {
	c.t.Helper()
	l, args := c.look(), enginetest.Args(typ, given)
	l.Host = c.host(0)
	s, err := typ.Observe(c.t.Context(), l, args)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, q := range typ.Guard(l.Host.Name(), args, s, &world.World{Cluster: c.survey()}).Checks {
		if !q.Holds {
			ids = append(ids, q.ID)
		}
		if q.Holds == (q.Help != "") {
			c.t.Errorf("%s: %+v", typ.Name, q)
		}
	}
	return ids
}

const (
	forceDropin = "run/systemd/system/" + sandbox.Unit + ".d/98-force-new-cluster.conf"
	maskDropin  = "etc/systemd/system/" + sandbox.Unit + ".d/" + world.MaskDropin
)

// force makes a cluster of host 0 alone, which is refused while anything of it
// is not as it has to be.
func (c *cluster) force() {
	c.t.Helper()
	hosts := c.box.Hosts()
	given := map[string]cty.Value{"unit": str(sandbox.Unit), "data_dir": str(sandbox.DataDir), "lost": strs(hosts[2].Name)}
	if got := c.checks(forceNewCluster(), given); !slices.Equal(got, []string{"forces", "Q12"}) {
		c.t.Errorf("got refusals by %v, want the drop-in and the members that are not masked", got)
	}
	c.dropin(0, forceDropin, "[Service]\nEnvironment=\"ETCD_FORCE_NEW_CLUSTER=true\"\n")
	c.dropin(1, maskDropin, "[Unit]\nConditionPathExists=!/\n")
	given["data_dir"] = str("/var/lib/none")
	if got := c.checks(forceNewCluster(), given); !slices.Equal(got, []string{"Q13"}) {
		c.t.Errorf("without data: got refusals by %v", got)
	}
	given["data_dir"] = str(sandbox.DataDir)
	if got := c.checks(forceNewCluster(), given); len(got) != 0 {
		c.t.Errorf("got refusals by %v", got)
	}
	// Masked, it cannot be started; one that was only named as lost can, and is seen.
	if err := c.host(1).Units().Start(c.t.Context(), sandbox.Unit, true); err != nil {
		c.t.Fatal(err)
	}
	if u, err := c.host(1).Unit(c.t.Context(), sandbox.Unit); err != nil || u.MainPID != 0 {
		c.t.Errorf("a masked unit was started: %+v, %v", u, err)
	}
	if err := c.host(2).Units().Start(c.t.Context(), sandbox.Unit, false); err != nil {
		c.t.Fatal(err)
	}
	c.eventually("the lost one is seen", func() bool { return slices.Contains(c.checks(forceNewCluster(), given), "Q12") })
	c.stop(2)

	given["endpoints"] = strs(hosts[0].ClientURL())
	c.hold(forceNewCluster(), 0, false, given, func() string {
		u, err := c.host(0).Unit(c.t.Context(), sandbox.Unit)
		return fmt.Sprint(u.InvocationID, u.ActiveState, err)
	})
	c.hold(forceNewCluster(), 0, true, given, c.members)
	if s := c.survey(); len(s.Members) != 1 || s.Budget().Healthy != 1 {
		c.t.Errorf("alone: got %+v", s)
	}

	// Nobody is added while the next start would throw them out again.
	second := map[string]cty.Value{"name": str("spare"), "peer_urls": strs(c.peer(3))}
	c.refused(memberAdd(quick), second, "Q3")
	second["allow_downtime"] = cty.True
	c.refused(memberAdd(quick), second, "Q11")
	if err := os.Remove(filepath.Join(c.box.Dir, "hosts", hosts[0].Name, forceDropin)); err != nil {
		c.t.Fatal(err)
	}
	c.refused(memberAdd(quick), second, "Q11") // systemd does not know yet
	if err := c.host(0).Units().Reload(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.hold(memberAdd(quick), -1, false, second, c.members)

	// The member that was named as lost comes back: it is told to go, or seen.
	if err := c.host(2).Units().Start(c.t.Context(), sandbox.Unit, false); err != nil {
		c.t.Fatal(err)
	}
	seen := false
	c.eventually("the old member is reported or gone", func() bool {
		s, err := observeHealth(c.t.Context(), c.look(), healthArgs{})
		seen = seen || err == nil && len(s.Strangers) == 1 && strings.HasPrefix(s.Strangers[0], hosts[2].Name)
		u, err := c.host(2).Unit(c.t.Context(), sandbox.Unit)
		return seen || err == nil && u.ActiveState == "inactive" && u.InvocationID != ""
	})
	if got := c.members(); strings.Contains(got, hosts[2].Name) {
		c.t.Errorf("the old member is in the list: %s", got)
	}
}
