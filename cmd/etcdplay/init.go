package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/hcl/inventory"
	"github.com/etcdplay/etcdplay/tasks/etcd"
)

// initTimeout is how long the look at the cluster may take in all.
const initTimeout = 30 * time.Second

func (a *app) initCommand() *cobra.Command {
	var endpoints []string
	var d inventory.Draft
	cmd := &cobra.Command{
		Use:   "init --endpoints URL,…",
		Short: "write an inventory from a live cluster",
		Long: `Asks a live cluster for its members, from this machine, and prints an inventory
of it: each member's host with its address, the cluster with its ID. What cannot
be seen from outside stands there with a remark.`,
		Example: "  etcdplay init --endpoints http://10.240.0.1:2379 --user core > inventory.hcl",
		Args:    takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			return a.draft(endpoints, d)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&endpoints, "endpoints", nil, "client `URL`s of the cluster, one that answers is enough")
	f.StringVar(&d.Name, "name", "etcd", "the `NAME` that the cluster gets")
	f.StringVar(&d.User, "user", "", "the `USER` to log in to the hosts as")
	f.StringVar(&d.TLS.CAFile, "cacert", "", "`FILE` of the certificates that those of the members are checked against")
	f.StringVar(&d.TLS.CertFile, "cert", "", "`FILE` of the client's certificate")
	f.StringVar(&d.TLS.KeyFile, "key", "", "`FILE` of its key")
	f.StringVar(&d.TLS.ServerName, "server-name", "", "the `NAME` that the members' certificates are for, where it is not that of their URLs")
	f.StringVar(&d.Auth.Username, "etcd-user", "", "`USER` of etcd, where it asks for one")
	f.StringVar(&d.Auth.PasswordEnv, "etcd-password-env", "", "environment `VARIABLE` that holds that user's password")
	f.StringVar(&d.Auth.PasswordFile, "etcd-password-file", "", "`FILE` that holds it, instead")
	return cmd
}

// draft prints the inventory of the cluster at these endpoints.
func (a *app) draft(endpoints []string, d inventory.Draft) error {
	if len(endpoints) == 0 {
		return wrong("For example: etcdplay init --endpoints http://10.240.0.1:2379", "Where is the cluster? It needs --endpoints.")
	}
	for _, e := range endpoints {
		if u, err := url.Parse(e); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" {
			return wrong("Write for example http://10.240.0.1:2379.", "%q is not the URL of an endpoint.", e)
		}
	}
	if d.Auth.PasswordEnv != "" && d.Auth.PasswordFile != "" {
		return wrong("", "--etcd-password-env and --etcd-password-file exclude each other.")
	}
	if (d.Auth.Username == "") != (d.Auth.PasswordEnv+d.Auth.PasswordFile == "") {
		return wrong("", "--etcd-user and --etcd-password-env or --etcd-password-file belong together.")
	}
	if (d.TLS.CertFile == "") != (d.TLS.KeyFile == "") {
		return wrong("", "--cert and --key belong together.")
	}
	for _, file := range []*string{&d.TLS.CAFile, &d.TLS.CertFile, &d.TLS.KeyFile, &d.Auth.PasswordFile} {
		if *file == "" {
			continue
		}
		abs, err := filepath.Abs(*file)
		if err != nil {
			return err
		}
		*file = abs
	}
	in := a.catch()
	defer in.release()
	ctx, cancel := context.WithTimeout(in.ctx, initTimeout)
	defer cancel()
	c := etcd.Survey(ctx, engine.Look{
		Cluster: engine.Cluster{API: 3, TLS: d.TLS, Auth: d.Auth}, Dial: direct,
		Say: func(string, ...any) {}, Progress: func(int64, int64) {},
	}, endpoints)
	switch {
	case in.ctx.Err() != nil:
		return engine.ErrInterrupted
	case !c.Known:
		return fmt.Errorf("%w: %s", conn.ErrUnreachable, c.Why)
	}
	d.ID = c.ID
	for _, m := range c.Members {
		d.Members = append(d.Members, engine.MemberSpec{Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs})
	}
	src, err := d.Write()
	if err != nil {
		return err
	}
	a.text("inventory", "inventory.hcl", string(src))
	return nil
}
