package check

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/syntax"
)

// writtenTwice warns of a task that writes a file which an earlier one has
// written on the same host in the same phase: the first content is lost. Two tasks
// write the same file if the words that name it, and the host, are the same, and
// they run under the same conditions; what is only known in a run is not compared.
// A later phase may well write a file anew: a cluster that has formed is configured
// otherwise than one that is to form.
func (c *checker) writtenTwice() {
	if c.Faulty || c.found.HasErrors() {
		return
	}
	type file struct {
		phase *syntax.Phase
		words string
	}
	writers := map[file]*Task{}
	for _, t := range c.out.Tasks {
		f := file{t.Phase, written(t)}
		if f.words == "" {
			continue
		}
		first := writers[f]
		if first == nil {
			writers[f] = t
			continue
		}
		c.add(diag.Warn(diag.New(diag.WrittenTwice, "File written twice", t.Range, t.Place,
			"Task %q writes the file that task %q has written at %s line %d, on the same host, so what that one wrote is lost. "+
				"Write the file once, or say with when which of the two is wanted.",
			t.Name, first.Name, first.Range.Filename, first.Range.Start.Line)))
	}
}

// written is what tells the file that the task writes from others; "" if the task
// writes none, or only perhaps.
func written(t *Task) string {
	if t.Type == nil || len(t.Type.Writes) == 0 || t.In != engine.InPhase || t.ForEach != nil || t.Arg("state") != nil {
		return ""
	}
	var b strings.Builder
	part := func(name string, x *syntax.Expr) {
		if x != nil {
			fmt.Fprintf(&b, "%s = %s\n", name, bytes.Join(bytes.Fields(x.Range().SliceBytes(x.File.Source)), []byte(" ")))
		}
	}
	for _, name := range t.Type.Writes {
		part(name, t.Arg(name))
	}
	part("on", t.On)
	part("on_each", t.OnEach)
	part("when", t.When)
	return b.String()
}
