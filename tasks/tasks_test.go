package tasks

import (
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

func TestTypesAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range Types() {
		if seen[typ.Name] {
			t.Errorf("%s is listed twice", typ.Name)
		}
		seen[typ.Name] = true
		if !strings.HasSuffix(typ.Doc, ".") {
			t.Errorf("%s: doc %q is no sentence", typ.Name, typ.Doc)
		}
		for _, a := range typ.Args {
			if !strings.HasSuffix(a.Doc, ".") {
				t.Errorf("%s: argument %s: doc %q is no sentence", typ.Name, a.Name, a.Doc)
			}
			if a.Required && a.Default != "" {
				t.Errorf("%s: argument %s is required and has the default %q", typ.Name, a.Name, a.Default)
			}
		}
		for _, r := range typ.Results {
			if !strings.HasSuffix(r.Doc, ".") {
				t.Errorf("%s: result %s: doc %q is no sentence", typ.Name, r.Name, r.Doc)
			}
		}
	}
}

// TestGuardedOnWhatIsSoNow: every type whose guard reckons with the cluster has it
// surveyed a moment before; the others would be allowed by what was so long ago.
func TestGuardedOnWhatIsSoNow(t *testing.T) {
	surveyed := map[string]bool{}
	for _, typ := range Types() {
		surveyed[typ.Name] = typ.Surveyed
	}
	for _, name := range []string{
		"etcd_member_add", "etcd_member_promote", "etcd_member_remove", "etcd_data_swap", "systemd_unit", "systemd_dropin", "file",
		"etcd2_member_add", "etcd2_member_remove", "etcd2_member_update", "etcd2_force_new_cluster",
	} {
		if !surveyed[name] {
			t.Errorf("the guard of %s sees the cluster as it was", name)
		}
	}
}

// TestTypesAreThoseOfTheLanguage holds names, places, effects and retry of the
// types to what the language promises.
func TestTypesAreThoseOfTheLanguage(t *testing.T) {
	want := []string{
		"assert control controller",
		"chown change host retry",
		"confirm control controller",
		"directory change host retry",
		"download change host retry",
		"etcd_certificates read host retry",
		"etcd_flags read host retry",
		"etcd_health read controller retry",
		"etcd_discovery change host",
		"etcd_host read host retry",
		"etcd_member_add change controller",
		"etcd_member_promote change controller retry",
		"etcd_member_remove destroy controller",
		"etcd_members read controller retry",
		"etcd_peers read controller retry",
		"etcd_snapshot_restore change host",
		"etcd_snapshot_save change either retry",
		"etcd_snapshot_status read either retry",
		"etcd_snapshot_trial change either",
		"etcd_srv read host retry",
		"exec change either",
		"file change host retry",
		"move change host",
		"playbook change controller",
		"remove destroy host retry",
		"stat read host retry",
		"systemd_dropin change host retry",
		"systemd_journal read host retry",
		"systemd_unit change host retry",
	}
	var got []string
	for _, typ := range Types() {
		line := typ.Name + " " + string(typ.Effect) + " " + string(typ.Where)
		if typ.Retryable {
			line += " retry"
		}
		got = append(got, line)
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("no type %q; got %q", line, got)
		}
	}
}

func TestRoles(t *testing.T) {
	want := map[string]engine.Role{"assert": engine.Assert, "confirm": engine.Confirm, "playbook": engine.Calls}
	for _, typ := range Types() {
		if typ.Role != want[typ.Name] {
			t.Errorf("%s: role %q, want %q", typ.Name, typ.Role, want[typ.Name])
		}
	}
}

// TestPlanOfWhatIsNotKnown plans every type with no argument known: none may show
// an empty value as if it were one, nor predict what depends on it.
func TestPlanOfWhatIsNotKnown(t *testing.T) {
	for _, typ := range Types() {
		if typ.Role != engine.Plain {
			continue
		}
		attrs := map[string]cty.Value{}
		for _, a := range typ.Args {
			attrs[a.Name] = cty.UnknownVal(a.Type)
		}
		args := cty.ObjectVal(attrs)
		planned, _ := typ.Plan(engine.Planning{World: &world.World{}, Host: "demo-etcd-1"}, args, engine.State{})
		if s := planned.Summary; strings.Contains(s, `""`) || strings.Contains(s, "  ") || s != strings.TrimSpace(s) {
			t.Errorf("%s: got the summary %q", typ.Name, planned.Summary)
		}
		if typ.Effect != engine.Read && !planned.Needed {
			t.Errorf("%s: not needed, and nobody can know that", typ.Name)
		}
	}
}
