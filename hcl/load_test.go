package hcl_test

import (
	"path/filepath"
	"testing"

	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/tasks"
)

// TestShipped loads every playbook that comes with the program: none may have
// so much as a warning.
func TestShipped(t *testing.T) {
	files, err := filepath.Glob("../playbooks/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("playbooks: got %v, %v, want some", files, err)
	}
	for _, f := range files {
		p, found := hcl.Load(f, hcl.Options{Types: tasks.Types(), ToolVersion: "0.1.0"})
		if len(found) > 0 {
			t.Errorf("%s:\n%s", f, written(found, p.Sources()))
		}
	}
}
