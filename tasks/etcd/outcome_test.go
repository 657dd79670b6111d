package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

func TestOutcomeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want outcome
	}{
		{rpctypes.ErrUnhealthy, unsettled},
		{rpctypes.ErrGRPCUnhealthy, unsettled},
		{rpctypes.ErrMemberNotEnoughStarted, refused},
		{rpctypes.ErrTooManyLearners, refused},
		{rpctypes.ErrMemberLearnerNotReady, unsynced},
		{rpctypes.ErrMemberNotLearner, refused},
		{rpctypes.ErrMemberNotFound, refused},
		{rpctypes.ErrMemberBadURLs, refused},
		{rpctypes.ErrPermissionDenied, refused},
		{rpctypes.ErrUserEmpty, refused},
		{rpctypes.ErrInvalidAuthToken, refused},
		{rpctypes.ErrPeerURLExist, earlier},
		{rpctypes.ErrMemberExist, earlier},
		{rpctypes.ErrTimeout, lost},
		{rpctypes.ErrNoLeader, lost},
		{rpctypes.ErrLeaderChanged, lost},
		{rpctypes.ErrStopped, lost},
		{context.DeadlineExceeded, lost},
		{context.Canceled, lost},
		{status.Error(codes.Unavailable, "error reading from server: EOF"), lost},
		{status.Error(codes.Unavailable, "transport is closing"), lost},
		{status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`), unsent},
		{&dialError{syscall.ECONNREFUSED}, unsent},
		{fmt.Errorf("wrapped: %w", &dialError{io.EOF}), unsent},
		{errors.New("something new"), lost},
	} {
		if got := outcomeOf(c.err); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	two := cty.NumberIntVal(2)
	for _, c := range []struct {
		typ   *engine.Type
		given map[string]cty.Value
		want  string
	}{
		{members(), nil, ""},
		{members(), map[string]cty.Value{"api": cty.NumberIntVal(3)}, ""},
		{members(), map[string]cty.Value{"api": two}, "argument api: This type speaks API 3, not 2. For API 2 use the etcd2_* types."},
		{health(), map[string]cty.Value{"api": two}, "argument api"},
		{memberAdd(0), map[string]cty.Value{"name": str("a"), "peer_urls": strs("http://h:2380")}, ""},
		{memberAdd(0), map[string]cty.Value{"name": str("a=b"), "peer_urls": strs("http://h:2380")}, "argument name"},
		{memberAdd(0), map[string]cty.Value{"name": str("a"), "peer_urls": cty.ListValEmpty(cty.String)}, "at least one peer URL"},
		{memberAdd(0), map[string]cty.Value{"name": str("a"), "peer_urls": strs("http://h:2380/")}, "http://h:2380/ is not a peer URL"},
		{memberAdd(0), map[string]cty.Value{"name": str("a"), "peer_urls": strs("h:2380")}, "h:2380 is not a peer URL"},
		{memberAdd(0), map[string]cty.Value{"name": str("a"), "peer_urls": strs("http://h:1", "http://h:1")}, "given twice"},
		{memberAdd(0), map[string]cty.Value{"name": str("a"), "peer_urls": strs("http://h:1"), "api": two}, "argument api"},
		{memberRemove(0), map[string]cty.Value{"id": str("demo-etcd-2")}, `argument id: "demo-etcd-2" is not a member ID`},
		{memberRemove(0), map[string]cty.Value{"id": str("0x1609b5a3a078c227")}, ""},
		{memberPromote(0), map[string]cty.Value{"id": str("0")}, "argument id"},
	} {
		err := c.typ.Check(args(c.typ, c.given))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: got %v, want %q", c.typ.Name, c.given, err, c.want)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Setenv("EMPTY", "")
	for _, c := range []struct {
		name    string
		cluster engine.Cluster
		reach   Reach
		want    string
	}{
		{"no endpoints", engine.Cluster{API: 3}, Reach{}, "there are no endpoints"},
		{"API 2", engine.Cluster{API: 2, Endpoints: []string{"http://h:1"}}, Reach{}, "use the etcd2_* types"},
		{"no file", engine.Cluster{Endpoints: []string{"http://h:1"}, TLS: engine.TLS{CAFile: "/no/such"}}, Reach{}, "client certificates of the inventory: open /no/such"},
		{"no password", engine.Cluster{Endpoints: []string{"http://h:1"}, Auth: engine.Auth{Username: "root"}}, Reach{}, "neither password_env nor password_file"},
		{"unset", engine.Cluster{Endpoints: []string{"http://h:1"}, Auth: engine.Auth{Username: "root", PasswordEnv: "EMPTY"}}, Reach{}, "environment variable EMPTY, which is not set"},
		{"no password file", engine.Cluster{Endpoints: []string{"http://h:1"}, Auth: engine.Auth{Username: "root", PasswordFile: "/no/such"}}, Reach{}, "open /no/such"},
		{"via", engine.Cluster{Endpoints: []string{"http://h:1"}}, Reach{Via: &Via{Name: "bastion"}}, "via host bastion"},
	} {
		_, err := newAccess(engine.Look{Cluster: c.cluster}, c.reach)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestHashes(t *testing.T) {
	for _, c := range []struct {
		h    hashes
		want string
	}{
		{hashes{Revision: 7, By: map[string]hashed{"a": {1, 2}, "b": {1, 2}}}, "HashKV equal at revision 7"},
		{hashes{Revision: 7, By: map[string]hashed{"a": {1, 2}, "b": {9, 2}}}, "HashKV differs at revision 7"},
		{hashes{Revision: 7, By: map[string]hashed{"a": {1, 2}, "b": {1, 3}}}, "HashKV differs at revision 7"},
		{hashes{Revision: 7, By: map[string]hashed{"a": {1, 2}}, Missing: []string{"b"}}, "HashKV not told by b"},
	} {
		if got := c.h.words(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if got := c.h.equal(); got != (c.want == "HashKV equal at revision 7") {
			t.Errorf("%s: equal is %v", c.want, got)
		}
	}
}

// TestAdoptsItsOwnOnly: the member that an addition made is the one with its peer
// URLs that was not there before, under whatever URLs, and is what was asked for.
func TestAdoptsItsOwnOnly(t *testing.T) {
	a := AddArgs{Name: "d", PeerURLs: []string{"http://d:2380"}}
	before := listing{Linear: true, Members: []listed{{ID: "1", Name: "a", PeerURLs: []string{"http://a:2380"}}}}
	for name, tc := range map[string]struct {
		now  listed
		want bool
	}{
		"its own":                          {listed{ID: "4", PeerURLs: a.PeerURLs, Learner: true}, true},
		"its own, promoted meanwhile":      {listed{ID: "4", Name: "d", PeerURLs: a.PeerURLs}, true},
		"a voter that somebody else added": {listed{ID: "4", PeerURLs: a.PeerURLs}, false},
		"one that was there, moved here":   {listed{ID: "1", Name: "a", PeerURLs: a.PeerURLs}, false},
		"one with more peer URLs":          {listed{ID: "4", PeerURLs: append([]string{"http://e:2380"}, a.PeerURLs...), Learner: true}, false},
		"another one":                      {listed{ID: "4", PeerURLs: []string{"http://e:2380"}, Learner: true}, false},
	} {
		now := listing{Linear: true, Members: []listed{tc.now}}
		if got := now.since(before, a) != nil; got != tc.want {
			t.Errorf("%s: adopted is %v, want %v", name, got, tc.want)
		}
	}
}
