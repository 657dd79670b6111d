package syntax

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Playbook is what one playbook file says.
type Playbook struct {
	File      *File
	Header    Header
	Variables []*Variable
	Locals    []*Local
	Phases    []*Phase // in source order; tasks outside any phase stand in phases without a name
	Outputs   []*Output
	Site      *Site // what a site playbook says about its base; nil in any other

	// Base is, of a site playbook put together by Extend, the one it extends, itself
	// put together. Changes are its own and those of all below it.
	Base    *Playbook
	Changes []Change
	Dropped []*Drop
}

// Header is the playbook block.
type Header struct {
	Name            string
	Language        int
	RequiredVersion string // a constraint on the tool, "" for none
	Version         string // of the playbook, "" for none
	Description     string
	Range           hcl.Range
	VersionRange    hcl.Range // of the required version
}

// Expr is an expression with the argument it belongs to and the block it
// stands in.
type Expr struct {
	hclsyntax.Expression
	File      *File     // in which it is written
	Name      string    // of the argument
	NameRange hcl.Range // of the argument's name
	Place     diag.Place
}

// Variable is a variable block. Type and Default are nil where they are not
// written.
type Variable struct {
	Name        string
	File        *File
	Block       *hclsyntax.Block
	Type        *Expr
	Default     *Expr
	Preset      bool // the default is that of a site playbook
	Description string
	Sensitive   bool
	Nullable    bool
	Deprecated  string
	Validations []*Condition
	Range       hcl.Range
	NameRange   hcl.Range
	Place       diag.Place
}

// Local is one argument of a locals block.
type Local struct {
	Name string
	Expr *Expr
}

// Phase is a phase block.
type Phase struct {
	Name        string           // "" for the tasks between phases
	Block       *hclsyntax.Block // nil for those
	Description string
	When        *Expr
	Tasks       []*Task
	Rescue      []*Task
	Always      []*Task
	Range       hcl.Range
	NameRange   hcl.Range
	Place       diag.Place
}

// All is the phase's tasks in the order in which they are written.
func (p *Phase) All() []*Task {
	all := make([]*Task, 0, len(p.Tasks)+len(p.Rescue)+len(p.Always))
	return append(append(append(all, p.Tasks...), p.Rescue...), p.Always...)
}

// Task is a task block. Args holds every argument that is not one of all
// tasks, in the order in which they are written.
type Task struct {
	Type, Name  string
	File        *File
	Block       *hclsyntax.Block
	Description string
	Locked      bool
	Anchor      *Anchor     // of a task that a site playbook adds, else nil
	Overrides   []*Override // by site playbooks, the base's first

	On, OnEach, Parallel, Become, ForEach, When, Timeout *Expr

	Args  []*Expr
	Pre   []*Condition
	Post  []*Condition
	Retry *Retry

	Range     hcl.Range // of the header
	TypeRange hcl.Range
	NameRange hcl.Range
	Place     diag.Place
}

// Arg is the argument of that name, nil if it is not written.
func (t *Task) Arg(name string) *Expr {
	for _, a := range t.Args {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Condition is a validation, a precondition or a postcondition. Either part is
// nil if it is missing, which has been found then.
type Condition struct {
	Condition *Expr
	Message   *Expr
	Range     hcl.Range
}

// Retry is a retry block.
type Retry struct {
	Attempts, Interval, Backoff, MaxInterval, Until *Expr

	TypeRange hcl.Range
	Place     diag.Place
}

// Output is an output block.
type Output struct {
	Name        string
	File        *File
	Block       *hclsyntax.Block
	Description string
	Value       *Expr
	Sensitive   bool
	Range       hcl.Range
	NameRange   hcl.Range
	Place       diag.Place
}

// Language is the edition of the language that this package reads.
const Language = 1
