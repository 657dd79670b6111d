package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
)

// runRecord is a run as --json lists it.
type runRecord struct {
	Run       string          `json:"run"`
	State     engine.RunState `json:"state"`
	Playbook  string          `json:"playbook"`
	Version   string          `json:"version,omitempty"`
	Cluster   string          `json:"cluster"`
	User      string          `json:"user"`
	Started   time.Time       `json:"started"`
	Ended     time.Time       `json:"ended"`
	Phase     string          `json:"phase,omitempty"`
	Folder    string          `json:"folder"`
	Open      string          `json:"open_task,omitempty"`
	Failed    string          `json:"failed_task,omitempty"`
	Why       string          `json:"failure,omitempty"`
	Overrides []string        `json:"overrides,omitempty"`
	// Hosts is what the run learnt of the machines that it connected to.
	Hosts []engine.Contact `json:"hosts,omitempty"`
}

func asRecord(r *engine.Record) runRecord {
	rec := runRecord{
		Run: r.Identity.ID, State: r.State, Playbook: r.Playbook.Name, Version: r.Playbook.Version, Cluster: r.Cluster,
		User: r.Identity.User, Started: r.Started, Ended: r.Ended, Phase: r.Phase, Folder: r.Dir, Overrides: r.Overrides, Hosts: r.Contacts,
	}
	if r.Open != nil {
		rec.Open = r.Open.Address
	}
	if r.Failure != nil {
		rec.Failed, rec.Why = r.Failure.Address, r.Failure.Message
	}
	return rec
}

func (a *app) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "runs",
		Short: "list the runs, newest first",
		Args:  takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.stateDir()
			if err != nil {
				return err
			}
			records, err := engine.Runs(dir)
			if err != nil {
				return err
			}
			a.printRuns(records)
			return nil
		},
	}
}

func (a *app) printRuns(records []*engine.Record) {
	if a.json {
		for _, r := range records {
			a.record(render.Record{Message: r.Identity.ID + ": " + string(r.State), Type: "run", Run: r.Identity.ID, Data: asRecord(r)})
		}
		return
	}
	if len(records) == 0 {
		a.screen.Tell("There are no runs yet.\n")
		return
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tSTATE\tPLAYBOOK\tCLUSTER\tSTARTED\tTOOK")
	for _, r := range records {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Identity.ID, r.State, r.Playbook.Name, r.Cluster,
			r.Started.UTC().Format("2006-01-02 15:04:05Z"), render.Span(r.Ended.Sub(r.Started)))
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	a.screen.Print(b.String())
}

// openRun finds the run that a command names, or the last one.
func (a *app) openRun(args []string) (*engine.Record, string, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, "", err
	}
	id := ""
	if len(args) > 0 {
		id = args[0]
	}
	r, err := engine.OpenRun(dir, id)
	return r, dir, err
}

// completeRuns completes the IDs of runs.
func (a *app) completeRuns(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	records, err := engine.Runs(dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, r := range records {
		ids = append(ids, fmt.Sprintf("%s\t%s, %s", r.Identity.ID, r.Playbook.Name, r.State))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
