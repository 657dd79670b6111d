package syntax

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// decoder collects the findings while blocks are taken apart. A part that is
// wrong is left out, with a finding, and the rest goes on.
type decoder struct {
	file  *File
	tool  string // version of etcdplay
	found engine.Diagnostics

	extended bool // it is a site playbook
}

func (d *decoder) add(f engine.Diagnostic) { d.found = append(d.found, f) }

// block is a block that is being taken apart, with the place of its findings.
type block struct {
	*hclsyntax.Block
	d     *decoder
	place diag.Place
	attrs map[string]*Expr
}

// open lists the arguments of a block. allowed are those that it may have; nil
// allows every one. Others are found, with advice.
func (d *decoder) open(b *hclsyntax.Block, place diag.Place, allowed ...string) *block {
	o := &block{Block: b, d: d, place: place, attrs: map[string]*Expr{}}
	for _, a := range sorted(b.Body) {
		if allowed != nil && !contains(allowed, a.Name) {
			d.add(diag.New(diag.UnsupportedArgument, "Unsupported argument", a.NameRange, place, "%s", unsupported(b.Type, "argument", a.Name, allowed)))
			continue
		}
		o.attrs[a.Name] = d.expr(a, place)
	}
	return o
}

// closed finds every block inside that is not one of these.
func (b *block) closed(allowed ...string) {
	for _, inner := range b.Body.Blocks {
		if !contains(allowed, inner.Type) {
			b.d.unsupportedBlock(inner, b.place, b.Type, allowed)
		}
	}
}

func (d *decoder) unsupportedBlock(b *hclsyntax.Block, place diag.Place, outer string, allowed []string) {
	switch b.Type {
	case "extends":
		d.add(diag.New(diag.SitePlaybook, "Misplaced extends", header(b), place, "extends stands in the playbook block, beside language: playbook \"NAME\" { language = 1  extends \"BASE.hcl\" { version = \"~> 1.0\" } }."))
		return
	case "presets", "override", "drop":
		d.add(diag.New(diag.SitePlaybook, "Misplaced "+b.Type, header(b), place, "%s stands outside any other block.", b.Type))
		return
	}
	d.add(diag.New(diag.UnsupportedBlock, "Unsupported block", b.TypeRange, place, "%s", unsupported(outer, "block", b.Type, allowed)))
}

func (d *decoder) expr(a *hclsyntax.Attribute, place diag.Place) *Expr {
	return &Expr{Expression: a.Expr, File: d.file, Name: a.Name, NameRange: a.NameRange, Place: place}
}

// sorted lists the arguments of a body in the order in which they are written.
func sorted(b *hclsyntax.Body) []*hclsyntax.Attribute {
	list := make([]*hclsyntax.Attribute, 0, len(b.Attributes))
	for _, a := range b.Attributes {
		list = append(list, a)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].NameRange.Start.Byte < list[j].NameRange.Start.Byte })
	return list
}

// require is the argument of that name, or nil with a finding.
func (b *block) require(name string) *Expr {
	if e, ok := b.attrs[name]; ok {
		return e
	}
	if !hasAttribute(b.Body, name) {
		b.d.add(diag.New(diag.MissingArgument, "Missing required argument", header(b.Block), b.place, "%s needs the argument %q.%s", b.Type, name, example(b.Type, name)))
	}
	return nil
}

// example is what to write for a required argument, "" if its name says it.
func example(block, name string) string {
	write := map[string]string{
		"playbook language":  "language = 1, the edition of the language that the file is written in",
		"inventory language": "language = 1, the edition of the language that the file is written in",
		"variable type":      "for example type = string",
		"retry attempts":     "for example attempts = 30",
		"retry interval":     "for example interval = \"5s\"",
		"extends version":    "version = \"~> 1.0\", the versions of the base that this was written for",
		"condition":          "condition = ..., what has to hold",
		"error_message":      "error_message = \"...\", which is shown where the condition does not hold",
	}
	for _, key := range []string{block + " " + name, name} {
		if w, ok := write[key]; ok {
			return " Write " + w + "."
		}
	}
	return ""
}

func hasAttribute(b *hclsyntax.Body, name string) bool { _, ok := b.Attributes[name]; return ok }

// text is an argument that must be a literal string; "" if it is not written.
func (b *block) text(name string) (string, hcl.Range) {
	e, ok := b.attrs[name]
	if !ok {
		return "", hcl.Range{}
	}
	v, ok := b.literal(e, cty.String, "a string in quotes")
	if !ok {
		return "", e.Range()
	}
	return v.AsString(), e.Range()
}

// flag is an argument that must be true or false.
func (b *block) flag(name string) bool {
	e, ok := b.attrs[name]
	if !ok {
		return false
	}
	v, ok := b.literal(e, cty.Bool, "true or false")
	return ok && v.True()
}

// literal is the value of an expression that may refer to nothing.
func (b *block) literal(e *Expr, want cty.Type, form string) (cty.Value, bool) {
	v, found := e.Value(nil)
	if found.HasErrors() || !v.IsWhollyKnown() || v.IsNull() || v.Type() != want {
		why := "it is read before anything else is known, so it may refer to nothing"
		if !found.HasErrors() {
			why = fmt.Sprintf("this is %s", article(v.Type().FriendlyName()))
			if v.IsNull() {
				why = "this is null"
			}
		}
		b.d.add(diag.New(diag.NotLiteral, "Literal needed", e.Range(), e.Place, "%s must be %s: %s.", e.Name, form, why))
		return cty.NilVal, false
	}
	return v, true
}

// article is a word behind its article.
func article(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "an " + word
	}
	return "a " + word
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// labels are a block's labels, which must be as many as the words that say
// what they are. ok is false if they are not, with a finding.
func (b *block) labels(what ...string) ([]string, bool) {
	if len(b.Labels) == len(what) {
		return b.Labels, true
	}
	form := b.Type
	for _, w := range what {
		form += fmt.Sprintf(" %q", w)
	}
	b.d.add(diag.New(diag.BlockLabels, "Wrong labels", header(b.Block), b.place, "Write %s { … }.", form))
	return nil, false
}

// named checks the form of a name: lower case, digits and underscores.
func (b *block) named(what, name string, at hcl.Range) bool {
	if nameForm.MatchString(name) {
		return true
	}
	advice := "It begins with a lower-case letter, and goes on with lower-case letters, digits and underscores"
	if better := fix(name); better != "" {
		advice += fmt.Sprintf(": %q", better)
	}
	b.d.add(diag.New(diag.BadName, "Bad name", at, b.place, "%q cannot be the name of %s. %s.", name, article(what), advice))
	return false
}

// fix is a name near to this one which has the right form, or "".
func fix(name string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == '-', r == ' ', r == '.':
			return '_'
		}
		return r
	}, name)
	if !nameForm.MatchString(s) {
		return ""
	}
	return s
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
