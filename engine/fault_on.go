//go:build faultinject

package engine

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
)

// A build with the tag faultinject counts the points at which a run may die and
// dies there by SIGKILL when told: ETCDPLAY_KILL_AT=n is the n-th point, from 1;
// ETCDPLAY_KILL_COUNT=FILE gets a line with the name of each point reached.
//
// For every task with an effect they are P1 before the intent is written, P2 in
// the middle of writing it, P3 when it is on disk and nothing sent, P4 when
// Apply has returned and nothing is looked at, P5 when the effect is proved and
// done not written, P6 in the middle of writing done, P7 when done is on disk;
// and three each around the beginning and the end of the run.
var points struct {
	mu sync.Mutex
	n  int
}

func killPoint(name string) { tearPoint(name, func() {}) }

func tearPoint(name string, tear func()) {
	points.mu.Lock()
	defer points.mu.Unlock()
	points.n++
	if file := os.Getenv("ETCDPLAY_KILL_COUNT"); file != "" {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, name)
		f.Close()
	}
	if at, err := strconv.Atoi(os.Getenv("ETCDPLAY_KILL_AT")); err != nil || at != points.n {
		return
	}
	tear()
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
