package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// onSandboxHost is a command that does one thing to one host.
func (a *app) onSandboxHost(p *place, use, short, done string, do func(*sandbox.Sandbox, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  takes(1, 1, "one host"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			in := a.catch()
			defer in.release()
			return a.toHost(in.ctx, s, args[0], done, do)
		},
	}
}

func (a *app) toHost(ctx context.Context, s *sandbox.Sandbox, host, done string, do func(*sandbox.Sandbox, context.Context, string) error) error {
	if err := knownHost(s, host); err != nil {
		return err
	}
	if err := do(s, ctx, host); err != nil {
		return err
	}
	a.text("sandbox", host, host+" is "+done+".\n")
	return nil
}

func knownHost(s *sandbox.Sandbox, host string) error {
	var names []string
	for _, h := range s.Hosts() {
		if h.Name == host {
			return nil
		}
		names = append(names, h.Name)
	}
	return wrong("It has: "+strings.Join(names, ", ")+".", "Sandbox %s has no host %q.", s.Name(), host)
}

func (a *app) sandboxList(p *place) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "list sandboxes and how their hosts are",
		Args:  takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			var all []*sandbox.Sandbox
			var err error
			if p.name != "" || p.dir != "" {
				var s *sandbox.Sandbox
				if s, err = p.open(); err == nil {
					all = append(all, s)
				}
			} else {
				all, err = sandbox.Find()
			}
			if err != nil {
				return err
			}
			return a.listSandboxes(all)
		},
	}
}

func (a *app) listSandboxes(all []*sandbox.Sandbox) error {
	in := a.catch()
	defer in.release()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SANDBOX\tHOST\tPOWER\tETCD\tCLIENT URL")
	for _, s := range all {
		hosts, err := s.List(in.ctx)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			power, unit := "off", "-"
			if h.On {
				power, unit = "on", h.Unit.ActiveState
			}
			if a.json {
				a.record(render.Record{Message: h.Name + ": " + power, Type: "sandbox_host", Host: h.Name, Data: map[string]any{
					"sandbox": s.Name(), "folder": s.Dir, "inventory": s.Inventory(), "on": h.On, "unit": unit, "client_url": h.ClientURL(), "peer_url": h.PeerURL(),
				}})
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name(), h.Name, power, unit, h.ClientURL())
		}
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	switch {
	case a.json:
	case len(all) == 0:
		a.screen.Tell("There are no sandboxes.\n")
	default:
		a.screen.Print(b.String())
	}
	return nil
}

func (a *app) sandboxExec(p *place) *cobra.Command {
	return &cobra.Command{
		Use:   "exec HOST -- PROGRAM [ARGUMENT…]",
		Short: "run a program on a host",
		Args:  takes(2, -1, "a host and a program"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			if err := knownHost(s, args[0]); err != nil {
				return err
			}
			in := a.catch()
			defer in.release()
			host, err := s.Host(in.ctx, args[0])
			if err != nil {
				return err
			}
			r, err := host.Run(in.ctx, conn.Command{Argv: args[1:]})
			if err != nil {
				return err
			}
			if a.json {
				a.record(render.Record{Message: "program ended", Type: "exec", Host: args[0], Data: map[string]any{
					"exit_code": r.ExitCode, "stdout": string(r.Stdout), "stderr": string(r.Stderr), "truncated": r.Truncated,
				}})
			} else {
				a.screen.Print(string(r.Stdout))
				a.screen.Tell(string(r.Stderr))
			}
			return exit(r.ExitCode)
		},
	}
}
