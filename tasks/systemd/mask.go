package systemd

import (
	"context"
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
)

// mask stops a unit and masks it until the next boot. It is stopped first: once
// it is masked systemd has forgotten its ExecStop=, by which a container, for
// one, is ended. What starts it between the two is stopped as well.
func mask(ctx context.Context, h engine.Hands, a unitArgs, s unitState) error {
	h.Say("waiting until %s has stopped", a.Unit)
	if s.phase() != stopped {
		if err := h.Host.Units().Stop(ctx, a.Unit); err != nil {
			return err
		}
	}
	if err := h.Host.Units().Mask(ctx, a.Unit, true); err != nil {
		return err
	}
	now, err := observeUnit(ctx, h.Look, a)
	switch {
	case err != nil:
		return err
	case !now.Masked:
		return now.unmaskable(a.Unit)
	case now.phase() != stopped:
		return h.Host.Units().Stop(ctx, a.Unit)
	}
	return nil
}

// unmaskable says why a unit is not masked although it was.
func (s unitState) unmaskable(unit string) error {
	if strings.HasPrefix(s.File, "/etc/") {
		return fmt.Errorf("%s cannot be masked until the next boot: its file %s hides the mask; move the file to /usr/local/lib/systemd/system and run systemctl daemon-reload", unit, s.File)
	}
	return fmt.Errorf("%s is not masked", unit)
}
