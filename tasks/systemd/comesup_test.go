package systemd_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/tasks/systemd"
)

// TestStartUnderWay waits for starts that another task has asked for, and of which
// none comes to its end: each has to be told in its own way, long before a minute.
func TestStartUnderWay(t *testing.T) {
	b := up(t)
	closed := make(chan struct{})
	close(closed)
	for _, tc := range []struct {
		unit   string
		failed <-chan struct{}
		limit  time.Duration
		is     error
		want   []string
	}{
		{"late.service", nil, time.Minute, engine.ErrStop, []string{"late.service did not become active", "Its last words:", "cannot go on"}},
		{"slow.service", closed, time.Minute, engine.ErrOthers, []string{"slow.service is activating (start); it is not waited for any more"}},
		// What systemd ends since it took too long may come up yet.
		{"timed.service", nil, 3 * time.Second, context.DeadlineExceeded, []string{"timed.service did not become active within 3"}},
	} {
		t.Run(tc.unit, func(t *testing.T) {
			if err := b.spare.Units().Start(t.Context(), tc.unit, false); err != nil {
				t.Fatal(err)
			}
			b.until(t, tc.unit, func(u conn.Unit) bool { return u.ActiveState == "activating" && u.MainPID > 0 })
			typ := systemd.Unit()
			args := enginetest.Args(typ, map[string]cty.Value{"unit": str(tc.unit), "state": str("started")})
			look := b.look()
			look.Failed = tc.failed
			state, err := typ.Observe(t.Context(), look, args)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), tc.limit)
			defer cancel()
			_, err = typ.Apply(ctx, engine.Hands{Look: look, Host: b.spare}, args, state)
			if !errors.Is(err, tc.is) || !errors.Is(err, engine.ErrDefinite) {
				t.Fatalf("got %v, want %v, definite", err, tc.is)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if err := b.spare.Units().Stop(t.Context(), tc.unit); err != nil {
				t.Fatal(err)
			}
		})
	}
}
