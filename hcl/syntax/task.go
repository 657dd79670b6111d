package syntax

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Reserved are the arguments that every task has, so that no task type can
// have one of that name.
func Reserved() []string {
	return []string{"description", "on", "on_each", "parallel", "become", "for_each", "when", "timeout", "locked", "before", "after"}
}

func (d *decoder) task(b *hclsyntax.Block) *Task {
	place := diag.Place{In: title(b)}
	if len(b.Labels) == 2 {
		place.Task = "task." + b.Labels[1]
	}
	o := d.open(b, place)
	labels, ok := o.labels("TYPE", "NAME")
	if !ok {
		return nil
	}
	t := &Task{
		Type: labels[0], Name: labels[1], File: d.file, Block: b,
		Range: header(b), TypeRange: b.LabelRanges[0], NameRange: b.LabelRanges[1],
		Place: place,
	}
	o.named("task", t.Name, t.NameRange)
	d.taskBody(o, t)
	d.placed(t)
	return t
}

// taskBody reads what a task and an override have in common.
func (d *decoder) taskBody(o *block, t *Task) {
	b := o.Block
	t.Description, _ = o.text("description")
	t.Locked = o.flag("locked")
	for _, a := range sorted(b.Body) {
		e := o.attrs[a.Name]
		switch a.Name {
		case "description", "locked":
		case "on":
			t.On = e
		case "on_each":
			t.OnEach = e
		case "parallel":
			t.Parallel = e
		case "become":
			t.Become = e
		case "for_each":
			t.ForEach = e
		case "when":
			t.When = e
		case "timeout":
			t.Timeout = e
		case "before", "after":
			d.anchor(t, e)
		default:
			t.Args = append(t.Args, e)
		}
	}
	d.taskBlocks(b, t)
}

func (d *decoder) taskBlocks(b *hclsyntax.Block, t *Task) {
	for _, inner := range b.Body.Blocks {
		switch inner.Type {
		case "precondition":
			t.Pre = append(t.Pre, d.condition(inner, t.Place))
		case "postcondition":
			t.Post = append(t.Post, d.condition(inner, t.Place))
		case "retry":
			if t.Retry != nil {
				d.add(diag.New(diag.DuplicateBlock, "Block given twice", header(inner), t.Place, "retry stands at line %d already.", t.Retry.TypeRange.Start.Line))
				continue
			}
			o := d.open(inner, t.Place, "attempts", "interval", "backoff", "max_interval", "until")
			o.closed()
			o.labels()
			t.Retry = &Retry{
				Attempts: o.require("attempts"), Interval: o.require("interval"),
				Backoff: o.attrs["backoff"], MaxInterval: o.attrs["max_interval"], Until: o.attrs["until"],
				TypeRange: inner.TypeRange, Place: t.Place,
			}
		case "rescue", "always":
			d.add(diag.New(diag.UnsupportedBlock, "Unsupported block", inner.TypeRange, t.Place,
				"%s belongs to a phase, not to a task: phase \"NAME\" { task … %s { task … } }.", inner.Type, inner.Type))
		default:
			if _, isArg := map[string]bool{"env": true, "with": true}[inner.Type]; isArg {
				d.add(diag.New(diag.UnsupportedBlock, "Unsupported block", inner.TypeRange, t.Place,
					"%s is an argument, not a block. Write %s = { … }.", inner.Type, inner.Type))
				continue
			}
			d.unsupportedBlock(inner, t.Place, "A task", []string{"precondition", "postcondition", "retry"})
		}
	}
}
