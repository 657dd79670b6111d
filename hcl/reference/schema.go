package reference

import (
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// The shape of what Schema yields. Readers of it may rely on these fields;
// others may be added.
type (
	schema struct {
		Language  int        `json:"language"`
		Types     []taskType `json:"task_types"`
		Task      []Argument `json:"task_arguments"` // of every task
		Blocks    []Block    `json:"blocks"`
		Names     []Name     `json:"names"`
		Functions []function `json:"functions"`
	}
	taskType struct {
		Name      string     `json:"name"`
		Doc       string     `json:"doc"`
		Effect    string     `json:"effect"`
		Where     string     `json:"where"`
		Retryable bool       `json:"retryable"`
		Timeout   string     `json:"timeout,omitempty"`
		Arguments []Argument `json:"arguments"`
		Results   []result   `json:"results"`
		Example   string     `json:"example"`
	}
	result struct {
		Name      string `json:"name"`
		Type      string `json:"type"`
		Sensitive bool   `json:"sensitive,omitempty"`
		Doc       string `json:"doc"`
	}
	function struct {
		Name      string `json:"name"`
		Group     string `json:"group"`
		Signature string `json:"signature"`
		Doc       string `json:"doc"`
		Example   string `json:"example"`
		Yields    string `json:"yields,omitempty"`
	}
)

// Schema is the language as data for editors, to be marshalled as JSON: types,
// blocks, names and functions, in the order of the reference.
func Schema(types []*engine.Type) any {
	s := schema{Language: syntax.Language, Task: TaskArguments(), Blocks: Blocks(), Names: Names()}
	for _, t := range types {
		s.Types = append(s.Types, typeSchema(t))
	}
	for _, f := range eval.Functions() {
		s.Functions = append(s.Functions, function{f.Name, f.Group, f.Signature, f.Doc, f.Example, f.Yields})
	}
	return s
}

func typeSchema(t *engine.Type) taskType {
	out := taskType{
		Name: t.Name, Doc: t.Doc, Effect: string(t.Effect), Where: string(t.Where), Retryable: t.Retryable,
		Arguments: arguments(t), Example: example(t),
		Results: []result{{Name: "status", Type: "string", Doc: `"ok", "skipped" or "failed".`}},
	}
	if t.Timeout > 0 {
		out.Timeout = duration(t.Timeout)
	}
	for _, r := range t.Results {
		out.Results = append(out.Results, result{r.Name, eval.TypeText(r.Type), r.Sensitive, r.Doc})
	}
	return out
}
