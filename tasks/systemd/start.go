package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// steady is for how long a unit has to stay active under one InvocationID
// before it counts as started, if its process does not say itself that it is
// ready: one that dies of its configuration does so within this time.
const steady = 500 * time.Millisecond

// queued is for how long a start that nobody waited for may stand in systemd's
// queue, in which the unit looks as if it had not been asked for: inactive, or
// failed as it was before.
const queued = 5 * time.Second

// comesUp waits for a start that is under way already, the invocation, as the first
// members of a cluster wait for each other: they say that they are ready once there
// is a quorum. A first member, and a restored one, waits for the others for as long
// as it takes (seen with 3.4 to 3.7), so one that ends is the reason why the rest
// waits in vain. Only an end that systemd made, since it took too long to be ready,
// is no reason: systemd starts it again, and the others may have come. Nothing is
// sent meanwhile, so every error is definite.
func comesUp(ctx context.Context, l engine.Look, a unitArgs, invocation string) error {
	begun := time.Now()
	l.Say("waiting until %s is active", a.Unit)
	err := engine.Poll(ctx, steady/5, func(ctx context.Context) (bool, error) {
		s, err := observeUnit(ctx, l, a)
		switch {
		case err != nil:
			return false, err
		case s.phase() == running:
			return true, nil
		case s.phase() == stopped, s.phase() == looping && s.Result != "timeout":
			return false, fmt.Errorf("%s is %s: %w", a.Unit, s.words(), engine.ErrStop)
		}
		select {
		case <-l.Failed:
			text := fmt.Sprintf("%s is %s; it is not waited for any more, since %v", a.Unit, s.words(), engine.ErrOthers)
			return false, because{text, errors.Join(engine.ErrOthers, engine.ErrStop)}
		default:
			return false, fmt.Errorf("%s is %s", a.Unit, s.words())
		}
	})
	if err == nil || errors.Is(err, engine.ErrOthers) {
		return engine.Definite(err)
	}
	// It may have been started once more by now: what it said before that counts.
	said := func(entries []conn.JournalEntry, _ string) []conn.JournalEntry { return from(entries, invocation) }
	return withWords(ctx, l, a.Unit, begun, said, engine.Definite(err))
}

// lasts watches a start that nobody waits for, as long as a process takes that dies
// of its configuration: what others wait for a quorum with has to be told at once.
// While the unit's invocation is the one before, systemd has not come to the start.
func lasts(ctx context.Context, l engine.Look, a unitArgs, before string) error {
	begun := time.Now()
	return engine.Poll(ctx, steady/5, func(ctx context.Context) (bool, error) {
		s, err := observeUnit(ctx, l, a)
		switch {
		case err != nil:
			return false, err
		case s.Invocation == before:
		case s.phase() == looping, s.phase() == stopped && s.Active == "failed":
			return false, fmt.Errorf("%s is %s: %w", a.Unit, s.words(), engine.ErrStop)
		}
		return s.phase() == running && s.Tells || time.Since(begun) >= steady, nil
	})
}
