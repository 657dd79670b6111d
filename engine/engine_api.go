package engine

import "context"

// MakePlan works out what a run of p would do. It looks at the cluster and at
// the hosts and changes nothing. It is a function of what it reads: the same
// answers give the same plan, byte for byte. What would stop the run is in
// Plan.Failed; an error means that no plan could be made at all.
func MakePlan(ctx context.Context, p *Program, env Env) (*Plan, error) {
	panic("engine: MakePlan is being built")
}

// Run carries out p. The plan is the one that was shown: a task whose known
// values have changed since stops the run before it acts, unless
// opts.AcceptDrift. With a nil plan nothing is compared.
func Run(ctx context.Context, p *Program, env Env, plan *Plan, opts RunOptions) Outcome {
	panic("engine: Run is being built")
}

// Runs lists the runs in the state folder, newest first. A run whose journal
// cannot be read is listed with RunUnreadable.
func Runs(stateDir string) ([]*Record, error) {
	panic("engine: Runs is being built")
}

// OpenRun reads one run: by its ID, by a prefix of it that fits only one, or,
// with "", the last one begun. The error wraps ErrInput if there is no such run
// and ErrState if its journal cannot be read.
func OpenRun(stateDir, id string) (*Record, error) {
	panic("engine: OpenRun is being built")
}

// Resume goes on with an interrupted or failed run. p is made anew from
// r.Invocation, with r's inputs; env.Identity is set to r's. A run that ended
// well has nothing to do and is OK.
func Resume(ctx context.Context, p *Program, env Env, r *Record, opts ResumeOptions) Outcome {
	panic("engine: Resume is being built")
}

// Abort runs what is owed of rescue and always for the open phase, then closes
// the run for good. Diagnostics of the events say what remains to be done by
// hand.
func Abort(ctx context.Context, p *Program, env Env, r *Record, opts ResumeOptions) Outcome {
	panic("engine: Abort is being built")
}
