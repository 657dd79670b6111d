package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
)

func (a *app) reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "report [RUN]",
		Short:             "print the evidence of a run, from its journal",
		Args:              takes(0, 1, "one run"),
		ValidArgsFunction: a.completeRuns,
		RunE: func(_ *cobra.Command, args []string) error {
			r, _, err := a.openRun(args)
			if err != nil {
				return err
			}
			if a.json {
				a.reportRecords(r)
				return nil
			}
			a.screen.Print(reportText(r))
			return nil
		},
	}
}

// reportText is everything that the journal tells, for a person who was not
// there.
func reportText(r *engine.Record) string {
	var b strings.Builder
	b.WriteString(statusText(r))
	fmt.Fprintf(&b, "\nWhat was run\n\n")
	fmt.Fprintf(&b, "  tool       etcdplay %s, in %s\n", r.Invocation.Tool, r.Invocation.Dir)
	fmt.Fprintf(&b, "  playbook   %s\n", r.Playbook.Digest)
	fmt.Fprintf(&b, "  inventory  %s (%s)\n", r.Inventory, r.Invocation.Inventory)
	for _, path := range slices.Sorted(maps.Keys(r.Templates)) {
		fmt.Fprintf(&b, "  template   %s (%s)\n", r.Templates[path], path)
	}
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "  site       %s\n", render.Change(c))
	}
	for _, in := range r.Inputs {
		value := "(sensitive)"
		if !in.Sensitive {
			value = render.Value(in.Value, nil)
		}
		fmt.Fprintf(&b, "  variable   %s = %s (%s)\n", in.Name, value, in.Source)
	}
	b.WriteString("\nTasks\n\n")
	b.WriteString(taskTable(r))
	if len(r.Outputs) > 0 {
		b.WriteString("\nOutputs\n\n")
		for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
			fmt.Fprintf(&b, "  %s = %s\n", name, render.Value(r.Outputs[name], nil))
		}
	}
	return b.String()
}

func taskTable(r *engine.Record) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, t := range r.History {
		place := t.Phase
		if t.Place != engine.InPhase && t.Place != "" {
			place += " (" + string(t.Place) + ")"
		}
		how := string(t.How)
		if t.Changed {
			how += ", changed"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s%s\t%s\t%s\t%s\n", t.At.UTC().Format(time.RFC3339), place, t.Address,
			t.Type, onHost(t.Host), t.Status, how, render.Span(t.Elapsed))
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	return b.String()
}

func (a *app) reportRecords(r *engine.Record) {
	a.record(render.Record{Message: r.Identity.ID + ": " + string(r.State), Type: "run", Run: r.Identity.ID, Data: asRecord(r)})
	for _, t := range r.History {
		changed := t.Changed
		rec := render.Record{
			Message: t.Address + ": " + string(t.Status), Type: "task_end", Run: r.Identity.ID, Phase: t.Phase, Place: string(t.Place),
			Task: t.Address, TaskType: t.Type, Effect: string(t.Effect), Host: t.Host, Status: string(t.Status), How: string(t.How),
			Changed: &changed, Seconds: t.Elapsed.Seconds(),
		}
		rec.Data = map[string]any{"at": t.At.UTC(), "results": render.Outputs([]engine.PlannedOutput{{Name: t.Address, Value: t.Results}})[t.Address].Value}
		a.record(rec)
	}
	var outs []engine.PlannedOutput
	for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
		outs = append(outs, engine.PlannedOutput{Name: name, Value: r.Outputs[name]})
	}
	a.record(render.Record{Message: "outputs", Type: "outputs", Run: r.Identity.ID, Outputs: render.Outputs(outs)})
}
