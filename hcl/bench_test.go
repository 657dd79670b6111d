package hcl_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/hcl"
)

// long is a playbook of n tasks in phases of a hundred, each task using the one
// before it, a local and a variable.
func long(n int) string {
	var b strings.Builder
	b.WriteString("playbook \"long\" {\n  language = 1\n}\n\nvariable \"node\" {\n  type = host\n}\n\nlocals {\n  dir = \"${cluster.data_dir}/x\"\n}\n")
	for i := range n {
		if i%100 == 0 {
			if i > 0 {
				b.WriteString("}\n")
			}
			fmt.Fprintf(&b, "\nphase \"p%d\" {\n", i/100)
		}
		before := "local.dir"
		if i > 0 {
			before = fmt.Sprintf("\"${task.t%d.path}/${task.t%d.status}\"", i-1, i/2)
		}
		fmt.Fprintf(&b, "  task \"directory\" \"t%d\" {\n    on   = var.node\n    path = %s\n    mode = \"0700\"\n  }\n\n", i, before)
	}
	b.WriteString("}\n")
	return b.String()
}

func benchmarkLoad(b *testing.B, n int) {
	text := long(n)
	if _, found := loadText(text); len(found) > 0 {
		b.Fatal(found)
	}
	b.ResetTimer()
	for b.Loop() {
		if _, found := loadText(text); len(found) > 0 {
			b.Fatal(found)
		}
	}
}

func BenchmarkLoad1k(b *testing.B) { benchmarkLoad(b, 1_000) }

func BenchmarkLoad10k(b *testing.B) { benchmarkLoad(b, 10_000) }

func BenchmarkBind10k(b *testing.B) {
	p, found := loadText(long(10_000))
	if len(found) > 0 {
		b.Fatal(found)
	}
	for b.Loop() {
		if _, found := p.Bind(demo(b), hcl.Values{Vars: []string{"node=node4"}}, identity()); len(found) > 0 {
			b.Fatal(found)
		}
	}
}
