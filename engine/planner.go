package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/world"
)

// planPatience bounds each look that a plan takes.
const planPatience = 30 * time.Second

// errPlanned ends the walk of a plan whose Failed is set.
var errPlanned = errors.New("the run would stop here")

// planner is the state of one MakePlan. It never holds a conn.Host: hosts are
// kept as readers, so that nothing in a plan can change them.
type planner struct {
	env     Env
	plan    *Plan
	world   *world.World
	changed bool      // a change is planned: from here on the model answers
	left    *leftover // nil where nothing was begun yet

	mu    sync.Mutex // of hosts: a task may look at several at once
	hosts map[string]conn.Reader
}

// MakePlan works out what a run of p would do. It looks at the cluster and at
// the hosts and changes nothing. It is a function of what it reads: the same
// answers give the same plan, byte for byte. What would stop the run is in
// Plan.Failed; an error means that no plan could be made at all.
func MakePlan(ctx context.Context, p *Program, env Env) (*Plan, error) {
	return newPlanner(p, env).make(ctx, p)
}

func newPlanner(p *Program, env Env) *planner {
	return &planner{
		env:   env,
		plan:  &Plan{Program: p, RunID: env.Identity.ID},
		world: &world.World{Hosts: map[string]*world.Host{}},
		hosts: map[string]conn.Reader{},
	}
}

func (m *planner) make(ctx context.Context, p *Program) (*Plan, error) {
	foresee(ctx, p, m.env)
	var replaced bool
	var elsewhere []string
	if m.left != nil {
		replaced, elsewhere = m.left.fold.replaced, m.left.fold.elsewhere
	}
	m.world.Cluster = survey(ctx, p, m.env, replaced, elsewhere)
	s := newScope(m.env.Identity)
	w := planWalk{planner: m, program: p}
	err := w.phases(ctx, s)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, ctx.Err())
	}
	if err == nil {
		m.plan.Outputs, err = w.outputs(s)
	}
	if err != nil && !errors.Is(err, errPlanned) {
		return nil, err
	}
	m.count()
	return m.plan, nil
}

// survey reads the cluster, where there is one to read. One that has replaced the
// inventory's may be found elsewhere as well.
func survey(ctx context.Context, p *Program, env Env, replaced bool, elsewhere []string) world.Cluster {
	if env.Survey == nil || len(p.Cluster.Endpoints) == 0 {
		return world.Cluster{Why: "the inventory names no endpoints"}
	}
	l := lookAt(p, env, nil)
	if replaced {
		l.Cluster.ID = "" // the inventory's is of the cluster that was there before
	}
	return env.Survey(ctx, l, slices.Concat(p.Cluster.Endpoints, elsewhere))
}

// lookAt is the eyes of a task that says nothing to anybody.
func lookAt(p *Program, env Env, host conn.Reader) Look {
	at := func(ctx context.Context, name string) (conn.Reader, error) {
		spec, ok := p.host(name)
		if !ok || env.Host == nil {
			return nil, fmt.Errorf("the inventory has no host %q", name)
		}
		h, err := env.Host(ctx, spec)
		if err != nil {
			return nil, err
		}
		return readOnly{h}, nil
	}
	return Look{
		Host: host, Cluster: p.located(), RunID: env.Identity.ID, Dial: env.Dial, At: at, Kept: env.Kept,
		DialFrom: func(ctx context.Context, name, addr string) (net.Conn, error) {
			h, err := at(ctx, name)
			if err != nil {
				return nil, err
			}
			return h.Dial(ctx, addr)
		},
		Say: func(string, ...any) {}, Progress: func(int64, int64) {},
	}
}

func (m *planner) count() {
	for _, e := range m.plan.Entries {
		if e.Open && e.Kind == TaskEntry {
			m.plan.Counts.Open++
		}
		switch {
		case e.Kind != TaskEntry || e.Skipped:
		case e.Recorded:
			m.plan.Counts.Done++
		case e.Role == Assert:
			m.plan.Counts.Checks++
		case e.Role == Confirm:
			m.plan.Counts.Questions++
		case e.Effect == Read:
			m.plan.Counts.Reads++
		case e.Effect == Destroy:
			m.plan.Counts.Destructive++
		case e.Effect == Change:
			m.plan.Counts.Changes++
		}
	}
}

// fail records what would stop the run.
func (m *planner) fail(cause error, ds ...Diagnostic) error {
	m.plan.Failed = append(m.plan.Failed, ds...)
	if cause == nil {
		cause = errPlanned
	}
	m.plan.cause = cause
	return errPlanned
}

// failOn passes errors among ds on as what would stop the run, and keeps the
// warnings.
func (m *planner) failOn(ds Diagnostics) error {
	if ds.HasErrors() {
		return m.fail(nil, ds...)
	}
	m.plan.Notes = append(m.plan.Notes, ds...)
	return nil
}

// host returns the host as the plan imagines it.
func (m *planner) host(ctx context.Context, spec HostSpec) (conn.Reader, error) {
	key := spec.Name + " " + spec.Connection.Become
	m.mu.Lock()
	r := m.hosts[key]
	m.mu.Unlock()
	if r == nil {
		if m.env.Host == nil {
			return nil, fmt.Errorf("%w: no connections here", conn.ErrUnreachable)
		}
		if err := m.silent(spec.Name); err != nil {
			return nil, err
		}
		h, err := m.env.Host(ctx, spec)
		if err != nil {
			m.silence(spec.Name, err)
			return nil, err
		}
		r = readOnly{h}
		m.mu.Lock()
		m.hosts[key] = r
		m.mu.Unlock()
	}
	return planReader{Reader: r, host: m.world.Hosts[spec.Name]}, nil
}

// planWalk is the walk through one program: the playbook itself, or one that it
// calls.
type planWalk struct {
	*planner
	program *Program
	prefix  string // of addresses: "" or `task.join["b"]/`
	depth   int
	number  int
	perhaps bool // whether the program runs at all is not known
}

func (w *planWalk) phases(ctx context.Context, s *Scope) error {
	for i, ph := range w.program.Phases {
		if err := w.phase(ctx, ph, fmt.Sprintf("%sphase[%d]", w.prefix, i), s); err != nil {
			return err
		}
	}
	return nil
}

func (w *planWalk) phase(ctx context.Context, ph *Phase, key string, s *Scope) error {
	perhaps, skipped, decided := w.perhaps, false, false
	if w.left != nil {
		if err := w.owed(ctx, ph, key, s); err != nil {
			return err
		}
		state := w.left.fold.phases[key].State
		skipped, decided = state == phaseSkipped, state != "" && state != phaseFailed
	}
	if ph.When != nil && !decided {
		v, ds := ph.When.Eval(s)
		if err := w.failOn(ds); err != nil {
			return err
		}
		b, known := boolOf(v)
		skipped, perhaps = known && !b, perhaps || !known
	}
	if ph.Name != "" {
		w.plan.Entries = append(w.plan.Entries, Entry{
			Kind: PhaseEntry, Depth: w.depth, Name: ph.Name, Address: w.prefix + "phase." + ph.Name,
			Summary: ph.Description, Skipped: skipped, Perhaps: perhaps && !skipped,
		})
	}
	if skipped {
		for _, t := range slices.Concat(ph.Tasks, ph.Rescue, ph.Always) {
			w.number++
			s.Tasks[t.Name] = notRun(t)
		}
		return nil
	}
	for _, t := range ph.Tasks {
		if err := w.task(ctx, t, s, InPhase, perhaps); err != nil {
			return err
		}
	}
	if w.left != nil && w.left.fold.phases[key].State == phaseOK {
		for _, t := range ph.Rescue {
			w.number++
			s.Tasks[t.Name] = notRun(t)
		}
	} else if err := w.rescue(ctx, ph, s); err != nil {
		return err
	}
	return w.always(ctx, ph, s, perhaps)
}

// rescue plans the rescue tasks on a copy of the model, since in the ordinary
// case they do not run. What they find wrong stops nothing.
func (w *planWalk) rescue(ctx context.Context, ph *Phase, s *Scope) error {
	if len(ph.Rescue) == 0 {
		return nil
	}
	model, changed, failed, cause := w.world, w.changed, w.plan.Failed, w.plan.cause
	w.world = model.Clone()
	inner := afterFailure(ph, s)
	for _, t := range ph.Rescue {
		err := w.task(ctx, t, inner, InRescue, true)
		if err != nil && !errors.Is(err, errPlanned) {
			return err
		}
		for _, d := range w.plan.Failed[len(failed):] {
			d.Severity = Warning
			w.plan.Notes = append(w.plan.Notes, d)
		}
		w.plan.Failed, w.plan.cause = failed, cause
		if _, ok := inner.Tasks[t.Name]; !ok {
			inner.Tasks[t.Name] = unknownLoop(t)
			if !t.Looping() {
				inner.Tasks[t.Name] = open(t)
			}
		}
	}
	w.world, w.changed = model, changed
	for _, t := range ph.Rescue {
		s.Tasks[t.Name] = notRun(t)
	}
	return nil
}

func (w *planWalk) always(ctx context.Context, ph *Phase, s *Scope, perhaps bool) error {
	if len(ph.Always) == 0 {
		return nil
	}
	inner := afterFailure(ph, s)
	for _, t := range ph.Always {
		if err := w.task(ctx, t, inner, InAlways, perhaps); err != nil {
			return err
		}
		s.Tasks[t.Name] = inner.Tasks[t.Name]
	}
	return nil
}

// afterFailure is the scope in which nothing is certain of what the phase's
// tasks yielded.
func afterFailure(ph *Phase, s *Scope) *Scope {
	inner := s.With(func(c *Scope) {
		c.Tasks = map[string]cty.Value{}
		for name, v := range s.Tasks {
			c.Tasks[name] = v
		}
		c.Error = cty.UnknownVal(cty.Object(map[string]cty.Type{"task": cty.String, "message": cty.String}))
	})
	for _, t := range ph.Tasks {
		v := s.Tasks[t.Name]
		switch {
		case t.Looping() && v.IsKnown() && v.CanIterateElements() && v.LengthInt() > 0:
			var keys []string
			attrs := map[string]cty.Value{}
			for key := range v.AsValueMap() {
				keys, attrs[key] = append(keys, key), open(t)
			}
			inner.Tasks[t.Name] = byKey(t, keys, attrs)
		case t.Looping():
			inner.Tasks[t.Name] = v
		default:
			inner.Tasks[t.Name] = open(t)
		}
	}
	return inner
}

func (w *planWalk) outputs(s *Scope) ([]PlannedOutput, error) {
	var outs []PlannedOutput
	for _, o := range w.program.Outputs {
		v, ds := o.Value.Eval(s)
		if err := w.failOn(ds); err != nil {
			return nil, err
		}
		out := PlannedOutput{Name: o.Name, Value: v, Sensitive: o.Sensitive}
		if !v.IsWhollyKnown() {
			out.Waits = w.waits(o.Value, s)
		}
		outs = append(outs, out)
	}
	return outs, nil
}

// waits names the tasks that e still waits for.
func (w *planWalk) waits(e Expr, s *Scope) []string {
	if e == nil {
		return nil
	}
	var addresses []string
	for _, name := range e.Tasks() {
		if v, ok := s.Tasks[name]; !ok || !v.IsWhollyKnown() {
			addresses = append(addresses, w.prefix+"task."+name)
		}
	}
	return addresses
}
