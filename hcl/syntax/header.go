package syntax

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// header finds the playbook block, and what kind of file it is if there is
// none. It reports whether the rest can be read.
func (d *decoder) header(f *File, p *Playbook) bool {
	var head *hclsyntax.Block
	for _, b := range f.Body.Blocks {
		switch b.Type {
		case "inventory":
			d.add(diag.New(diag.NotAPlaybook, "Not a playbook", header(b), diag.Place{In: title(b)},
				"This file is an inventory. Pass it with --inventory, and name a playbook to run."))
			return false
		case "playbook":
			if head != nil {
				d.add(diag.New(diag.DuplicateBlock, "Two playbooks in one file", header(b), diag.Place{In: title(b)},
					"The playbook block stands at line %d already. A file is one playbook.", head.TypeRange.Start.Line))
				return false
			}
			head = b
		}
	}
	if head == nil {
		at := hcl.Range{Filename: f.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
		in, advice := "", "A playbook begins with playbook \"NAME\" { language = 1 }."
		switch {
		case len(f.Body.Blocks) > 0:
			at, in = header(f.Body.Blocks[0]), title(f.Body.Blocks[0])
		case len(f.Body.Attributes) > 0:
			at = sorted(f.Body)[0].NameRange
			advice += " If this is a file of values, pass it with --vars-file."
		}
		summary := "Not a playbook"
		if len(f.Body.Blocks) == 0 && len(f.Body.Attributes) == 0 {
			summary, advice = "Empty file", "There is nothing in this file. "+advice
		}
		d.add(diag.New(diag.NotAPlaybook, summary, at, diag.Place{In: in}, "%s", advice))
		return false
	}
	return d.head(head, p)
}

// head reads the playbook block.
func (d *decoder) head(b *hclsyntax.Block, p *Playbook) bool {
	place := diag.Place{In: title(b)}
	o := d.open(b, place, "language", "required_version", "version", "description", "experiments")
	// The edition comes first: in another one, all the rest may mean something else.
	if !d.language(o) {
		return false
	}
	o.closed("extends")
	h := &p.Header
	h.Range = header(b)
	h.Language = Language
	if labels, ok := o.labels("NAME"); ok {
		h.Name = labels[0]
		if !playbookName(h.Name) {
			d.add(diag.New(diag.BadName, "Bad name", b.LabelRanges[0], place,
				"%q cannot be the name of a playbook. It begins with a lower-case letter, and goes on with lower-case letters, digits, dashes and underscores.", h.Name))
		}
	}
	h.RequiredVersion, h.VersionRange = o.text("required_version")
	var at hcl.Range
	h.Version, at = o.text("version")
	if h.Version != "" {
		if _, err := version.NewSemver(h.Version); err != nil {
			d.add(diag.New(diag.BadVersion, "Not a version", at, place, "%q is not a version of a playbook. Write three numbers, for example \"1.0.0\".", h.Version))
		}
	}
	h.Description, _ = o.text("description")
	if e, ok := o.attrs["experiments"]; ok {
		d.add(diag.New(diag.UnsupportedArgument, "No experiments", e.NameRange, place, "This version of etcdplay has no experiments. Take the line out."))
	}
	d.extends(b, p)
	return d.required(h, place)
}

func playbookName(s string) bool { return nameForm.MatchString(strings.ReplaceAll(s, "-", "_")) }

func (d *decoder) language(o *block) bool {
	e := o.require("language")
	if e == nil {
		return false
	}
	v, ok := o.literal(e, cty.Number, "the number 1")
	if !ok {
		return false
	}
	if n, accuracy := v.AsBigFloat().Int64(); n != Language || accuracy != big.Exact {
		tool := "This etcdplay"
		if d.tool != "" {
			tool = "etcdplay " + d.tool
		}
		advice := "A playbook written in a later language needs a later etcdplay."
		if accuracy != big.Exact || n < Language {
			advice = fmt.Sprintf("There is no other yet. Write language = %d.", Language)
		}
		d.add(diag.New(diag.UnsupportedLanguage, "Unsupported language version", e.Range(), o.place,
			"%s understands language %d. %s", tool, Language, advice))
		return false
	}
	return true
}

// required compares required_version with the tool's.
func (d *decoder) required(h *Header, place diag.Place) bool {
	if h.RequiredVersion == "" {
		return true
	}
	want, err := version.NewConstraint(h.RequiredVersion)
	if err != nil {
		d.add(diag.New(diag.BadVersion, "Not a version constraint", h.VersionRange, place,
			"%q cannot be read as versions of etcdplay. Write for example \">= 0.1.0, < 2.0.0\" or \"~> 1.0\".", h.RequiredVersion))
		return true
	}
	have, err := version.NewVersion(d.tool)
	if d.tool == "" || err != nil {
		return true
	}
	if !want.Check(have.Core()) {
		d.add(diag.New(diag.ToolVersion, "Wrong version of etcdplay", h.VersionRange, place,
			"This playbook is for etcdplay %s, and this is etcdplay %s. Install a version that fits.", h.RequiredVersion, d.tool))
		return false
	}
	return true
}
