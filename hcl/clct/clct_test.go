package clct_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/clct"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// said is findings as lines: severity, place and summary.
func said(ds engine.Diagnostics) string {
	var b strings.Builder
	for _, d := range ds {
		place := ""
		if d.Subject != nil {
			place = fmt.Sprintf(" %d:%d", d.Subject.Start.Line, d.Subject.Start.Column)
		}
		fmt.Fprintf(&b, "%s%s %s\n", d.Severity, place, d.Summary)
	}
	return b.String()
}

// golden is what a genuine transpiler made: a config, and the drop-in, for each
// file below testdata.
func TestGenuine(t *testing.T) {
	for _, f := range clct.Flavours() {
		configs, err := filepath.Glob(filepath.Join("testdata", string(f), "*.yaml"))
		if err != nil || len(configs) < 10 {
			t.Fatalf("%s: configs %v, %v", f, configs, err)
		}
		for _, path := range configs {
			t.Run(strings.TrimSuffix(path, ".yaml"), func(t *testing.T) {
				src, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				first, _, _ := strings.Cut(string(src), "\n")
				_, platform, _ := strings.Cut(first, "# platform ")
				c, found := clct.Read(path, src, f)
				if c == nil {
					t.Fatalf("findings:\n%s", said(found))
				}
				got, found := c.Dropin(clct.Rendering{Platform: platform})
				if found.HasErrors() {
					t.Fatal(found)
				}
				want, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ".conf")
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("got\n%s\n\nwant\n%s", got, want)
				}
			})
		}
	}
}

// theirs is what the transpiler says by itself, without what Check adds.
func theirs(ds engine.Diagnostics) engine.Diagnostics {
	var kept engine.Diagnostics
	for _, d := range ds {
		if d.Code < string(diag.ConfigCluster) || d.Severity == engine.Error {
			kept = append(kept, d)
		}
	}
	return kept
}

// TestSaid holds the words and places against those that the transpilers print
// for the same configs.
func TestSaid(t *testing.T) {
	for _, c := range []struct {
		src             string
		coreos, flatcar string // "=" stands for the same
	}{
		{"etcd:\n  name: a\n  bogus: b\n", "warning 3:3 Config has unrecognized key: bogus\n", "="},
		{"bogus: 1\netcd:\n  name: a\n", "warning 1:1 Config has unrecognized key: bogus\n", "="},
		{"etcd:\n  enable_v2: true\n", "warning 2:3 Config has unrecognized key: enable_v2\n", ""},
		{"etcd:\n  name: a\n  version: 3.3\n", "error 3:12 3.3 is not in dotted-tri format\n", "="},
		{"etcd:\n  version: 3.x.1\n", "error 2:12 strconv.ParseInt: parsing \"x\": invalid syntax\n", "="},
		{"etcd:\n  name: a\n  version: 2.2.0\n", "warning 2:3 Config has unrecognized key: name\nerror 3:12 Etcd version specified is not valid (too old)\n", "="},
		{"etcd:\n  version: 2.3.0-rc.1\n", "error 2:12 Etcd version specified is not valid (too old)\n", "="},
		{"etcd:\n  name: a\n  version: 4.0.0\n", "warning 2:3 Config has unrecognized key: name\nerror 3:12 Etcd version is not valid (too new)\n", "="},
		{"etcd:\n  version: 3.4.1\n", "warning 2:12 Etcd minor version specified is too new, only options available in the previous minor version will be accepted\n", ""},
		{"etcd:\n  version: 3.7.1\n", "warning 2:12 Etcd minor version specified is too new, only options available in the previous minor version will be accepted\n", "="},
		{"etcd:\n  version: 2.4.1\n", "warning 2:12 Etcd minor version specified is too new, only options available in the previous minor version will be accepted\n", "="},
		{"etcd:\n  snapshot_count: abc\n", "error 2:19 cannot unmarshal !!str `abc` into int\n", "="},
		{"etcd:\n  snapshot_count: \"5\"\n", "error 2:19 cannot unmarshal !!str `5` into int\n", "="},
		{"etcd:\n  strict_reconfig_check: absolutely\n", "error 2:26 cannot unmarshal !!str `absolutely` into bool\n", "="},
		{"etcd:\n  strict_reconfig_check: absolutely not\n", "error 2:26 cannot unmarshal !!str `absolut...` into bool\n", "="},
		{"etcd:\n  name: [a, b]\n", "error 2:9 cannot unmarshal !!seq into string\n", "="},
		{"etcd:\n  name: {a: b}\n", "error 2:9 cannot unmarshal !!map into string\n", "="},
		{"etcd: x\n", "error 1:7 cannot unmarshal !!str `x` into types.etcdCommon\n", "="},
		{"- a\n", "error 1:3 cannot unmarshal !!seq into types.Config\n", "="},
		{"x: &x\n  name: q\netcd:\n  <<: *x\n", "warning 1:1 Config has unrecognized key: x\nwarning 4:3 Config has unrecognized key: <<\n", "="},
		{"etcd:\n  name: a\n  name: b\n", "", "error 3:3 mapping key \"name\" already defined at line 2\n"},
		{"etcd:\n  name: *x\n", "error 2:9 unknown anchor 'x' referenced\n", "="},
		{"etcd:\n  enable_pprof: !!bool maybe\n", "error 2:17 cannot decode !!str `maybe` as a !!bool\n", "="},
		{"etcd:\n  snapshot_count: !!int \"5\"\n", "", "="},
		{"etcd:\n  name: %a\n", "error 2:9 found character that cannot start any token\n", "="},
		{"# nothing\n", "warning Configuration is empty\nerror No etcd section\n", "="},
		{"etcd:\n", "error 1:6 No etcd section\n", "="},
		{"systemd: {}\n", "error No etcd section\n", "="},
	} {
		for f, want := range map[clct.Flavour]string{clct.CoreOS: c.coreos, clct.Flatcar: c.flatcar} {
			if want == "=" {
				want = c.coreos
			}
			_, found := clct.Read("f.yaml", []byte(c.src), f)
			if got := said(theirs(found)); got != want {
				t.Errorf("%s, %q:\n%swant\n%s", f, c.src, got, want)
			}
		}
	}
}
