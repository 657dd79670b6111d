package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mitchellh/go-wordwrap"
	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/inventory"
)

func (a *app) varsCommand() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "vars PLAYBOOK",
		Short: "list the variables of a playbook, with their values and where these come from",
		Long: `Lists the variables of a playbook, the value that each would have in a run, and
where that comes from, in rising rank: its default, the presets of a site
playbook, a file of values, ETCDPLAY_VAR_name in the environment, --var. Only
values that name hosts need an inventory. Sensitive values are not shown.`,
		Args:              takes(1, 1, "one playbook"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			pb, _, err := a.load(args[0])
			if err != nil {
				return err
			}
			inputs, err := a.inputs(pb, args[0], t)
			if err != nil {
				return err
			}
			for _, v := range pb.Variables() {
				i := slices.IndexFunc(inputs, func(in engine.Input) bool { return in.Name == v.Name })
				in := engine.Input{Name: v.Name, Sensitive: v.Sensitive}
				if i >= 0 {
					in = inputs[i]
				}
				if a.json {
					a.record(render.Record{Message: v.Name, Type: "variable", Data: variableRecord(v, in)})
				} else {
					a.screen.Print(variableText(v, in))
				}
			}
			return nil
		},
	}
	t.flags(cmd)
	return cmd
}

// inputs is the values that the playbook's variables would have. An inventory
// that lies about is of use, and not needed.
func (a *app) inputs(pb *hcl.Playbook, ref string, t target) ([]engine.Input, error) {
	values := hcl.Values{Files: t.varsFiles, Env: a.environ, Vars: t.vars, Cluster: t.cluster}
	var inv *inventory.Inventory
	sources := map[string][]byte{}
	wanted := t.inventory != "" || t.cluster != ""
	if path, err := t.findInventory(ref, a.env["ETCDPLAY_INVENTORY"]); err == nil {
		var ds engine.Diagnostics
		if inv, ds, err = readInventory(path, sources); err != nil {
			return nil, err
		}
		a.findings(ds, sources)
		if _, err := inv.Choose(t.cluster); err != nil && !wanted {
			inv = nil
		}
	} else if wanted {
		return nil, err
	}
	inputs, ds := pb.Inputs(inv, values)
	maps.Copy(sources, pb.Sources())
	if err := found(ds, sources); err != nil {
		return nil, err
	}
	a.findings(ds, sources)
	return inputs, nil
}

func variableRecord(v hcl.Variable, in engine.Input) map[string]any {
	m := map[string]any{
		"name": v.Name, "type": v.Type, "description": v.Description, "required": v.Default == cty.NilVal,
		"sensitive": v.Sensitive, "nullable": v.Nullable,
	}
	if v.Deprecated != "" {
		m["deprecated"] = v.Deprecated
	}
	if v.Default != cty.NilVal {
		m["default"] = render.Outputs([]engine.PlannedOutput{{Name: "default", Value: v.Default, Sensitive: v.Sensitive}})["default"].Value
	}
	if in.Value != cty.NilVal {
		m["source"] = in.Source
		m["value"] = render.Outputs([]engine.PlannedOutput{{Name: "value", Value: in.Value, Sensitive: in.Sensitive}})["value"].Value
	}
	return m
}

// variableText is one variable: its value, where that comes from, and what the
// variable means.
func variableText(v hcl.Variable, in engine.Input) string {
	var b strings.Builder
	switch {
	case in.Value == cty.NilVal:
		fmt.Fprintf(&b, "%s has no value; give it with --var %s=...\n", v.Name, v.Name)
	case in.Sensitive:
		fmt.Fprintf(&b, "%s = (sensitive)  (%s)\n", v.Name, in.Source)
	default:
		fmt.Fprintf(&b, "%s = %s  (%s)\n", v.Name, render.Value(in.Value, nil), in.Source)
	}
	b.WriteString("    " + v.Type)
	if v.Sensitive {
		b.WriteString(", sensitive")
	}
	b.WriteString("\n")
	for _, text := range []string{v.Description, v.Deprecated} {
		if text == "" {
			continue
		}
		for line := range strings.Lines(wordwrap.WrapString(strings.TrimSpace(text), 74)) {
			b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
		}
	}
	return b.String()
}
