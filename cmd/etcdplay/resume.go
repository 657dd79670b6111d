package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/engine"
)

func (a *app) resumeCommand() *cobra.Command {
	var g goingOn
	cmd := &cobra.Command{
		Use:   "resume [RUN]",
		Short: "go on with an interrupted or failed run",
		Long: `Goes on with a run that was interrupted or has failed: shows what is done, what
was begun, and what is left, and asks. What became of a task that was begun and
not ended is decided by looking at the live cluster; what was done is not done
again. Without RUN: the last one. A sensitive variable that was given with --var
has to be given again.`,
		Args:              takes(0, 1, "one run"),
		ValidArgsFunction: a.completeRuns,
		RunE: func(_ *cobra.Command, args []string) error {
			g.shows = true
			return a.goOn(args, g, engine.Resume)
		},
	}
	g.flags(cmd)
	cmd.Flags().BoolVar(&g.dry, "dry-run", false, "show what is left to do and end")
	cmd.Flags().BoolVar(&g.changes, "accept-changes", false, "go on although playbook or templates have changed")
	cmd.Flags().BoolVar(&g.drift, "accept-drift", false, "go on although members of the cluster are not those that the run left")
	return cmd
}

func (a *app) abortCommand() *cobra.Command {
	var g goingOn
	cmd := &cobra.Command{
		Use:   "abort RUN",
		Short: "run what is owed of rescue and always, and close a run",
		Long: `Runs what is owed of rescue and always for the phase that a run stopped in, then
closes the run for good, and tells what remains to be done by hand.`,
		Args:              takes(1, 1, "one run, as etcdplay runs lists them"),
		ValidArgsFunction: a.completeRuns,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.goOn(args, g, engine.Abort)
		},
	}
	g.flags(cmd)
	cmd.Flags().BoolVar(&g.changes, "accept-changes", false, "also where playbook or templates have changed")
	return cmd
}

// goingOn is the flags of resume and abort.
type goingOn struct {
	yes, changes, drift bool
	shows, dry          bool // resume: the plan of what is left, and that it is all
	vars, given         []string
}

func (g *goingOn) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&g.yes, "yes", false, "answer every ordinary question with yes")
	cmd.Flags().StringArrayVar(&g.given, "confirm", nil, "the `TEXT` that a question wants to have typed; may be repeated")
	cmd.Flags().StringArrayVar(&g.vars, "var", nil, "give a sensitive variable again, `NAME=VALUE`")
}

// goOn takes up a recorded run: its playbook and its values are read again from
// where they were read first, and its identity stays.
func (a *app) goOn(args []string, g goingOn, do func(context.Context, *engine.Program, engine.Env, *engine.Record, engine.ResumeOptions) engine.Outcome) error {
	r, state, err := a.openRun(args)
	if err != nil {
		return err
	}
	switch r.State {
	case engine.RunOK:
		a.say("summary", "", "Run "+r.Identity.ID+" ended well. There is nothing to do.")
		return nil
	case engine.RunAborted:
		return wrong("", "Run %s was closed by abort, and cannot go on.", r.Identity.ID)
	case engine.RunNotBegun:
		return wrong("", "Run %s was never begun: its etcdplay ended before it did anything. Run the playbook again.", r.Identity.ID)
	}
	op, err := a.reopen(r, g.vars)
	if err != nil {
		return err
	}
	defer op.hosts.Close()
	if g.shows && !g.dry && !g.yes && !a.asks {
		return nobodyToAsk("With --yes it goes on without asking; etcdplay resume --dry-run shows what is left.")
	}
	op.hosts.expect(r.Contacts)
	if a.json {
		a.record(versionRecord())
	}
	in := a.catch()
	defer in.release()
	q := &questions{app: a, yes: g.yes, given: g.given}
	env := a.environment(op, r.Identity, q)
	var plan *engine.Plan
	if g.shows && r.State != engine.RunGoing {
		if plan, err = a.showLeft(in, op, env, r, g.changes); err != nil || g.dry {
			return err
		}
		if err := a.agreed(in.ctx, plan, q, "Go on with this?"); err != nil {
			return err
		}
	}
	in.run()
	op.hosts.takeOver()
	return a.watch(op, plan, &env, func() engine.Outcome {
		return do(in.ctx, op.program, env, r, engine.ResumeOptions{
			StateDir: state, AcceptChanges: g.changes, AcceptDrift: g.drift, Stop: in.stop, Invocation: op.invocation, Scrub: op.scrub,
		})
	})
}

// showLeft makes and prints the plan of what is left of a run.
func (a *app) showLeft(in *interrupts, op *operation, env engine.Env, r *engine.Record, accept bool) (*engine.Plan, error) {
	op.hosts.refuse = in.cancel
	a.screen.Show("  looking at the cluster and its hosts, and planning what is left")
	plan, err := engine.PlanResume(in.ctx, op.program, env, r, accept)
	a.screen.Show("")
	if refused := op.hosts.Refused(); refused != nil {
		return nil, refused
	}
	if in.ctx.Err() != nil {
		return nil, engine.ErrInterrupted
	}
	if err != nil {
		return nil, err
	}
	a.printPlan(plan, "what is left of run "+r.Identity.ID, op)
	if len(plan.Failed) > 0 {
		return nil, exit(plan.ExitCode())
	}
	return plan, nil
}

// reopen makes the operation of a recorded run again. Paths of a run are
// relative to where it was begun, so that is where the program goes.
func (a *app) reopen(r *engine.Record, vars []string) (*operation, error) {
	inv := r.Invocation
	if err := os.Chdir(inv.Dir); err != nil {
		return nil, fmt.Errorf("%w: the run was begun in %s: %w", engine.ErrInput, inv.Dir, err)
	}
	return a.prepare(inv.Playbook, target{
		inventory: inv.Inventory, cluster: inv.Cluster, varsFiles: inv.VarsFiles,
		vars: append(append([]string(nil), inv.Vars...), vars...),
	}, r.Identity)
}
