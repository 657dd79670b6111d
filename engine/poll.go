package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrStop ends a Poll at once: what it wraps says why waiting is in vain.
	ErrStop = errors.New("waiting is in vain")

	// ErrOthers is wrapped by the error of a task that only waited, and gave up
	// since it has failed on another host: Look.Failed was closed.
	ErrOthers = errors.New("the task has failed on another host")

	// ErrDefinite is wrapped by an error of Apply whose outcome is known: the
	// change did not come about, and nothing of it can still arrive. Without it
	// the engine asks Settle what became of the change. A non-zero exit code, a
	// refusal by the server, an error before anything was sent are definite; a
	// lost answer and a time-out are not.
	ErrDefinite = errors.New("the change was not made")
)

// Definite wraps err so that it is ErrDefinite, with the text of err alone.
func Definite(err error) error {
	if err == nil {
		return nil
	}
	return tagged{err, ErrDefinite}
}

// tagged is an error with the text of the one and what both mean.
type tagged struct {
	error
	tag error
}

func (t tagged) Unwrap() []error { return []error{t.error, t.tag} }

// pollFirst is the wait after the first look; it grows by half each time.
const pollFirst = 20 * time.Millisecond

// Poll calls look until it reports true, ctx ends, or it returns an error that
// wraps ErrStop. It waits from 20 ms at first up to most between calls. When
// ctx ends first, the error is the last one look returned, wrapped, or else
// ctx's.
func Poll(ctx context.Context, most time.Duration, look func(ctx context.Context) (bool, error)) error {
	var last error
	for wait := min(pollFirst, most); ; wait = min(wait*3/2, most) {
		done, err := look(ctx)
		switch {
		case err == nil && done:
			return nil
		case errors.Is(err, ErrStop):
			return err
		case err != nil && (ctx.Err() == nil || last == nil):
			last = err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			continue
		case <-ctx.Done():
			t.Stop()
		}
		if last != nil {
			return fmt.Errorf("%w; waited in vain: %w", last, ctx.Err())
		}
		return ctx.Err()
	}
}
