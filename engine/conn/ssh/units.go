package ssh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/internal/systemd"
)

// bus is the host's systemd. The connection to it is a systemd-stdio-bridge in a
// shell of ours; where the host has none, systemctl does instead.
type bus struct {
	systemd.Bus
	once    sync.Once
	without atomic.Bool // the host has no bridge
}

var (
	errNoBridge = errors.New("the host has no systemd-stdio-bridge")
	errBusLost  = errors.New("the connection to systemd was lost")
)

// bridge is the stream of a systemd-stdio-bridge.
type bridge struct {
	io.Reader
	s *shell
}

func (b *bridge) Write(p []byte) (int, error) { return b.s.stream.in.Write(p) }

func (b *bridge) Close() error {
	b.s.close()
	return nil
}

// bridgeScript becomes the bridge to systemd, if the host has one.
const bridgeScript = `PATH=` + programPath + ` LC_ALL=C
export PATH LC_ALL
cd /
if command -v systemd-stdio-bridge >/dev/null; then
	printf '\n%s bridge\n' "$READY"
	exec systemd-stdio-bridge
fi
printf '\n%s none\n' "$READY"
`

// dialBus connects to the host's systemd.
func (h *Host) dialBus(ctx context.Context) (*dbus.Conn, error) {
	s, err := h.openWith(ctx, bridgeScript)
	if err != nil {
		return nil, unreachable(err)
	}
	if s.word != "bridge" {
		s.close()
		return nil, errNoBridge
	}
	out, in := io.Pipe()
	s.out.pass(in) // nothing comes before something is asked
	// A message is read in many small pieces, and each would be handed over by the
	// pipe for itself.
	raw, err := godbus.NewConn(&bridge{Reader: bufio.NewReaderSize(out, 16<<10), s: s})
	if err == nil {
		err = raw.Auth([]godbus.Auth{godbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	}
	if err == nil {
		err = raw.Hello()
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%w: systemd's bus: %w", conn.ErrUnreachable, err)
	}
	// One connection does for calls and for signals.
	c, err := dbus.NewConnection(func() (*godbus.Conn, error) { return raw, nil })
	if err != nil {
		s.close()
		return nil, err
	}
	return c, nil
}

// OpenBus connects to the host's systemd, so that the first who asks it need not
// wait for that.
func (h *Host) OpenBus(ctx context.Context) error {
	err := h.onBus(ctx, func(ctx context.Context) error { return h.bus.Open(ctx) })
	if errors.Is(err, errNoBridge) {
		return nil // systemctl will do
	}
	return h.failed("unit", "", err)
}

// Unit describes a unit.
func (h *Host) Unit(ctx context.Context, name string) (conn.Unit, error) {
	var u conn.Unit
	err := h.onBus(ctx, func(ctx context.Context) (err error) {
		u, err = h.bus.Unit(ctx, name)
		return err
	})
	if errors.Is(err, errNoBridge) {
		u, err = h.systemctlShow(ctx, name)
	}
	if errors.Is(err, conn.ErrOutcomeUnknown) && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", conn.ErrUnreachable, errBusLost) // nothing was to be changed
	}
	return u, h.failed("unit", "", err)
}

// onBus calls f, which does something by the bus that can as well be done twice;
// if the connection was lost meanwhile, once more.
func (h *Host) onBus(ctx context.Context, f func(context.Context) error) error {
	h.bus.once.Do(func() { h.bus.Dial, h.bus.Turn = h.dialBus, h.turn })
	for attempt := 0; ; attempt++ {
		if h.bus.without.Load() {
			return errNoBridge
		}
		err := f(ctx)
		if errors.Is(err, errNoBridge) {
			h.bus.without.Store(true)
		}
		lost := errors.Is(err, conn.ErrOutcomeUnknown) || errors.Is(err, conn.ErrUnreachable)
		if attempt > 0 || ctx.Err() != nil || !lost {
			return err
		}
		h.bus.Close() // it may not know yet that its connection has ended
	}
}

// Journal returns entries of a unit's journal.
func (h *Host) Journal(ctx context.Context, q conn.JournalQuery) ([]conn.JournalEntry, error) {
	r, err := h.query(ctx, systemd.Journalctl(q), conn.MaxFile)
	if err != nil {
		return nil, err
	}
	entries, err := systemd.ParseJournal(q, r)
	return entries, h.failed("journal", "", err)
}
