package systemd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// heldBy is the drop-in that masks a unit. systemctl's own mask is a link in the
// place of the unit file: it cannot be made where that file is in /etc, it
// forgets the unit's ExecStop=, and in /run it is gone with the next boot. The
// name puts it after the drop-ins that could take its condition back.
func heldBy(unit string) string {
	return path.Join("/etc/systemd/system", unit+".d", world.MaskDropin)
}

// held is its content: a condition that is never met.
func held(run string) string {
	return fmt.Sprintf(`# Written by run %[1]s of etcdplay: what this unit runs must not start before
# that run is over. If it never will be: remove this file, systemctl daemon-reload.
[Unit]
ConditionPathExists=!/
`, run)
}

// masked reports whether nothing can start the unit, by this program's hand or
// by systemctl mask.
func masked(u conn.Unit, unit string) bool {
	return u.LoadState == "masked" || slices.Contains(u.DropInPaths, heldBy(unit))
}

// mask keeps a unit from being started, and stops it.
func mask(ctx context.Context, h engine.Hands, a unitArgs, s unitState) error {
	if !s.Masked {
		content, file := held(h.RunID), heldBy(a.Unit)
		sum := sha256.Sum256([]byte(content))
		if err := h.Host.Mkdir(ctx, path.Dir(file), conn.Attr{Mode: 0o755}); err != nil {
			return err
		}
		if err := h.Host.WriteFile(ctx, file, conn.File{
			Content: strings.NewReader(content), Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
			Attr: conn.Attr{Mode: dropinMode},
		}); err != nil {
			return err
		}
		if err := h.Host.Units().Reload(ctx); err != nil {
			return err
		}
	}
	if s.phase() == stopped {
		return nil
	}
	h.Say("waiting until %s has stopped", a.Unit)
	return h.Host.Units().Stop(ctx, a.Unit)
}

// unmask takes back what mask did, and a mask that a person has made.
func unmask(ctx context.Context, h engine.Hands, a unitArgs) error {
	units := h.Host.Units()
	if err := h.Host.Remove(ctx, heldBy(a.Unit), false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := errors.Join(units.Unmask(ctx, a.Unit, true), units.Unmask(ctx, a.Unit, false)); err != nil {
		return err
	}
	return units.Reload(ctx)
}

// errMasked says why a unit is not started, where systemd would only skip it.
func (s unitState) errMasked(unit string) error {
	return fmt.Errorf("%w: %s is masked; make it unmasked first, if nothing of the old state may come back by that", engine.ErrDefinite, unit)
}
