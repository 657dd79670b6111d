package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
)

func (a *app) graphCommand() *cobra.Command {
	var dot bool
	cmd := &cobra.Command{
		Use:   "graph PLAYBOOK",
		Short: "show the phases and tasks of a playbook, and which uses which",
		Long: `Lists the phases and tasks of a playbook in the order in which they run, each
task with those whose results it uses. With --dot it is a graph for Graphviz.`,
		Args:              takes(1, 1, "one playbook"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			pb, _, err := a.load(args[0])
			if err != nil {
				return err
			}
			switch nodes := pb.Graph(); {
			case dot:
				a.text("graph", pb.Header.Name, graphDot(pb.Header.Name, nodes))
			case a.json:
				for _, n := range nodes {
					a.record(render.Record{Message: n.Name, Type: "node", Phase: n.Phase, Place: string(n.Place), Task: "task." + n.Name, TaskType: n.Type, Data: n})
				}
			default:
				a.screen.Print(graphText(nodes))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dot, "dot", false, "in the language of Graphviz")
	return cmd
}

// graphText is a line for each task, under the headings of a plan.
func graphText(nodes []hcl.Node) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var last hcl.Node
	for i, n := range nodes {
		if i > 0 && n.Phase != last.Phase {
			fmt.Fprintln(w)
		}
		if n.Phase != "" && (i == 0 || n.Phase != last.Phase) {
			fmt.Fprintf(w, "Phase %s\n", n.Phase)
		}
		if n.Place != last.Place || n.Phase != last.Phase {
			switch n.Place {
			case engine.InRescue:
				fmt.Fprintln(w, "  if this phase fails:")
			case engine.InAlways:
				fmt.Fprintln(w, "  in any case, at the end:")
			}
		}
		line := fmt.Sprintf("  %s\t%s\t", n.Name, n.Type)
		var what []string
		if n.Calls != "" {
			what = append(what, "calls "+n.Calls)
		}
		if len(n.Uses) > 0 {
			what = append(what, "uses "+strings.Join(n.Uses, ", "))
		}
		fmt.Fprintln(w, line+strings.Join(what, "; "))
		last = n
	}
	_ = w.Flush() // to memory
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// graphDot is the order as bold arrows and the use of results as dashed ones.
func graphDot(name string, nodes []hcl.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir = TB\n  node [shape = box, style = rounded]\n", name)
	for i := 0; i < len(nodes); {
		phase := nodes[i].Phase
		indent := "  "
		if phase != "" {
			fmt.Fprintf(&b, "  subgraph %q {\n    label = %q\n", "cluster_"+phase, phase)
			indent = "    "
		}
		for ; i < len(nodes) && nodes[i].Phase == phase; i++ {
			style := ""
			if nodes[i].Place != engine.InPhase {
				style = ", style = dotted"
			}
			fmt.Fprintf(&b, "%s%q [label = \"%s\\n%s\"%s]\n", indent, nodes[i].Name, nodes[i].Name, nodes[i].Type, style)
		}
		if phase != "" {
			b.WriteString("  }\n")
		}
	}
	before := ""
	for _, n := range nodes {
		if n.Place == engine.InPhase {
			if before != "" {
				fmt.Fprintf(&b, "  %q -> %q [style = bold]\n", before, n.Name)
			}
			before = n.Name
		}
		for _, u := range n.Uses {
			fmt.Fprintf(&b, "  %q -> %q [style = dashed, constraint = false]\n", u, n.Name)
		}
	}
	b.WriteString("}\n")
	return b.String()
}
