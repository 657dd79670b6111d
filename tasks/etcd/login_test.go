package etcd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// TestLogin reads and changes a cluster while authentication comes and goes: one
// login serves all members, a token that no longer counts is replaced, and who
// has no right is told so as a refusal that had no effect.
func TestLogin(t *testing.T) {
	t.Parallel()
	c := boot(t, 2)
	ctx, l := within(t, 2*time.Minute), c.look()
	kept := &engine.Kept{}
	t.Cleanup(kept.Close)
	l.Kept = kept

	acc, err := newAccess(l, Reach{})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := acc.open(ctx, c.nodes[0].client)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.close()
	for _, user := range []string{"root", "reader"} {
		if _, err := admin.UserAdd(ctx, user, "of-"+user); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.UserGrantRole(ctx, "root", "root"); err != nil {
		t.Fatal(err)
	}
	as := func(user string) *access {
		t.Helper()
		look := l
		look.Kept = &engine.Kept{}
		look.Cluster.Auth = engine.Auth{Username: user, PasswordFile: "unused"}
		a := *acc
		a.look, a.password, a.links, a.login = look, "of-"+user, linksOf(look), loginOf(look)
		return &a
	}

	// A user is named, and authentication is off: nobody is asked.
	root := as("root")
	if list, err := root.agreed(ctx); err != nil || len(list.Members) != 2 || root.login.token != "" {
		t.Fatalf("before authentication: %+v, %v, token %q", list, err, root.login.token)
	}
	// It is turned on while the run is going: who has a user logs in, who has none
	// is refused for certain.
	if _, err := admin.AuthEnable(ctx); err != nil {
		t.Fatal(err)
	}
	if list, err := root.agreed(ctx); err != nil || len(list.Members) != 2 || root.login.token == "" {
		t.Fatalf("with authentication: %+v, %v", list, err)
	}
	nobody := func(a *access) error {
		return a.change(ctx, "", func(ctx context.Context, c *clientv3.Client) error {
			_, err := c.MemberAdd(ctx, []string{"http://127.0.4.9:1"})
			return err
		})
	}
	for _, refusal := range []struct {
		a    *access
		want string
	}{
		{acc, "the inventory names none"},
		{as("reader"), "etcd's user reader may not do this"},
	} {
		err := nobody(refusal.a)
		if o := outcomeOf(err); o != refused || !strings.Contains(err.Error(), refusal.want) || !errors.Is(err, conn.ErrRefused) {
			t.Errorf("got outcome %d of %v, want a refusal with %q", o, err, refusal.want)
		}
	}

	// A token that the servers have forgotten, or that expired, is replaced; also
	// that of a change, which was refused with the old one.
	before := root.login.token
	root.login.mu.Lock()
	root.login.token += ".worn"
	root.login.mu.Unlock()
	if list, err := root.agreed(ctx); err != nil || len(list.Members) != 2 {
		t.Errorf("with a token that no longer counts: %+v, %v", list, err)
	}
	root.login.mu.Lock()
	defer root.login.mu.Unlock()
	if root.login.token == before || strings.HasSuffix(root.login.token, ".worn") {
		t.Errorf("the token is %q still", root.login.token)
	}
}
