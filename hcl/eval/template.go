package eval

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// MaxTemplate is the greatest size of a template file, in bytes.
const MaxTemplate = 1 << 20

// Templates is the template files of a playbook and of all it calls. Each is
// read once, so that every use sees the same text, and the text has one digest.
// It may be used by several goroutines.
type Templates struct {
	read func(dir, name string) ([]byte, error)

	mu     sync.Mutex
	loaded map[string]loadedTemplate // by path
}

type loadedTemplate struct {
	template *Template
	err      error
}

// Template is one template file, parsed and checked: all its functions exist.
type Template struct {
	Path   string // as the author wrote it
	Digest string // "sha256:" and the sum of its bytes, in hex

	expr      hclsyntax.Expression
	uses      []templateName
	functions map[string]function.Function
}

// templateName is a name that a template uses, and the first line that does.
type templateName struct {
	name string
	line int
}

// NewTemplates is an empty set. read yields the file of this relative,
// slash-separated name below dir, at most MaxTemplate bytes and one more; nil
// means ReadBelow.
func NewTemplates(read func(dir, name string) ([]byte, error)) *Templates {
	if read == nil {
		read = ReadBelow
	}
	return &Templates{read: read, loaded: map[string]loadedTemplate{}}
}

// ReadBelow reads the file of this name from the directory or from below it;
// neither dots nor symbolic links lead out of it. Anything but a regular file
// is an error, and what is beyond MaxTemplate bytes and one more is left out.
func ReadBelow(dir, name string) ([]byte, error) {
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() // read only: nothing can be lost
	info, err := root.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing can be lost
	return io.ReadAll(io.LimitReader(f, MaxTemplate+1))
}

// Digests is the digest of every template loaded so far, by its path: that of
// the directory of the expression, and the path as written, joined.
func (t *Templates) Digests() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]string{}
	for p, l := range t.loaded {
		if l.template != nil {
			out[p] = l.template.Digest
		}
	}
	return out
}

// Load reads and checks the template at this path, written in a file that lies
// in dir. A second call for the same file answers from memory, errors included.
// The error is a phrase for the author that names the file and the line.
func (t *Templates) Load(dir, name string) (*Template, error) {
	key := path.Join(filepath.ToSlash(dir), name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if l, ok := t.loaded[key]; ok {
		return l.template, l.err
	}
	tmpl, err := t.load(dir, name)
	t.loaded[key] = loadedTemplate{tmpl, err}
	return tmpl, err
}

func (t *Templates) load(dir, name string) (*Template, error) {
	if name == "" || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") {
		return nil, wrongf("%s is not the path of a template: it is relative to the file it is written in, and leads into its directory or below it", quote(name))
	}
	src, err := t.read(dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, wrongf("there is no template %s beside the file it is written in", quote(name))
	case err != nil:
		return nil, wrongf("the template %s cannot be read: %s", quote(name), reason(err))
	case len(src) > MaxTemplate:
		return nil, wrongf("the template %s is larger than %d MiB", quote(name), MaxTemplate>>20)
	}
	return parseTemplate(name, src)
}

// reason is an error without the path it concerns, which the text has already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func parseTemplate(name string, src []byte) (*Template, error) {
	expr, found := syntax.ParseTemplate(name, src)
	if found.HasErrors() {
		return nil, foundIn(name, found)
	}
	sum := sha256.Sum256(src)
	t := &Template{Path: name, Digest: "sha256:" + hex.EncodeToString(sum[:]), expr: expr, functions: Table(nil, "")}
	if err := t.checkFunctions(); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, v := range scope.Variables(expr) {
		if root := v.RootName(); !seen[root] {
			seen[root] = true
			t.uses = append(t.uses, templateName{root, v.SourceRange().Start.Line})
		}
	}
	return t, nil
}

// foundIn is the first finding, in the form of templateError.
func foundIn(name string, found engine.Diagnostics) error {
	for _, d := range found {
		if d.Severity != engine.Error {
			continue
		}
		if d.Subject == nil {
			return wrong(strings.TrimSuffix(d.Detail, "."))
		}
		return wrongf("%s line %d: %s; %s", name, d.Subject.Start.Line, d.Summary, strings.TrimSuffix(d.Detail, "."))
	}
	return nil
}

func templateError(name string, diags hcl.Diagnostics) error {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		line := 1
		if d.Subject != nil {
			line = d.Subject.Start.Line
		}
		return wrongf("%s line %d: %s; %s", name, line, d.Summary, strings.TrimSuffix(d.Detail, "."))
	}
	return nil
}

func (t *Template) checkFunctions() error {
	var err error
	scope.Visit(t.expr, func(n hclsyntax.Node) {
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		if !ok || err != nil {
			return
		}
		line := call.NameRange.Start.Line
		if call.Name == "templatefile" {
			err = wrongf("%s line %d: a template cannot use templatefile", t.Path, line)
		} else if _, known := t.functions[call.Name]; !known {
			err = wrongf("%s line %d: there is no function %s.%s", t.Path, line, quote(call.Name), didYouMean(call.Name, slices.Collect(maps.Keys(t.functions))))
		}
	})
	return err
}

// Names lists the names that the template uses, in the order of their first use.
func (t *Template) Names() []string {
	var names []string
	for _, u := range t.uses {
		names = append(names, u.name)
	}
	return names
}

// Missing says which name the template uses that is not among the given ones,
// and where; nil means that it uses none.
func (t *Template) Missing(given []string) error {
	for _, u := range t.uses {
		if slices.Contains(given, u.name) {
			continue
		}
		among := "which gets no values"
		if len(given) > 0 {
			among = "which is not among the values given to it (" + strings.Join(slices.Sorted(slices.Values(given)), ", ") + ")"
		}
		if len(given) == 0 {
			return wrongf("%s line %d uses %s, and no values are given to it", t.Path, u.line, u.name)
		}
		return wrongf("%s line %d uses %s, %s", t.Path, u.line, u.name, among)
	}
	return nil
}

// Render is the text that the template makes of the values: unknown if a value
// in it is, with what is known of its beginning.
func (t *Template) Render(values map[string]cty.Value) (cty.Value, error) {
	if err := t.Missing(slices.Collect(maps.Keys(values))); err != nil {
		return cty.NilVal, err
	}
	v, diags := Evaluate(t.expr, &hcl.EvalContext{Variables: values, Functions: t.functions})
	if diags.HasErrors() {
		return cty.NilVal, templateError(t.Path, diags)
	}
	if isNull(v) {
		return cty.NilVal, wrongf("%s yields null, and a text is needed", t.Path)
	}
	out, err := convert.Convert(v, cty.String)
	if err != nil {
		return cty.NilVal, wrongf("%s yields %s, and a text is needed", t.Path, TypeName(v.Type()))
	}
	return out, checkResult(out)
}

func fileFunctions(files *Templates, dir string) []Function {
	return []Function{{
		Name: "templatefile", Group: "files", Signature: "templatefile(path string, values object) string",
		Doc:     "The text of the template file with the values in their places. The path is relative to the file it is written in and leads nowhere outside its directory; it may not depend on a task. The template sees only the given values.",
		Example: `templatefile("templates/etcd-member.conf.tmpl", { name = "node4" })`,
		Impl:    bounded(templateFile(files, dir), nil),
	}}
}

func templateFile(files *Templates, dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{param("path", cty.String), value("vars")},
		Type: func(args []cty.Value) (cty.Type, error) {
			if ty := args[1].Type(); !ty.IsObjectType() && !ty.IsMapType() && ty != cty.DynamicPseudoType {
				return cty.NilType, function.NewArgErrorf(1, "an object is needed, and this is %s", TypeName(ty))
			}
			return cty.String, nil
		},
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if files == nil {
				return cty.NilVal, errors.New("templatefile cannot be used here")
			}
			tmpl, err := files.Load(dir, args[0].AsString())
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			vars := args[1]
			if !vars.IsKnown() {
				return unknownVars(tmpl, vars.Type())
			}
			values := map[string]cty.Value{}
			for it := vars.ElementIterator(); it.Next(); {
				k, v := it.Element()
				values[k.AsString()] = v
			}
			out, err := tmpl.Render(values)
			if err != nil {
				return cty.NilVal, function.NewArgError(1, err)
			}
			return out, nil
		},
	})
}

// unknownVars still finds a name that will be missing, if the type tells.
func unknownVars(tmpl *Template, ty cty.Type) (cty.Value, error) {
	if ty.IsObjectType() {
		if err := tmpl.Missing(attributeNames(ty)); err != nil {
			return cty.NilVal, function.NewArgError(1, err)
		}
	}
	return cty.UnknownVal(cty.String), nil
}
