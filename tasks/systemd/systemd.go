// Package systemd has the task types that work on a host's units: systemd_dropin,
// systemd_unit and systemd_journal. It knows what systemd says of a unit, how a
// drop-in takes effect, and how the flags of an etcd member stand in one; it
// does not know how systemd is spoken to.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// Types lists the task types of this package.
func Types() []*engine.Type {
	return []*engine.Type{Dropin(), Journal(), Unit()}
}

// describe looks at a unit. That there is none is said with what to do.
func describe(ctx context.Context, r conn.Reader, unit string) (conn.Unit, error) {
	u, err := r.Unit(ctx, unit)
	if errors.Is(err, conn.ErrNoUnit) || err == nil && u.LoadState == "not-found" {
		return u, fmt.Errorf("%w on %s: %s; check the name, or install the unit there first", conn.ErrNoUnit, r.Name(), unit)
	}
	return u, err
}

// since is how long ago t was, as people say it.
func since(t time.Time) time.Duration {
	d := time.Since(t)
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}
