package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFailureModes holds docs/failure-modes.md to its 47 rows, in order, and to
// tests that exist.
func TestFailureModes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "failure-modes.md"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "grep", "-hoE", "^func (Test|Fuzz)[A-Za-z0-9_]+", "--", "*_test.go")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		functions[strings.TrimPrefix(strings.TrimSpace(line), "func ")] = true
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| F") {
			continue
		}
		rows++
		if want := fmt.Sprintf("| F%d", rows); cells[0] != want || len(cells) != 5 {
			t.Fatalf("row %d has %d cells and begins with %q, want 5 and %q", rows, len(cells), cells[0], want)
		}
		tests := quoted.FindAllStringSubmatch(cells[4], -1)
		if covered := !strings.HasPrefix(cells[2], "not covered"); covered != (len(tests) > 0) {
			t.Errorf("%s is %s, and names %d tests", cells[0][2:], cells[2], len(tests))
		}
		for _, name := range tests {
			script := filepath.Join("testdata", "scripts", name[1])
			if _, err := os.Stat(script); strings.HasSuffix(name[1], ".txtar") && err == nil || functions[name[1]] {
				continue
			}
			t.Errorf("%s: there is no test %s", cells[0][2:], name[1])
		}
	}
	if rows != 47 {
		t.Errorf("%d rows, want 47", rows)
	}
}
