package eval

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// evaluate yields the value of one expression with the names given.
func evaluate(t *testing.T, src string, names map[string]cty.Value) (cty.Value, error) {
	t.Helper()
	expr, diags := hclsyntax.ParseExpression([]byte(src), "test.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %s", src, diags.Error())
	}
	v, diags := expr.Value(&hcl.EvalContext{Variables: names, Functions: Table(nil, "")})
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	return v, nil
}

// The examples of the reference are true.
func TestExamples(t *testing.T) {
	for _, f := range Functions() {
		t.Run(f.Name, func(t *testing.T) {
			if f.Group == "" || f.Doc == "" || f.Signature == "" || f.Example == "" {
				t.Errorf("%s has no full reference: %+v", f.Name, f)
			}
			if f.Yields == "" {
				return
			}
			v, err := evaluate(t, f.Example, nil)
			if err != nil {
				t.Fatalf("%s: %v", f.Example, err)
			}
			if got := Text(v, ""); got != f.Yields {
				t.Errorf("%s\ngot  %s\nwant %s", f.Example, got, f.Yields)
			}
		})
	}
}
