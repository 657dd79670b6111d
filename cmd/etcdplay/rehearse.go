package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/hcl/inventory"
)

func (a *app) rehearseCommand() *cobra.Command {
	var t target
	var wreck, stop []string
	cmd := &cobra.Command{
		Use:   "rehearse PLAYBOOK",
		Short: "run a playbook on a sandbox that is shaped like the inventory",
		Long: `Makes a sandbox with the members and the other hosts of the inventory, under
their names, with certificates and a password of its own where the inventory has
them, breaks what is to be broken in it, runs the playbook there without
asking, and brings the sandbox down. The hosts of the inventory are never
contacted.`,
		Example:           "  etcdplay rehearse replace-member --wreck demo-etcd-2 --var failed=demo-etcd-2",
		Args:              takes(1, 1, "one playbook"),
		ValidArgsFunction: completePlaybooks,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.rehearse(args[0], t, wreck, stop)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringArrayVar(&wreck, "wreck", nil, "before the run, kill the member on `HOST` and spoil its data; may be repeated")
	cmd.Flags().StringArrayVar(&stop, "stop", nil, "before the run, take the power from `HOST`; may be repeated")
	return cmd
}

// shape is the sandbox that resembles the cluster of an inventory.
func (a *app) shape(ref string, t target) (sandbox.Options, error) {
	var o sandbox.Options
	path, err := t.findInventory(ref, a.env["ETCDPLAY_INVENTORY"])
	if err != nil {
		return o, err
	}
	src, err := readInput(path)
	if err != nil {
		return o, err
	}
	inv, ds := inventory.Load(path, src)
	if err := found(ds, map[string][]byte{path: src}); err != nil {
		return o, err
	}
	cluster, err := inv.Choose(t.cluster)
	if err != nil {
		return o, fmt.Errorf("%w: %w", engine.ErrInput, err)
	}
	o.Cluster, o.Token, o.Members, o.Names = cluster.Name, cluster.Token, len(cluster.Members), slices.Clone(cluster.Members)
	o.Debian = cluster.Layout == "debian"
	o.TLS, o.Auth = cluster.Scheme == "https", cluster.Auth.Username != ""
	for _, h := range inv.Hosts(cluster) {
		if !slices.Contains(o.Names, h.Name) {
			o.Names = append(o.Names, h.Name)
			o.Spares++
		}
	}
	return o, nil
}

func (a *app) rehearse(ref string, t target, wreck, stop []string) (err error) {
	o, err := a.shape(ref, t)
	if err != nil {
		return err
	}
	for _, host := range slices.Concat(wreck, stop) {
		if !slices.Contains(o.Names, host) {
			return wrong("It has: "+strings.Join(o.Names, ", ")+".", "The inventory has no host %q.", host)
		}
	}
	in := a.catch()
	defer in.release()
	dir, err := os.MkdirTemp("", "etcdplay-rehearsal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.Dir = filepath.Join(dir, "sandbox")
	s, err := a.makeSandbox(in.ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), upTimeout)
		defer cancel()
		err = errors.Join(err, s.Down(ctx, false))
	}()
	a.say("rehearsal", "", fmt.Sprintf("Rehearsal: %s on a sandbox with %s.", ref, strings.Join(o.Names, ", ")))
	for _, host := range wreck {
		if err := s.Wreck(in.ctx, host); err != nil {
			return err
		}
		a.say("rehearsal", "", host+" is wrecked.")
	}
	for _, host := range stop {
		if err := s.StopHost(in.ctx, host); err != nil {
			return err
		}
		a.say("rehearsal", "", host+" is stopped.")
	}
	t.inventory, t.cluster = s.Inventory(), ""
	here := a.apart(dir)
	err = here.perform(ref, t, &questions{app: here, yes: true, rehearsed: true}, false, false)
	a.say("rehearsal", "", "The rehearsal is over, and its sandbox goes down. Nothing else was touched.")
	return err
}
