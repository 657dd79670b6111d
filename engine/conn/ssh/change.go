package ssh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// units changes the host's units: by the bus, or by systemctl where there is no
// way to it. If the connection is lost meanwhile, the unit itself is asked what
// became of the change.
type units struct{ *Host }

// Units changes the state of units.
func (h *Host) Units() conn.Units { return units{h} }

func (u units) Start(ctx context.Context, name string, wait bool) error {
	return u.job(ctx, "start", name, wait, func(ctx context.Context) error { return u.bus.Start(ctx, name, wait) })
}

func (u units) Stop(ctx context.Context, name string) error {
	return u.job(ctx, "stop", name, true, func(ctx context.Context) error { return u.bus.Stop(ctx, name) })
}

func (u units) Restart(ctx context.Context, name string, wait bool) error {
	return u.job(ctx, "restart", name, wait, func(ctx context.Context) error { return u.bus.Restart(ctx, name, wait) })
}

// Reload, Mask and Unmask can be done twice as well as once, so if the
// connection is lost they are.
func (u units) Reload(ctx context.Context) error {
	err := u.onBus(ctx, u.bus.Reload)
	if errors.Is(err, errNoBridge) {
		err = u.systemctl(ctx, "daemon-reload")
	}
	return u.failed("reload", "", err)
}

func (u units) Mask(ctx context.Context, name string, runtime bool) error {
	err := u.onBus(ctx, func(ctx context.Context) error { return u.bus.Mask(ctx, name, runtime) })
	if errors.Is(err, errNoBridge) {
		err = u.systemctlMask(ctx, "mask", name, runtime)
	}
	return u.failed("mask", "", err)
}

func (u units) Unmask(ctx context.Context, name string, runtime bool) error {
	err := u.onBus(ctx, func(ctx context.Context) error { return u.bus.Unmask(ctx, name, runtime) })
	if errors.Is(err, errNoBridge) {
		err = u.systemctlMask(ctx, "unmask", name, runtime)
	}
	return u.failed("unmask", "", err)
}

// job starts, stops or restarts a unit. If the connection was lost before the
// job was begun, it is begun once more.
func (u units) job(ctx context.Context, what, name string, wait bool, call func(context.Context) error) error {
	for attempt := 0; ; attempt++ {
		before, err := u.Unit(ctx, name)
		if err != nil {
			return err
		}
		if u.bus.without.Load() {
			return u.failed(what, "", u.systemctlJob(ctx, what, name, wait))
		}
		err = call(ctx)
		if errors.Is(err, conn.ErrOutcomeUnknown) && ctx.Err() == nil {
			u.bus.Close() // it may not know yet that its connection has ended
			err = u.settleJob(ctx, what, before, name, wait, err)
		}
		if attempt > 0 || ctx.Err() != nil || !errors.Is(err, conn.ErrUnreachable) || errors.Is(err, conn.ErrOutcomeUnknown) {
			return u.failed(what, "", err)
		}
	}
}

// settleJob finds out what became of a job over which the connection was lost.
// It waits for its turn first: whoever held it for the job has let go by then.
func (u units) settleJob(ctx context.Context, what string, before conn.Unit, name string, wait bool, lost error) error {
	limited, cancel := context.WithTimeout(ctx, u.config.Reconnect)
	defer cancel()
	for {
		release, err := u.turn(limited)
		if err == nil {
			release()
			break
		}
		if !errors.Is(err, conn.ErrUnreachable) || limited.Err() != nil {
			return fmt.Errorf("%w; %w", lost, err)
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("%w; %w", lost, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
	for {
		now, err := u.Unit(ctx, name)
		if err != nil {
			return fmt.Errorf("%w; %w", lost, err)
		}
		switch {
		case now.ActiveState == "activating" || now.ActiveState == "deactivating" || now.ActiveState == "reloading":
			if !wait {
				return nil
			}
		default:
			return atRest(what, before, now, lost)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s of %s: %w", conn.ErrOutcomeUnknown, what, name, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// atRest tells by a unit that is at rest how a job went. A unit that is inactive
// and has not failed is forgotten by systemd, and with it whether it has run.
func atRest(what string, before, now conn.Unit, lost error) error {
	active, begun := now.ActiveState == "active", now.InvocationID != before.InvocationID
	switch {
	case what == "stop" && !active, what == "start" && active, what == "restart" && active && begun:
		return nil
	case what == "stop", now.InvocationID != "" && !begun:
		return fmt.Errorf("%w: %w, and the %s was not begun", conn.ErrUnreachable, errBusLost, what)
	case now.ActiveState == "failed":
		return fmt.Errorf("%s: the %s ended with %q; its journal says more", now.Name, what, now.Result)
	}
	return lost
}
