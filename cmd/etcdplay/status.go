package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "status [RUN]",
		Short:             "tell where a run stands",
		Long:              "Tells where a run stands, from its journal alone. Without RUN: the last one. A\nrun may be named by the beginning of its ID.",
		Args:              takes(0, 1, "one run"),
		ValidArgsFunction: a.completeRuns,
		RunE: func(_ *cobra.Command, args []string) error {
			r, _, err := a.openRun(args)
			if err != nil {
				return err
			}
			if a.json {
				a.record(render.Record{Message: r.Identity.ID + ": " + string(r.State), Type: "run", Run: r.Identity.ID, Data: asRecord(r)})
				return nil
			}
			a.screen.Print(statusText(r))
			return nil
		},
	}
}

func statusText(r *engine.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Run %s: %s\n\n", r.Identity.ID, r.State)
	fmt.Fprintf(&b, "  playbook  %s (%s)\n", strings.TrimSpace(r.Playbook.Name+" "+r.Playbook.Version), r.Playbook.File)
	fmt.Fprintf(&b, "  cluster   %s\n", r.Cluster)
	fmt.Fprintf(&b, "  started   %s by %s\n", r.Started.UTC().Format("2006-01-02 15:04:05Z"), r.Identity.User)
	last := "last seen"
	if r.State == engine.RunOK || r.State == engine.RunAborted {
		last = "ended"
	}
	fmt.Fprintf(&b, "  %-9s %s, after %s\n", last, r.Ended.UTC().Format("2006-01-02 15:04:05Z"), render.Span(r.Ended.Sub(r.Started)))
	fmt.Fprintf(&b, "  tasks     %d finished", len(r.Tasks))
	if r.Phase != "" && r.State != engine.RunOK {
		fmt.Fprintf(&b, ", in phase %s", r.Phase)
	}
	b.WriteString("\n")
	if o := r.Open; o != nil {
		fmt.Fprintf(&b, "  open      %s%s: begun, its end is not recorded\n", o.Address, onHost(o.Host))
	}
	if f := r.Failure; f != nil {
		fmt.Fprintf(&b, "  stopped   %s%s: %s\n", f.Address, onHost(f.Host), f.Message)
	}
	if r.Exposed > 0 {
		fmt.Fprintf(&b, "  exposed   the cluster could not have lost a member for %s\n", render.Span(r.Exposed))
	}
	b.WriteString(contactsText(r.Contacts))
	for _, o := range r.Overrides {
		fmt.Fprintf(&b, "  override  %s\n", o)
	}
	fmt.Fprintf(&b, "  folder    %s\n", r.Dir)
	if next := whatNext(r); next != "" {
		b.WriteString("\n" + next + "\n")
	}
	return b.String()
}

// mostContacts is how many hosts the status of a run names.
const mostContacts = 10

func contactsText(contacts []engine.Contact) string {
	var b strings.Builder
	label := "hosts"
	for i, c := range contacts {
		text := contactText(c)
		if i == mostContacts {
			text = fmt.Sprintf("and %d more, which --json has", len(contacts)-i)
		}
		fmt.Fprintf(&b, "  %-9s %s\n", label, text)
		if label = ""; i == mostContacts {
			break
		}
	}
	return b.String()
}

// contactText is one line on a machine that the run connected to.
func contactText(c engine.Contact) string {
	text := c.Host
	switch {
	case text == "":
		text = c.Address + ", on the way to others"
	case c.Address != "":
		text += " at " + c.Address
	}
	if c.Key != "" {
		text += ", key " + c.Key
	}
	if c.Epoch > 0 {
		text += fmt.Sprintf(", epoch %d", c.Epoch)
	}
	return text
}

func onHost(host string) string {
	if host == "" {
		return ""
	}
	return " on " + host
}

// whatNext is the command that goes on with the run, or why there is none.
func whatNext(r *engine.Record) string {
	switch r.State {
	case engine.RunOK, engine.RunAborted:
		return ""
	case engine.RunGoing:
		return "It is going on now."
	case engine.RunUnreadable:
		return "Its journal is damaged: " + r.Dir
	}
	return fmt.Sprintf("To go on: etcdplay resume %s\nTo close it: etcdplay abort %s", r.Identity.ID, r.Identity.ID)
}
