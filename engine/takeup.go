package engine

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine/journal"
)

// Resume goes on with an interrupted or failed run. p is made anew from
// r.Invocation, with r's inputs; env.Identity is set to r's. A run that ended
// well has nothing to do and is OK.
func Resume(ctx context.Context, p *Program, env Env, r *Record, opts ResumeOptions) Outcome {
	m, release, o := takeUp(p, env, r, opts, "resume")
	defer release()
	if o != nil {
		return *o
	}
	return m.run(ctx)
}

// takeUp opens the journal of an earlier process and holds what it says against
// what is so now. The outcome is not nil if there is nothing more to do; release
// is to be called in any case.
func takeUp(p *Program, env Env, r *Record, opts ResumeOptions, operation string) (m *runner, release func(), o *Outcome) {
	m = newRunner(p, env, opts.Stop, opts.Scrub)
	m.env.Identity, m.acceptDrift = r.Identity, opts.AcceptDrift
	over := func(err error) *Outcome {
		o := m.notBegun(err)
		return &o
	}
	lock, err := lockCluster(opts.StateDir, p.Cluster, m.holder(operation))
	if err != nil {
		return nil, func() {}, over(err)
	}
	j, payloads, repair, err := journal.Open(r.Dir)
	if err != nil {
		return nil, lock.release, over(journalError(err, p.Cluster.Name, r.Identity.ID))
	}
	release = func() {
		_ = j.Close() // every record is on disk already
		lock.release()
	}
	m.journal = j
	if m.fold, err = foldLines(payloads); err != nil {
		return nil, release, over(err)
	}
	if m.fold.head.ID == "" {
		return nil, release, over(fmt.Errorf("%w: run %s died before it was begun, and nothing was done; run the playbook again", ErrInput, r.Identity.ID))
	}
	if end := m.fold.end; end != nil {
		return nil, release, ended(r, end, over)
	}
	if err := m.unchanged(opts.AcceptChanges); err != nil {
		return nil, release, over(err)
	}
	if repair != nil {
		m.emit(Event{Kind: Finding, Message: fmt.Sprintf("the journal's last line was torn; %s keeps the file as it was", repair.Copy)})
	}
	if err := m.incarnate(operation); err != nil {
		return nil, release, over(err)
	}
	return m, release, nil
}

func journalError(err error, cluster, id string) error {
	if errors.Is(err, journal.ErrLocked) {
		return &LockedError{Cluster: cluster, Holder: Holder{RunID: id}}
	}
	return fmt.Errorf("%w: %w", ErrState, err)
}

// ended is the outcome of taking up a run that is over.
func ended(r *Record, end *endLine, over func(error) *Outcome) *Outcome {
	if end.State == RunOK {
		return &Outcome{RunID: r.Identity.ID, Status: OK, Outputs: r.Outputs, Exposed: r.Exposed}
	}
	return over(fmt.Errorf("%w: run %s has been aborted; begin a new one", ErrInput, r.Identity.ID))
}

// unchanged refuses to go on with a playbook, an inventory or inputs that are
// not those of the run.
func (r *runner) unchanged(accept bool) error {
	other, err := r.changes(accept)
	if err != nil || len(other) == 0 {
		return err
	}
	r.changesAccepted = true
	return r.override("changes of " + listed(other))
}

// changes names what has changed since the run was begun and may have, if accept
// is given.
func (r *runner) changes(accept bool) ([]string, error) {
	h, p := r.fold.head, r.program
	var other []string
	if h.Inventory != p.Inventory {
		other = append(other, "the inventory")
	}
	if h.Cluster != p.Cluster.Name {
		other = append(other, "the cluster")
	}
	names, err := r.otherInputs()
	if err != nil {
		return nil, err
	}
	other = append(other, names...)
	if len(other) > 0 {
		return nil, fmt.Errorf("%w: %s changed since the run was begun; begin a new run", ErrDrift, have(other))
	}
	if h.Playbook.Digest != p.Digest {
		other = append(other, "the playbook")
	}
	if !maps.Equal(h.Templates, p.Templates) && len(h.Templates)+len(p.Templates) > 0 {
		other = append(other, "a template")
	}
	if len(other) == 0 {
		return nil, nil
	}
	if !accept {
		return nil, fmt.Errorf("%w: %s changed since the run was begun; the run's folder has the files as they were, and --accept-changes goes on if nothing changed up to where the run stands", ErrDrift, have(other))
	}
	if err := r.sameBeginning(p, ""); err != nil {
		return nil, err
	}
	return other, nil
}

func listed(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

func have(names []string) string {
	if len(names) > 1 {
		return listed(names) + " have"
	}
	return names[0] + " has"
}

func (r *runner) otherInputs() ([]string, error) {
	before := map[string]inputLine{}
	for _, l := range r.fold.head.Inputs {
		before[l.Name] = l
	}
	var other []string
	for _, in := range r.program.Inputs {
		l, ok := before[in.Name]
		delete(before, in.Name)
		if ok && l.Sensitive {
			seal, err := sealed(r.fold.head.Key, in.Value)
			if err != nil {
				return nil, err
			}
			ok = hmac.Equal(seal, l.HMAC)
		} else if ok {
			v, err := l.Value.Decode()
			if err != nil {
				return nil, fmt.Errorf("%w: variable %s: %w", ErrState, in.Name, err)
			}
			plain, _ := in.Value.UnmarkDeep()
			ok = plain.RawEquals(v)
		}
		if !ok {
			other = append(other, "variable "+in.Name)
		}
	}
	for _, name := range sortedNames(before) {
		other = append(other, "variable "+name)
	}
	return other, nil
}

// sameBeginning holds the tasks of one program that the journal has, in the order
// in which they ended, against that program: up to the last of them it must be the
// same. prefix is of the program's addresses.
func (r *runner) sameBeginning(p *Program, prefix string) error {
	at, aside := map[string]int{}, map[string]bool{}
	var names []string
	for _, ph := range p.Phases {
		for _, t := range ph.Tasks {
			name := prefix + "task." + t.Name
			at[name] = len(names)
			names = append(names, name)
			if l, ok := r.fold.done[name]; ok && l.Type != t.Type.Name {
				return fmt.Errorf("%w: finished %s was of type %s", ErrDrift, name, l.Type)
			}
		}
		for _, t := range slices.Concat(ph.Rescue, ph.Always) {
			aside[prefix+"task."+t.Name] = true
		}
	}
	known, last, latest := map[string]bool{}, -1, -1
	check := func(address string, place Place) error {
		rest, inside := strings.CutPrefix(address, prefix)
		base := prefix + rest
		if end := strings.IndexAny(rest, "[/"); end >= 0 {
			base = prefix + rest[:end]
		}
		i, ok := at[base]
		switch {
		case !inside || aside[base] || !ok && place != InPhase:
			return nil
		case !ok:
			return fmt.Errorf("%w: %s has begun and is no longer in the playbook", ErrDrift, base)
		case i < latest:
			return fmt.Errorf("%w: %s was run after %s, and now stands before it", ErrDrift, base, names[latest])
		}
		known[base], last, latest = true, max(last, i), i
		return nil
	}
	for _, address := range r.fold.order {
		if err := check(address, r.fold.done[address].Place); err != nil {
			return err
		}
	}
	for _, address := range sortedNames(r.fold.open) {
		latest = -1
		if err := check(address, r.fold.open[address].Place); err != nil {
			return err
		}
	}
	for i := 0; i <= last; i++ {
		if !known[names[i]] && !r.fold.lost(names[i]) {
			return fmt.Errorf("%w: %s stands before a task that has begun", ErrDrift, names[i])
		}
	}
	return nil
}
