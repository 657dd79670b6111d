package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/playbooks"
	"github.com/etcdplay/etcdplay/tasks"
)

// TestInterface holds that the names of the shipped playbooks stay as long as
// their major version: site playbooks and callers refer to phases, tasks,
// variables and outputs. The list of each is in playbooks/interface; -update adds
// what is new to it, and never takes anything out.
func TestInterface(t *testing.T) {
	for _, file := range shipped() {
		name := strings.TrimSuffix(file, ".hcl")
		t.Run(name, func(t *testing.T) {
			book, ds := hcl.Load(file, hcl.Options{Types: tasks.Types(), ReadFile: playbooks.FS.ReadFile})
			if ds.HasErrors() {
				t.Fatal(ds)
			}
			major, _, ok := strings.Cut(book.Header.Version, ".")
			if !ok {
				t.Fatalf("the version is %q", book.Header.Version)
			}
			list := filepath.Join("..", "..", "playbooks", "interface", name+"-"+major+".txt")
			src, err := os.ReadFile(list)
			if err != nil && !*update {
				t.Fatalf("%v: go test ./cmd/etcdplay -run TestInterface -update writes it", err)
			}
			want := slices.DeleteFunc(strings.Split(string(src), "\n"), func(s string) bool { return s == "" })
			have := names(book)
			if gone := missing(want, have); len(gone) > 0 {
				t.Errorf("gone, which is a new major version of the playbook: %s", strings.Join(gone, ", "))
			}
			added := missing(have, want)
			if len(want) > 0 {
				for _, v := range book.Variables() {
					if v.Default == cty.NilVal && slices.ContainsFunc(added, func(s string) bool { return strings.HasPrefix(s, "variable "+v.Name+" ") }) {
						t.Errorf("variable %s is new and has no default: those who call the playbook do not give it", v.Name)
					}
				}
			}
			switch {
			case len(added) == 0:
			case *update && !t.Failed():
				text := strings.Join(append(want, added...), "\n") + "\n"
				if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("new, and not in %s: %s; go test ./cmd/etcdplay -run TestInterface -update adds them", list, strings.Join(added, ", "))
			}
		})
	}
}

// names is all of a playbook that others may refer to, a line for each.
func names(p *hcl.Playbook) []string {
	var list []string
	for _, v := range p.Variables() {
		list = append(list, fmt.Sprintf("variable %s %s", v.Name, v.Type))
	}
	for _, ph := range p.Phases {
		if ph.Name != "" {
			list = append(list, "phase "+ph.Name)
		}
		for _, task := range ph.All() {
			list = append(list, fmt.Sprintf("task %s %s", task.Name, task.Type))
		}
	}
	for _, o := range p.Playbook.Playbook.Outputs {
		list = append(list, "output "+o.Name)
	}
	return list
}

// missing is what of a is not in b.
func missing(a, b []string) []string {
	var list []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			list = append(list, s)
		}
	}
	return list
}
