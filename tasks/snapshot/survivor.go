package snapshot

import (
	"context"
	"fmt"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// Survivor chooses whose data to go on with.
func Survivor() *engine.Type {
	return engine.Define(engine.Spec[survivorArgs, survivorState, survivorResults]{
		Name: "etcd_survivor",
		Doc: "Chooses whose data to go on with where the quorum is lost and there is no snapshot: of the data directories that " +
			"are whole, the one whose log goes furthest, by term and then by index, since what a quorum agreed on is in that. " +
			"Another choice is refused unless it is meant.",
		Effect: engine.Read, Where: engine.Controller,
		Check: checkSurvivor, Observe: observeSurvivor, Report: reportSurvivor, Plan: planSurvivor,
	})
}

type survivorArgs struct {
	Remains      []remainsOf `play:"remains,required" doc:"What each host has, as etcd_data_dir told it."`
	Host         *string     `play:"host" doc:"The name of the host to go on with." default:"the best one"`
	EvenIfBehind bool        `play:"even_if_behind" doc:"Take that host although another one's log goes further, or its member had no vote." default:"false"`
}

type remainsOf struct {
	Host     string `play:"host"`
	Readable bool   `play:"readable"`
	Problem  string `play:"problem"`
	Term     uint64 `play:"term"`
	Index    uint64 `play:"index"`
	Removed  bool   `play:"removed"`
	Learner  bool   `play:"learner"`
}

type survivorResults struct {
	Host  string `play:"host" doc:"The name of the host to go on with."`
	Term  uint64 `play:"term" doc:"The term of the last entry of its log."`
	Index uint64 `play:"index" doc:"The index of that entry."`
	Why   string `play:"why" doc:"In words, why this one."`
}

type survivorState struct {
	Chosen  world.Remains
	Verdict world.Verdict
}

func (a survivorArgs) all() []world.Remains {
	var all []world.Remains
	for _, r := range a.Remains {
		all = append(all, world.Remains{
			Host: r.Host, Readable: r.Readable && r.Problem == "", Why: r.Problem,
			Term: r.Term, Index: r.Index, Removed: r.Removed, Learner: r.Learner,
		})
	}
	return all
}

func checkSurvivor(a survivorArgs) error {
	if len(a.Remains) == 0 {
		return &engine.ArgError{Arg: "remains", Text: "There is no host to choose from."}
	}
	return nil
}

func observeSurvivor(_ context.Context, _ engine.Look, a survivorArgs) (s survivorState, err error) {
	all := a.all()
	chosen := str(a.Host)
	if chosen == "" {
		best := world.Best(all)
		if best < 0 {
			text := "no host has data that is whole"
			for _, r := range all {
				if r.Why != "" {
					text += fmt.Sprintf("; %s: %s", r.Host, r.Why)
				}
			}
			return s, fmt.Errorf("%s; only a snapshot helps (restore-v3)", text)
		}
		chosen = all[best].Host
	}
	s.Verdict = world.MaySurvive(chosen, all, a.EvenIfBehind)
	for _, r := range all {
		if r.Host == chosen {
			s.Chosen = r
		}
	}
	return s, s.Verdict.Err()
}

func reportSurvivor(_ survivorArgs, s survivorState) survivorResults {
	r := survivorResults{Host: s.Chosen.Host, Term: s.Chosen.Term, Index: s.Chosen.Index}
	if len(s.Verdict.Checks) > 0 {
		r.Why = s.Verdict.Checks[0].Text
	}
	return r
}

func planSurvivor(p engine.Planning, a survivorArgs, s survivorState) (engine.Planned, survivorResults) {
	if !p.Observed {
		return engine.Planned{Summary: "told during the run: whose data to go on with"}, survivorResults{}
	}
	return engine.Planned{Summary: s.Chosen.Host + ": " + s.Verdict.Checks[0].Text}, reportSurvivor(a, s)
}
