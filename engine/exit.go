package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Exit codes of the program. They never change their meaning.
const (
	ExitOK          = 0   // done, or nothing to do
	ExitFailed      = 1   // a task failed; the state is known
	ExitInput       = 2   // what the operator gave is wrong; nothing was contacted
	ExitRefused     = 3   // refused by a predicate, or the world is no longer as planned
	ExitState       = 4   // the journal or its storage
	ExitUnknown     = 5   // the effect of a task is not known: resume looks
	ExitLocked      = 6   // another engine works on this cluster or this run
	ExitUnreachable = 7   // connection, authentication, host key
	ExitInterrupted = 130 // stopped by the operator; the journal knows where
)

var (
	// ErrInput is wrapped by errors about what the operator gave.
	ErrInput = errors.New("wrong input")
	// ErrState is wrapped by errors of the journal and of the state folder.
	ErrState = errors.New("state storage")
	// ErrDrift is wrapped where the world, the playbook or the inventory is no
	// longer what it was when the plan was shown or the run was begun.
	ErrDrift = errors.New("no longer as it was")
	// ErrUnknownEffect is wrapped where a task's effect cannot be told.
	ErrUnknownEffect = errors.New("the effect is not known")
	// ErrBlind is wrapped by a Settle that could never tell, however often it
	// looked: a person has to.
	ErrBlind = errors.New("it cannot be seen")
	// ErrInterrupted says that the operator stopped the run.
	ErrInterrupted = errors.New("interrupted")
)

// LockedError says who holds the lock that was wanted.
type LockedError struct {
	Cluster string
	Holder  Holder
}

// Holder is who holds a lock, as far as it has told.
type Holder struct {
	RunID     string    `json:"run"`
	Operation string    `json:"operation"` // "run", "resume", "abort"
	User      string    `json:"user"`
	PID       int       `json:"pid"`
	Since     time.Time `json:"since"`
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("another etcdplay works on cluster %s", e.Cluster)
	}
	return fmt.Sprintf("another etcdplay works on cluster %s: run %s (%s), process %d of %s, since %s",
		e.Cluster, e.Holder.RunID, e.Holder.Operation, e.Holder.PID, e.Holder.User, e.Holder.Since.UTC().Format(time.RFC3339))
}

// ExitCode is the exit code of the program for an error of this package.
func ExitCode(err error) int {
	var locked *LockedError
	var refusal *world.Refusal
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrState):
		return ExitState
	case errors.As(err, &locked), errors.Is(err, conn.ErrFenced):
		return ExitLocked
	case errors.Is(err, ErrUnknownEffect):
		return ExitUnknown
	case errors.Is(err, ErrInterrupted):
		return ExitInterrupted
	case errors.As(err, &refusal), errors.Is(err, ErrDrift):
		return ExitRefused
	case errors.Is(err, ErrInput):
		return ExitInput
	case errors.Is(err, conn.ErrUnreachable), errors.Is(err, conn.ErrRefused):
		return ExitUnreachable
	}
	return ExitFailed
}

// ExitCode is the exit code of the program for this outcome.
func (o Outcome) ExitCode() int {
	code := ExitCode(o.Err)
	if code == ExitUnreachable && o.sent {
		return ExitFailed // a host was lost on the way, which is a failed task like any other
	}
	return code
}

// ExitCode is the exit code of the program that made this plan and no more.
func (p *Plan) ExitCode() int { return ExitCode(p.cause) }
