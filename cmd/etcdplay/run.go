package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/tasks"
)

// dryRun ends the title of a plan that is no more than that.
const dryRun = "DRY RUN: nothing is changed"

func (a *app) runCommand() *cobra.Command {
	var t target
	var yes, dry, drift bool
	var given []string
	cmd := &cobra.Command{
		Use:   "run PLAYBOOK",
		Short: "plan, show the plan, ask, run",
		Long: `Makes the plan, shows it, asks, and runs it. PLAYBOOK is a file, or the name of
a playbook that comes with the program.`,
		Args:              takes(1, 1, "one playbook"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.perform(args[0], t, &questions{app: a, yes: yes, given: given}, dry, drift)
		},
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "answer every ordinary question with yes")
	cmd.Flags().StringArrayVar(&given, "confirm", nil, "the `TEXT` that a question wants to have typed; may be repeated")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show the plan and end")
	cmd.Flags().BoolVar(&drift, "accept-drift", false, "go on where the world is no longer as the plan said")
	return cmd
}

// nobodyToAsk is the error of a command that would ask.
func nobodyToAsk(hint string) error {
	return wrong(hint, "There would be a question before anything is done, and stdin is no terminal. Nothing was done.")
}

func (a *app) planCommand() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:               "plan PLAYBOOK",
		Short:             "show what a run would do; changes nothing anywhere",
		Args:              takes(1, 1, "one playbook"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.perform(args[0], t, &questions{app: a}, true, false)
		},
	}
	t.flags(cmd)
	return cmd
}

// perform plans, shows, and unless dry asks and runs.
func (a *app) perform(playbook string, t target, q *questions, dry, drift bool) error {
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	id, err := engine.NewIdentity(a.now(), a.user())
	if err != nil {
		return err
	}
	op, err := a.prepare(playbook, t, id)
	if err != nil {
		return err
	}
	defer op.hosts.Close()
	if !dry && !q.yes && !a.asks {
		return nobodyToAsk("With --yes it runs without asking; etcdplay plan shows what it would do.")
	}
	if a.json {
		a.record(versionRecord())
	}
	in := a.catch()
	defer in.release()
	env := a.environment(op, id, q)
	op.hosts.refuse = in.cancel

	a.screen.Show("  looking at the cluster and its hosts, and planning")
	plan, err := engine.MakePlan(in.ctx, op.program, env)
	a.screen.Show("")
	if refused := op.hosts.Refused(); refused != nil {
		return refused
	}
	if in.ctx.Err() != nil {
		return engine.ErrInterrupted
	}
	if err != nil {
		return err
	}
	title := dryRun
	if !dry {
		title = "run " + id.ID
	}
	a.printPlan(plan, title, op)
	if len(plan.Failed) > 0 {
		return exit(plan.ExitCode())
	}
	if dry {
		return nil
	}
	if err := a.agreed(in.ctx, plan, q, "Do this?"); err != nil {
		return err
	}
	in.run()
	op.hosts.takeOver()
	return a.watch(op, plan, &env, func() engine.Outcome {
		return engine.Run(in.ctx, op.program, env, plan, engine.RunOptions{
			StateDir: state, AcceptDrift: drift, Stop: in.stop, Invocation: op.invocation, Copies: op.sources, Scrub: op.scrub,
		})
	})
}

// agreed is nil once the operator wants what the plan shows.
func (a *app) agreed(ctx context.Context, plan *engine.Plan, q *questions, question string) error {
	if text := q.unanswered(plan); text != "" {
		return wrong("", "%s. Nothing was done.", strings.ToUpper(text[:1])+text[1:])
	}
	if c := plan.Counts; c.Changes+c.Destructive+c.Open == 0 {
		return nil
	}
	ok, err := q.goAhead(ctx, question)
	if err != nil {
		return err
	}
	if !ok {
		a.say("question", "", "Nothing was done.")
		return exit(engine.ExitInterrupted)
	}
	return nil
}

func (a *app) printPlan(plan *engine.Plan, title string, op *operation) {
	a.findings(plan.Notes, op.sources)
	if a.json {
		for _, r := range render.PlanRecords(plan, a.now().UTC()) {
			a.screen.Print(r.Line())
		}
	} else {
		a.screen.Print(a.screen.Paint.Plan(plan, title))
	}
	if len(plan.Failed) > 0 {
		if !a.json {
			a.screen.Tell("\n")
		}
		a.findings(plan.Failed, op.sources)
	}
}

// environment is what a plan or a run sees of the world.
func (a *app) environment(op *operation, id engine.Identity, q *questions) engine.Env {
	return engine.Env{
		Identity: id,
		Host:     op.hosts.Host,
		Prepare:  op.hosts.Prepare,
		Dial:     op.hosts.Dial,
		Survey:   tasks.Survey,
		Contacts: op.hosts.Contacts,
		Kept:     &op.hosts.kept,
		Emit:     func(engine.Event) {},
		Ask:      q.confirm,
		Now:      a.now,
	}
}

// watch shows a run's events until it ends, and makes an error of how it ended.
// The plan is the one that was shown, nil if none was.
func (a *app) watch(op *operation, plan *engine.Plan, env *engine.Env, run func() engine.Outcome) error {
	reporter := &render.Reporter{
		Screen:   a.screen,
		Numbers:  map[string]int{},
		Role:     roleOf,
		Findings: func(ds engine.Diagnostics) string { return a.findingsText(ds, op.sources) },
	}
	if plan != nil {
		for _, e := range plan.Entries {
			reporter.Numbers[e.Address] = e.Number
		}
	}
	told := false
	env.Emit = func(ev engine.Event) {
		told = told || ev.Failure != nil
		if a.json {
			a.screen.Print(render.EventRecord(ev, func(ds engine.Diagnostics) json.RawMessage {
				return a.findingsJSON(ds, op.sources)
			}).Line())
			return
		}
		reporter.Event(ev)
	}
	done := make(chan struct{})
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		a.tick(reporter, done)
	}()
	outcome := run()
	close(done)
	<-ticking
	a.screen.Show("")
	if outcome.Err != nil && !told {
		return outcome.Err
	}
	return exit(outcome.ExitCode())
}

// tick keeps the clock of the live line going.
func (a *app) tick(r *render.Reporter, done <-chan struct{}) {
	if !a.screen.Live {
		return
	}
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.Tick(a.now())
		case <-done:
			return
		}
	}
}

func (a *app) user() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if u := a.env[name]; u != "" {
			return u
		}
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprint("uid ", os.Getuid())
}

// roleOf is the role of a task type, Plain if there is none of that name.
func roleOf(name string) engine.Role {
	for _, t := range tasks.Types() {
		if t.Name == name {
			return t.Role
		}
	}
	return engine.Plain
}
