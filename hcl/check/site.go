package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/scope"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// dropped reports whether a reference is to a task that a site playbook took out.
// Used by the file that dropped it the reference is wrong, used by its base the
// drop is.
func (c *checker) dropped(x *syntax.Expr, r scope.Reference) bool {
	i := slices.IndexFunc(c.Playbook.Dropped, func(d *syntax.Drop) bool { return d.Name == r.Name })
	if i < 0 {
		return false
	}
	d := c.Playbook.Dropped[i]
	if below(c.Playbook, d.File, x.File) {
		at := fmt.Sprintf("%s line %d", r.Range.Filename, r.Range.Start.Line)
		if !slices.Contains(c.missed[d], at) {
			c.missed[d] = append(c.missed[d], at)
		}
		return true
	}
	c.add(diag.New(diag.UnknownTask, "Unknown task", r.Range, x.Place,
		"Task %q is dropped at %s line %d, so it has no results.", r.Name, d.Range.Filename, d.Range.Start.Line))
	return true
}

// below reports whether a file is one that the site playbook in file extends.
func below(p *syntax.Playbook, site, file *syntax.File) bool {
	for p != nil && p.File != site {
		p = p.Base
	}
	for p != nil {
		if p = p.Base; p != nil && p.File == file {
			return true
		}
	}
	return false
}

// drops finds the tasks that the base cannot do without.
func (c *checker) drops() {
	for _, d := range c.Playbook.Dropped {
		uses := c.missed[d]
		if len(uses) == 0 {
			continue
		}
		if more := len(uses) - 3; more > 1 {
			uses = append(uses[:3:3], fmt.Sprintf("%d more places", more))
		}
		if n := len(uses); n > 1 {
			uses = append(uses[:n-2:n-2], uses[n-2]+" and "+uses[n-1])
		}
		c.add(diag.New(diag.DroppedUsed, "Dropped task is needed", d.Range, d.Place,
			"The results of task %q are used at %s. Override or drop what uses them too, or leave the task in; with when = false in an override it is skipped, and its results are null.",
			d.Name, strings.Join(uses, ", ")))
	}
}
