package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interrupts turns Ctrl-C into what it means at the moment. While a plan is
// made or a question is open, nothing has been changed and the first ends it.
// In a run the first lets the running task finish, and the second stops at
// once. A third gives Ctrl-C its usual meaning back.
type interrupts struct {
	ctx    context.Context
	cancel context.CancelFunc
	stop   chan struct{}
	caught chan os.Signal

	mu      sync.Mutex
	running bool
	count   int
}

// catch begins to catch signals; the caller calls release at the end.
func (a *app) catch() *interrupts {
	in := &interrupts{stop: make(chan struct{}), caught: make(chan os.Signal, 4)}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	// SIGPIPE is caught and dropped: a reader of our output who goes away must
	// not stop a run in the middle of a change.
	signal.Notify(in.caught, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		for s := range in.caught {
			if s != syscall.SIGPIPE {
				in.signal(a)
			}
		}
	}()
	return in
}

func (in *interrupts) signal(a *app) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.count++
	switch {
	case in.count > 2:
		signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	case !in.running:
		in.cancel()
	case in.count == 1:
		close(in.stop)
		a.screen.Tell("Interrupted: the running task is let finish, then what is owed of rescue and always is run. Press Ctrl-C again to stop at once.\n")
	default:
		a.screen.Tell("Stopping at once. The journal knows what is owed.\n")
		in.cancel()
	}
}

// run says that from now on something may be changed.
func (in *interrupts) run() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running, in.count = true, 0
}

func (in *interrupts) release() {
	signal.Stop(in.caught)
	close(in.caught)
	in.cancel()
}
