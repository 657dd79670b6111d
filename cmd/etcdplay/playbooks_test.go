package main

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/playbooks"
	"github.com/etcdplay/etcdplay/tasks"
)

// TestShippedPlaybooks holds every shipped playbook to the checker and to fmt.
func TestShippedPlaybooks(t *testing.T) {
	files, err := fs.Glob(playbooks.FS, "*.hcl")
	if err != nil || len(files) < 3 {
		t.Fatalf("playbooks: %v, %v", files, err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			book, ds := hcl.Load(name, hcl.Options{Types: tasks.Types(), ToolVersion: "0.1.0", ReadFile: playbooks.FS.ReadFile})
			if len(ds) > 0 {
				var text strings.Builder
				if err := diag.Write(&text, ds, book.Sources(), diag.Options{}); err != nil {
					t.Fatal(err)
				}
				t.Errorf("findings:\n%s", text.String())
			}
			for _, lack := range undescribed(book) {
				t.Errorf("%s has no description", lack)
			}
			src, err := playbooks.FS.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			formatted, ds := hcl.Format(name, src)
			if len(ds) > 0 || string(formatted) != string(src) {
				t.Errorf("fmt changes it: %v\n%s", ds, formatted)
			}
		})
	}
}

// undescribed lists what a user sees of a playbook, and is told nothing of.
func undescribed(book *hcl.Playbook) (all []string) {
	lacks := func(what, description string) {
		if strings.TrimSpace(description) == "" {
			all = append(all, what)
		}
	}
	syntax := book.Playbook.Playbook
	lacks("the playbook", syntax.Header.Description)
	for _, v := range syntax.Variables {
		lacks("variable "+v.Name, v.Description)
	}
	for _, o := range syntax.Outputs {
		lacks("output "+o.Name, o.Description)
	}
	return all
}
