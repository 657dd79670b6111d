package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
	"golang.org/x/net/http2/hpack"

	"github.com/etcdplay/etcdplay/engine"
)

// TestMain runs more tests at once than there are cores, since they mostly wait
// for etcd's timers, and holds that no task leaves a goroutine behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var stacks []byte
	err := engine.Poll(ctx, 100*time.Millisecond, func(context.Context) (bool, error) {
		stacks = make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		return !bytes.Contains(stacks, []byte("etcd.(*access)")), nil
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", stacks)
		code = 1
	}
	os.Exit(code)
}

// thief is a dialler whose connections lose one call of the API, once: either
// the request, or the answer after the server has carried it out.
type thief struct {
	mu      sync.Mutex
	pattern []byte        // of the request, in the encoding of HTTP/2 headers; nil when done
	request bool          // lose the request, not the answer
	first   time.Time     // when the first addition was sent, stolen or not
	carried chan struct{} // closed by the test when the server has carried it out
}

// called is what the request of a method of the API looks like on the wire.
func called(method string) []byte {
	path := hpack.AppendHuffmanString(nil, "/etcdserverpb.Cluster/"+method)
	return path[:len(path)-1]
}

func (th *thief) steal(method string, request bool) chan struct{} {
	th.mu.Lock()
	defer th.mu.Unlock()
	th.pattern, th.request, th.carried = called(method), request, make(chan struct{})
	return th.carried
}

// added is when the first addition was sent.
func (th *thief) added() time.Time {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.first
}

func (th *thief) stolen() bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.pattern == nil
}

func (th *thief) dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := dialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &robbed{Conn: c, th: th}, nil
}

type robbed struct {
	net.Conn
	th      *thief
	mu      sync.Mutex
	carried chan struct{} // not nil once the call was sent here
}

var errStolen = errors.New("connection reset by the test")

func (r *robbed) Write(b []byte) (int, error) {
	r.th.mu.Lock()
	if r.th.first.IsZero() && bytes.Contains(b, called("MemberAdd")) {
		r.th.first = time.Now()
	}
	hit := r.th.pattern != nil && bytes.Contains(b, r.th.pattern)
	request := r.th.request
	if hit {
		r.th.pattern = nil
	}
	r.th.mu.Unlock()
	switch {
	case hit && request:
		_ = r.Close() // the connection is gone, as the test wants it
		return len(b), nil
	case hit:
		r.mu.Lock()
		r.carried = r.th.carried
		r.mu.Unlock()
	}
	return r.Conn.Write(b)
}

// Read hands nothing on of what comes after the call was sent.
func (r *robbed) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	carried := r.carried
	r.mu.Unlock()
	if carried == nil {
		return n, err
	}
	<-carried
	return 0, errStolen
}

// lose applies the task while the thief steals its call, and returns the state
// as a resumed run has it. Until the server has carried the change out, as seen
// says, no answer comes.
func (c *cluster) lose(th *thief, typ *engine.Type, a cty.Value, method string, request bool, seen func(listing) bool) engine.State {
	c.t.Helper()
	ctx, l := within(c.t, time.Minute), c.look()
	s, err := typ.Observe(ctx, l, a)
	if err != nil {
		c.t.Fatal(err)
	}
	carried := th.steal(method, request)
	direct := c.look()
	direct.Dial = dialTCP
	go func() {
		defer close(carried)
		acc, err := newAccess(direct, Reach{})
		if err != nil || request {
			return
		}
		_ = engine.Poll(ctx, 50*time.Millisecond, func(ctx context.Context) (bool, error) {
			now, err := acc.agreed(ctx)
			return err == nil && seen(now), nil
		})
	}()
	_, err = typ.Apply(ctx, engine.Hands{Look: l}, a, s)
	if err == nil || errors.Is(err, engine.ErrDefinite) {
		c.t.Fatalf("%s: the answer was lost, and Apply says %v", typ.Name, err)
	}
	if !th.stolen() {
		c.t.Fatalf("%s: nothing was stolen: %v", typ.Name, err)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		c.t.Fatal(err)
	}
	if s, err = typ.State(raw); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// settled holds that Settle says what is true.
func (c *cluster) settled(typ *engine.Type, a cty.Value, s engine.State, want engine.Settlement) cty.Value {
	c.t.Helper()
	got, r, err := typ.Settle(within(c.t, time.Minute), c.look(), a, s)
	if err != nil || got != want {
		c.t.Fatalf("%s: settled as %q, %v; want %q", typ.Name, got, err, want)
	}
	if want == engine.Done {
		if err := typ.Verify(within(c.t, time.Minute), c.look(), a, r); err != nil {
			c.t.Fatalf("%s: settled and not so: %v", typ.Name, err)
		}
	}
	return r
}

// TestLostAnswers loses requests and answers of each change on a genuine
// cluster: what Settle says must be what is.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	// A member that a loaded machine keeps waiting for half a second must not
	// elect: a change that falls into an election is dropped.
	c := bootSteady(t, 3, 1000)
	th := &thief{}
	c.dial = th.dial
	add, promote, remove := memberAdd(time.Second), memberPromote(time.Second), memberRemove(time.Second)
	n := c.newNode("d")
	a := args(add, map[string]cty.Value{"name": str("d"), "peer_urls": strs(n.peer)})
	has := func(l listing) bool { exact, _ := l.at([]string{n.peer}); return exact != nil }

	// Right after the start etcd refuses every change; an addition waits that out.
	first := c.act(memberAdd(settleFor), map[string]cty.Value{"name": str("w"), "peer_urls": strs("http://127.0.4.8:1")})
	if after := th.added().Sub(begun); after < 5*time.Second && !c.heard("connected for 5 s") {
		t.Errorf("an addition %s after the start, and nothing was said of etcd's health interval: %q", after, c.said)
	}
	c.act(memberRemove(settleFor), map[string]cty.Value{"id": first.GetAttr("id")})

	// The request is lost: the member is not there, and is not said to be.
	s := c.lose(th, add, a, "MemberAdd", true, nil)
	c.settled(add, a, s, engine.NotDone)
	if !c.heard("the answer was lost") {
		t.Errorf("nothing was said of the lost answer: %q", c.said)
	}

	// The answer is lost: the member is there, and is found.
	s = c.lose(th, add, a, "MemberAdd", false, has)
	r := c.settled(add, a, s, engine.Done)
	id := texts(r, "id")
	if !strings.HasSuffix(texts(r, "initial_cluster"), ",d="+n.peer) {
		t.Errorf("settled: got %#v", r)
	}

	// A run that finds it there has not added it, and does not take it over.
	ctx, l := within(t, time.Minute), c.look()
	there, err := add.Observe(ctx, l, a)
	if err != nil {
		t.Fatal(err)
	}
	c.settled(add, a, there, engine.Conflict)
	if _, err := add.Apply(ctx, engine.Hands{Look: l}, a, there); !errors.Is(err, engine.ErrDefinite) || !strings.Contains(err.Error(), "member "+id+" has these peer URLs already") {
		t.Errorf("adding what is there: got %v", err)
	}
	// With the state of before, the addition is ours: etcd's refusal is an echo.
	if r, err := add.Apply(ctx, engine.Hands{Look: l}, a, s); err != nil || texts(r, "id") != id {
		t.Errorf("adding again: got %#v, %v", r, err)
	}
	other := args(add, map[string]cty.Value{"name": str("e"), "peer_urls": strs("http://127.0.4.9:1")})
	if _, err := add.Apply(ctx, engine.Hands{Look: l}, other, there); !errors.Is(err, engine.ErrDefinite) || !strings.Contains(err.Error(), "member "+id+" is a learner already") {
		t.Errorf("a second learner: got %v", err)
	}

	// A learner that does not run is waited for, as long as the task may.
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // it is told with each look, and the last one is the error
		_ = engine.Poll(ctx, 50*time.Millisecond, func(context.Context) (bool, error) { return c.heard("has not started"), nil })
		cancel()
	}()
	pa := args(promote, map[string]cty.Value{"id": str(id)})
	if _, err := promote.Apply(short, engine.Hands{Look: l}, pa, engine.State{}); !errors.Is(err, engine.ErrDefinite) || !strings.Contains(err.Error(), "has not started") {
		t.Errorf("promoting what does not run: got %v", err)
	}
	c.settled(promote, pa, engine.State{}, engine.NotDone)

	n.start(t, texts(r, "initial_cluster"), "existing")
	s = c.lose(th, promote, pa, "MemberPromote", false, func(l listing) bool { m := l.member(id); return m != nil && !m.Learner })
	c.settled(promote, pa, s, engine.Done)

	n.stop()
	ra := args(remove, map[string]cty.Value{"id": str(id)})
	s = c.lose(th, remove, ra, "MemberRemove", true, nil)
	c.settled(remove, ra, s, engine.NotDone)
	s = c.lose(th, remove, ra, "MemberRemove", false, func(l listing) bool { return l.member(id) == nil })
	c.settled(remove, ra, s, engine.Done)
	c.settled(promote, pa, s, engine.Conflict)
	if _, err := promote.Apply(ctx, engine.Hands{Look: l}, pa, s); !errors.Is(err, engine.ErrDefinite) || !strings.Contains(err.Error(), "is not in the list") {
		t.Errorf("promoting what is gone: got %v", err)
	}
	c.deadlines(memberAdd(settleFor), remove)
}

// TestMemoryDecidesNothing: what a member without a quorum remembers of the members
// settles no change whose answer was lost.
func TestMemoryDecidesNothing(t *testing.T) {
	t.Parallel()
	c := boot(t, 2)
	ctx := within(t, time.Minute)
	add := memberAdd(time.Second)
	a := args(add, map[string]cty.Value{"name": str("d"), "peer_urls": strs("http://127.0.4.77:2380")})
	s, err := add.Observe(ctx, c.look(), a)
	if err != nil {
		t.Fatal(err)
	}
	c.nodes[1].stop()
	short, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	if got, _, err := add.Settle(short, c.look(), a, s); err == nil || got != "" {
		t.Errorf("settled without a quorum: %q, %v", got, err)
	}
}

// deadlines cuts additions off at points that are spread over the time which a
// whole one takes here, wherever they are then. What was cut off may still arrive
// as late as etcd's own patience lasts, so settling waits as long as in earnest.
func (c *cluster) deadlines(add, remove *engine.Type) {
	c.t.Helper()
	var whole time.Duration
	outcomes := map[engine.Settlement]int{}
	definite := 0
	const cuts = 12
	for i := range cuts + 1 {
		peer := fmt.Sprintf("http://127.0.4.%d:2380", 100+i)
		a := args(add, map[string]cty.Value{"name": str("x"), "peer_urls": strs(peer)})
		ctx, l := within(c.t, time.Minute), c.look()
		s, err := add.Observe(ctx, l, a)
		if err != nil {
			c.t.Fatal(err)
		}
		limit := 30 * time.Second // of the first, which is measured
		if i > 0 {
			limit = whole * time.Duration(i) / cuts
		}
		short, cancel := context.WithTimeout(ctx, limit)
		began := time.Now()
		_, err = add.Apply(short, engine.Hands{Look: l}, a, s)
		cancel()
		if i == 0 {
			if whole = time.Since(began); err != nil {
				c.t.Fatal(err)
			}
		}
		found := engine.Done
		switch {
		case errors.Is(err, engine.ErrDefinite):
			definite++
			found = engine.NotDone
		case err != nil:
			if found, _, err = add.Settle(ctx, l, a, s); err != nil {
				c.t.Fatal(err)
			}
			outcomes[found]++
		}
		acc, err := newAccess(l, Reach{})
		if err != nil {
			c.t.Fatal(err)
		}
		now, err := acc.agreed(ctx)
		if err != nil {
			c.t.Fatal(err)
		}
		exact, _ := now.at([]string{peer})
		if (exact != nil) != (found == engine.Done) {
			c.t.Fatalf("addition %d is said to be %q, and the list has %+v", i, found, now.Members)
		}
		if exact == nil {
			continue
		}
		ra := args(remove, map[string]cty.Value{"id": str(exact.ID)})
		if _, err := remove.Apply(ctx, engine.Hands{Look: l}, ra, engine.State{}); err != nil {
			c.t.Fatal(err)
		}
	}
	c.t.Logf("cut off within %s: %d definite, %v", whole, definite, outcomes)
}
