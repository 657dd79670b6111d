package clct

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Read reads the etcd section of a config. file is its name in the findings:
// all that the transpiler says (in its words), and what it does not say (Check).
// With an error among them there is no Config.
func Read(file string, src []byte, f Flavour) (*Config, engine.Diagnostics) {
	r := &reader{src: newSource(file, src), flavour: f, anchors: map[string]ast.Node{}}
	c := r.read()
	if r.found.HasErrors() || c == nil {
		return nil, diag.Sort(r.found)
	}
	return c, diag.Sort(append(r.found, c.Check()...))
}

// reader walks through the YAML of one config.
type reader struct {
	src     *source
	flavour Flavour
	anchors map[string]ast.Node
	found   engine.Diagnostics
}

func (r *reader) add(d engine.Diagnostic, at engine.Range) {
	d.Subject = &at
	r.found = append(r.found, d)
}

func (r *reader) read() *Config {
	if d := r.src.unfit(); d != nil {
		r.found = append(r.found, *d)
		return nil
	}
	root, err := parse(r.src.text)
	if err != nil {
		r.syntax(err)
		return nil
	}
	if root == nil {
		r.found = append(r.found, diag.Warn(diag.Bare(diag.ConfigEmpty, empty, "There is nothing in it but white space and comments.")))
		return r.none(nil)
	}
	pairs, ok := r.pairs(root, 0)
	if !ok {
		r.add(diag.Bare(diag.ConfigValue, "cannot unmarshal "+r.shape(root)+" into types.Config", "A Container Linux Config is made of sections, such as etcd:."), r.src.node(root))
		return nil
	}
	var section *pair
	for i, p := range pairs {
		switch {
		case p.key == "etcd":
			section = &pairs[i]
		case !isSection(p.key):
			r.unknown(p.key, p.at, sections)
		}
	}
	if section == nil {
		return r.none(nil)
	}
	c := r.etcd(section.value)
	if c != nil {
		c.section = &section.at
		for _, p := range pairs {
			if p.key != "etcd" && isSection(p.key) {
				c.sections = append(c.sections, p.key)
			}
		}
		r.environments(c, pairs)
	}
	return c
}

// none says that there is no etcd section.
func (r *reader) none(at *engine.Range) *Config {
	d := diag.Bare(diag.ConfigEmpty, "No etcd section", "The transpilers make no drop-in of this config: it has no section etcd:, or there is nothing in it. An empty one is written etcd: {}.")
	d.Subject = at
	r.found = append(r.found, d)
	return nil
}

// sections are the top-level keys of a config.
var sections = []string{"version", "ignition", "storage", "systemd", "networkd", "passwd", "etcd", "flannel", "update", "docker", "locksmith"}

func isSection(name string) bool {
	for _, s := range sections {
		if s == name {
			return true
		}
	}
	return false
}

func (r *reader) unknown(name string, at engine.Range, known []string) {
	detail := "The transpiler leaves it out."
	if hint := diag.DidYouMean(name, known); hint != "" {
		detail += hint
	}
	r.add(diag.Warn(diag.Bare(diag.ConfigKey, unrecognized+name, "%s", detail)), at)
}

// etcd reads the section itself.
func (r *reader) etcd(n ast.Node) *Config {
	at := r.src.node(n)
	if s, ok := r.scalar(n); ok {
		if null, _ := s.null(r.flavour); null {
			return r.none(&at)
		}
	}
	pairs, ok := r.pairs(n, 0)
	if !ok {
		r.add(diag.Bare(diag.ConfigValue, "cannot unmarshal "+r.shape(n)+" into types.etcdCommon", "The section etcd: is made of keys with values, such as name: node4."), at)
		return nil
	}
	c := &Config{Flavour: r.flavour, release: r.flavour.assumed(), keyed: map[string]engine.Range{}, valued: map[string]engine.Range{}}
	for _, p := range r.merged(pairs, 0) {
		if p.key == "version" {
			r.version(c, p)
		}
	}
	r.options(c, pairs)
	c.ordered()
	return c
}

func (r *reader) version(c *Config, p pair) {
	s, ok := r.scalar(p.value)
	at := r.src.node(p.value)
	if !ok {
		r.add(diag.Bare(diag.ConfigValue, "cannot unmarshal "+r.shape(p.value)+" into string", "A version is written as in version: 3.3.1."), at)
		return
	}
	if null, _ := s.null(r.flavour); null {
		return
	}
	v, err := parseVersion(s.text)
	if err != nil {
		r.add(diag.Bare(diag.ConfigVersion, err.Error(), "Write three numbers with dots between them, such as version: 3.3.1."), at)
		return
	}
	c.Version, c.versions = v.String(), at
	release, said := r.flavour.releaseFor(v)
	c.release = release
	for _, d := range said {
		r.add(d, at)
	}
}

// options reads the other keys.
func (r *reader) options(c *Config, pairs []pair) {
	known := map[string]key{}
	names := []string{"version"}
	for _, k := range keys(c.release) {
		known[k.name], names = k, append(names, k.name)
	}
	first := map[string]engine.Range{}
	for _, p := range pairs {
		if p.key != "<<" {
			if before, twice := first[p.key]; twice {
				r.twice(p, before)
			} else {
				first[p.key] = p.at
			}
		}
		if _, ok := known[p.key]; !ok && p.key != "version" {
			r.unknown(p.key, p.at, names)
		}
	}
	for _, p := range r.merged(pairs, 0) {
		k, ok := known[p.key]
		if !ok {
			continue
		}
		v, good := r.value(p.value, k.kind)
		if good {
			c.set(k, v)
			c.keyed[k.name], c.valued[k.name] = p.at, r.src.node(p.value)
		}
	}
}

// twice is where the two transpilers part.
func (r *reader) twice(p pair, before engine.Range) {
	if r.flavour == Flatcar {
		r.add(diag.Bare(diag.ConfigDuplicate, fmt.Sprintf("mapping key %q already defined at line %d", p.key, before.Start.Line), "Keep one of the two."), p.at)
		return
	}
	r.add(diag.Warn(diag.Bare(diag.ConfigDuplicate, "Key given twice", "%s stands at line %d already, and this one counts. Keep one of the two.", p.key, before.Start.Line)), p.at)
}

// value reads one value; nil means that it is as good as not given.
func (r *reader) value(n ast.Node, k kind) (v any, good bool) {
	s, ok := r.scalar(n)
	if !ok {
		r.add(diag.Bare(diag.ConfigValue, fmt.Sprintf("cannot unmarshal %s into %s", r.shape(n), k.goType()), "%s", expected(k)), r.src.node(n))
		return nil, false
	}
	if d := r.odd(n, s); d != nil {
		r.found = append(r.found, *d)
		return nil, false
	}
	if null, _ := s.null(r.flavour); null {
		return nil, true
	}
	v, err := s.as(k, r.flavour)
	if err != nil {
		r.add(diag.Bare(diag.ConfigValue, err.Error(), "%s", expected(k)), r.src.node(n))
		return nil, false
	}
	return v, true
}

func expected(k kind) string {
	return map[kind]string{
		text:  "Write one text; several URLs stand in it with commas between them.",
		whole: "Write a whole number, without quotes.",
		truth: "Write true or false, without quotes.",
	}[k]
}

// syntax tells what the parser found.
func (r *reader) syntax(err error) {
	d := diag.Bare(diag.ConfigSyntax, "Not YAML", "%s. Sections and keys are indented by spaces, not tabs; a text with a colon and a space, or one that begins with one of { } [ ] * & ! | > ' \" %% @ `, stands in quotes.", firstLine(err.Error()))
	var e yaml.Error
	if errors.As(err, &e) {
		d.Detail = strings.Replace(d.Detail, firstLine(err.Error()), strings.TrimSuffix(capital(e.GetMessage()), "."), 1)
		if t := e.GetToken(); t != nil && t.Position != nil {
			r.add(d, r.src.token(t))
			return
		}
	}
	r.found = append(r.found, d)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// parse is the root of the first document, nil if there is nothing in it. The
// parser is not ours, and what it does with odd bytes must not end the program.
func parse(src string) (root ast.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("it cannot be read as YAML (%v)", p)
		}
	}()
	f, err := parser.ParseBytes([]byte(src), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	for _, d := range f.Docs {
		if d.Body != nil {
			if _, null := d.Body.(*ast.NullNode); null {
				return nil, nil
			}
			return d.Body, nil
		}
	}
	return nil, nil
}

// plainTypes are the tokens of scalars without quotes.
func isPlain(t *token.Token) bool {
	switch t.Type {
	case token.SingleQuoteType, token.DoubleQuoteType:
		return false
	}
	return true
}
