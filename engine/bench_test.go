package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// BenchmarkTask is the engine's cost of one task that changes something, its two
// records on disk included; the task itself is as good as free.
func BenchmarkTask(b *testing.B) {
	bn := newBench(b)
	ty := Define(Spec[addArgs, addState, addResults]{
		Name: "nothing", Doc: "Does nothing.", Effect: Change, Where: Either,
		Apply: func(context.Context, Hands, addArgs, addState) (addResults, error) { return addResults{Count: 1}, nil },
	})
	ph := &Phase{}
	for i := range b.N {
		ph.Tasks = append(ph.Tasks, task(ty, fmt.Sprintf("t%d", i), map[string]Expr{"key": str("k"), "value": str("v")}))
	}
	p := bn.program(ph)
	bn.env.Emit = nil
	b.ResetTimer()
	if o := Run(context.Background(), p, bn.env, nil, RunOptions{StateDir: bn.state}); o.Err != nil {
		b.Fatal(o.Err)
	}
}

// BenchmarkPlan plans playbooks of growing length: the time per task must stay.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bn := newBench(b)
			ty := bn.site.addType(nil)
			ph := &Phase{}
			for i := range n {
				args := map[string]Expr{"key": str(fmt.Sprintf("k%d", i)), "value": str("v")}
				if i > 0 {
					args["value"] = result(fmt.Sprintf("t%d", i-1), "token")
				}
				t := task(ty, fmt.Sprintf("t%d", i), args)
				t.On = lit(cty.ObjectVal(map[string]cty.Value{"name": cty.StringVal("a")}))
				ph.Tasks = append(ph.Tasks, t)
			}
			p := bn.program(ph)
			for b.Loop() {
				plan, err := MakePlan(context.Background(), p, bn.env)
				if err != nil || len(plan.Failed) > 0 || plan.Counts.Changes != n {
					b.Fatal(err, plan.Failed, plan.Counts)
				}
			}
		})
	}
}
