package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox/etcdserver"
)

// place is which sandbox a command is about.
type place struct {
	name, dir string
}

func (p *place) folder() (string, error) {
	if p.dir != "" {
		if p.name != "" {
			return "", wrong("", "--name and --dir exclude each other.")
		}
		return p.dir, nil
	}
	dir, err := sandbox.DefaultDir(p.name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", engine.ErrInput, err)
	}
	return dir, nil
}

// open opens the sandbox that the flags name.
func (p *place) open() (*sandbox.Sandbox, error) {
	dir, err := p.folder()
	if err != nil {
		return nil, err
	}
	s, err := sandbox.Open(dir)
	if errors.Is(err, sandbox.ErrNone) {
		return nil, wrong("etcdplay sandbox up makes one.", "There is no sandbox in %s.", dir)
	}
	return s, err
}

func (a *app) sandboxCommand() *cobra.Command {
	var p place
	cmd := &cobra.Command{
		Use:   "sandbox COMMAND",
		Short: "clusters of genuine etcd on this machine, to try things on",
		Long: `A sandbox is a folder with hosts, on each of which a unit runs genuine etcd. It
needs no root and no systemd, and listens on loopback addresses only. Playbooks
run on it as on any cluster, with the inventory that it writes.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return noCommand(cmd)
			}
			return unknownCommand(cmd, args[0])
		},
	}
	cmd.PersistentFlags().StringVar(&p.name, "name", "", "`NAME` of the sandbox (default \"demo\")")
	cmd.PersistentFlags().StringVar(&p.dir, "dir", "", "`FOLDER` of the sandbox, instead of a name")
	cmd.AddCommand(
		a.sandboxUp(&p), a.sandboxDown(&p), a.sandboxList(&p), a.sandboxExec(&p),
		a.onSandboxHost(&p, "kill HOST", "kill the member on a host; its unit restarts it", "killed", (*sandbox.Sandbox).Kill),
		a.onSandboxHost(&p, "wreck HOST", "kill the member on a host and spoil its data", "wrecked", (*sandbox.Sandbox).Wreck),
		a.onSandboxHost(&p, "stop HOST", "take the power from a host", "stopped", (*sandbox.Sandbox).StopHost),
		a.sandboxStart(&p),
		a.sandboxSupervise(), sandboxEtcd(),
	)
	return cmd
}

func (a *app) sandboxUp(p *place) *cobra.Command {
	var o sandbox.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "make a sandbox with a running cluster",
		Args:  takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			var err error
			if o.Dir, err = p.folder(); err != nil {
				return err
			}
			in := a.catch()
			defer in.release()
			s, err := a.makeSandbox(in.ctx, o)
			if err != nil {
				return err
			}
			a.tellSandbox(s)
			return nil
		},
	}
	cmd.Flags().IntVar(&o.Members, "members", 3, "members of the cluster; 0 for hosts of which one is yet to be made")
	cmd.Flags().IntVar(&o.Spares, "spares", 1, "further hosts, without a member")
	cmd.Flags().StringVar(&o.Etcd, "etcd", "", "etcd `BINARY` to run, instead of the one built in")
	cmd.Flags().IntVar(&o.API, "api", 3, "API of etcd that is spoken; 2 takes an --etcd of release 3.4 or 3.5")
	cmd.Flags().BoolVar(&o.Debian, "debian", false, "lay the hosts out as Debian's package does, not as Container Linux")
	cmd.Flags().BoolVar(&o.TLS, "tls", false, "give every host certificates, which clients and peers need too")
	cmd.Flags().BoolVar(&o.Auth, "auth", false, "let nobody in but etcd's user root, whose password is made up")
	return cmd
}

// upTimeout is for all of a sandbox's members to join and serve.
const upTimeout = time.Minute

func (a *app) makeSandbox(ctx context.Context, o sandbox.Options) (*sandbox.Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	o.Progress = func(what string) { a.screen.Show("  " + what) }
	defer a.screen.Show("")
	s, err := sandbox.Up(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.Auth && o.Members > 0 {
		o.Progress("turning authentication on")
		if err := turnOnAuth(ctx, s); err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), upTimeout)
			defer cancel()
			return nil, errors.Join(err, s.Down(ctx, false))
		}
	}
	return s, nil
}

func (a *app) tellSandbox(s *sandbox.Sandbox) {
	if a.json {
		a.record(render.Record{
			Message: "sandbox " + s.Name() + " is up", Type: "sandbox",
			Data: map[string]any{"folder": s.Dir, "inventory": s.Inventory(), "hosts": s.Hosts()},
		})
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Sandbox %s is up, in %s\n\n", s.Name(), s.Dir)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, h := range s.Hosts() {
		what := "member"
		if h.Spare {
			what = "spare"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", h.Name, what, h.ClientURL())
	}
	// A strings.Builder takes everything.
	_ = w.Flush()
	if dir := s.PKI(); dir != "" {
		fmt.Fprintf(&b, "\nCertificates are in %s.\n", dir)
	}
	if file := s.PasswordFile(); file != "" {
		fmt.Fprintf(&b, "\nThe password of etcd's user root is in %s.\n", file)
		if s.Hosts()[0].Spare {
			b.WriteString("Once there is a cluster, make that user and turn authentication on with etcdctl.\n")
		}
	}
	fmt.Fprintf(&b, "\nTo use it:\n\n  export ETCDPLAY_INVENTORY=%s\n", s.Inventory())
	a.screen.Print(b.String())
}

func (a *app) sandboxDown(p *place) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "stop everything in a sandbox and remove it",
		Args:  takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), upTimeout)
			defer cancel()
			if err := s.Down(ctx, keep); err != nil {
				return err
			}
			a.text("sandbox", s.Name(), "Sandbox "+s.Name()+" is down.\n")
			return nil
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "stop everything and leave the folder; start goes on with it")
	return cmd
}

func (a *app) sandboxStart(p *place) *cobra.Command {
	return &cobra.Command{
		Use:   "start [HOST]",
		Short: "boot a host that was stopped; without HOST, all of a sandbox that is down",
		Args:  takes(0, 1, "one host"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			in := a.catch()
			defer in.release()
			if len(args) == 0 {
				if err := s.Start(in.ctx); err != nil {
					return err
				}
				a.text("sandbox", s.Name(), "Sandbox "+s.Name()+" is started.\n")
				return nil
			}
			return a.toHost(in.ctx, s, args[0], "started", (*sandbox.Sandbox).StartHost)
		},
	}
}

// sandboxSupervise is the process that a sandbox starts of this program.
func (a *app) sandboxSupervise() *cobra.Command {
	return &cobra.Command{
		Use:    "supervise FOLDER",
		Hidden: true,
		Args:   takes(1, 1, "the folder of a sandbox"),
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return sandbox.Supervise(ctx, args[0])
		},
	}
}

// sandboxEtcd is the etcd server that a sandbox's unit starts of this program.
func sandboxEtcd() *cobra.Command {
	return &cobra.Command{
		Use:                "etcd -- [ARGUMENT…]",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			etcdserver.Main(args)
			return nil
		},
	}
}
