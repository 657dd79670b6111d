package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/clct"
)

// outputs are what the command can make of a config.
var outputs = []string{"dropin", "ignition", "butane"}

func (a *app) clctCommand() *cobra.Command {
	var platform, flavour, output string
	var strict, escape bool
	cmd := &cobra.Command{
		Use:   "clct FILE [--platform P] [--strict]",
		Short: "make of a Container Linux Config the drop-in of etcd's unit",
		Long: `Reads the etcd section of a Container Linux Config, and prints the drop-in that
the Container Linux Config Transpiler makes of it, byte for byte. What is wrong
is told as the transpiler tells it; besides, there are warnings about what it
lets pass and etcd does not start with. The file - is stdin.`,
		Example: `  etcdplay clct member.yaml > 20-clct-etcd-member.conf
  etcdplay clct member.yaml --platform ec2 --strict --output butane`,
		Args: takes(1, 1, "one Container Linux Config, or - for stdin"),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(clct.Flavours(), clct.Flavour(flavour)) {
				return wrong("", "--flavour is coreos or flatcar, not %q.", flavour)
			}
			if !slices.Contains(outputs, output) {
				return wrong("", "--output is one of %s, not %q.", strings.Join(outputs, ", "), output)
			}
			return a.transpile(args[0], clct.Flavour(flavour), clct.Rendering{Platform: platform, Escape: escape}, output, strict)
		},
	}
	cmd.Flags().StringVar(&platform, "platform", "", "where the machine will run, for {HOSTNAME} and the like: "+strings.Join(clct.Platforms(), ", "))
	cmd.Flags().StringVar(&flavour, "flavour", string(clct.Flatcar), "whose transpiler: coreos or flatcar")
	cmd.Flags().StringVar(&output, "output", "dropin", "what to print: "+strings.Join(outputs, ", "))
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	cmd.Flags().BoolVar(&escape, "escape", false, "double % and $ in values, which the transpiler does not")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return cmd
}

// transpile prints what becomes of one config, after all that is to be said of
// it.
func (a *app) transpile(path string, f clct.Flavour, r clct.Rendering, output string, strict bool) error {
	var src []byte
	var err error
	if path == "-" {
		src, err = io.ReadAll(io.LimitReader(a.stdin, clct.MaxSize+1))
	} else {
		src, err = readInput(path)
	}
	if err != nil {
		return err
	}
	c, ds := clct.Read(path, src, f)
	var text string
	if c != nil {
		var said engine.Diagnostics
		text, said = c.Dropin(r)
		ds = append(ds, said...)
	}
	if r.Escape {
		ds = slices.DeleteFunc(ds, clct.Escaped)
	}
	if strict {
		for i := range ds {
			ds[i].Severity = engine.Error
		}
	}
	sources := map[string][]byte{path: src}
	if err := found(ds, sources); err != nil {
		return err
	}
	if output != "dropin" && len(c.Sections()) > 0 {
		return wrong("", "%s has other sections (%s), of which nothing is made here; an Ignition or Butane config without them would lack them. Take --output dropin, and put the drop-in where the rest is.", path, strings.Join(c.Sections(), ", "))
	}
	switch output {
	case "ignition":
		if text, err = clct.Ignition(text, r.Platform); err != nil {
			return err
		}
	case "butane":
		text = clct.Butane(text)
	}
	a.findings(ds, sources)
	if a.json {
		a.record(render.Record{Message: path, Type: output, Data: map[string]any{"file": path, "text": text}})
		return nil
	}
	a.screen.Print(text)
	return nil
}
