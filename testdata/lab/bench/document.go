package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// document is docs/benchmarks.md.
type document struct {
	Date      time.Time
	Machine   string
	Versions  []string
	Replace   []contender
	Snapshots snapshots
	Whole     whole
	Go        figures
}

// look writes down the machine and the versions of what is compared.
func (d *document) look(ctx context.Context, s setup) error {
	model := "unknown processor"
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	d.Machine = fmt.Sprintf("%d processors (%s), %s/%s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH)
	for _, v := range [][]string{
		{s.Etcdplay, "version"},
		{filepath.Join(s.Etcd, "etcd"), "--version"},
		{"ansible", "--version"},
		{"ssh", "-V"},
		{"systemd-nspawn", "--version"},
		{"go", "version"},
	} {
		out, err := exec.CommandContext(ctx, v[0], v[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w", v[0], err)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		d.Versions = append(d.Versions, first)
	}
	return nil
}

func (d *document) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\n`make bench-lab` measured this and wrote it, on %s, on %s; load %s.\n\n", d.Date.UTC().Format("2 January 2006"), d.Machine, load())
	fmt.Fprintf(&b, "Versions: %s.\n\n", strings.Join(d.Versions, "; "))
	d.replacement(&b)
	if d.Snapshots.Bytes > 0 {
		d.snapshots(&b)
	}
	if d.Whole.Bytes > 0 {
		d.whole(&b)
	}
	if d.Go != nil {
		d.fanOut(&b)
		d.upload(&b)
		d.program(&b)
	}
	b.WriteString(rerun)
	return b.String()
}

// load is how busy the machine was with other things besides.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	words := strings.Fields(string(b))
	text := strings.Join(words[:3], ", ")
	// The kernel's number is 20 less the niceness.
	if p, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil && p != 20 {
		text += fmt.Sprintf(", with niceness %d for what was measured, as the machine had other work", 20-p)
	}
	return text
}

func (d *document) of(name string) float64 {
	for _, c := range d.Replace {
		if c.Name == name {
			return c.median()
		}
	}
	return 0
}

func (d *document) replacement(b *strings.Builder) {
	if len(d.Replace) == 0 {
		return
	}
	var counted []int
	for _, c := range d.Replace {
		counted = append(counted, len(c.Seconds))
	}
	fmt.Fprintf(b, `## Replacing a failed member

Three hosts of the lab, each with a systemd, an sshd and a network of its own,
run one cluster. Member 2 is killed and its data spoilt. Then the clock runs:
stop the unit, remove the member, move its data aside, make the directory, add
the new member (a voter at once), write its drop-in from etcd's answer,
daemon-reload, start, and wait until all three serve a linearizable read. Start
of the program and connecting are included, except that Ansible's connections
stay open between its rounds. All take turns after one round that is not counted,
each from the same state. In some rounds the new member's etcd loses the proposal
with which it tells its name to the cluster, and is ready seven seconds later, when
it has tried again; that hits anybody, and those rounds, known by what etcd logs,
stand apart. %d or more others are counted for each.

`, slices.Min(counted))
	b.WriteString("| | median | fastest | slowest | beside the limit | processor time here | etcd waited |\n|---|--:|--:|--:|--:|--:|--:|\n")
	limit := d.of("bare")
	for _, c := range d.Replace {
		fmt.Fprintf(b, "| %s | %.2f s | %.2f s | %.2f s | %.2f × | %.2f s | %d of %d |\n",
			c.Title, c.median(), slices.Min(c.Seconds), slices.Max(c.Seconds), c.median()/limit, median(c.CPU),
			len(c.Apart), len(c.Apart)+len(c.Seconds))
	}
	own := d.of("etcdplay")
	if own == 0 || limit == 0 || d.of("bash") == 0 || d.of("ansible") == 0 {
		b.WriteString("\n")
		return
	}
	fmt.Fprintf(b, `
| goal | | |
|---|--:|---|
| at most 1.4 × the limit | %.2f × | %s |
| faster than bash | %.2f × its time | %s |
| at least 6 × faster than Ansible | %.1f × | %s |

The limit plans nothing, records nothing and looks at nothing twice. etcdplay
makes a plan of all of it first, surveys the whole cluster before each change,
takes the host over from whoever worked on it before, writes two records to disk
for each task, and reads back what it has done.

`, own/limit, met(own <= 1.4*limit), own/d.of("bash"), met(own < d.of("bash")), d.of("ansible")/own, met(d.of("ansible") >= 6*own))
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "**not met**"
}

func (d *document) fanOut(b *strings.Builder) {
	b.WriteString(`## Many hosts

Connect, look at one file and write a small one, on so many hosts, 32 at a time,
against SSH servers in one other process; beside it a bare loop over
golang.org/x/crypto/ssh that writes as carefully. The hosts' shells run on the
same machine and take most of the time of both. The memory is with all
connections open, etcdplay's half of each.

| hosts | etcdplay, a host | bare loop, a host | ratio (goal 1.3) | memory a host (goal 300 KB) |
|--:|--:|--:|--:|--:|
`)
	for _, n := range []string{"10", "100", "1000"} {
		f := d.Go["FanOut/"+n]
		fmt.Fprintf(b, "| %s | %.1f ms | %.1f ms | %.2f × | %.0f KB |\n", n, f["µs/host"]/1000, f["bare-µs/host"]/1000, f["x-bare"], f["KB/host"])
	}
	b.WriteString("\n")
}

func (d *document) upload(b *strings.Builder) {
	f := d.Go["Upload"]
	fmt.Fprintf(b, `## A large file

1 GiB of random bytes to a genuine sshd on loopback: %.0f MB/s, with size and
SHA-256 checked on the host and synced. scp, synced after: %.0f MB/s. etcdplay is
%.2f × as fast (goal 0.9: %s).

`, f["MB/s"], f["scp-MB/s"], f["x-scp"], met(f["x-scp"] >= 0.9))
}

func (d *document) program(b *strings.Builder) {
	b.WriteString("## The program itself\n\nFrom `make bench`.\n\n| | measured | goal |\n|---|--:|--:|\n")
	row := func(what, figure, goal string) { fmt.Fprintf(b, "| %s | %s | %s |\n", what, figure, goal) }
	seconds := func(name string) string { return fmt.Sprintf("%.2f s", d.Go[name]["ns/op"]/1e9) }
	millis := func(name string) string { return fmt.Sprintf("%.1f ms", d.Go[name]["ns/op"]/1e6) }
	row("load, check, bind and plan 1,000 tasks", seconds("Plan/tasks=1000"), "linear")
	row("the same, 10,000 tasks", seconds("Plan/tasks=10000"), "2 s")
	row("engine's cost of a task, two records on disk included", millis("Task"), "2 ms and the disk")
	row("`etcdplay version`", millis("Command/version"), "50 ms")
	row("`etcdplay validate replace-member`", millis("Command/validate"), "100 ms")
	row("size of the binary", fmt.Sprintf("%.1f MB", d.Go["Command/version"]["MB-binary"]), "45 MB")
	row("replace-member in a sandbox", seconds("Replace"), "")
	row("memory of that run at its highest", fmt.Sprintf("%.0f MB", d.Go["Replace"]["MB-peak"]), "100 MB")
	b.WriteString("\n")
}

const rerun = "## Again\n\n" +
	"    make bench-lab\n\n" +
	"as root on Linux, with ansible-core, mmdebstrap and systemd-container installed;\n" +
	"it takes about twenty minutes. `LAB_ETCD=3.5` chooses another etcd. The programs that\n" +
	"are compared lie in [testdata/lab/bench](../testdata/lab/bench). It removes\n" +
	"everything that it made but what is cached for the next time.\n"
