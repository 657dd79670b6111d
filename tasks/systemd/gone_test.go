package systemd_test

import (
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/tasks/systemd"
)

// TestGone puts a host into states in which a boot, or somebody, can have left what
// tasks did there.
func TestGone(t *testing.T) {
	b := up(t)
	unit := func(name, state string) map[string]cty.Value {
		return map[string]cty.Value{"unit": str(name), "state": str(state)}
	}
	dropin := map[string]cty.Value{
		"unit": str("sleeper.service"), "name": str("50-gone.conf"), "runtime": cty.True,
		"content": str("[Service]\nEnvironment=\"A=b\"\n"),
	}
	absent := map[string]cty.Value{
		"unit": str("sleeper.service"), "name": str("50-gone.conf"), "runtime": cty.True, "state": str("absent"),
	}
	const path = "/run/systemd/system/sleeper.service.d/50-gone.conf"
	gone := func(typ *engine.Type, given map[string]cty.Value, want string) {
		t.Helper()
		got, err := typ.Gone(t.Context(), b.look(), enginetest.Args(typ, given))
		if err != nil || want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	units := b.spare.Units()

	done(units.Start(t.Context(), "sleeper.service", true))
	gone(systemd.Unit(), unit("sleeper.service", "stopped"), "sleeper.service is started again")
	gone(systemd.Unit(), unit("sleeper.service", "started"), "")
	done(b.apply(t, systemd.Unit(), unit("sleeper.service", "masked")))
	gone(systemd.Unit(), unit("sleeper.service", "stopped"), "")
	gone(systemd.Unit(), unit("sleeper.service", "masked"), "")
	gone(systemd.Unit(), unit("sleeper.service", "started"), "") // it ended for a reason
	done(b.apply(t, systemd.Unit(), unit("sleeper.service", "unmasked")))
	gone(systemd.Unit(), unit("sleeper.service", "masked"), "is not masked any more")
	done(units.Start(t.Context(), "looper.service", false))
	b.until(t, "looper.service", func(u conn.Unit) bool { return u.SubState == "auto-restart" })
	gone(systemd.Unit(), unit("looper.service", "stopped"), "looper.service is activating")
	done(units.Stop(t.Context(), "looper.service"))

	gone(systemd.Dropin(), dropin, path+" is not there any more")
	gone(systemd.Dropin(), absent, "")
	done(b.apply(t, systemd.Dropin(), dropin))
	gone(systemd.Dropin(), dropin, "")
	gone(systemd.Dropin(), absent, "")
	b.write(t, path, "[Service]\nEnvironment=\"A=somebody's\"\n")
	gone(systemd.Dropin(), dropin, "")
}
