package ssh

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// turn has the host to itself, in this engine's turn, until release is called:
// for changes that the host's script does not make. It ends after 20 s by
// itself, so what is done meanwhile must not take long.
func (h *Host) turn(ctx context.Context) (release func(), err error) {
	for attempt := 0; ; attempt++ {
		release, err = h.tryTurn(ctx)
		var drop *dropError
		if attempt > 0 || ctx.Err() != nil || !errors.As(err, &drop) {
			return release, unreachable(err)
		}
	}
}

func (h *Host) tryTurn(ctx context.Context) (release func(), err error) {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := h.takeShell(ctx)
	if err != nil {
		<-h.slots
		return nil, err
	}
	give := func() {
		s.close()
		<-h.slots
	}
	mark := newMark()
	s.out.expect(mark, 256, nil)
	s.err.expect(mark, 4096, nil)
	script := "turn " + quote(strconv.FormatUint(h.epoch.Load(), 10), strconv.Itoa(lockWait(ctx)))
	if err := s.send(request(script, mark, nil), nil); err != nil {
		give()
		return nil, &dropError{err}
	}
	for _, done := range []chan struct{}{s.out.done, s.err.done} {
		select {
		case <-done:
		case <-ctx.Done():
			give()
			return nil, ctx.Err()
		}
	}
	_, word, _, whole := s.out.answer()
	said, _, _, _ := s.err.answer()
	if word == "held" && whole {
		return func() { h.endTurn(s, mark) }, nil
	}
	give()
	switch {
	case !whole:
		return nil, &dropError{errors.New("no answer came")}
	case word == strconv.Itoa(statusFenced):
		return nil, conn.ErrFenced
	case word == strconv.Itoa(statusBusy):
		return nil, errors.New("another change on the host did not end in time")
	}
	return nil, scriptError(1, string(said))
}

// endTurn lets the host go, and keeps the shell if it is still of use. It does
// not wait for that.
func (h *Host) endTurn(s *shell, mark string) {
	coming := make(chan struct{})
	h.mu.Lock()
	if h.coming == nil {
		h.coming = coming
	}
	h.mu.Unlock()
	go func() {
		h.regain(s, mark)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.coming == coming {
			h.coming = nil
		}
		close(coming)
		<-h.slots
	}()
}

// regain ends the turn and puts the shell back.
func (h *Host) regain(s *shell, mark string) {
	s.out.expect(mark, 256, nil)
	s.err.expect(mark, 4096, nil)
	err := s.send("x", nil)
	late := time.NewTimer(grace)
	defer late.Stop()
	for _, done := range []chan struct{}{s.out.done, s.err.done} {
		select {
		case <-done:
		case <-late.C:
			s.close()
			return
		}
	}
	_, word, _, whole := s.out.answer()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || !whole || word != "0" || h.closed {
		s.close()
		return
	}
	h.idle = append(h.idle, s)
}
