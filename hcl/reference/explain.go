package reference

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mitchellh/go-wordwrap"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
)

// lineWidth is that of the text, in characters.
const lineWidth = 79

// page collects the text and the first error of writing it.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, strings.TrimRight(fmt.Sprintf(format, args...), " ")+"\n")
	}
}

// para writes text, wrapped, each line behind so many spaces.
func (p *page) para(indent int, text string) {
	wrapped := wordwrap.WrapString(text, uint(lineWidth-indent))
	for l := range strings.SplitSeq(wrapped, "\n") {
		p.line("%s%s", strings.Repeat(" ", indent), l)
	}
}

// verbatim writes text as it is, each line behind so many spaces.
func (p *page) verbatim(indent int, text string) {
	for l := range strings.SplitSeq(text, "\n") {
		p.line("%s%s", strings.Repeat(" ", indent), l)
	}
}

// Explain writes what there is to say about a topic: a task type, a function, a
// block, or one of the lists types, functions, blocks and names; with an empty
// topic, all that can be asked for. A topic that does not exist is an error
// which suggests another.
func Explain(w io.Writer, topic string, types []*engine.Type) error {
	p := &page{w: w}
	topic = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(topic), "()"))
	parts := p.lists(topic, types)
	for _, t := range types {
		if t.Name == topic {
			parts = append(parts, func() { p.typ(t) })
		}
	}
	for _, b := range Blocks() {
		if called(b, topic) {
			parts = append(parts, func() { p.block(b) })
		}
	}
	for _, f := range eval.Functions() {
		if f.Name == topic || strings.TrimSuffix(topic, "::")+"::" == f.Group || afterColons(f.Name) == topic {
			parts = append(parts, func() { p.function(f) })
		}
	}
	for _, n := range Names() {
		if root, _, _ := strings.Cut(n.Name, "."); root == topic || n.Name == topic {
			parts = append(parts, func() { p.para(0, n.Name); p.para(4, "Type "+n.Type+". "+n.Doc) })
		}
	}
	if len(parts) == 0 {
		return fmt.Errorf("there is nothing called %q.%s etcdplay explain lists all there is", topic, diag.DidYouMean(topic, Topics(types)))
	}
	for i, write := range parts {
		if i > 0 {
			p.line("")
		}
		write()
	}
	return p.err
}

// Topics lists all that Explain knows, sorted; it is for suggestions and for
// completion.
func Topics(types []*engine.Type) []string {
	topics := []string{"types", "functions", "blocks", "names"}
	for _, t := range types {
		topics = append(topics, t.Name)
	}
	for _, b := range Blocks() {
		topics = append(topics, word(b.Name))
	}
	for _, f := range eval.Functions() {
		topics = append(topics, f.Name)
	}
	for _, n := range Names() {
		root, _, _ := strings.Cut(n.Name, ".")
		topics = append(topics, root)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// word is a block's type without its labels.
func word(name string) string {
	w, _, _ := strings.Cut(name, " ")
	return w
}

// called reports whether a topic means the block: by its type, or by its label
// where that tells one kind from another.
func called(b Block, topic string) bool {
	return word(b.Name) == topic || strings.ReplaceAll(b.Name, `"`, "") == topic || b.Name == topic
}

func afterColons(name string) string {
	_, after, ok := strings.Cut(name, "::")
	if !ok {
		return ""
	}
	return after
}

// lists are the parts of the topics that list others.
func (p *page) lists(topic string, types []*engine.Type) []func() {
	all := map[string]func(){
		"types":     func() { p.types(types) },
		"blocks":    p.blocks,
		"names":     p.names,
		"functions": p.functions,
	}
	if topic == "" {
		return []func(){all["types"], all["blocks"], all["names"], all["functions"], func() {
			p.line("etcdplay explain TOPIC tells more of each.")
		}}
	}
	if f, ok := all[topic]; ok {
		return []func(){f}
	}
	return nil
}

func (p *page) types(types []*engine.Type) {
	p.line("Task types")
	longest := 0
	for _, t := range types {
		longest = max(longest, len(t.Name))
	}
	for _, effect := range []engine.Effect{engine.Read, engine.Change, engine.Destroy, engine.Control} {
		for _, t := range types {
			if t.Effect == effect {
				p.entry(pad(t.Name, longest)+"  "+pad(string(effect), 7), firstSentence(t.Doc))
			}
		}
	}
}

// entry is a word of a list with what it is, wrapped beside it.
func (p *page) entry(head, text string) {
	indent := len(head) + 4
	wrapped := strings.Split(wordwrap.WrapString(text, uint(max(lineWidth-indent, 20))), "\n")
	p.line("  %s  %s", head, wrapped[0])
	for _, l := range wrapped[1:] {
		p.line("%s%s", strings.Repeat(" ", indent), l)
	}
}

func (p *page) blocks() {
	kind := ""
	for _, b := range Blocks() {
		if b.In != kind {
			kind = b.In
			p.line("Blocks of %s", map[string]string{"playbook": "a playbook", "inventory": "an inventory"}[kind])
		}
		p.entry(pad(b.Name, 20), firstSentence(b.Doc))
	}
}

func (p *page) names() {
	p.line("Names in expressions")
	for _, n := range Names() {
		p.entry(pad(n.Name, 25), firstSentence(n.Doc))
	}
}

func (p *page) functions() {
	p.line("Functions")
	group := ""
	var names []string
	flush := func() {
		if len(names) > 0 {
			p.entry(pad(group, 11), strings.Join(names, " "))
		}
		names = nil
	}
	for _, f := range eval.Functions() {
		if f.Group != group {
			flush()
			group = f.Group
		}
		names = append(names, f.Name)
	}
	flush()
}

// typ is the page of a task type.
func (p *page) typ(t *engine.Type) {
	p.line("task %q \"NAME\"", t.Name)
	p.line("")
	p.para(2, t.Doc)
	p.line("")
	for _, f := range facts(t) {
		p.entry(pad(f[0], 8), f[1])
	}
	p.arguments("Arguments", arguments(t))
	p.line("")
	p.line("  Results, as task.NAME.RESULT")
	for _, r := range t.Results {
		text := r.Doc
		if r.Sensitive {
			text += " Sensitive."
		}
		p.line("    %s  %s", r.Name, eval.TypeText(r.Type))
		p.para(8, text)
	}
	p.line("    status  string")
	p.para(8, `"ok", "skipped" or "failed".`)
	p.line("")
	p.line("  Example")
	p.verbatim(4, example(t))
	p.line("")
	p.para(2, "Every task also takes "+strings.Join(names(TaskArguments()), ", ")+", and the blocks precondition, postcondition and retry: see etcdplay explain task.")
}

// facts are what is true of a type, with a word for each.
func facts(t *engine.Type) [][2]string {
	effect := map[engine.Effect]string{
		engine.Read:    "read: changes nothing, and is carried out in a plan too",
		engine.Change:  "change: what it does can be taken back",
		engine.Destroy: "destroy: what it does cannot be taken back",
		engine.Control: "control: changes nothing outside the run",
	}[t.Effect]
	where := map[engine.Where]string{
		engine.OnHost:     "on a host: on or on_each is needed",
		engine.Controller: "where etcdplay runs: takes neither on nor on_each",
		engine.Either:     "on a host, if on or on_each says so",
	}[t.Where]
	retry := "a retry block is allowed"
	if !t.Retryable {
		retry = "no retry block: it is not repeated blindly"
	}
	list := [][2]string{{"effect", effect}, {"runs", where}, {"retry", retry}}
	if t.Timeout > 0 {
		list = append(list, [2]string{"timeout", duration(t.Timeout) + " unless the task says otherwise"})
	}
	return list
}

// duration is d as a playbook writes it, without parts that are zero.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (p *page) arguments(title string, list []Argument) {
	p.line("")
	if len(list) == 0 {
		p.line("  %s: none", title)
		return
	}
	p.line("  %s", title)
	for _, a := range list {
		head := a.Name + "  " + a.Type
		if len(a.Enum) > 0 {
			head = a.Name + "  " + strings.Join(a.Enum, " | ")
		} else if a.Kind != "" {
			head += " (" + kindWord(a.Kind) + ")"
		}
		if a.Required {
			head += ", required"
		}
		p.line("    %s", head)
		text := a.Doc
		if a.Default != "" {
			text += " Default: " + strings.TrimSuffix(a.Default, ".") + "."
		}
		if a.NoSecret {
			text += " It may not be sensitive."
		}
		if a.Deprecated != "" {
			text += " Deprecated: " + a.Deprecated
		}
		p.para(8, text)
	}
}

// kindWord is a kind of string in words.
func kindWord(kind string) string {
	switch engine.Kind(kind) {
	case engine.Duration:
		return `length of time: "30s", "5m", "1h30m"`
	case engine.Mode:
		return `four octal digits: "0644"`
	case engine.AbsPath:
		return "absolute path"
	case engine.URL:
		return "URL"
	case engine.SHA256:
		return "64 hex digits"
	case engine.UnitName:
		return "name of a unit"
	case engine.FileName:
		return "file name without a directory"
	case engine.MemberID:
		return "member ID in hex"
	}
	return kind
}

func (p *page) block(b Block) {
	p.line("%s", b.Name)
	p.line("")
	p.para(2, b.Doc)
	if len(b.Arguments) > 0 {
		p.arguments("Arguments", b.Arguments)
	}
	if len(b.Blocks) > 0 {
		p.line("")
		p.line("  Blocks in it: %s", strings.Join(b.Blocks, ", "))
	}
	if b.Example != "" {
		p.line("")
		p.line("  Example")
		p.verbatim(4, b.Example)
	}
}

func (p *page) function(f eval.Function) {
	p.line("%s", f.Signature)
	p.line("")
	p.para(2, f.Doc)
	p.line("")
	if f.Yields == "" {
		p.verbatim(4, f.Example)
		return
	}
	p.verbatim(4, f.Example+"\n= "+f.Yields)
}

func names(list []Argument) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Name)
	}
	return out
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-len(s), 0)) }

// firstSentence is what stands before the first full stop that ends one.
func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i > 0 {
		return s[:i+1]
	}
	return s
}
