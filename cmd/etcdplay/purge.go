package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks"
)

func (a *app) purgeCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge RUN",
		Short: "remove for good the data that a run has moved aside",
		Long: `Removes for good the data directories that a run has moved aside. It is refused
while the cluster is not wholly healthy: until then they may still be needed.`,
		Args:              takes(1, 1, "one run, as etcdplay runs lists them"),
		ValidArgsFunction: a.completeRuns,
		RunE: func(_ *cobra.Command, args []string) error {
			if !yes && !a.asks {
				return wrong("With --yes it removes without asking.", "There would be a question before anything is removed, and stdin is no terminal. Nothing was done.")
			}
			return a.purge(args, yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "remove without asking")
	return cmd
}

// aside is a path that a run has moved something to.
type aside struct {
	host engine.HostSpec
	path string
}

func (a *app) purge(args []string, yes bool) error {
	r, _, err := a.openRun(args)
	if err != nil {
		return err
	}
	switch r.State {
	case engine.RunOK, engine.RunAborted:
	default:
		return &refusedError{fmt.Sprintf("run %s is %s, and what it has moved aside may still be needed. Resume it or abort it first.", r.Identity.ID, r.State)}
	}
	op, err := a.reopen(r, nil)
	if err != nil {
		return err
	}
	defer op.hosts.Close()
	in := a.catch()
	defer in.release()
	if err := a.whole(in.ctx, op); err != nil {
		return err
	}
	there, err := a.movedAside(in.ctx, op, r)
	if err != nil {
		return err
	}
	if len(there) == 0 {
		a.say("summary", "", "Run "+r.Identity.ID+" has left nothing aside.")
		return nil
	}
	for _, t := range there {
		a.say("aside", "", t.host.Name+": "+t.path)
	}
	if !yes {
		typed, err := (&questions{app: a}).ask(in.ctx, "\nRemove this for good? Only yes goes on: ")
		if err != nil {
			return err
		}
		if !strings.EqualFold(typed, "yes") {
			a.say("question", "", "Nothing was removed.")
			return exit(engine.ExitInterrupted)
		}
	}
	for _, t := range there {
		host, err := op.hosts.Host(in.ctx, t.host)
		if err == nil {
			err = host.Remove(in.ctx, t.path, true)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %s: %w", t.host.Name, t.path, err)
		}
		if a.json {
			a.record(render.Record{Message: "removed " + t.path, Type: "removed", Host: t.host.Name, Data: map[string]any{"path": t.path}})
		} else {
			a.screen.Print(t.host.Name + ": removed " + t.path + "\n")
		}
	}
	return nil
}

// whole is nil if every member of the cluster is a healthy voter without an
// alarm.
func (a *app) whole(ctx context.Context, op *operation) error {
	cluster := op.program.Cluster
	c := tasks.Survey(ctx, engine.Look{Cluster: cluster, Dial: op.hosts.Dial, Say: func(string, ...any) {}, Progress: func(int64, int64) {}}, cluster.Endpoints)
	var why []string
	if !c.Known {
		why = append(why, "nobody answers: "+c.Why)
	}
	for _, m := range c.Members {
		switch {
		case m.Health != world.Healthy:
			why = append(why, m.Label()+" is not healthy")
		case m.Learner:
			why = append(why, m.Label()+" is a learner")
		case len(m.Alarms) > 0:
			why = append(why, m.Label()+" has the alarm "+strings.Join(m.Alarms, ", "))
		}
	}
	if len(why) > 0 {
		return &refusedError{fmt.Sprintf("cluster %s is not whole (%s), and the data aside may still be needed.", cluster.Name, strings.Join(why, "; "))}
	}
	return nil
}

// movedAside is what the run's finished tasks have moved to a path that bears
// the run's ID, and that is still there. Without the ID in its name a path is
// not ours to remove.
func (a *app) movedAside(ctx context.Context, op *operation, r *engine.Record) ([]aside, error) {
	specs := map[string]engine.HostSpec{}
	for _, h := range op.program.Hosts {
		specs[h.Name] = h
	}
	var there []aside
	seen := map[string]bool{}
	for _, t := range r.History {
		spec, known := specs[t.Host]
		to := textOf(t.Results, "to")
		if t.Type != "move" || !t.Changed || !known || !path.IsAbs(to) || path.Clean(to) != to || !strings.Contains(path.Base(to), r.Identity.ID) || seen[t.Host+to] {
			continue
		}
		seen[t.Host+to] = true
		host, err := op.hosts.Host(ctx, spec)
		if err != nil {
			return nil, err
		}
		switch _, err := host.Stat(ctx, to); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("%s: %s: %w", t.Host, to, err)
		default:
			there = append(there, aside{spec, to})
		}
	}
	return there, nil
}

// textOf is one string of an object, "" if it has none.
func textOf(v cty.Value, name string) string {
	if v == cty.NilVal || v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() || !v.Type().HasAttribute(name) {
		return ""
	}
	attr, _ := v.GetAttr(name).Unmark()
	if attr.Type() != cty.String || attr.IsNull() || !attr.IsKnown() {
		return ""
	}
	return attr.AsString()
}
