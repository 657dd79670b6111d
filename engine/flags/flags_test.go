package flags_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/flags"
)

// listed is the flags that an etcd's help text has, and knows says whether the
// program takes one.
func listed(t *testing.T, etcd string) []string {
	t.Helper()
	out, err := exec.Command(etcd, "--help").CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^ *--?([a-z][a-z0-9-]*)`).FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func takes(t *testing.T, etcd, flag string) bool {
	t.Helper()
	cmd := exec.Command(etcd, "--"+flag+"=", "--version")
	cmd.Env = []string{}
	out, _ := cmd.CombinedOutput() // an unsuitable value is an error too
	return !strings.Contains(string(out), "flag provided but not defined")
}

// TestGenuine holds the table against the genuine programs. Their help texts
// list most flags; what differs is asked of the program itself.
func TestGenuine(t *testing.T) {
	etcds := os.Getenv("ETCDPLAY_ETCDS")
	if etcds == "" {
		conntest.Skip(t, "ETCDPLAY_ETCDS does not name the folder of genuine etcds; make test does")
	}
	for _, release := range flags.Releases() {
		t.Run(release, func(t *testing.T) {
			etcd := filepath.Join(etcds, release, "etcd")
			help, ours := listed(t, etcd), flags.Of(release)
			if len(help) < 70 {
				t.Fatalf("the help text has %d flags: %v", len(help), help)
			}
			for _, f := range help {
				if !slices.Contains(ours, f) && takes(t, etcd, f) {
					t.Errorf("etcd takes --%s, and the table does not have it", f)
				}
			}
			for _, f := range ours {
				if !slices.Contains(help, f) && !takes(t, etcd, f) {
					t.Errorf("the table has --%s, and etcd does not take it", f)
				}
			}
		})
	}
}

func TestRelease(t *testing.T) {
	for version, want := range map[string]string{"v3.6.11-amd64": "3.6", "3.4.23": "3.4", "3.7": "3.7", "v3.5": "3.5"} {
		if got, ok := flags.Release(version); got != want || !ok {
			t.Errorf("%q: %q, %v, want %q", version, got, ok, want)
		}
	}
	for _, version := range []string{"", "latest", "3", "2.3.8", "3.8.0", "v4.0.0"} {
		if got, ok := flags.Release(version); ok {
			t.Errorf("%q is taken for %q", version, got)
		}
	}
}

func TestAdvice(t *testing.T) {
	for _, c := range []struct{ release, flag, want string }{
		{"3.7", "experimental-compaction-batch-limit", "Write --compaction-batch-limit: it is experimental no longer."},
		{"3.7", "experimental-initial-corrupt-check", "Write --feature-gates=InitialCorruptCheck=true."},
		{"3.5", "compact-hash-check-time", "Write --experimental-compact-hash-check-time: in 3.5 it still is experimental."},
		{"3.6", "enable-v2", "3.5 was the last release that had it; take it out."},
		{"3.7", "discovery", "3.6 was the last release that had it; take it out."},
		{"3.4", "feature-gates", "It came with 3.6; take it out, or run that release."},
		{"3.5", "ca-file", "No release of etcd from 3.4 on has it; take it out."},
	} {
		if flags.Has(c.release, c.flag) {
			t.Errorf("%s is said to have --%s", c.release, c.flag)
		}
		if got := flags.Advice(c.release, c.flag); got != c.want {
			t.Errorf("%s --%s: %q, want %q", c.release, c.flag, got, c.want)
		}
	}
	if !flags.Has("3.8", "anything") {
		t.Error("a release that is not in the table refuses a flag")
	}
}
