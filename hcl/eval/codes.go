// Package eval is what an expression of a playbook or an inventory can mean:
// the types that may be written, the strict rule by which a value meets a type,
// the kinds of string, the functions, templates, and sensitive values. It knows
// no block of the language, no task type and no host; it reads nothing but the
// template files it is told to read.
package eval

// Codes of the diagnostics this package makes. A code never changes its
// meaning; the texts may.
const (
	CodeNoSuchType       = "EP4001" // a type expression names no type
	CodeTypeArguments    = "EP4002" // a type is written with the wrong arguments
	CodeTypeAny          = "EP4003" // the type any
	CodeTypeAttribute    = "EP4004" // an attribute of an object type is malformed or given twice
	CodeTypeDefault      = "EP4005" // the default of an optional attribute does not fit its type
	CodeOptionalMisplace = "EP4006" // optional() outside an object type
)
