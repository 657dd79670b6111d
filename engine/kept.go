package engine

import (
	"io"
	"sync"
)

// Kept is what tasks leave for those after them, such as a client that has
// connected, until the command ends. What is kept saves time and decides
// nothing: a task without it does the same. The zero Kept is ready for use, by
// many goroutines; a nil one keeps nothing.
type Kept struct {
	mu     sync.Mutex
	things map[string]io.Closer
}

// Get returns what is kept by that name; make makes it where there is none. kept
// is false if it is the caller's alone, who closes it.
func (k *Kept) Get(name string, make func() io.Closer) (thing io.Closer, kept bool) {
	if k == nil {
		return make(), false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.things == nil {
		k.things = map[string]io.Closer{}
	}
	if k.things[name] == nil {
		k.things[name] = make()
	}
	return k.things[name], true
}

// Close closes all that is kept.
func (k *Kept) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, thing := range k.things {
		_ = thing.Close() // what it was for is done
	}
	k.things = nil
}
