package hcl

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/eval"
)

// Variable is one variable of a playbook, for listings.
type Variable struct {
	Name        string
	Type        string    // as an author writes it: list(host)
	Default     cty.Value // cty.NilVal if a value must be given
	Description string
	Sensitive   bool
	Nullable    bool
	Deprecated  string // what to use instead, "" if it is not
}

// Variables lists the playbook's variables in their written order.
func (p *Playbook) Variables() []Variable {
	list := make([]Variable, 0, len(p.Playbook.Variables))
	for _, v := range p.Playbook.Variables {
		list = append(list, Variable{
			Name: v.Name, Type: eval.TypeText(v.Type), Default: v.Default, Description: v.Description,
			Sensitive: v.Sensitive, Nullable: v.Nullable, Deprecated: v.Deprecated,
		})
	}
	return list
}
