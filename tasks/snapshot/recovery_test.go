package snapshot

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
	"go.etcd.io/bbolt"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/onhost"
)

func holdings(t *testing.T, dir string) Holdings {
	t.Helper()
	h, err := holdingsOf(t.Context(), onhost.Root(""), holdingsRequest{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHoldings reads the data directory of a genuine etcd: while it runs, when it
// has ended, and when somebody has spoiled it.
func TestHoldings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etcd")
	if h := holdings(t, dir); h.Exists || h.Problem != "" {
		t.Errorf("nothing there: %+v", h)
	}
	s := start(t, dir, nil)
	s.fill(t, 10)
	status, err := s.dial(t).Status(within(t, answerIn), s.client)
	if err != nil {
		t.Fatal(err)
	}
	running := holdings(t, dir)
	if !running.Exists || !running.Locked || !running.LogReadable || running.Problem != "" || running.Revision != 0 || running.Ahead != -1 {
		t.Errorf("while it runs: %+v", running)
	}
	if running.Index < status.RaftIndex || running.Term != status.RaftTerm {
		t.Errorf("while it runs: log to %d/%d, and etcd says %d/%d", running.Term, running.Index, status.RaftTerm, status.RaftIndex)
	}
	s.stop()
	before := enginetest.Tree(t, dir)
	ended := holdings(t, dir)
	if enginetest.Tree(t, dir) != before {
		t.Error("reading it has changed it")
	}
	if ended.Locked || ended.Revision != status.Header.Revision || ended.Ahead != 0 || ended.Applied != ended.Index || ended.Problem != "" || ended.Learner || ended.Removed {
		t.Errorf("when it has ended, with revision %d: %+v", status.Header.Revision, ended)
	}
	if ended.Member != running.Member || len(ended.Member) < 8 || ended.Cluster != running.Cluster {
		t.Errorf("whose it is: %+v, %+v", running, ended)
	}

	// The database loses what it got last: the log still has it.
	db := filepath.Join(dir, "member", "snap", "db")
	behind(t, db, ended.Applied-4)
	if h := holdings(t, dir); h.Ahead < 3 || h.Ahead > 4 || h.Applied != ended.Applied-4 {
		t.Errorf("behind its log by four entries: %+v", h)
	}

	logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	spoil(t, logs[0])
	if h := holdings(t, dir); h.LogReadable || !strings.Contains(h.Problem, "the log cannot be read") || h.Revision == 0 {
		t.Errorf("with a spoiled log: %+v", h)
	}
	spoil(t, db)
	if h := holdings(t, dir); !strings.Contains(h.Problem, "the database is damaged") || !strings.Contains(h.words(), "damaged") {
		t.Errorf("with a spoiled database: %+v", h)
	}
}

// behind makes a database say that it has the log up to index only.
func behind(t *testing.T, file string, index uint64) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		v := make([]byte, 8)
		for i := range v {
			v[i] = byte(index >> (56 - 8*i))
		}
		return tx.Bucket([]byte("meta")).Put([]byte("consistent_index"), v)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func spoil(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("spoiled ", 1024)), 0); err != nil {
		t.Fatal(err)
	}
}

// quiet is a host whose etcd is in the state given.
type quiet struct {
	conn.Host
	unit conn.Unit
}

func (q quiet) Unit(context.Context, string) (conn.Unit, error) { return q.unit, nil }

// swapping is a data directory to be swapped, below dir.
func swapping(t *testing.T, dir, run string) map[string]cty.Value {
	t.Helper()
	for _, name := range []string{"etcd/member/wal", "etcd.new/member/wal"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	marker := `{"format":1,"run":"` + run + `","sum":"s","token":"t","initial_cluster":"m1=http://h:2380"}`
	if err := os.WriteFile(filepath.Join(dir, "etcd.new", MarkerName), []byte(marker), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]cty.Value{
		"restored": cty.StringVal(filepath.Join(dir, "etcd.new")), "aside": cty.StringVal(filepath.Join(dir, "etcd.old")),
		"initial_cluster": cty.StringVal("m1=http://h:2380"), "data_dir": cty.StringVal(filepath.Join(dir, "etcd")),
	}
}

// TestSwapGuard holds that data is swapped only where nothing could go on as the
// old cluster, and only for what this run has restored.
func TestSwapGuard(t *testing.T) {
	masked := conn.Unit{ActiveState: "inactive", LoadState: "masked"}
	for name, c := range map[string]struct {
		unit  conn.Unit
		reach error
		run   string
		spoil func(dir string)
		want  string
	}{
		"stopped and masked":   {unit: masked},
		"stopped":              {unit: conn.Unit{ActiveState: "inactive", LoadState: "loaded"}, want: "anything may start it"},
		"held by a drop-in":    {unit: conn.Unit{ActiveState: "failed", LoadState: "loaded", DropInPaths: []string{"/etc/x.d/" + world.MaskDropin}}},
		"running":              {unit: conn.Unit{ActiveState: "active", LoadState: "loaded", MainPID: 7}, want: "etcd runs on h"},
		"on its way":           {unit: conn.Unit{ActiveState: "activating", LoadState: "masked"}, want: "etcd runs on h"},
		"not to be reached":    {reach: conn.ErrUnreachable, want: "cannot be told"},
		"of another run":       {unit: masked, run: "other", want: "not there, or not whole"},
		"something kept there": {unit: masked, spoil: func(dir string) { _ = os.Mkdir(filepath.Join(dir, "etcd.old"), 0o700) }, want: "something already"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, run := t.TempDir(), "r1"
			if c.run != "" {
				run = c.run
			}
			args := swapping(t, dir, run)
			if c.spoil != nil {
				c.spoil(dir)
			}
			h := quiet{here(t), c.unit}
			l := engine.Look{
				Host: h, RunID: "r1", Cluster: engine.Cluster{DataDir: filepath.Join(dir, "etcd"), Unit: "etcd.service", Members: []string{"h"}},
				At:   func(context.Context, string) (conn.Reader, error) { return h, c.reach },
				Dial: func(context.Context, string) (net.Conn, error) { return nil, errors.New("refused") },
				Say:  func(string, ...any) {}, Progress: func(int64, int64) {},
			}
			typ := Swap()
			given := enginetest.Args(typ, args)
			s, err := typ.Observe(t.Context(), l, given)
			if err != nil {
				t.Fatal(err)
			}
			err = typ.Guard("h", given, s, &world.World{}).Err()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err != nil {
				return
			}
			if _, err := typ.Apply(t.Context(), engine.Hands{Look: l, Host: h}, given, s); err != nil {
				t.Fatal(err)
			}
			if found, _, err := typ.Settle(t.Context(), l, given, s); err != nil || found != engine.Done {
				t.Errorf("settled: %v, %v", found, err)
			}
			if again, err := typ.Observe(t.Context(), l, given); err != nil {
				t.Error(err)
			} else if planned, _ := typ.Plan(engine.Planning{World: &world.World{}, Observed: true, Cluster: l.Cluster}, given, again); planned.Needed {
				t.Errorf("once more: %+v", planned)
			}
		})
	}
}

// TestSwapSettles follows the two renames of a swap through all that a lost
// answer can leave.
func TestSwapSettles(t *testing.T) {
	for name, c := range map[string]struct {
		moved int // renames that were done
		want  engine.Settlement
	}{"nothing": {0, engine.NotDone}, "the old data is aside": {1, engine.Partial}, "all": {2, engine.Done}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := enginetest.Args(Swap(), swapping(t, dir, "r1"))
			h := quiet{here(t), conn.Unit{ActiveState: "inactive", LoadState: "masked"}}
			l := engine.Look{Host: h, RunID: "r1", Say: func(string, ...any) {}, Progress: func(int64, int64) {}}
			before, err := Swap().Observe(t.Context(), l, args)
			if err != nil {
				t.Fatal(err)
			}
			for i, names := range [][2]string{{"etcd", "etcd.old"}, {"etcd.new", "etcd"}} {
				if i < c.moved {
					if err := os.Rename(filepath.Join(dir, names[0]), filepath.Join(dir, names[1])); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got, _, err := Swap().Settle(t.Context(), l, args, before); err != nil || got != c.want {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
			now, err := Swap().Observe(t.Context(), l, args)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Swap().Apply(t.Context(), engine.Hands{Look: l, Host: h}, args, now); err != nil {
				t.Fatal(err)
			}
			if got, _, err := Swap().Settle(t.Context(), l, args, before); err != nil || got != engine.Done {
				t.Errorf("completed: %v, %v", got, err)
			}
		})
	}
}

func TestSurvivorOf(t *testing.T) {
	one := func(host string, index int64, problem string) cty.Value {
		return cty.ObjectVal(map[string]cty.Value{
			"host": cty.StringVal(host), "readable": cty.True, "problem": cty.StringVal(problem), "term": cty.NumberIntVal(2),
			"index": cty.NumberIntVal(index), "removed": cty.False, "learner": cty.False,
		})
	}
	for name, c := range map[string]struct {
		remains []cty.Value
		host    string
		behind  bool
		want    string
		fails   string
	}{
		"the furthest":           {remains: []cty.Value{one("a", 5, ""), one("b", 7, "")}, want: "b"},
		"not what is damaged":    {remains: []cty.Value{one("a", 5, ""), one("b", 7, "torn")}, want: "a"},
		"nothing whole":          {remains: []cty.Value{one("a", 5, "torn")}, fails: "a: torn"},
		"another one":            {remains: []cty.Value{one("a", 5, ""), one("b", 7, "")}, host: "a", fails: "Q13"},
		"another one, and meant": {remains: []cty.Value{one("a", 5, ""), one("b", 7, "")}, host: "a", behind: true, want: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			args := map[string]cty.Value{"remains": cty.ListVal(c.remains), "even_if_behind": cty.BoolVal(c.behind)}
			if c.host != "" {
				args["host"] = cty.StringVal(c.host)
			}
			given := enginetest.Args(Survivor(), args)
			s, err := Survivor().Observe(t.Context(), engine.Look{}, given)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := Survivor().Report(given, s).GetAttr("host").AsString(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
