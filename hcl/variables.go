package hcl

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/inventory"
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

// Inputs is the value of every variable that has one, and where it comes from.
// Without an inventory, nil, no value can name a host. Whether the values pass
// their validations is not looked at; with errors in the playbook there are none.
func (p *Playbook) Inputs(inv *inventory.Inventory, v Values) ([]engine.Input, engine.Diagnostics) {
	if !p.valid {
		return nil, nil
	}
	var b binder
	if inv != nil {
		var found engine.Diagnostics
		if b, found = newBinder(inv, v.Cluster); found.HasErrors() {
			return nil, found
		}
	}
	a := &assigner{binder: b, p: p, given: map[string]engine.Input{}, partial: true}
	return a.assign(v)
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
