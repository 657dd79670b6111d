package eval

import (
	"math/big"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/etcdplay/etcdplay/hcl/clct"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

func clctFunctions() []Function {
	const of = "The object has the keys of the section etcd of a Container Linux Config, version among them; what is null is left out. A key that this version has not, and what etcd would not start with, is an error."
	return []Function{
		{
			Name: "clct::dropin", Group: "clct::", Signature: "clct::dropin(etcd object) string",
			Doc:     "The drop-in that the Container Linux Config Transpiler makes of these settings, with % and $ in values escaped, so that systemd leaves them alone. " + of,
			Example: `clct::dropin({ name = "node4" })`,
			Yields:  `"[Service]\nExecStart=\nExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS \\\n  --name=\"node4\""`,
			Impl: bounded(ofSettings(func(c *clct.Config) (string, error) {
				return escapedDropin(c)
			}), nil),
		},
		{
			Name: "clct::config", Group: "clct::", Signature: "clct::config(etcd object) string",
			Doc:     "A Container Linux Config with these settings, for a machine that is still to be provisioned. % and $ in values are written twice, as systemd needs them and the transpiler does not write them. " + of,
			Example: `clct::config({ name = "node4", initial_cluster_state = "existing" })`,
			Yields:  `"etcd:\n  name: \"node4\"\n  initial_cluster_state: \"existing\"\n"`,
			Impl:    bounded(ofSettings(func(c *clct.Config) (string, error) { return c.YAML(), nil }), nil),
		},
		{
			Name: "butane::config", Group: "butane::", Signature: "butane::config(etcd object) string",
			Doc:     "A Butane config of Flatcar with the drop-in of clct::dropin: Butane has no section etcd of its own. " + of,
			Example: `length(split("\n", butane::config({ name = "node4" })))`, Yields: "14",
			Impl: bounded(ofSettings(func(c *clct.Config) (string, error) {
				dropin, err := escapedDropin(c)
				return clct.Butane(dropin), err
			}), nil),
		},
	}
}

func escapedDropin(c *clct.Config) (string, error) {
	dropin, found := c.Dropin(clct.Rendering{Escape: true})
	if found.HasErrors() {
		return "", wrongf("braces stand for something that only a platform knows, and there is none here; write the value itself")
	}
	return dropin, nil
}

// ofSettings is a function of an object whose attributes are the keys of the
// etcd section.
func ofSettings(write func(*clct.Config) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{value("etcd")},
		Type: func(args []cty.Value) (cty.Type, error) {
			if ty := args[0].Type(); !ty.IsObjectType() && ty != cty.DynamicPseudoType {
				return cty.NilType, function.NewArgErrorf(0, "an object is needed, and this is %s", TypeName(ty))
			}
			return cty.String, nil
		},
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[0].IsWhollyKnown() {
				return cty.UnknownVal(cty.String), nil
			}
			version, values, err := settings(args[0])
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			c, err := clct.New(clct.Flatcar, version, values)
			if err != nil {
				return cty.NilVal, function.NewArgError(0, wrong(err.Error()))
			}
			s, err := write(c)
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			return cty.StringVal(s), nil
		},
	})
}

// settings takes an object apart. It has only known values.
func settings(v cty.Value) (version string, values map[string]any, err error) {
	values = map[string]any{}
	for _, name := range attributeNames(v.Type()) {
		switch a := v.GetAttr(name); {
		case a.IsNull():
		case name == "version" && a.Type() == cty.String:
			version = a.AsString()
		case name == "version":
			return "", nil, wrong("version must be a string such as \"3.3.1\"")
		case a.Type() == cty.String:
			values[name] = a.AsString()
		case a.Type() == cty.Bool:
			values[name] = a.True()
		case a.Type() == cty.Number:
			n, acc := a.AsBigFloat().Int64()
			if acc != big.Exact {
				return "", nil, wrongf("%s: %s is not a whole number that etcd could take", name, diag.Value(a, ""))
			}
			values[name] = n
		default:
			return "", nil, wrongf("%s: a string, a number or a bool is needed, and this is %s", name, TypeName(a.Type()))
		}
	}
	return version, values, nil
}
