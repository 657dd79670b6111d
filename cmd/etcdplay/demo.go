package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "replace a failed member of a genuine cluster, on this machine",
		Long: `Brings up a cluster of three on this machine, writes keys, wrecks a member,
replaces it with the playbook replace-member, and proves that nothing is lost.
It needs no root, and leaves nothing behind.`,
		Args: takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return a.demo() },
	}
}

const (
	demoKeys   = 1000
	demoFailed = "demo-etcd-2"
)

// demonstration is one run of the demo, with everything it leaves behind below
// one folder.
type demonstration struct {
	app     *app
	ctx     context.Context // ends with Ctrl-C
	dir     string
	sandbox *sandbox.Sandbox
	client  *clientv3.Client
	number  int
	began   time.Time
}

func (a *app) demo() (err error) {
	in := a.catch()
	defer in.release()
	dir, err := os.MkdirTemp("", "etcdplay-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demonstration{app: a.apart(dir), ctx: in.ctx, dir: dir, began: a.now()}
	defer func() {
		if downErr := d.down(); err == nil {
			err = downErr
		}
	}()
	for _, act := range []func() error{d.up, d.write, d.wreck, d.replace, d.prove} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

// apart is the app with its state below dir: what is run only to be seen does not
// appear among the operator's runs.
func (a *app) apart(dir string) *app {
	own := *a
	own.env = maps.Clone(a.env)
	own.env["XDG_STATE_HOME"] = filepath.Join(dir, "state")
	own.asks = false
	return &own
}

// say narrates one act.
func (d *demonstration) say(format string, args ...any) {
	d.number++
	text := fmt.Sprintf(format, args...)
	if d.app.json {
		d.app.record(render.Record{Message: text, Type: "demo"})
		return
	}
	d.app.screen.Print(fmt.Sprintf("\n%d. %s\n", d.number, text))
}

// note adds a line to the act.
func (d *demonstration) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.app.json {
		d.app.record(render.Record{Message: text, Type: "demo"})
		return
	}
	d.app.screen.Print("   " + text + "\n")
}

func (d *demonstration) up() error {
	d.say("A cluster of three comes up: genuine etcd, as processes of yours, on loopback addresses.")
	s, err := d.app.makeSandbox(d.ctx, sandbox.Options{Dir: filepath.Join(d.dir, "sandbox"), Members: 3})
	if err != nil {
		return err
	}
	d.sandbox = s
	for _, h := range s.Hosts() {
		d.note("%s serves %s", h.Name, h.ClientURL())
	}
	d.client, err = connect(d.endpoints())
	return err
}

func (d *demonstration) endpoints() []string {
	var urls []string
	for _, h := range d.sandbox.Hosts() {
		if !h.Spare {
			urls = append(urls, h.ClientURL())
		}
	}
	return urls
}

func (d *demonstration) keys() keys { return keys{client: d.client, count: demoKeys} }

// within bounds one act that talks to etcd.
func (d *demonstration) within(act func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(d.ctx, 20*time.Second)
	defer cancel()
	err := act(ctx)
	if d.ctx.Err() != nil {
		return engine.ErrInterrupted
	}
	return err
}

func (d *demonstration) write() error {
	d.say("%d keys are written.", demoKeys)
	return d.within(d.keys().write)
}

func (d *demonstration) wreck() error {
	d.say("Disaster: member %s is killed, and its data wrecked.", demoFailed)
	if err := d.sandbox.Wreck(d.ctx, demoFailed); err != nil {
		return err
	}
	return d.within(func(ctx context.Context) error {
		host, err := d.sandbox.Host(ctx, demoFailed)
		if err != nil {
			return err
		}
		u, err := host.Unit(ctx, sandbox.Unit)
		if err != nil {
			return err
		}
		d.note("%s: %s is %s (%s)", demoFailed, sandbox.Unit, u.ActiveState, u.SubState)
		return nil
	})
}

func (d *demonstration) replace() error {
	d.say("The playbook replace-member: its plan, then its run.")
	d.note("etcdplay run replace-member --var failed=%s -i %s --yes", demoFailed, d.sandbox.Inventory())
	if !d.app.json {
		d.app.screen.Print("\n")
	}
	return d.app.perform("replace-member", target{inventory: d.sandbox.Inventory(), vars: []string{"failed=" + demoFailed}}, &questions{app: d.app, yes: true}, false, false)
}

// prove checks what the demo promises: no key lost, all members equal, the old
// data kept.
func (d *demonstration) prove() error {
	d.say("The proof.")
	if err := d.within(d.keys().check); err != nil {
		return fmt.Errorf("reading the keys back: %w", err)
	}
	d.note("%d keys are read back, each as it was written", demoKeys)
	err := d.within(func(ctx context.Context) error {
		rev, hash, err := d.keys().hash(ctx, d.endpoints())
		if err == nil {
			d.note("HashKV at revision %d is %08x on all %d members", rev, hash, len(d.endpoints()))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("comparing the members: %w", err)
	}
	if err := d.within(d.kept); err != nil {
		return fmt.Errorf("looking for the old data: %w", err)
	}
	return nil
}

// kept looks for the data that the run moved aside.
func (d *demonstration) kept(ctx context.Context) error {
	state, err := d.app.stateDir()
	if err != nil {
		return err
	}
	r, err := engine.OpenRun(state, "")
	if err != nil {
		return err
	}
	for _, t := range r.Tasks {
		to := textOf(t.Results, "to")
		if t.Type != "move" || t.Host != demoFailed || !strings.Contains(to, r.Identity.ID) {
			continue
		}
		host, err := d.sandbox.Host(ctx, t.Host)
		if err != nil {
			return err
		}
		inside, err := host.ReadDir(ctx, to)
		if err != nil {
			return err
		}
		if len(inside) == 0 {
			return fmt.Errorf("%s is empty", to)
		}
		d.note("the old data of %s is kept: %s", t.Host, to)
		return nil
	}
	return fmt.Errorf("run %s has moved none aside", r.Identity.ID)
}

// down leaves nothing running, whatever happened before.
func (d *demonstration) down() error {
	if d.client != nil {
		// Its connections end with the members in a moment anyway.
		_ = d.client.Close()
	}
	if d.sandbox == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), upTimeout)
	defer cancel()
	if err := d.sandbox.Down(ctx, false); err != nil {
		return fmt.Errorf("bringing the sandbox down: %w", err)
	}
	d.say("Everything is down again. That took %s.", render.Span(d.app.now().Sub(d.began)))
	return nil
}
