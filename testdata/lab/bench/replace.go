package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// contender is a way to replace a member, and how long it took.
type contender struct {
	Name, Title string
	Seconds     []float64
	CPU         []float64 // seconds of this machine's processors, user and system, without the hosts
	Apart       []float64 // seconds of the rounds in which etcd itself waited
	Argv        []string  `json:"-"`
	Env         []string  `json:"-"`
}

func (c contender) median() float64 { return median(c.Seconds) }

func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(all))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// failed is the host whose member is replaced.
const failed = 2

func hostName(n int) string    { return fmt.Sprintf("demo-etcd-%d", n) }
func hostAddress(n int) string { return fmt.Sprintf("10.240.0.%d", n) }

// measureInside forms a cluster on the three hosts and replaces its member again
// and again, by turns; then it fills the cluster, saves and restores snapshots,
// and restores the whole of it. The figures go into files in the lab's folder.
func measureInside(ctx context.Context, s setup) error {
	c, err := form(ctx, s)
	if err != nil {
		return err
	}
	defer c.close()
	all, err := contenders(s)
	if err != nil {
		return err
	}
	if s.Only != "" {
		all = slices.DeleteFunc(all, func(c contender) bool { return !slices.Contains(strings.Split(s.Only, ","), c.Name) })
	}
	if s.Rounds > 0 {
		if err := c.measureReplacement(ctx, s, all); err != nil {
			return err
		}
	}
	if s.Snapshot == 0 {
		return nil
	}
	keys, err := c.fill(ctx, s.Snapshot)
	if err != nil {
		return err
	}
	if s.Turns > 0 {
		if err := c.measureSnapshot(ctx, s); err != nil {
			return err
		}
	}
	return c.measureWhole(ctx, s, keys)
}

// measureReplacement has all replace the member by turns.
func (c *cluster) measureReplacement(ctx context.Context, s setup, all []contender) error {
	// The first round warms up: caches of the machine and of the hosts, and
	// Ansible's connections, which persist.
	short := func(c contender) bool { return len(c.Seconds) < s.Rounds }
	for round := 0; slices.ContainsFunc(all, short) && round < 3*s.Rounds; round++ {
		for i := range all {
			which := &all[(round+i)%len(all)]
			took, cpu, err := c.round(ctx, *which)
			if err != nil {
				return fmt.Errorf("%s: %w", which.Name, err)
			}
			waited, err := c.waited(took)
			if err != nil {
				return err
			}
			words := ""
			if waited {
				words = ", etcd waited"
			}
			fmt.Fprintf(os.Stderr, "round %d  %-8s %.3f s%s\n", round, which.Name, took, words)
			switch {
			case round == 0:
			case waited:
				which.Apart = append(which.Apart, took)
			default:
				which.Seconds = append(which.Seconds, took)
				which.CPU = append(which.CPU, cpu)
			}
		}
	}
	if i := slices.IndexFunc(all, func(c contender) bool { return len(c.Seconds) == 0 }); i >= 0 {
		return fmt.Errorf("%s: etcd waited in each of %d rounds", all[i].Name, len(all[i].Apart))
	}
	return writeJSON(filepath.Join(s.Lab, "results.json"), all)
}

// waited reports whether the new member's etcd lost the proposal with which it
// tells its name to the cluster, and waited the seven seconds after which it
// proposes it again, before it said that it was ready. took is the seconds of the
// round that is just over.
func (c *cluster) waited(took float64) (bool, error) {
	out, err := c.output(failed, fmt.Sprintf(`journalctl -q -o cat -u etcd-member --since=-%ds | grep -c "failed to publish local member" || true`, int(took)+1), "")
	return strings.TrimSpace(out) != "0", err
}

// writeJSON hands a result over to the process outside the lab.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// contenders are the ways that are compared.
func contenders(s setup) ([]contender, error) {
	key, known, name, addr := filepath.Join(s.Lab, "id"), filepath.Join(s.Lab, "known_hosts"), hostName(failed), hostAddress(failed)
	path := "PATH=" + s.Etcd + ":" + os.Getenv("PATH")
	state := "XDG_STATE_HOME=" + filepath.Join(s.Lab, "state")
	inventory := filepath.Join(s.Lab, "inventory.hcl")
	var b strings.Builder
	fmt.Fprintf(&b, "inventory {\n  language = 1\n}\n\nconnection \"ssh\" {\n  user           = \"root\"\n  identity_files = [%q]\n  known_hosts    = %q\n  become         = \"none\"\n}\n\n", key, known)
	fmt.Fprintf(&b, "cluster \"demo\" {\n  token   = \"demo-etcd-token\"\n  members = [%q, %q, %q]\n}\n", hostName(1), hostName(2), hostName(3))
	for n := 1; n <= 3; n++ {
		fmt.Fprintf(&b, "\nhost %q {\n  address = %q\n}\n", hostName(n), hostAddress(n))
	}
	if err := os.WriteFile(inventory, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	hosts := filepath.Join(s.Lab, "hosts.ini")
	ini := fmt.Sprintf("[failed]\n%s ansible_host=%s ansible_user=root ansible_ssh_private_key_file=%s ansible_ssh_common_args='-o UserKnownHostsFile=%s'\n",
		name, addr, key, known)
	if err := os.WriteFile(hosts, []byte(ini), 0o600); err != nil {
		return nil, err
	}
	by := []string{name, addr, key, known, hostAddress(1), hostAddress(3)}
	run := []string{"-i", inventory, "--var", "failed=" + name, "--yes"}
	return []contender{
		{
			Name: "etcdplay", Title: "etcdplay, the same work ([replace.hcl](../" + here + "/replace.hcl))", Env: []string{state},
			Argv: append([]string{s.Etcdplay, "run", filepath.Join(here, "replace.hcl")}, run...),
		},
		{
			Name: "bash", Title: "bash by hand, one ssh connection, etcdctl ([replace.sh](../" + here + "/replace.sh))", Env: []string{path},
			Argv: append([]string{filepath.Join(here, "replace.sh")}, by...),
		},
		{
			Name: "ansible", Title: "Ansible, pipelining, warm connections ([replace.yml](../" + here + "/replace.yml))",
			Env: []string{
				path, "ANSIBLE_CONFIG=" + filepath.Join(here, "ansible.cfg"), "ANSIBLE_SSH_CONTROL_PATH_DIR=" + filepath.Join(s.Lab, "cp"),
				"ANSIBLE_LOCAL_TEMP=" + filepath.Join(s.Lab, "ansible"),
			},
			Argv: []string{"ansible-playbook", "-i", hosts, filepath.Join(here, "replace.yml"), "-e", "survivors=http://" + hostAddress(1) + ":2379,http://" + hostAddress(3) + ":2379"},
		},
		{
			Name: "bare", Title: "the limit: bare Go, no checks ([bare](../" + here + "/bare/main.go))",
			Argv: append([]string{s.Bare}, by...),
		},
		{
			Name: "shipped", Title: "etcdplay, the shipped replace-member: learner, promotion, proofs", Env: []string{state},
			Argv: append([]string{s.Etcdplay, "run", "replace-member"}, run...),
		},
	}, nil
}

// round wrecks the member, lets the contender replace it, and makes sure that it
// did.
func (c *cluster) round(ctx context.Context, by contender) (took, cpu float64, err error) {
	before, err := c.wreck(ctx)
	if err != nil {
		return 0, 0, err
	}
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limited, by.Argv[0], by.Argv[1:]...)
	cmd.Env = append(os.Environ(), by.Env...)
	// Ansible's warm ssh goes on in the background, with the output of whoever
	// started it; a file is nothing that anybody would wait for.
	log, err := os.Create(filepath.Join(c.lab, "log"))
	if err != nil {
		return 0, 0, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	begun := time.Now()
	err = cmd.Run()
	took = time.Since(begun).Seconds()
	if err != nil {
		said, _ := os.ReadFile(log.Name()) // without it, the error alone is told
		return 0, 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(said))
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		cpu = (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
	}
	return took, cpu, c.replaced(ctx, before)
}
