package clct

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// maxAliases is how many aliases may lead to each other.
const maxAliases = 16

// pair is one key of a mapping.
type pair struct {
	key   string
	at    engine.Range
	value ast.Node
}

// plainly takes off what stands around a node: anchors, tags and aliases.
func (r *reader) plainly(n ast.Node) (inner ast.Node, tag string) {
	for range maxAliases {
		switch x := n.(type) {
		case *ast.AnchorNode:
			r.anchors[x.Name.GetToken().Value] = x.Value
			n = x.Value
		case *ast.AliasNode:
			name := x.Value.GetToken().Value
			anchored, ok := r.anchors[name]
			if !ok {
				r.add(diag.Bare(diag.ConfigSyntax, "unknown anchor '"+name+"' referenced", "Write &%s before the value that is meant, above this.", name), r.src.node(x))
			}
			n = anchored
		case *ast.TagNode:
			tag, n = x.Start.Value, x.Value
		default:
			return n, tag
		}
	}
	return nil, tag
}

// pairs are the keys of a mapping, in their order; ok is false if n is none.
func (r *reader) pairs(n ast.Node, depth int) (list []pair, ok bool) {
	n, _ = r.plainly(n)
	var values []*ast.MappingValueNode
	switch x := n.(type) {
	case *ast.MappingNode:
		values = x.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{x}
	default:
		return nil, false
	}
	for _, v := range values {
		k, _ := r.plainly(v.Key)
		if mk, explicit := k.(*ast.MappingKeyNode); explicit {
			k, _ = r.plainly(mk.Value)
		}
		name := ""
		if s, ok := r.scalar(k); ok {
			name = s.text
		}
		if k == nil {
			k = v.Key
		}
		list = append(list, pair{name, r.src.node(k), v.Value})
		if depth < maxAliases {
			r.anchored(v.Value, depth+1)
		}
	}
	return list, true
}

// anchored notes the anchors in n, for aliases that come after it.
func (r *reader) anchored(n ast.Node, depth int) {
	if depth > maxAliases {
		return
	}
	switch x := n.(type) {
	case *ast.AnchorNode:
		r.anchors[x.Name.GetToken().Value] = x.Value
		r.anchored(x.Value, depth+1)
	case *ast.MappingNode:
		for _, v := range x.Values {
			r.anchored(v.Value, depth+1)
		}
	case *ast.SequenceNode:
		for _, v := range x.Values {
			r.anchored(v, depth+1)
		}
	}
}

// merged is pairs with those that << takes over in its place.
func (r *reader) merged(pairs []pair, depth int) (list []pair) {
	for _, p := range pairs {
		if p.key != "<<" || depth >= maxAliases {
			list = append(list, p)
			continue
		}
		n, _ := r.plainly(p.value)
		from := []ast.Node{n}
		if s, ok := n.(*ast.SequenceNode); ok {
			from = nil
			for i := range s.Values { // of several, the first counts
				from = append(from, s.Values[len(s.Values)-1-i])
			}
		}
		for _, m := range from {
			if inner, ok := r.pairs(m, depth+1); ok {
				list = append(list, r.merged(inner, depth+1)...)
			}
		}
	}
	return list
}

// scalar is the text of a node that is one value.
func (r *reader) scalar(n ast.Node) (scalar, bool) {
	n, tag := r.plainly(n)
	s := scalar{tag: tag}
	switch x := n.(type) {
	case *ast.StringNode:
		s.text, s.plain = x.Value, isPlain(x.Token)
	case *ast.LiteralNode:
		s.text = x.Value.Value
	case *ast.NullNode:
		s.plain = true
		if x.Token.Type != token.ImplicitNullType {
			s.text = x.Token.Value
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.MergeKeyNode:
		s.text, s.plain = x.GetToken().Value, true
	case nil:
		return scalar{plain: true}, true
	default:
		return s, false
	}
	if tag != "" && tag != "!!str" {
		s.plain = true // the tag says what it is, also in quotes
	}
	return s, true
}

// odd says what of a value this parser takes and the transpilers' do not.
func (r *reader) odd(n ast.Node, s scalar) *engine.Diagnostic {
	at := r.src.node(n)
	line, _, _ := strings.Cut(r.src.text[at.Start.Byte-r.src.skip:], "\n")
	var d engine.Diagnostic
	_, tag := s.resolve(r.flavour)
	if null, zero := s.null(r.flavour); null || zero {
		tag = "!!null"
	}
	_, isText := n.(*ast.StringNode)
	switch before, _, comment := strings.Cut(line, " #"); {
	case strings.HasPrefix(s.tag, "!!") && s.tag != "!!str" && s.tag != tag && !(r.flavour == Flatcar && s.tag == "!!float" && tag == "!!int"):
		d = diag.Bare(diag.ConfigValue, "cannot decode "+tag+" `"+s.text+"` as a "+s.tag, "Leave the tag out, or write a value of that kind.")
	case isText && s.plain && (strings.HasPrefix(line, "%") || strings.TrimRight(before, " ") == "?" && !comment):
		d = diag.Bare(diag.ConfigSyntax, "found character that cannot start any token", "A text that begins with %s stands in quotes.", line[:1])
	case isText && s.plain && strings.Contains(strings.TrimSpace(before), "\t"):
		d = diag.Bare(diag.ConfigSyntax, "Tab in a text", "Put the text in quotes, with \\t in the place of the tab.")
	default:
		return nil
	}
	d.Subject = &at
	return &d
}

// shape is what the transpilers call the kind of a node in their complaints.
func (r *reader) shape(n ast.Node) string {
	inner, _ := r.plainly(n)
	switch inner.(type) {
	case *ast.SequenceNode:
		return "!!seq"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "!!map"
	}
	s, _ := r.scalar(n)
	_, tag := s.resolve(r.flavour)
	return tag + " `" + s.text + "`"
}

// environment is a variable that a drop-in or a unit elsewhere in the config
// gives to etcd's unit.
type environment struct {
	name string
	at   engine.Range
}

// environments finds the variables of etcd that the section systemd gives to
// its unit: beside the flag of the same name, etcd does not start.
func (r *reader) environments(c *Config, top []pair) {
	each := func(n ast.Node) []ast.Node {
		n, _ = r.plainly(n)
		if s, ok := n.(*ast.SequenceNode); ok {
			return s.Values
		}
		return nil
	}
	in := func(n ast.Node, key string) ast.Node {
		pairs, _ := r.pairs(n, 0)
		for _, p := range pairs {
			if p.key == key {
				return p.value
			}
		}
		return nil
	}
	for _, p := range top {
		if p.key != "systemd" {
			continue
		}
		for _, u := range each(in(p.value, "units")) {
			if name, ok := r.scalar(in(u, "name")); !ok || name.text != Unit {
				continue
			}
			texts := []ast.Node{in(u, "contents")}
			for _, d := range each(in(u, "dropins")) {
				texts = append(texts, in(d, "contents"))
			}
			for _, n := range texts {
				if s, ok := r.scalar(n); ok && n != nil {
					for _, name := range variables(s.text) {
						c.others = append(c.others, environment{name, r.src.node(n)})
					}
				}
			}
		}
	}
}

// variables are those of etcd that a unit file sets.
func variables(unit string) (names []string) {
	for line := range strings.Lines(unit) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "Environment=")
		if !ok {
			continue
		}
		for _, word := range strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '"' || r == '\'' }) {
			if name, _, ok := strings.Cut(word, "="); ok && strings.HasPrefix(name, "ETCD_") {
				names = append(names, name)
			}
		}
	}
	return names
}
