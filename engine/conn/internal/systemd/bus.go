// Package systemd knows how to be a connection's half that concerns units, with
// a genuine systemd on the other side of a D-Bus connection and its journal
// read by journalctl. It must not know how that D-Bus connection is made.
package systemd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Bus is conn.Units, and the Unit method of conn.Reader, by D-Bus. It connects
// at first use, and again after the connection was lost.
type Bus struct {
	// Dial connects to systemd. Its errors are passed on as they are, so they must
	// wrap conn.ErrUnreachable or conn.ErrUnsupported where that is so.
	Dial func(ctx context.Context) (*dbus.Conn, error)

	// Turn, if not nil, is asked before each change, and what it returns is called
	// as soon as systemd has taken the change on. It may refuse.
	Turn func(ctx context.Context) (release func(), err error)

	mu sync.Mutex
	c  *dbus.Conn
}

func (b *Bus) conn(ctx context.Context) (*dbus.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil && b.c.Connected() {
		return b.c, nil
	}
	if b.c != nil {
		b.c.Close()
		b.c = nil
	}
	c, err := b.Dial(ctx)
	if err != nil {
		return nil, err
	}
	// Without this systemd tells nobody that a job has ended.
	if err := c.Subscribe(); err != nil {
		c.Close()
		return nil, err
	}
	b.c = c
	return c, nil
}

// Open connects, if there is no connection.
func (b *Bus) Open(ctx context.Context) error {
	_, err := b.conn(ctx)
	return err
}

// Close closes the connection, if there is one.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil {
		b.c.Close()
		b.c = nil
	}
}

// turn asks Turn, if there is one.
func (b *Bus) turn(ctx context.Context) (release func(), err error) {
	if b.Turn == nil {
		return func() {}, nil
	}
	return b.Turn(ctx)
}

// Unit describes a unit.
func (b *Bus) Unit(ctx context.Context, name string) (conn.Unit, error) {
	c, err := b.conn(ctx)
	if err != nil {
		return conn.Unit{}, err
	}
	properties, err := c.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return conn.Unit{}, explain(name, err)
	}
	u := describe(name, properties)
	if u.LoadState == "not-found" && u.ActiveState == "inactive" {
		return conn.Unit{}, fmt.Errorf("%w: %s", conn.ErrNoUnit, name)
	}
	return u, nil
}

// describe reads the properties of a unit by their names and D-Bus types.
func describe(name string, p map[string]any) conn.Unit {
	u := conn.Unit{
		Name:             name,
		LoadState:        get[string](p, "LoadState"),
		ActiveState:      get[string](p, "ActiveState"),
		SubState:         get[string](p, "SubState"),
		Result:           get[string](p, "Result"),
		Type:             get[string](p, "Type"),
		UnitFileState:    get[string](p, "UnitFileState"),
		MainPID:          int(get[uint32](p, "MainPID")),
		ExecMainStatus:   int(get[int32](p, "ExecMainStatus")),
		NRestarts:        int(get[uint32](p, "NRestarts")),
		NeedDaemonReload: get[bool](p, "NeedDaemonReload"),
		FragmentPath:     get[string](p, "FragmentPath"),
		DropInPaths:      get[[]string](p, "DropInPaths"),
		Environment:      get[[]string](p, "Environment"),
	}
	if id := get[[]byte](p, "InvocationID"); len(id) == 16 {
		u.InvocationID = hex.EncodeToString(id)
	}
	for _, command := range get[[][]any](p, "ExecStart") { // path, argv, …
		if len(command) > 1 {
			if argv, ok := command[1].([]string); ok {
				u.ExecStart = append(u.ExecStart, argv)
			}
		}
	}
	for _, file := range get[[][]any](p, "EnvironmentFiles") { // path, whether it may be missing
		if len(file) > 0 {
			if path, ok := file[0].(string); ok {
				u.EnvironmentFiles = append(u.EnvironmentFiles, path)
			}
		}
	}
	return u
}

// get is the property as a T; the zero T if it is missing, as it is on an older
// systemd, or something else.
func get[T any](p map[string]any, name string) T {
	v, _ := p[name].(T)
	return v
}

// Start starts a unit, as conn.Units says.
func (b *Bus) Start(ctx context.Context, unit string, wait bool) error {
	return b.job(ctx, "start", unit, wait, (*dbus.Conn).StartUnitContext)
}

// Stop stops a unit and waits for it.
func (b *Bus) Stop(ctx context.Context, unit string) error {
	return b.job(ctx, "stop", unit, true, (*dbus.Conn).StopUnitContext)
}

// Restart restarts a unit, as conn.Units says.
func (b *Bus) Restart(ctx context.Context, unit string, wait bool) error {
	return b.job(ctx, "restart", unit, wait, (*dbus.Conn).RestartUnitContext)
}

type method func(c *dbus.Conn, ctx context.Context, name, mode string, ch chan<- string) (int, error)

func (b *Bus) job(ctx context.Context, what, unit string, wait bool, call method) error {
	c, err := b.conn(ctx)
	if err != nil {
		return err
	}
	var done chan string
	if wait {
		done = make(chan string, 1)
	}
	release, err := b.turn(ctx)
	if err != nil {
		return err
	}
	if what != "stop" {
		// A start that somebody asks for is not to be refused because systemd tried
		// too often by itself; if this fails, the start says what is wrong.
		_ = c.ResetFailedUnitContext(ctx, unit)
	}
	_, err = call(c, ctx, unit, "replace", done)
	release()
	if err != nil {
		return explain(unit, err)
	}
	if !wait {
		return nil
	}
	alive := time.NewTicker(lookAlive)
	defer alive.Stop()
	for {
		select {
		case result := <-done:
			if result != "done" {
				return fmt.Errorf("%s: the %s ended with %q; its journal says more", unit, what, result)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: %s of %s: %w", conn.ErrOutcomeUnknown, what, unit, context.Cause(ctx))
		case <-alive.C:
			if !c.Connected() {
				return fmt.Errorf("%w: %s of %s: the connection to systemd was lost", conn.ErrOutcomeUnknown, what, unit)
			}
		}
	}
}

// lookAlive is how soon it is seen that a connection was lost over which the
// end of a job should be told.
const lookAlive = 200 * time.Millisecond

// Reload makes systemd read all unit files again.
func (b *Bus) Reload(ctx context.Context) error {
	c, err := b.conn(ctx)
	if err != nil {
		return err
	}
	release, err := b.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	return explain("", c.ReloadContext(ctx))
}

// Mask masks a unit and reloads, as systemctl mask does.
func (b *Bus) Mask(ctx context.Context, unit string, runtime bool) error {
	c, err := b.conn(ctx)
	if err != nil {
		return err
	}
	release, err := b.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, err := c.MaskUnitFilesContext(ctx, []string{unit}, runtime, false); err != nil {
		return explain(unit, err)
	}
	return explain(unit, c.ReloadContext(ctx))
}

// Unmask undoes Mask.
func (b *Bus) Unmask(ctx context.Context, unit string, runtime bool) error {
	c, err := b.conn(ctx)
	if err != nil {
		return err
	}
	release, err := b.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, err := c.UnmaskUnitFilesContext(ctx, []string{unit}, runtime); err != nil {
		return explain(unit, err)
	}
	return explain(unit, c.ReloadContext(ctx))
}

// explain sorts an error of a D-Bus call: what systemd answered is definite,
// anything else leaves the outcome open.
func explain(unit string, err error) error {
	var answer godbus.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer):
		return fmt.Errorf("%w: systemd did not answer: %w", conn.ErrOutcomeUnknown, err)
	case answer.Name == "org.freedesktop.systemd1.NoSuchUnit":
		return fmt.Errorf("%w: %s", conn.ErrNoUnit, unit)
	case unit == "":
		return fmt.Errorf("systemd: %w", err)
	}
	return fmt.Errorf("%s: %w", unit, err)
}
