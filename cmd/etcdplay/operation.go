package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/inventory"
	"github.com/etcdplay/etcdplay/playbooks"
	"github.com/etcdplay/etcdplay/tasks"
	"github.com/etcdplay/etcdplay/tasks/etcd"
)

// target is what a playbook is bound to: the flags that plan and run share.
type target struct {
	inventory string
	cluster   string
	vars      []string // NAME=VALUE
	varsFiles []string
}

func (t *target) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&t.inventory, "inventory", "i", "", "inventory `FILE`; else $ETCDPLAY_INVENTORY, else inventory.hcl beside the playbook or here")
	f.StringVar(&t.cluster, "cluster", "", "`NAME` of the cluster, where the inventory has several")
	f.StringArrayVar(&t.vars, "var", nil, "the value of a variable, `NAME=VALUE`; may be repeated")
	f.StringArrayVar(&t.varsFiles, "vars-file", nil, "`FILE` of values; may be repeated")
}

// operation is a playbook bound to a cluster, and what else is needed to plan
// or run it.
type operation struct {
	program    *engine.Program
	sources    map[string][]byte // every file that was read, by the name it was given
	scrub      *engine.Scrubber
	invocation engine.Invocation
	hosts      *hosts
}

// roomy is how much garbage, in percent of what is in use, is let lie before it
// is collected. A run uses a few MB and is over in a second or two, of which it
// would otherwise spend a good part on collecting, beside hosts that wait.
const roomy = 400

// prepare reads and checks everything that was given; it contacts nothing.
func (a *app) prepare(ref string, t target, id engine.Identity) (*operation, error) {
	if a.env["GOGC"] == "" {
		debug.SetGCPercent(roomy)
	}
	pb, _, err := a.load(ref)
	if err != nil {
		return nil, err
	}
	path, err := t.findInventory(ref, a.env["ETCDPLAY_INVENTORY"])
	if err != nil {
		return nil, err
	}
	sources := pb.Sources()
	inv, ds, err := readInventory(path, sources)
	if err != nil {
		return nil, err
	}
	a.findings(ds, sources)
	src := sources[path]
	program, ds := pb.Bind(inv, hcl.Values{Files: t.varsFiles, Env: a.environ, Vars: t.vars, Cluster: t.cluster}, id)
	// By now it has read files of values too.
	sources = pb.Sources()
	sources[path] = src
	if err := found(ds, sources); err != nil {
		return nil, err
	}
	a.findings(ds, sources)

	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	scrub := &engine.Scrubber{}
	op := &operation{
		program: program, sources: sources, scrub: scrub, hosts: &hosts{specs: program.Hosts, login: a.login(scrub)},
		invocation: engine.Invocation{Tool: version, Dir: dir, Playbook: ref, Inventory: path, Cluster: t.cluster, VarsFiles: t.varsFiles},
	}
	for _, in := range program.Inputs {
		if !in.Sensitive {
			if i := slices.IndexFunc(t.vars, func(v string) bool { return strings.HasPrefix(v, in.Name+"=") }); i >= 0 {
				op.invocation.Vars = append(op.invocation.Vars, t.vars[i])
			}
			continue
		}
		op.scrub.AddValue(in.Value.Mark(engine.Sensitive))
	}
	// Where it cannot be read, the first task that needs it says so.
	if password, err := etcd.Password(program.Cluster.Auth); err == nil {
		op.scrub.Add(password)
	}
	a.screen.Scrub(op.scrub.String)
	return op, nil
}

// load reads and checks a playbook, a file or one that comes with the program,
// and returns it with its path.
func (a *app) load(ref string) (*hcl.Playbook, string, error) {
	path, read, err := open(ref)
	if err != nil {
		return nil, "", err
	}
	pb, ds := hcl.Load(path, hcl.Options{Types: tasks.Types(), ToolVersion: version, ReadFile: read, Shipped: playbooks.FS})
	sources := map[string][]byte{}
	if pb != nil {
		sources = pb.Sources()
	} else if src, err := readShipped(path); err == nil {
		sources[path] = src
	}
	if err := found(ds, sources); err != nil {
		return nil, path, err
	}
	a.findings(ds, sources)
	return pb, path, nil
}

// embedded is the folder that shipped playbooks seem to lie in.
const embedded = "playbooks/"

// open finds the playbook that ref means, and how its files are read; nil means
// from disk.
func open(ref string) (path string, read func(string) ([]byte, error), err error) {
	if info, err := os.Stat(ref); err == nil && !info.IsDir() {
		return ref, nil, nil
	}
	name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(ref), embedded), ".hcl") + ".hcl"
	if slices.Contains(shipped(), name) {
		return embedded + name, readShipped, nil
	}
	if _, err := readInput(ref); !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	var names []string
	for _, n := range shipped() {
		names = append(names, strings.TrimSuffix(n, ".hcl"))
	}
	hint := "Shipped are: " + strings.Join(names, ", ") + "."
	return "", nil, wrong(hint, "There is no file %s, and no playbook of that name comes with the program.%s", ref, diag.DidYouMean(strings.TrimSuffix(name, ".hcl"), names))
}

// readShipped reads a file that comes with the program, and any other from disk:
// a file of values lies there also when the playbook does not.
func readShipped(path string) ([]byte, error) {
	if name, ok := strings.CutPrefix(filepath.ToSlash(path), embedded); ok {
		if src, err := fs.ReadFile(playbooks.FS, name); err == nil {
			return src, nil
		}
	}
	return readInput(path)
}

// shipped is the file names of the playbooks that come with the program.
func shipped() []string {
	names, err := fs.Glob(playbooks.FS, "*.hcl")
	if err != nil {
		panic(err) // the pattern is ours
	}
	return names
}

func completePlaybooks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, name := range shipped() {
		names = append(names, strings.TrimSuffix(name, ".hcl"))
	}
	return names, cobra.ShellCompDirectiveDefault
}

// findInventory is the inventory to use with the playbook.
func (t *target) findInventory(playbook, fromEnv string) (string, error) {
	if given := cmp.Or(t.inventory, fromEnv); given != "" {
		return given, nil
	}
	const name = "inventory.hcl"
	for _, path := range []string{filepath.Join(filepath.Dir(playbook), name), name} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", wrong("Give one with --inventory FILE or in ETCDPLAY_INVENTORY. etcdplay sandbox up makes a cluster to try things on, with its inventory.",
		"There is no inventory: no %s beside the playbook or here.", name)
}

// readInventory reads an inventory, adds its text to the sources, and returns what
// else is to be said of it.
func readInventory(path string, sources map[string][]byte) (*inventory.Inventory, engine.Diagnostics, error) {
	src, err := readInput(path)
	if err != nil {
		return nil, nil, err
	}
	sources[path] = src
	inv, ds := inventory.Load(path, src)
	if err := found(ds, sources); err != nil {
		return nil, nil, err
	}
	return inv, ds, nil
}

// missingError is a file that the operator gave and that is not there.
type missingError struct{ path string }

func (e *missingError) Error() string   { return "there is no file " + e.path }
func (e *missingError) Unwrap() []error { return []error{engine.ErrInput, fs.ErrNotExist} }

// readInput reads a file that the operator gave. A folder or a pipe is refused,
// so that no command hangs on one.
func readInput(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &missingError{path}
	case err != nil:
		return nil, fmt.Errorf("%w: %w", engine.ErrInput, err)
	case info.IsDir():
		return nil, fmt.Errorf("%w: %s is a folder, and a file is wanted", engine.ErrInput, path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is not a regular file", engine.ErrInput, path)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrInput, err)
	}
	return src, nil
}
