package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// TestContacts holds that what hosts show of themselves is recorded before
// anything is changed there, and that a resumed run does nothing on a host that
// shows another key.
func TestContacts(t *testing.T) {
	b := newBench(t)
	fail := "two"
	b.failing(&fail)
	p := b.program(&Phase{Tasks: []*Task{b.add("one", "one"), b.add("two", "two")}})
	p.Phases[0].Tasks[0].On, p.Phases[0].Tasks[1].On = onHost("a"), onHost("b")

	var learnt []Contact
	key := map[string]string{"a": "ssh-ed25519 SHA256:a", "b": "ssh-ed25519 SHA256:b"}
	epoch := uint64(1)
	connect := b.env.Host
	b.env.Host = func(ctx context.Context, spec HostSpec) (conn.Host, error) {
		learnt = append(
			learnt,
			Contact{Host: spec.Name, Address: spec.Name + ":22", Key: key[spec.Name]},
			Contact{Host: spec.Name, Epoch: epoch},
		)
		return connect(ctx, spec)
	}
	b.env.Contacts = func() []Contact {
		all := learnt
		learnt = nil
		return all
	}
	b.site.before = func(k string) error {
		host, got := map[string]string{"one": "a", "two": "b"}[k], b.record().Contacts
		if !slices.ContainsFunc(got, func(c Contact) bool { return c.Host == host && c.Key == key[host] && c.Epoch == 1 }) {
			t.Errorf("before %s is changed the journal has %v", k, got)
		}
		if k == "two" {
			return Definite(context.Canceled)
		}
		return nil
	}
	wantCode(t, b.run(p), ExitFailed)
	want(t, "ends", b.ends(), "one ok executed; two failed ")
	before := b.record().Contacts
	if len(before) != 2 || before[0] != (Contact{Host: "a", Address: "a:22", Key: "ssh-ed25519 SHA256:a", Epoch: 1}) {
		t.Errorf("contacts: got %+v", before)
	}

	key["b"], epoch = "ssh-ed25519 SHA256:other", 2
	b.site.before = func(k string) error {
		t.Errorf("%s is changed on a host with another key", k)
		return nil
	}
	o := b.resume(p)
	wantCode(t, o, ExitUnreachable)
	if !strings.Contains(o.Failure.Cause, "host key of b:22 has changed") || !strings.Contains(o.Failure.Cause, "SHA256:b before") {
		t.Errorf("cause: got %s", o.Failure.Cause)
	}
	if got := b.record().Contacts; got[1] != before[1] {
		t.Errorf("the other key is recorded: %+v", got)
	}

	key["b"], b.site.before = "ssh-ed25519 SHA256:b", nil
	wantCode(t, b.resume(p), ExitOK)
	want(t, "effects", b.effects("one", "two"), "one=1 two=1")
	if got := b.record().Contacts[1].Epoch; got != 2 {
		t.Errorf("epoch of b: got %d, want 2", got)
	}
}
