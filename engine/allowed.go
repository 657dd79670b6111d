package engine

import (
	"context"
	"time"

	"github.com/etcdplay/etcdplay/engine/world"
)

// looksAgain is how often a cluster is surveyed anew before a refusal, and
// pauseAgain how long after the survey before: a member that is busy with its disk
// for some seconds answers late, and is not down.
const (
	looksAgain = 2
	pauseAgain = time.Second
)

// allowed asks the guard, and survives a refusal that passes: where not every voter
// was seen healthy, the cluster is surveyed again before the run ends on it.
func (x *taskRun) allowed(ctx context.Context, state State) (world.Verdict, world.Budget, error) {
	for look := 0; ; look++ {
		verdict, budget, passing := x.guard(state)
		err := verdict.Err()
		if err == nil || !passing || !x.t.Type.Surveyed || look == looksAgain || x.stopping() {
			return verdict, budget, err
		}
		x.emit(x.event(TaskProgress, func(e *Event) {
			e.Message = oneLine(err.Error()) + "; looking again, since a slow answer is not a member that is down"
		}))
		if x.wait(ctx, pauseAgain) != nil {
			return verdict, budget, err
		}
		x.look(ctx)
	}
}

// guard is the guard's verdict on the world as it was seen last. A refusal may be
// passing if not every voter was seen healthy in it.
func (x *taskRun) guard(state State) (v world.Verdict, b world.Budget, passing bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := &x.world.Cluster
	b = c.Budget()
	return x.t.Type.Guard(x.host, x.plain, state, x.world), b, !c.Known || b.Healthy < b.Voters
}
