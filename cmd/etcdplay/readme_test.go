package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/hcl/inventory"
)

// TestReadme types what the README shows and holds every block of output to
// what comes. In a block, … stands for text that is left out: alone on a line
// for any lines, within a line for the rest of a word or a path.
func TestReadme(t *testing.T) {
	t.Parallel()
	typeWhatStandsIn(t, "README.md")
}

// TestGuide is the same for the guide. Its configs are files, named in their
// first lines.
func TestGuide(t *testing.T) {
	t.Parallel()
	typeWhatStandsIn(t, "docs/guide.md")
}

func typeWhatStandsIn(t *testing.T, document string) {
	if testing.Short() {
		t.Skip("starts a sandbox and replaces a member")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", document))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "etcdplay")
	if out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	state := filepath.Join(dir, "state")
	env := append(os.Environ(), "XDG_STATE_HOME="+state, "NO_COLOR=1", "COLUMNS=80",
		"ETCDPLAY_INVENTORY="+filepath.Join(state, "etcdplay", "sandboxes", "demo", "inventory.hcl"))
	run := func(args ...string) string {
		command := exec.Command(exe, args...)
		command.Env, command.Dir = env, dir
		out, _ := command.CombinedOutput() // some of the commands are meant to fail
		return string(out)
	}
	t.Cleanup(func() { run("sandbox", "down") })

	for _, block := range fenced(string(text), "hcl") {
		path := filepath.Join(dir, "block.hcl")
		if err := os.WriteFile(path, []byte(block), 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(block, "inventory ") {
			if _, ds := inventory.Load(path, []byte(block)); len(ds) > 0 {
				t.Errorf("the inventory in %s: %v", document, ds)
			}
		} else if out := run("validate", path); !strings.Contains(out, "is valid") {
			t.Errorf("the playbook in %s:\n%s", document, out)
		}
		if out := run("fmt", "-check", path); out != "" {
			t.Errorf("the playbook in %s is not formatted:\n%s", document, out)
		}
	}
	for _, block := range fenced(string(text), "yaml") {
		name, _, _ := strings.Cut(strings.TrimPrefix(block, "# "), "\n")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	commands := 0
	for _, block := range fenced(string(text), "console") {
		for part := range strings.SplitSeq(strings.TrimPrefix(block, "$ "), "\n$ ") {
			line, want, _ := strings.Cut(part, "\n")
			words := strings.Fields(line)
			if words[0] != "etcdplay" {
				t.Fatalf("%s types %q", document, line)
			}
			commands++
			got := run(words[1:]...)
			if !matcher(want).MatchString(steadily(got)) {
				t.Errorf("$ %s\ngives\n%s\nand %s says\n%s", line, got, document, want)
			}
		}
	}
	if commands < 5 {
		t.Errorf("%s types %d commands", document, commands)
	}
}

// TestReadmeNamesCommands holds the table of commands to what there is.
func TestReadmeNamesCommands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	root := newApp(nil, strings.NewReader(""), &out, &out, nil).root()
	for _, command := range root.Commands() {
		if command.Hidden || command.Name() == "help" {
			continue
		}
		if !regexp.MustCompile("[`, ]" + command.Name() + "[` ]").Match(text) {
			t.Errorf("the README does not name %s", command.Name())
		}
	}
}

// fenced returns the blocks of that language.
func fenced(text, language string) []string {
	var blocks []string
	for i, part := range strings.Split(text, "```") {
		if rest, ok := strings.CutPrefix(part, language+"\n"); ok && i%2 == 1 {
			blocks = append(blocks, rest)
		}
	}
	return blocks
}

// unsteady is what differs from one session to the next.
var unsteady = []struct {
	pattern *regexp.Regexp
	stands  string
}{
	{regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{4}`), "RUN"},
	{regexp.MustCompile(`127\.\d+\.\d+\.(\d)`), "ADDRESS.$1"},
	{regexp.MustCompile(`"[0-9a-f]{12,16}"`), `"MEMBER"`},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ms|s)\b`), "TIME"},
	{regexp.MustCompile(`[ \t]+\n`), "\n"},
}

func steadily(text string) string {
	for _, u := range unsteady {
		text = u.pattern.ReplaceAllString(text, u.stands)
	}
	return strings.TrimSpace(text)
}

func matcher(want string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(steadily(want))
	quoted = regexp.MustCompile(`(?m)^( *)…$`).ReplaceAllString(quoted, `(?s:.*?)`)
	return regexp.MustCompile(`\A` + strings.ReplaceAll(quoted, "…", `\S*`) + `\z`)
}
