package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/world"
)

// A run that is taken up again must find the members that it left: whoever
// changed them since has changed what the recorded decisions rest on. So the
// journal has the members of the beginning, and those that each task left that
// changed them, worked out by the task's Advance and not read, lest somebody
// else's change pass for ours. A read would also be too late: the task's record
// and that of its members are one line.

// membersLine is the members of the cluster as a run expects them. Without a
// cluster ID nothing is expected.
type membersLine struct {
	Cluster string       `json:"cluster"`
	Members []memberLine `json:"members"`
	// Replaced: another cluster stands in this one's place from here on. Its ID is
	// of its own making, and so nothing is expected until the run's end.
	Replaced bool `json:"replaced,omitempty"`
	// Elsewhere is where that cluster serves clients, beside the inventory's endpoints.
	Elsewhere []string `json:"elsewhere,omitempty"`
}

type memberLine struct {
	ID       string   `json:"id"`
	Name     string   `json:"name,omitempty"`
	PeerURLs []string `json:"peer_urls"`
	Learner  bool     `json:"learner,omitempty"`
}

// clusterLine is the members as they were found: at the run's beginning, and
// where the operator accepted that they had changed.
type clusterLine struct {
	T string `json:"t"` // "cluster"
	membersLine
	At time.Time `json:"at"`
}

// driftError says that the members are not those that the run left. It ends the
// run where it stands: no rescue makes it better.
type driftError struct {
	final   bool // no resume gets past it
	summary string
	detail  string
	rows    []string
}

func (e *driftError) Error() string { return fmt.Sprintf("%v: %s", ErrDrift, e.summary) }
func (e *driftError) Unwrap() error { return ErrDrift }

func (e *driftError) diagnostic(s Severity) Diagnostic {
	d := Diagnostic{
		Severity: s, Code: codeMembers, Summary: "The cluster is not as the run left it", Detail: e.detail, Notes: e.rows,
	}
	if s == Error && !e.final {
		d.Detail += "\n\nPut them back, or go on with --accept-drift, or close the run with abort."
	}
	return d
}

// ofDrift is the finding of a run that found other members than it left.
func ofDrift(err error) Diagnostics {
	if e := (*driftError)(nil); errors.As(err, &e) {
		return Diagnostics{e.diagnostic(Error)}
	}
	return nil
}

// membersOf is the members of c, in the order of their IDs.
func membersOf(c *world.Cluster) membersLine {
	l := membersLine{Cluster: c.ID, Members: []memberLine{}}
	for _, m := range c.Members {
		name := m.Name
		if name == "" {
			name = m.Given
		}
		l.Members = append(l.Members, memberLine{
			ID: m.ID, Name: name, PeerURLs: slices.Sorted(slices.Values(m.PeerURLs)), Learner: m.Learner,
		})
	}
	slices.SortFunc(l.Members, func(a, b memberLine) int { return strings.Compare(a.ID, b.ID) })
	return l
}

// cluster is the expected members as a task's Advance can move them on.
func (l *membersLine) cluster() world.Cluster {
	c := world.Cluster{Known: true, ID: l.Cluster}
	for _, m := range l.Members {
		c.Members = append(c.Members, world.Member{
			ID: m.ID, Name: m.Name, PeerURLs: slices.Clone(m.PeerURLs), Learner: m.Learner,
		})
	}
	return c
}

func (l membersLine) equal(other membersLine) bool {
	return l.Cluster == other.Cluster && l.Replaced == other.Replaced && slices.EqualFunc(l.Members, other.Members, func(a, b memberLine) bool {
		return a.ID == b.ID && a.same(b)
	})
}

// same leaves names out: a member tells its own when it starts.
func (m memberLine) same(other memberLine) bool {
	return slices.Equal(m.PeerURLs, other.PeerURLs) && m.Learner == other.Learner
}

// witnessed is the expectation where the cluster can be told for certain: what a
// member remembers without a quorum may be old.
func witnessed(c *world.Cluster) (membersLine, bool) {
	b := c.Budget()
	if !c.Known || c.ID == "" || b.Voters == 0 || b.Healthy < b.Quorum {
		return membersLine{}, false
	}
	return membersOf(c), true
}

// expectMembers records the members that the run begins with, unless it has
// begun with some, or something is open that may have changed them.
func (r *runner) expectMembers() error {
	if r.fold.members != nil || r.fold.replaced || len(r.fold.open) > 0 {
		return nil
	}
	l, ok := witnessed(&r.world.Cluster)
	if !ok {
		return nil
	}
	r.fold.expect(&l)
	return r.record(clusterLine{T: "cluster", membersLine: l, At: r.env.now()})
}

// leaves is the members that are expected once the task's effect is there; nil
// if it leaves them as they were. It becomes what the run expects.
func (r *runner) leaves(advance func(*world.World)) *membersLine {
	if advance == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var before membersLine
	w := &world.World{Hosts: map[string]*world.Host{}}
	if r.fold.members != nil {
		before = *r.fold.members
		w.Cluster = before.cluster()
	}
	advance(w)
	after := membersLine{}
	switch {
	case w.Cluster.Replaced && !r.fold.replaced:
		after.Replaced, after.Elsewhere = true, w.Cluster.Elsewhere
	case w.Cluster.Replaced || r.fold.members == nil:
		return nil
	case w.Cluster.Known:
		after = membersOf(&w.Cluster)
	}
	if after.equal(before) {
		return nil
	}
	r.fold.expect(&after)
	return &after
}

// expect takes l for what the run expects from here on.
func (f *fold) expect(l *membersLine) {
	switch {
	case l == nil:
	case l.Cluster == "":
		f.members, f.replaced = nil, f.replaced || l.Replaced
		f.elsewhere = append(f.elsewhere, l.Elsewhere...)
	default:
		f.members = l
	}
}

// sameMembers holds the live cluster against what the journal expects, once in
// the life of a process, before that process begins anything of its own. What
// was open is settled first: its effect is no drift.
func (r *runner) sameMembers(ctx context.Context) error {
	if r.fold.n == 0 {
		return nil // this process began the run
	}
	r.compared.Do(func() { r.drift = r.compareMembers(ctx) })
	return r.drift
}

func (r *runner) compareMembers(ctx context.Context) error {
	if r.settling {
		r.look(ctx) // what was open has been settled since
	}
	r.mu.Lock()
	c, expected := r.world.Clone().Cluster, r.fold.members
	r.mu.Unlock()
	if expected == nil {
		return nil // the run could not see its members
	}
	want := *expected
	live, ok := witnessed(&c)
	if c.Known && c.ID != want.Cluster {
		return r.drifted(&driftError{
			final:   true,
			summary: fmt.Sprintf("the run was begun on cluster %s, and this is cluster %s", want.Cluster, c.ID),
			detail: fmt.Sprintf("The run was begun on cluster %s, and the endpoints belong to cluster %s now. "+
				"What the journal holds says nothing of that one. Begin a new run.", want.Cluster, c.ID),
		})
	}
	if !ok {
		why := c.Why
		if c.Known {
			why = "it has no quorum"
		}
		r.emit(Event{Kind: Finding, Message: "whether the members are still those that the run left cannot be told: " + oneLine(why)})
		return nil
	}
	rows := differences(want, live)
	if len(rows) == 0 {
		return nil
	}
	e := &driftError{
		summary: "the members are not those that the run left",
		detail:  "The members are not those that the run left. Somebody has changed them since, and what the run decided may no longer hold.",
		rows:    rows,
	}
	if !r.acceptDrift {
		return r.drifted(e)
	}
	r.emit(Event{Kind: Finding, Message: e.summary, Diagnostics: Diagnostics{e.diagnostic(Warning)}})
	if err := r.override("changes of the members: " + strings.Join(changed(want, live), ", ")); err != nil {
		return err
	}
	r.fold.expect(&live)
	return r.record(clusterLine{T: "cluster", membersLine: live, At: r.env.now()})
}

// drifted is what comes of a difference: an abort only tells, since it is the way
// out of it.
func (r *runner) drifted(e *driftError) error {
	if r.aborting {
		r.emit(Event{Kind: Finding, Message: e.summary, Diagnostics: Diagnostics{e.diagnostic(Warning)}})
		return nil
	}
	return e
}

// differences is the table of all members, journal beside cluster; nil if they
// are the same.
func differences(journal, live membersLine) []string {
	if len(changed(journal, live)) == 0 {
		return nil
	}
	rows := [][3]string{{"member", "journal", "cluster"}}
	for _, p := range pairs(journal, live) {
		rows = append(rows, [3]string{p.label(), p.journal.words(), p.live.words()})
	}
	var widths [2]int
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], len([]rune(row[i])))
		}
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, fmt.Sprintf("%-*s  %-*s  %s", widths[0], row[0], widths[1], row[1], row[2]))
	}
	return lines
}

// changed says in few words what is different.
func changed(journal, live membersLine) []string {
	var words []string
	for _, p := range pairs(journal, live) {
		switch {
		case p.journal == nil:
			words = append(words, "unexpected member "+p.label())
		case p.live == nil:
			words = append(words, "missing member "+p.label())
		case !p.journal.same(*p.live):
			words = append(words, "changed member "+p.label())
		}
	}
	return words
}

// pair is one member as the journal and as the cluster has it; nil where it is
// not.
type pair struct{ journal, live *memberLine }

func (p pair) label() string {
	m := p.live
	if m == nil || m.Name == "" && p.journal != nil {
		m = p.journal
	}
	if m.Name == "" {
		return m.ID
	}
	return m.ID + " (" + m.Name + ")"
}

func (m *memberLine) words() string {
	switch {
	case m == nil:
		return "-"
	case m.Learner:
		return "learner at " + strings.Join(m.PeerURLs, ", ")
	}
	return "voter at " + strings.Join(m.PeerURLs, ", ")
}

func pairs(journal, live membersLine) []pair {
	byID := map[string]pair{}
	for i := range journal.Members {
		byID[journal.Members[i].ID] = pair{journal: &journal.Members[i]}
	}
	for i := range live.Members {
		p := byID[live.Members[i].ID]
		p.live = &live.Members[i]
		byID[live.Members[i].ID] = p
	}
	var all []pair
	for _, id := range sortedNames(byID) {
		all = append(all, byID[id])
	}
	return all
}
