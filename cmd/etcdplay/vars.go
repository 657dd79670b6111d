package main

import (
	"fmt"
	"strings"

	"github.com/mitchellh/go-wordwrap"
	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
)

func (a *app) varsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "vars PLAYBOOK",
		Short:             "list the variables of a playbook",
		Args:              takes(1, 1, "one playbook"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			pb, _, err := a.load(args[0])
			if err != nil {
				return err
			}
			for _, v := range pb.Variables() {
				if a.json {
					a.record(render.Record{Message: v.Name, Type: "variable", Data: variableRecord(v)})
				} else {
					a.screen.Print(variableText(v))
				}
			}
			return nil
		},
	}
}

func variableRecord(v hcl.Variable) map[string]any {
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
	return m
}

// variableText is one variable: how to give it, and what it means.
func variableText(v hcl.Variable) string {
	var b strings.Builder
	fmt.Fprintf(&b, "--var %s=  %s", v.Name, v.Type)
	switch {
	case v.Default == cty.NilVal:
		b.WriteString(", required")
	case v.Sensitive:
		b.WriteString(", has a default")
	default:
		b.WriteString(", else " + render.Value(v.Default, nil))
	}
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
