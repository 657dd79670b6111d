package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Contact is what is learnt of a machine when it is connected to. What is not
// known is zero.
type Contact struct {
	Host    string `json:"host,omitempty"`    // in the inventory; "" of a machine on the way to one
	Address string `json:"address,omitempty"` // host:port by which its key is known
	Key     string `json:"key,omitempty"`     // of the host, "ssh-ed25519 SHA256:…"
	Epoch   uint64 `json:"epoch,omitempty"`   // of this process's turn to change it
}

// contactsLine is on disk before anything is changed on the machines it names.
type contactsLine struct {
	T        string    `json:"t"` // "contacts"
	Contacts []Contact `json:"contacts"`
	At       time.Time `json:"at"`
}

// met adds what a line says to what is known of the machines, by host.
func (f *fold) met(l contactsLine) {
	for _, c := range l.Contacts {
		name := cmp.Or(c.Host, c.Address)
		known := f.contacts[name]
		known.Host, known.Address, known.Key = c.Host, cmp.Or(c.Address, known.Address), cmp.Or(c.Key, known.Key)
		known.Epoch = max(c.Epoch, known.Epoch)
		f.contacts[name] = known
	}
}

// known is the machines of the run in the order of their names.
func (f *fold) known() []Contact {
	var all []Contact
	for _, name := range sortedNames(f.contacts) {
		all = append(all, f.contacts[name])
	}
	return all
}

// meet records what was learnt of machines since it was last called. A host that
// shows another key than an earlier process of the run saw is refused, whoever
// connected to it and whatever it was told to expect.
func (r *runner) meet() error {
	if r.env.Contacts == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	learnt := r.env.Contacts()
	if len(learnt) == 0 {
		return nil
	}
	for _, c := range learnt {
		before := r.fold.contacts[cmp.Or(c.Host, c.Address)]
		if before.Key != "" && c.Key != "" && c.Address == before.Address && c.Key != before.Key {
			return fmt.Errorf("%w: host key of %s has changed: it showed %s, and to this run it showed %s before: another machine may be in its place",
				conn.ErrRefused, c.Address, c.Key, before.Key)
		}
	}
	l := contactsLine{T: "contacts", Contacts: slices.Clone(learnt), At: r.env.now()}
	if err := r.recordLocked(l); err != nil {
		return err
	}
	r.fold.met(l)
	return nil
}
