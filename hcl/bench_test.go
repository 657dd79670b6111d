package hcl_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/hcl"
)

// long is a playbook of n tasks in phases of a hundred, each task using the one
// before it, a variable and a local. It is written tightly, since 10,000 tasks
// have to fit into the size of a file.
func long(n int) string {
	var b strings.Builder
	b.WriteString("playbook \"long\" {\n  language = 1\n}\n\nvariable \"n\" {\n  type = host\n}\n\nlocals {\n  d = \"${cluster.data_dir}/x\"\n}\n")
	for i := range n {
		if i%100 == 0 {
			if i > 0 {
				b.WriteString("}\n")
			}
			fmt.Fprintf(&b, "phase \"p%d\" {\n", i/100)
		}
		before := "local.d"
		if i > 0 {
			before = fmt.Sprintf("\"${task.t%d.path}x\"", i-1)
		}
		fmt.Fprintf(&b, "task \"directory\" \"t%d\" {\non = var.n\npath = %s\n}\n", i, before)
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
		if _, found := p.Bind(demo(b), hcl.Values{Vars: []string{"n=node4"}}, identity()); len(found) > 0 {
			b.Fatal(found)
		}
	}
}
