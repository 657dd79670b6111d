package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Statuses of a change that was refused by the host's ledger, with no effect.
const (
	statusBusy      = 76
	statusFenced    = 77
	statusCalledOff = 78
)

// grace is how long the outcome of a change is looked for after the caller's
// context has ended.
const grace = 5 * time.Second

// change is something to be done on a host.
type change struct {
	// script carries it out by the op of the host's script; op is quote(id, epoch, wait).
	script  func(id, op string) string
	payload func() *payload        // nil if there is none
	clear   func(id string) string // removes what is left of it when it was called off
	once    bool                   // the payload cannot be read a second time
	killed  bool                   // it is a program, to be killed when the context ends
	keep    int
}

// ended is how a change went that was carried out.
type ended struct {
	status   int
	out, err []byte
	cut      bool
}

// newID names an entry of the ledger.
func newID() string { return newMark() }

// change carries out c. If the connection is lost, it is made again and the
// host's ledger asked, so that the error says what is true: a change that had
// not begun is called off for good and, if that is possible, sent again; one
// that is still running is waited for. Only if the host cannot be asked does the
// error wrap conn.ErrOutcomeUnknown.
func (h *Host) change(ctx context.Context, c change) (ended, error) {
	for attempt := 0; ; attempt++ {
		id := newID()
		op := quote(id, strconv.FormatUint(h.epoch.Load(), 10), strconv.Itoa(lockWait(ctx)))
		var p *payload
		if c.payload != nil {
			p = c.payload()
		}
		a, err := h.once(ctx, c.script(id, op), p, c.keep)
		if err == nil {
			return h.told(id, a, c.killed)
		}
		var drop *dropError
		dropped := errors.As(err, &drop)
		if !dropped && ctx.Err() == nil {
			return ended{}, err // nothing was sent, or the script has given up
		}
		e, never, settleErr := h.settle(ctx, id, c)
		switch {
		case settleErr != nil:
			return ended{}, fmt.Errorf("%w: %w; %w", conn.ErrOutcomeUnknown, err, settleErr)
		case !never && ctx.Err() != nil && c.killed:
			return ended{}, fmt.Errorf("%w: the program was killed: %w", conn.ErrOutcomeUnknown, context.Cause(ctx))
		case !never:
			return e, nil
		case dropped && !c.once && attempt == 0 && ctx.Err() == nil:
			continue
		case dropped:
			return ended{}, fmt.Errorf("%w: %w, and nothing was changed", conn.ErrUnreachable, err)
		}
		return ended{}, err
	}
}

// lockWait is for how many seconds a change waits for another that is under way.
func lockWait(ctx context.Context) int {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 3600
	}
	return max(1, int(time.Until(deadline)/time.Second))
}

// told reads the answer to a change that was carried out or refused, by a program
// or not.
func (h *Host) told(id string, a answer, program bool) (ended, error) {
	line, out, _ := bytes.Cut(a.out, []byte("\n"))
	if status, ok := strings.CutPrefix(string(line), "ended "); ok {
		h.mu.Lock()
		h.forget, h.untidy = append(h.forget, id), h.untidy || program
		h.mu.Unlock()
		code, err := strconv.Atoi(status)
		if err != nil {
			return ended{}, fmt.Errorf("%w: the host's ledger says %q", conn.ErrOutcomeUnknown, line)
		}
		switch code {
		case statusBusy:
			return ended{}, errors.New("another change on the host did not end in time")
		case statusFenced:
			return ended{}, conn.ErrFenced
		}
		return ended{status: code, out: out, err: a.err, cut: a.cut}, nil
	}
	if a.status == statusCalledOff {
		return ended{}, errors.New("the change was called off")
	}
	return ended{status: a.status, err: a.err}, errNotBegun
}

// errNotBegun says that a script gave up before the change it was for, and that
// its own message says why.
var errNotBegun = errors.New("not begun")

// settle finds out what became of a change whose answer did not come. If it had
// not begun, never is true, and it will not begin any more.
func (h *Host) settle(ctx context.Context, id string, c change) (e ended, never bool, err error) {
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.config.Reconnect)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		late := time.AfterFunc(grace, cancel)
		context.AfterFunc(settling, func() { late.Stop() })
	})
	defer stop()

	script := "outcome " + id + " 2"
	if c.killed && ctx.Err() != nil {
		script = "stop " + id + "; " + script
	}
	if c.clear != nil {
		script += "\n" + c.clear(id)
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		a, err := h.once(settling, script, nil, 2*conn.MaxOutput)
		var drop *dropError
		switch {
		case errors.As(err, &drop), errors.Is(err, conn.ErrUnreachable), settling.Err() != nil:
		case err != nil:
			return ended{}, false, err
		default:
			line, _, _ := strings.Cut(string(a.out), "\n")
			switch {
			case strings.HasPrefix(line, "ended "):
				e, err := h.told(id, a, c.killed)
				return e, false, err
			case line == "never":
				return ended{}, true, nil
			case line == "lost":
				return ended{}, false, errors.New("the host was restarted meanwhile, or what carried it out was killed")
			case line != "running":
				return ended{}, false, fmt.Errorf("the host's ledger could not be read: %s", lastLine(string(a.err)))
			}
			pause = 50 * time.Millisecond
		}
		select {
		case <-settling.Done():
			if err == nil {
				err = errors.New("it was still running when the time was up")
			}
			return ended{}, false, err
		case <-time.After(pause):
		}
	}
}

// Fence takes the host over, as conn.Fencer says.
func (h *Host) Fence(ctx context.Context) (uint64, error) {
	a, err := h.ask(ctx, "fence "+strconv.Itoa(lockWait(ctx)), 64)
	if err != nil {
		return 0, h.failed("fence", "", err)
	}
	if a.status == statusBusy {
		return 0, h.failed("fence", "", errors.New("a change on the host did not end in time"))
	}
	if a.status != 0 {
		return 0, h.hostError("fence", "", a.status, a.err)
	}
	epoch, err := strconv.ParseUint(strings.TrimSpace(string(a.out)), 10, 63)
	if err != nil {
		return 0, h.failed("fence", "", err)
	}
	h.epoch.Store(epoch)
	return epoch, nil
}
