package engine

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/etcdplay/etcdplay/engine/journal"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Run carries out p. The plan is the one that was shown: a task whose known
// values have changed since stops the run before it acts, unless
// opts.AcceptDrift. With a nil plan nothing is compared.
func Run(ctx context.Context, p *Program, env Env, plan *Plan, opts RunOptions) Outcome {
	r := newRunner(p, env, opts.Stop, opts.Scrub)
	r.acceptDrift = opts.AcceptDrift
	if plan != nil {
		r.planned = map[string]*Entry{}
		for i := range plan.Entries {
			r.planned[plan.Entries[i].Address] = &plan.Entries[i]
		}
	}
	release, err := r.begin(opts)
	defer release()
	if err != nil {
		return r.notBegun(err)
	}
	return r.run(ctx)
}

// begin makes the run's folder and the journal's beginning. release is to be
// called in any case.
func (r *runner) begin(opts RunOptions) (release func(), err error) {
	p, id := r.program, r.env.Identity
	lock, err := lockCluster(opts.StateDir, p.Cluster, r.holder("run"))
	if err != nil {
		return func() {}, err
	}
	dir := runDir(opts.StateDir, id.ID)
	killPoint("begin before")
	if r.journal, err = journal.Create(dir); err != nil {
		return lock.release, fmt.Errorf("%w: %w", ErrState, err)
	}
	release = func() {
		_ = r.journal.Close() // every record is on disk already
		lock.release()
	}
	inv := opts.Invocation
	inv.Vars = nil
	for _, v := range opts.Invocation.Vars {
		inv.Vars = append(inv.Vars, r.scrub.String(v))
	}
	head, err := headOf(p, id, inv)
	if err != nil {
		return release, err
	}
	if err := keepCopies(dir, opts.Copies); err != nil {
		return release, fmt.Errorf("%w: %w", ErrState, err)
	}
	tearPoint("begin torn", func() { _ = r.journal.Tear(head) })
	if err := r.record(head); err != nil {
		return release, err
	}
	killPoint("begin after")
	if err := r.incarnate("run"); err != nil {
		return release, err
	}
	if r.acceptDrift {
		return release, r.override("differences between plan and run")
	}
	return release, nil
}

func newRunner(p *Program, env Env, stop <-chan struct{}, scrub *Scrubber) *runner {
	if scrub == nil {
		scrub = &Scrubber{}
	}
	for _, in := range p.Inputs {
		scrub.AddValue(in.Value)
	}
	return &runner{
		env: env, program: p, by: env.Identity.User, stop: stop, scrub: scrub, fold: newFold(), began: env.now(),
		world: &world.World{Hosts: map[string]*world.Host{}},
	}
}

func (r *runner) holder(operation string) Holder {
	return Holder{
		RunID: r.env.Identity.ID, Operation: operation, User: r.by, PID: os.Getpid(),
		Since: r.env.now(),
	}
}

func (r *runner) override(text string) error {
	return r.record(overrideLine{T: "override", Text: text, By: r.by, At: r.env.now()})
}

// notBegun is the outcome of a run that did not come to its first task.
func (r *runner) notBegun(err error) Outcome {
	f := &Failure{Cause: r.scrub.String(oneLine(err.Error()))}
	return Outcome{RunID: r.env.Identity.ID, Status: statusOf(err), Failure: f, Err: err}
}

func runDir(stateDir, id string) string { return filepath.Join(stateDir, "runs", id) }

// headOf is the first line of the journal.
func headOf(p *Program, id Identity, inv Invocation) (runLine, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return runLine{}, err
	}
	head := runLine{
		V: journal.Version, T: "run", ID: id.ID, StartedAt: id.StartedAt, User: id.User, Invocation: inv,
		Playbook: playbookLine{Name: p.Name, Version: p.Version, Language: p.Language, File: p.File, Digest: p.Digest},
		Cluster:  p.Cluster.Name, Inventory: p.Inventory, Templates: p.Templates, Changes: p.Changes, Key: key,
	}
	for _, in := range p.Inputs {
		l := inputLine{Name: in.Name, Source: in.Source, Sensitive: in.Sensitive || in.Value.ContainsMarked()}
		var err error
		v := in.Value
		if l.Sensitive {
			if l.HMAC, err = sealed(key, v); err != nil {
				return runLine{}, err
			}
			v = cty.NullVal(v.Type())
		}
		if l.Value, err = journal.Encode(v); err != nil {
			return runLine{}, fmt.Errorf("%w: variable %s: %w", ErrInput, in.Name, err)
		}
		head.Inputs = append(head.Inputs, l)
	}
	return head, nil
}

// sealed is a keyed hash of a sensitive value, to notice a different one.
func sealed(key []byte, v cty.Value) ([]byte, error) {
	plain, _ := v.UnmarkDeep()
	b, err := ctyjson.Marshal(plain, plain.Type())
	if err != nil {
		return nil, err
	}
	m := hmac.New(sha256.New, key)
	m.Write(b)
	return m.Sum(nil), nil
}

// keepCopies puts the source files into the run's folder, so that what ran can
// be read later.
func keepCopies(dir string, copies map[string][]byte) error {
	if len(copies) == 0 {
		return nil
	}
	into := filepath.Join(dir, "sources")
	if err := os.Mkdir(into, 0o700); err != nil {
		return err
	}
	for _, name := range sortedNames(copies) {
		flat := unsafeInName.ReplaceAllString(strings.TrimLeft(name, "./"), "_")
		f, err := os.OpenFile(filepath.Join(into, flat), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue // two names that differ in signs only; the digest tells them apart
		}
		if err != nil {
			return err
		}
		_, werr := f.Write(copies[name])
		if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return errors.Join(journal.SyncDir(into), journal.SyncDir(dir))
}
