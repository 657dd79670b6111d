package hcl

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// Shipped begins the path of a file that comes with the program, wherever the
// playbook that refers to it lies.
const Shipped = "etcdplay:playbooks"

// extend puts a site playbook together with the one it extends, which may be one
// of a site itself; any other comes back as it is. files are those that led here,
// this one last. Nil means that its base cannot be had.
func (s *shared) extend(p *syntax.Playbook, files []string) (*syntax.Playbook, engine.Diagnostics) {
	if p.Site == nil {
		return p, nil
	}
	e := p.Site.Extends
	finding := func(code diag.Code, summary, format string, args ...any) engine.Diagnostics {
		return engine.Diagnostics{diag.New(code, summary, e.PathRange, e.Place, format, args...)}
	}
	if e.Path == "" || e.Constraint == nil {
		if e.Path == "" && e.PathRange.Filename != "" {
			return nil, finding(diag.BaseUnreadable, "No base", "Write the path of the playbook to extend, relative to this file, or the name of one that comes with etcdplay.")
		}
		return nil, nil // which has been found
	}
	if filepath.IsAbs(e.Path) {
		return nil, finding(diag.BaseUnreadable, "Not a relative path", "The path of the base is relative to the file it is written in. Write for example \"../replace-member.hcl\".")
	}
	name, src, err := s.base(p.File.Name, e.Path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && s.shipped != nil && !strings.ContainsAny(e.Path, `/\`) {
			return nil, finding(diag.BaseUnreadable, "No such base", "There is no file %s, and no playbook of that name comes with etcdplay.%s", name, s.suggest(e.Path))
		}
		return nil, finding(diag.BaseUnreadable, "Base cannot be read", "%s: %s.", name, reason(err))
	}
	if i := slices.Index(files, name); i >= 0 {
		return nil, finding(diag.BaseCycle, "Playbooks in a circle", "%s extends itself: %s. A playbook may not extend one that leads back to it.",
			name, strings.Join(append(slices.Clone(files[i:]), name), " -> "))
	}
	if len(files) >= maxDepth {
		return nil, finding(diag.BaseDepth, "Extended too deeply", "Playbooks may extend each other %d deep, and %s would be deeper: %s.",
			maxDepth, name, strings.Join(append(slices.Clone(files), name), " -> "))
	}
	base, found := s.decode(name, src)
	if base == nil {
		return nil, found
	}
	if ds := fits(e, base); ds.HasErrors() {
		return nil, append(found, ds...)
	}
	base, more := s.extend(base, append(slices.Clone(files), name))
	found = append(found, more...)
	if base == nil {
		return nil, found
	}
	out, more := syntax.Extend(p, base)
	return out, append(found, more...)
}

// base reads the playbook that an extends block in file names: one beside it, or
// by its bare name one that comes with the program.
func (s *shared) base(file, ref string) (name string, src []byte, err error) {
	name = filepath.Join(filepath.Dir(file), filepath.FromSlash(ref))
	if strings.HasPrefix(ref, Shipped+"/") {
		name = path.Clean(ref)
	}
	src, err = s.read(name)
	if err != nil && s.shipped != nil && !strings.ContainsAny(ref, `/\`) {
		own := Shipped + "/" + strings.TrimSuffix(ref, ".hcl") + ".hcl"
		if src, err := s.read(own); err == nil {
			return own, src, nil
		}
	}
	return name, src, err
}

// suggest names the playbook that comes with the program and was probably meant.
func (s *shared) suggest(ref string) string {
	files, err := fs.Glob(s.shipped, "*.hcl")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".hcl")
	}
	return diag.DidYouMean(ref, files)
}

// Changes lists all in which a site playbook deviates from the one it extends, and
// those it calls from theirs.
func (p *Playbook) Changes() []engine.SiteChange { return p.changes("") }

func (p *Playbook) changes(prefix string) []engine.SiteChange {
	var list []engine.SiteChange
	for _, c := range p.Playbook.Playbook.Changes {
		e := engine.SiteChange{Kind: string(c.Kind), What: c.What, Why: c.Why, File: c.Range.Filename, Line: c.Range.Start.Line}
		if c.Task != "" {
			e.Task = prefix + "task." + c.Task
		}
		list = append(list, e)
	}
	for _, t := range p.Tasks {
		if callee := p.callees[t.Task]; callee != nil {
			list = append(list, callee.changes(prefix+"task."+t.Name+"/")...)
		}
	}
	return list
}

// fits compares the base's version with the one that the site was written for.
func fits(e *syntax.Extends, base *syntax.Playbook) engine.Diagnostics {
	if base.Header.Version == "" {
		return engine.Diagnostics{diag.New(diag.BaseVersion, "Base playbook has no version", e.Range, e.Place,
			"%s has no version in its playbook block, so nothing tells whether this site playbook fits it. Write version = \"1.0.0\" there.", base.File.Name)}
	}
	have, err := version.NewSemver(base.Header.Version)
	if err != nil || e.Constraint.Check(have) {
		return nil // a version that is none has been found
	}
	return engine.Diagnostics{diag.New(diag.BaseVersion, "Base playbook version does not match", e.Range, e.Place,
		"%s is version %s, and this site playbook was written for %s. Compare the two, then change the constraint.",
		base.File.Name, base.Header.Version, e.Version)}
}
