package engine

import "context"

// Run is being written.
func Run(ctx context.Context, p *Program, env Env, plan *Plan, opts RunOptions) Outcome {
	panic("engine: Run is being built")
}

// Runs lists the runs in the state folder, newest first.
func Runs(stateDir string) ([]*Record, error) {
	panic("engine: Runs is being built")
}

// OpenRun reads one run.
func OpenRun(stateDir, id string) (*Record, error) {
	panic("engine: OpenRun is being built")
}

// Resume goes on with a run.
func Resume(ctx context.Context, p *Program, env Env, r *Record, opts ResumeOptions) Outcome {
	panic("engine: Resume is being built")
}

// Abort closes a run.
func Abort(ctx context.Context, p *Program, env Env, r *Record, opts ResumeOptions) Outcome {
	panic("engine: Abort is being built")
}
