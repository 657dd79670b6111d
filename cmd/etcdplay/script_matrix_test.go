package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// variant is what a cluster may be like, for a playbook that does the same to all.
type variant struct {
	etcd    string // its release
	secured bool   // with certificates of clients and peers, and a password
	debian  bool   // laid out as by Debian's package
}

func (v variant) String() string {
	name := v.etcd
	if v.secured {
		name += "-secured"
	}
	if v.debian {
		name += "-debian"
	}
	return name
}

// variants is every release, plain and secured, in both layouts.
func variants() (all []variant) {
	for _, etcd := range []string{"3.4", "3.5", "3.6", "3.7"} {
		for _, secured := range []bool{false, true} {
			for _, debian := range []bool{false, true} {
				all = append(all, variant{etcd, secured, debian})
			}
		}
	}
	return all
}

// matrixScripts are the scripts of testdata/matrix. Each daily run takes those
// of a script's variants that are named here, so that every playbook is run
// secured, and on every release some of them are.
var matrixScripts = []struct {
	name  string
	has   func(variant) bool // nil for all
	daily []variant
}{
	{"grow", nil, []variant{{"3.4", true, false}, {"3.6", true, true}}},
	{"snapshot", nil, []variant{{"3.5", true, false}}},
	{"restore", nil, []variant{{"3.7", true, true}}},
	{"recover", nil, []variant{{"3.4", true, true}}},
	{"bootstrap", nil, []variant{{"3.5", true, true}}},
	{"force-v2", func(v variant) bool { return v.etcd == "3.4" }, []variant{{"3.4", true, false}}},
	{"provision", func(v variant) bool { return !v.debian }, []variant{{"3.7", true, false}}},
}

// TestMatrix runs the scripts of testdata/matrix, which have the commands of
// TestScripts, in the variants of the day, or with ETCDPLAY_MATRIX=all in every
// one. What a variant is they are told by
//
//	$ETCD                 the release, such as 3.6
//	$SECURED, $DEBIAN     true or false, for the flags of sandbox up
//	$DATA, $CONFIG        a member's data directory, and the file that configures it, on its host
//	[secured], [debian]   the same as conditions
func TestMatrix(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts etcd")
	}
	for _, s := range matrixScripts {
		for _, v := range variants() {
			possible := s.has == nil || s.has(v)
			if !possible || os.Getenv("ETCDPLAY_MATRIX") != "all" && !slices.Contains(s.daily, v) {
				continue
			}
			t.Run(s.name+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				if there, err := condition("etcd:" + v.etcd); err != nil {
					t.Fatal(err)
				} else if !there {
					t.Skipf("needs etcd %s: make etcds", v.etcd)
				}
				testscript.Run(t, matrixParams(s.name, v))
			})
		}
	}
}

func matrixParams(script string, v variant) testscript.Params {
	p := scriptParams()
	p.Files = []string{filepath.Join("testdata", "matrix", script+".txtar")}
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("ETCD", v.etcd)
		env.Setenv("SECURED", strconv.FormatBool(v.secured))
		env.Setenv("DEBIAN", strconv.FormatBool(v.debian))
		env.Setenv("DATA", sandbox.DataDir)
		env.Setenv("CONFIG", dropinPath)
		if v.debian {
			env.Setenv("DATA", sandbox.DataDir+"/default")
			env.Setenv("CONFIG", "/etc/default/etcd")
		}
		return setUp(env)
	}
	p.Condition = func(name string) (bool, error) {
		switch name {
		case "secured":
			return v.secured, nil
		case "debian":
			return v.debian, nil
		}
		return condition(name)
	}
	return p
}

// TestMatrixIsWhole holds that each day every script of the matrix is run, and
// every release, secured and in both layouts, by some.
func TestMatrixIsWhole(t *testing.T) {
	seen, files := map[variant]bool{}, map[string]bool{}
	for _, s := range matrixScripts {
		files[filepath.Join("testdata", "matrix", s.name+".txtar")] = true
		if len(s.daily) == 0 {
			t.Errorf("%s is not run at all", s.name)
		}
		for _, v := range s.daily {
			if s.has != nil && !s.has(v) || !slices.Contains(variants(), v) {
				t.Errorf("%s has no variant %s", s.name, v)
			}
			seen[variant{etcd: v.etcd, secured: v.secured}] = true
		}
	}
	for _, v := range variants() {
		if v.secured && !v.debian && !seen[v] {
			t.Errorf("no script is run with etcd %s", v)
		}
	}
	found, err := filepath.Glob(filepath.Join("testdata", "matrix", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !files[f] {
			t.Errorf("%s is in no list", f)
		}
	}
}
