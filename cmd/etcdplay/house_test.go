package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/etcdplay/etcdplay/"

// room says what the packages below one path may import: of ours, and of
// others'. The first room whose path fits a package is its room.
type room struct {
	path   string
	ours   []string // paths of rooms; a package may always import its own room
	others []string // prefixes of import paths; nil means only the standard library
	any    bool     // all libraries are allowed
}

// house is the table of CONTRIBUTING.md. No arrow runs up, and hcl and tasks
// never see each other.
var house = []room{
	{path: "engine/journal", others: []string{"github.com/zclconf/go-cty", "golang.org/x/sys"}},
	{path: "engine/world", others: []string{"github.com/zclconf/go-cty"}},
	{path: "engine/flags"},
	{path: "engine/conn/conntest", ours: []string{"engine/conn"}},
	{path: "engine/conn/local", ours: []string{"engine/conn", "engine/conn/internal"}, others: connLibraries},
	{path: "engine/conn/ssh", ours: []string{"engine/conn", "engine/conn/internal"}, others: connLibraries},
	{path: "engine/conn/sandbox", ours: []string{"engine/conn", "engine/conn/internal", "engine/conn/local"}, others: connLibraries},
	{path: "engine/conn/internal", ours: []string{"engine/conn"}, others: connLibraries},
	{path: "engine/conn", others: []string{"github.com/zclconf/go-cty"}},
	{path: "engine/enginetest", ours: []string{"engine", "engine/conn", "engine/world"}, others: []string{"github.com/zclconf/go-cty"}},
	{path: "engine", ours: []string{"engine/journal", "engine/world", "engine/conn"}, others: []string{"github.com/zclconf/go-cty", "golang.org/x/sys"}},
	{path: "tasks/etcd2", ours: append([]string{"tasks/etcd", "tasks/etcdunit"}, tasksMay...), others: taskLibraries},
	{path: "tasks/bootstrap", ours: append([]string{"tasks/etcdunit"}, tasksMay...), others: taskLibraries},
	{path: "tasks/flags", ours: append([]string{"tasks/etcdunit"}, tasksMay...)},
	{path: "tasks/etcdunit", ours: []string{"engine/conn"}},
	{path: "tasks/etcd", ours: tasksMay, others: taskLibraries},
	{path: "tasks/systemd", ours: tasksMay, others: taskLibraries},
	{path: "tasks/file", ours: tasksMay, others: taskLibraries},
	{path: "tasks/control", ours: tasksMay, others: taskLibraries},
	{path: "tasks/onhost", ours: []string{"engine/conn"}},
	{path: "tasks/snapshot", ours: append(tasksMay, "tasks/onhost", "tasks/etcd"), others: append(taskLibraries, "go.etcd.io/bbolt", "google.golang.org/protobuf")},
	{path: "tasks", ours: []string{"engine", "engine/world", "tasks/"}},
	{path: "hcl", ours: []string{"engine", "engine/flags"}, others: []string{
		"github.com/goccy/go-yaml",
		"github.com/hashicorp/hcl/v2", "github.com/hashicorp/go-version", "github.com/zclconf/go-cty",
		"github.com/agext/levenshtein", "github.com/mitchellh/go-wordwrap", "golang.org/x/text",
		"github.com/clipperhouse/", "github.com/apparentlymart/go-textseg", "github.com/mattn/go-runewidth", "github.com/rivo/uniseg",
	}},
	{path: "playbooks"},
	{path: "cmd", ours: []string{"engine", "engine/", "tasks", "tasks/", "hcl", "hcl/", "playbooks"}, any: true},
}

var (
	tasksMay      = []string{"engine", "engine/conn", "engine/flags", "engine/world"}
	taskLibraries = []string{
		"github.com/zclconf/go-cty", "go.etcd.io/etcd/", "google.golang.org/grpc", "google.golang.org/protobuf/encoding/protowire", "go.uber.org/zap",
		"github.com/coreos/go-systemd/v22", "github.com/hashicorp/go-version",
	}
	connLibraries = []string{
		"golang.org/x/crypto", "golang.org/x/sys", "github.com/coreos/go-systemd/v22", "github.com/godbus/dbus/v5",
		"github.com/pkg/sftp", "github.com/kevinburke/ssh_config", "go.etcd.io/etcd/server/v3/etcdmain",
	}
)

func TestHouse(t *testing.T) {
	type pkg struct {
		ImportPath string
		Standard   bool
		Imports    []string
	}
	cmd := exec.Command("go", "list", "-json=ImportPath,Standard,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(p.ImportPath, module)
		r := roomOf(path)
		if r == nil {
			t.Errorf("package %s stands in no room of the house", path)
			continue
		}
		seen++
		for _, imp := range p.Imports {
			if !r.allows(imp) {
				t.Errorf("%s (room %s) may not import %s", path, r.path, strings.TrimPrefix(imp, module))
			}
		}
	}
	if seen < 10 {
		t.Errorf("looked at %d packages, want the whole house", seen)
	}
}

func roomOf(path string) *room {
	for i, r := range house {
		if path == r.path || strings.HasPrefix(path, r.path+"/") {
			return &house[i]
		}
	}
	return nil
}

func (r *room) allows(imp string) bool {
	if path, ours := strings.CutPrefix(imp, module); ours {
		to := roomOf(path)
		return to != nil && (to.path == r.path || slices.ContainsFunc(r.ours, func(o string) bool {
			return to.path == o || strings.HasSuffix(o, "/") && strings.HasPrefix(to.path, o)
		}))
	}
	first, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(first, ".") {
		return true // the standard library
	}
	return r.any || slices.ContainsFunc(r.others, func(o string) bool {
		return imp == strings.TrimSuffix(o, "/") || strings.HasPrefix(imp, strings.TrimSuffix(o, "/")+"/")
	})
}

// TestHouseWords holds what the project never names: a folder beside it, a path
// of one machine.
func TestHouseWords(t *testing.T) {
	cmd := exec.Command("git", "grep", "-nI", "-e", `\.\./s[h]ared`, "-e", "TOD[O]", "-e", "FIXM[E]", "--", ".", ":!*.sum")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 1 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Errorf("unfinished or out of place:\n%s", out)
}
