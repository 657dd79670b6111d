// Package flags has the task type etcd_flags, which holds what a unit gives to
// etcd against what its release knows. What that is tells tasks/etcdunit; which
// flags a release has stands in engine/flags.
package flags

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/flags"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/etcdunit"
)

// Types lists the task types of this package.
func Types() []*engine.Type { return []*engine.Type{Flags()} }

// Flags checks a unit's flags and variables.
func Flags() *engine.Type {
	return engine.Define(engine.Spec[flagsArgs, flagsState, flagsResults]{
		Name: "etcd_flags",
		Doc: "Checks, before a unit is started, what it gives to etcd: the flags of its command line and its variables, drop-ins and " +
			"files of variables included. It fails if the release that the unit runs does not know a flag, and if a flag stands beside the " +
			"variable of the same name: etcd starts with neither. Variables that the release does not know are only told, as etcd ignores them.",
		Effect: engine.Read, Where: engine.OnHost, Retryable: true,
		Observe: observeFlags, Report: reportFlags, Plan: planFlags, Model: modelFlags,
	})
}

type flagsArgs struct {
	Unit string  `play:"unit,required,unit,nosecret" doc:"The unit that runs etcd."`
	Etcd *string `play:"etcd,abspath,nosecret" doc:"The program to ask for its version, where the unit starts a wrapper that does not tell." default:"what the unit starts, or its ETCD_IMAGE_TAG"`
}

type flagsResults struct {
	Version string   `play:"version" doc:"The version of etcd that the unit runs; empty if it cannot be told. Then a flag is wrong only if no release has it."`
	Flags   []string `play:"flags" doc:"The flags that it is given, without dashes."`
	Ignored []string `play:"ignored" doc:"The variables that this release does not know, and ignores."`
}

type flagsState struct {
	flagsResults
	Source string `json:"source"` // of the version
}

func observeFlags(ctx context.Context, l engine.Look, a flagsArgs) (st flagsState, err error) {
	u, err := l.Host.Unit(ctx, a.Unit)
	switch {
	case errors.Is(err, conn.ErrNoUnit):
		return st, fmt.Errorf("%w on %s: %s", conn.ErrNoUnit, l.Host.Name(), a.Unit)
	case err != nil:
		return st, err
	case u.NeedDaemonReload:
		return st, fmt.Errorf("systemd has an older version of %s in mind (NeedDaemonReload); let it read the files with systemctl daemon-reload", a.Unit)
	}
	start, err := etcdunit.Read(ctx, l.Host, u)
	switch {
	case err != nil:
		return st, err
	case len(start.Argv) == 0:
		return st, fmt.Errorf("%s starts nothing", a.Unit)
	}
	if st.Version, st.Source, err = start.Version(ctx, l.Host, a.Etcd); err != nil {
		return st, err
	}
	st.Flags = given(start.Argv[1:])
	release, known := flags.Release(st.Version)
	problems := st.problems(release, known, start)
	if len(problems) == 0 {
		return st, nil
	}
	return st, fmt.Errorf("%s would not start: %s", a.Unit, strings.Join(problems, "; "))
}

// problems is all that keeps etcd from starting, and fills in what it ignores.
func (st *flagsState) problems(release string, known bool, start etcdunit.Start) (problems []string) {
	for _, f := range st.Flags {
		switch {
		case known && !flags.Has(release, f):
			problems = append(problems, fmt.Sprintf("etcd %s does not know --%s. %s", release, f, strings.TrimSuffix(flags.Advice(release, f), ".")))
		case st.Version == "" && !slices.ContainsFunc(flags.Releases(), func(r string) bool { return flags.Has(r, f) }):
			problems = append(problems, fmt.Sprintf("no release of etcd from %s on knows --%s", flags.Releases()[0], f))
		}
		name := variable(f)
		if _, both := start.Env[name]; both && !start.Unsets(name) && shadows(st.Version) {
			problems = append(problems, fmt.Sprintf("--%s and %s are both set; since 3.4 etcd takes only one of the two", f, name))
		}
	}
	if slices.Contains(st.Flags, "config-file") && len(st.Flags) > 1 {
		problems = append(problems, "with --config-file etcd ignores all its other flags and variables")
	}
	if !known {
		return problems
	}
	for name := range start.Env {
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "ETCD_"), "_", "-"))
		if strings.HasPrefix(name, "ETCD_") && !flags.Has(release, flag) && !slices.Contains(ofUnits, name) {
			st.Ignored = append(st.Ignored, name)
		}
	}
	slices.Sort(st.Ignored)
	return problems
}

// ofUnits are variables that etcd ignores and its units and wrappers use.
var ofUnits = []string{
	"ETCD_OPTS", "ETCD_USER", "ETCD_IMAGE", "ETCD_IMAGE_TAG", "ETCD_IMAGE_URL", "ETCD_IMAGE_ARGS", "ETCD_SSL_DIR", "ETCD_UNSUPPORTED_ARCH",
}

// shadows reports whether an etcd of this version, "" if it is not known, takes
// a flag beside its variable for an error.
func shadows(version string) bool {
	for _, old := range []string{"2.", "3.0.", "3.1.", "3.2.", "3.3."} {
		if strings.HasPrefix(version, old) {
			return false
		}
	}
	return true
}

func variable(flag string) string {
	return "ETCD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// given is the names of the flags in a command line, each once.
func given(words []string) []string {
	names := []string{}
	for _, w := range words {
		if w == "--" {
			break
		}
		name, _, _ := strings.Cut(w, "=")
		if bare := strings.TrimPrefix(strings.TrimPrefix(name, "-"), "-"); bare != name && bare != "" && !slices.Contains(names, bare) {
			names = append(names, bare)
		}
	}
	return names
}

func reportFlags(_ flagsArgs, st flagsState) flagsResults { return st.flagsResults }

func planFlags(p engine.Planning, a flagsArgs, st flagsState) (engine.Planned, flagsResults) {
	switch {
	case !p.Observed && p.Unknown["unit"]:
		return engine.Planned{Summary: "told during the run"}, flagsResults{}
	case !p.Observed:
		return engine.Planned{Summary: "told during the run: whether etcd knows what " + a.Unit + " gives it"}, flagsResults{}
	case st.Version == "":
		return engine.Planned{Summary: fmt.Sprintf("%d flags; the version is not told (%s)", len(st.Flags), st.Source)}, reportFlags(a, st)
	}
	return engine.Planned{Summary: fmt.Sprintf("%d flags, all known to etcd %s (%s)", len(st.Flags), st.Version, st.Source)}, reportFlags(a, st)
}

// modelFlags cannot tell: the model does not run programs.
func modelFlags(string, flagsArgs, *world.World) (flagsResults, []string, bool) {
	return flagsResults{}, nil, false
}
