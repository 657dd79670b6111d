// Package hcl reads playbooks: from bytes over a checked tree to an
// engine.Program. It knows the files, how they call each other, where the
// values of variables come from, and how an expression gets its value in a run.
// It does not know what a task type does, and it connects to nothing.
package hcl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/check"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Options is what playbooks are loaded with.
type Options struct {
	Types       []*engine.Type
	ToolVersion string // etcdplay's own, for required_version; "" fits all
	// ReadFile yields a file by its path. Nil means the file system, where
	// anything but a regular file is refused.
	ReadFile func(path string) ([]byte, error)
	// Shipped is the playbooks that come with the program. A site playbook can
	// extend them by name. Nil means that there are none.
	Shipped fs.FS
}

// Playbook is a loaded playbook, with those it calls.
type Playbook struct {
	*check.Playbook
	callees map[*syntax.Task]*Playbook
	folders map[*syntax.File]*check.Folder
	shared  *shared
	digest  string // of this playbook, of those it extends and of those it calls
	valid   bool   // there were no errors
}

// shared is what a playbook has in common with those it calls.
type shared struct {
	types     *check.Types
	tool      string
	read      func(path string) ([]byte, error)
	shipped   fs.FS // nil if there is none
	sources   map[string][]byte
	templates *eval.Templates
	loaded    map[string]*Playbook // called playbooks by path; nil if one cannot be loaded
	found     engine.Diagnostics   // in called playbooks
}

// Load reads the playbook at path and those it calls, and checks all that can
// be checked without an inventory. The findings are all there are, in the order
// of the source. The playbook is never nil: with errors it can still be asked for
// its sources and, as far as they could be read, for its declarations.
func Load(path string, o Options) (*Playbook, engine.Diagnostics) {
	s := &shared{
		types:   check.NewTypes(o.Types),
		tool:    o.ToolVersion,
		read:    o.ReadFile,
		shipped: o.Shipped,
		sources: map[string][]byte{},
		loaded:  map[string]*Playbook{},
	}
	s.reading()
	src, err := s.read(path)
	if err != nil {
		return s.unread(path), engine.Diagnostics{unreadable(path, err)}
	}
	p, found := s.load(path, src, nil)
	found = append(found, s.found...)
	if p == nil {
		return s.unread(path), found
	}
	p.valid = !found.HasErrors()
	return p, found
}

// unread is a playbook of which nothing is known.
func (s *shared) unread(path string) *Playbook {
	file := &syntax.File{Name: path}
	return &Playbook{Playbook: &check.Playbook{Playbook: &syntax.Playbook{File: file}}, shared: s}
}

// load reads one playbook; stack holds the files that led to it.
func (s *shared) load(path string, src []byte, stack []string) (*Playbook, engine.Diagnostics) {
	decoded, found := s.decode(path, src)
	if decoded == nil {
		return nil, found
	}
	decoded, more := s.extend(decoded, []string{filepath.Clean(path)})
	found = append(found, more...)
	if decoded == nil {
		return nil, diag.Sort(found)
	}
	p := &Playbook{
		callees: map[*syntax.Task]*Playbook{},
		folders: map[*syntax.File]*check.Folder{},
		shared:  s,
	}
	for layer := decoded; layer != nil; layer = layer.Base {
		p.folders[layer.File] = s.folder(layer.File)
	}
	found = append(found, s.calls(p, decoded, append(stack, filepath.Clean(path)))...)
	in := check.Input{
		Playbook: decoded,
		Types:    s.types,
		Faulty:   found.HasErrors(),
		Folders:  p.folders,
		Callees:  map[*syntax.Task]*check.Playbook{},
	}
	for t, callee := range p.callees {
		in.Callees[t] = callee.Playbook
	}
	checked, more := check.Check(in)
	p.Playbook = checked
	p.digest = p.digests()
	return p, diag.Sort(append(found, more...))
}

// decode takes one file apart.
func (s *shared) decode(path string, src []byte) (*syntax.Playbook, engine.Diagnostics) {
	s.sources[path] = src
	file, found := syntax.Parse(path, src)
	if found.HasErrors() {
		return nil, found
	}
	s.sources[path] = file.Source
	return syntax.Decode(file, s.tool)
}

// folder is what depends on where a file lies.
func (s *shared) folder(file *syntax.File) *check.Folder {
	dir := filepath.Dir(file.Name)
	return &check.Folder{
		Functions: &hcl.EvalContext{Functions: eval.Table(s.templates, dir)},
		Template: func(name string) error {
			_, err := s.templates.Load(dir, name)
			return err
		},
	}
}

// digests is over the tokens of the playbook, of those it extends and of those it
// calls, in their order.
func (p *Playbook) digests() string {
	h := sha256.New()
	for layer := p.Playbook.Playbook; layer != nil; layer = layer.Base {
		fmt.Fprintln(h, layer.File.Digest)
	}
	for _, t := range p.Tasks {
		if c := p.callees[t.Task]; c != nil {
			fmt.Fprintln(h, c.digest)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Sources is every file that was read, by its path: for the lines that findings
// show, and for the copies kept with a run. Line ends are those of Unix.
func (p *Playbook) Sources() map[string][]byte { return maps.Clone(p.shared.sources) }

// Counts sums a playbook up, those it calls left out.
type Counts struct {
	Language, Variables, Phases, Tasks int
}

// Summary counts what a playbook holds.
func Summary(p *Playbook) Counts {
	c := Counts{Language: p.Header.Language, Variables: len(p.Playbook.Variables), Tasks: len(p.Tasks)}
	for _, ph := range p.Phases {
		if ph.Name != "" {
			c.Phases++
		}
	}
	return c
}

// String is what validate says of a good playbook: "language 1, 5 variables,
// 3 phases, 18 tasks".
func (c Counts) String() string {
	return fmt.Sprintf("language %d, %s, %s, %s", c.Language, plural(c.Variables, "variable"), plural(c.Phases, "phase"), plural(c.Tasks, "task"))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
