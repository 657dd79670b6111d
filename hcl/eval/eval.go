// Package eval is what an expression of a playbook or an inventory can mean:
// the types that may be written, the strict rule by which a value meets a type,
// the kinds of string, the functions, templates, and sensitive values. It knows
// no block of the language, no task type and no host; it reads nothing but the
// template files it is told to read.
package eval
