package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// figures is what Go's benchmarks print: by benchmark, by unit.
type figures map[string]map[string]float64

// goBenchmark is one call of go test.
type goBenchmark struct{ pkg, bench, time string }

var goBenchmarks = []goBenchmark{
	{"./engine/conn/ssh", "^BenchmarkFanOut$/^10$", "5x"},
	{"./engine/conn/ssh", "^BenchmarkFanOut$/^100$", "3x"},
	{"./engine/conn/ssh", "^BenchmarkFanOut$/^1000$", "1x"},
	{"./engine/conn/ssh", "^BenchmarkUpload$", "2x"},
	{"./cmd/etcdplay", "^(BenchmarkPlan|BenchmarkCommand)$", "3x"},
	{"./cmd/etcdplay", "^BenchmarkReplace$", "3x"},
	{"./engine", "^BenchmarkTask$", "200x"},
}

func (g goBenchmark) run(ctx context.Context) (figures, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", g.bench, "-benchtime", g.time, "-timeout", "10m", g.pkg)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, os.Stderr), os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", g.pkg, g.bench, err)
	}
	return parse(out.String()), nil
}

// parse reads lines like
//
//	BenchmarkPlan/tasks=1000-2   3   1234 ns/op   1.2 µs/task
func parse(out string) figures {
	all := figures{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(words[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i] // the number of processors
		}
		units := map[string]float64{}
		for i := 2; i+1 < len(words); i += 2 {
			if v, err := strconv.ParseFloat(words[i], 64); err == nil {
				units[words[i+1]] = v
			}
		}
		all[name] = units
	}
	return all
}

func measureGo(ctx context.Context) (figures, error) {
	all := figures{}
	for _, g := range goBenchmarks {
		f, err := g.run(ctx)
		if err != nil {
			return nil, err
		}
		for name, units := range f {
			all[name] = units
		}
	}
	return all, nil
}
