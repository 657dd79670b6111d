package engine

import (
	"context"
	"time"

	"github.com/etcdplay/etcdplay/engine/world"
)

// Spec is how a task type is written: what it is called and takes, and the
// functions that look, plan, guard, act and prove, in the order in which they
// are called. A is the struct of the arguments, S of the observed state, R of
// the results. Define derives schema, checks and reference from the tags of A
// and R:
//
//	type Args struct {
//		Path  string  `play:"path,required,abspath,nosecret" doc:"The directory."`
//		Mode  *string `play:"mode,mode" doc:"Its permission bits." default:"left as it is"`
//		State string  `play:"state,required" enum:"started stopped restarted" doc:"…"`
//	}
//	type Results struct {
//		Changed bool `play:"changed" doc:"Whether anything had to be done."`
//	}
//
// Field types: string, bool, int, int64, uint64, float64, []string, []int,
// map[string]string, structs and slices of structs of these (attributes named
// by their play tags), and pointers to any of them for what may be null. S goes
// to the journal as JSON before the effect, and comes back to Settle.
//
// A nil function means: Observe — there is nothing to look at; Plan — the task
// is shown by its name alone and its results are unknown; Guard — always safe;
// Settle — looking cannot tell, so a person is asked; Verify — Apply's success
// is proof; Advance — the model does not change; Model — it cannot answer.
type Spec[A, S, R any] struct {
	Name      string
	Doc       string
	Effect    Effect
	Where     Where
	Role      Role
	Retryable bool
	Timeout   time.Duration // zero means one minute
	Volatile  bool
	Surveyed  bool
	Writes    []string // the arguments that together name the one file that it writes, if it does
	Sets      []string // the arguments that together name what it brings into a state; with Gone

	// EffectOf narrows Effect for particular arguments (exec with read_only).
	EffectOf func(a A) Effect

	// Check finds what is wrong with arguments that are all known, beyond what
	// the tags say. It looks at nothing. Its error names the argument:
	// &ArgError{Arg, Text}.
	Check func(a A) error

	// Observe says what is. For a read type, R is made from S by Report.
	Observe func(ctx context.Context, l Look, a A) (S, error)

	// Report turns what a read observed into its results. Only and always for
	// effect Read, and for a type whose EffectOf may say Read.
	Report func(a A, s S) R

	// Plan says what would be done and yields the results it predicts. It is
	// pure. For a read type it only says what will be read (Summary).
	Plan func(p Planning, a A, s S) (Planned, R)

	// Guard says whether the change is safe. It is pure, and called with the
	// world as surveyed a moment before (in a plan: with the model).
	Guard func(host string, a A, s S, w *world.World) world.Verdict

	// Apply makes the change and says what came of it. Called again after a
	// crash, with a state observed anew, it must do what is missing, no more.
	Apply func(ctx context.Context, h Hands, a A, s S) (R, error)

	// Settle decides from the live state what became of an Apply that was begun
	// with state s and whose outcome is unknown. It may wait, until its context
	// ends, for an effect that may still arrive. An error that wraps ErrBlind says
	// that looking again would not tell either; a resumed run then asks.
	Settle func(ctx context.Context, l Look, a A, s S) (Settlement, R, error)

	// Verify proves the result by looking. It waits with Poll, bounded by ctx.
	Verify func(ctx context.Context, l Look, a A, r R) error

	// Gone says why what a finished task did is there no more, "" if it is, or if
	// somebody has made something else of it. A resumed run then does it once more;
	// so it is only for an effect that is a state, with an Apply that disturbs
	// nothing where that state is there. Nil for any other type.
	Gone func(ctx context.Context, l Look, a A) (string, error)

	// Advance moves the model on by this task's effect: after Plan with the
	// predicted results, after Apply with the real ones.
	Advance func(host, address string, a A, r R, w *world.World)

	// Model answers a read from the model, after a change was planned. unknown
	// names results it cannot tell; ok is false if it can tell none.
	Model func(host string, a A, w *world.World) (r R, unknown []string, ok bool)
}

// ArgError is a wrong argument found by Check.
type ArgError struct {
	Arg  string
	Text string // a sentence: what is wrong, and what to write instead
}

func (e *ArgError) Error() string { return "argument " + e.Arg + ": " + e.Text }
