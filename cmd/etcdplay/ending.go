package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/etcdplay/etcdplay/cmd/etcdplay/render"
	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/ssh"
	"github.com/etcdplay/etcdplay/hcl/diag"
	"github.com/etcdplay/etcdplay/hcl/eval"
)

// usageError is a wrong command line. Nothing was done.
type usageError struct {
	text string
	hint string // what to do instead, "" if there is nothing to say
}

func (e *usageError) Error() string { return e.text }

func wrong(hint, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), hint: hint}
}

// refusedError is something that would not be safe now. Nothing was done.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// exitError ends the program with a code; all that was to be said is said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exit is nil for code 0.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return &exitError{code}
}

// foundError is findings together with the files that they point into.
type foundError struct {
	found   engine.Diagnostics
	sources map[string][]byte
}

func (e *foundError) Error() string { return e.found.Error() }

// found is nil where the findings hold no error; warnings are printed by whoever
// goes on.
func found(ds engine.Diagnostics, sources map[string][]byte) error {
	if !ds.HasErrors() {
		return nil
	}
	return &foundError{ds, sources}
}

// end prints what went wrong, and is the exit code.
func (a *app) end(err error) int {
	var usage *usageError
	var code *exitError
	var wrongFile *foundError
	var refused *refusedError
	switch {
	case err == nil:
		return engine.ExitOK
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &wrongFile):
		a.findings(wrongFile.found, wrongFile.sources)
		return engine.ExitInput
	case errors.As(err, &usage):
		d := engine.Diagnostic{Severity: engine.Error, Summary: "Wrong command line", Detail: usage.text}
		if usage.hint != "" {
			d.Detail += "\n\n" + usage.hint
		}
		a.findings(engine.Diagnostics{d}, nil)
		return engine.ExitInput
	case errors.Is(err, engine.ErrInterrupted) && !a.json:
		a.screen.Tell("Interrupted.\n")
		return engine.ExitInterrupted
	case errors.As(err, &refused):
		a.findings(engine.Diagnostics{{Severity: engine.Error, Summary: "Refused", Detail: sentence(err)}}, nil)
		return engine.ExitRefused
	}
	a.findings(engine.Diagnostics{{Severity: engine.Error, Summary: summaryOf(err), Detail: sentence(err)}}, nil)
	return engine.ExitCode(err)
}

// summaryOf names the kind of an error that is no finding.
func summaryOf(err error) string {
	switch engine.ExitCode(err) {
	case engine.ExitInput:
		return "Wrong input"
	case engine.ExitRefused:
		return "Refused"
	case engine.ExitState:
		return "State cannot be used"
	case engine.ExitUnknown:
		return "Effect unknown"
	case engine.ExitLocked:
		return "Locked"
	case engine.ExitUnreachable:
		var key *ssh.HostKeyError
		switch {
		case errors.As(err, &key):
			return "Host key refused"
		case errors.Is(err, conn.ErrRefused):
			return "Connection not made"
		}
		return "Unreachable"
	case engine.ExitInterrupted:
		return "Interrupted"
	}
	return "Failed"
}

// sentence is an error's text as a sentence, without the kind of the error, which
// the summary names.
func sentence(err error) string {
	text := err.Error()
	for _, kind := range []error{engine.ErrInput, engine.ErrState, engine.ErrDrift} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return eval.Sentence(text)
}

// findings prints diagnostics: to stderr for people, among the records for
// programs.
func (a *app) findings(ds engine.Diagnostics, sources map[string][]byte) {
	if len(ds) == 0 {
		return
	}
	if !a.json {
		if a.found {
			a.screen.Tell("\n")
		}
		a.found = true
		a.screen.Tell(a.findingsText(ds, sources))
		return
	}
	for _, d := range ds {
		level := "error"
		if d.Severity == engine.Warning {
			level = "warn"
		}
		a.record(render.Record{Level: level, Message: d.Summary, Type: "diagnostic", Diagnostic: rawJSON(diag.JSON(d, sources))})
	}
}

func (a *app) findingsText(ds engine.Diagnostics, sources map[string][]byte) string {
	var b strings.Builder
	// A strings.Builder takes everything.
	_ = diag.Write(&b, ds, sources, diag.Options{Color: a.screen.Warn.On})
	return b.String()
}

// record prints one line of --json.
func (a *app) record(r render.Record) {
	if r.Level == "" {
		r.Level = "info"
	}
	r.Timestamp = a.now().UTC()
	a.screen.Print(r.Line())
}

func rawJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("etcdplay: a record of ours is no JSON: %v", err))
	}
	return raw
}

func noCommand(cmd *cobra.Command) error {
	return wrong("See: "+cmd.CommandPath()+" --help", "A command is needed: %s.", strings.Join(commandNames(cmd), ", "))
}

func unknownCommand(cmd *cobra.Command, name string) error {
	if slices.Contains(shipped(), name+".hcl") {
		return wrong("See: "+cmd.CommandPath()+" run --help", "%s is a playbook: etcdplay plan %[1]s, etcdplay run %[1]s.", name)
	}
	text := fmt.Sprintf("%s has no command %q.", cmd.CommandPath(), name)
	if best := diag.Closest(name, commandNames(cmd)); best != "" {
		text += fmt.Sprintf(" Did you mean %q?", best)
	} else {
		text += " It has: " + strings.Join(commandNames(cmd), ", ") + "."
	}
	return wrong("See: "+cmd.CommandPath()+" --help", "%s", text)
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// flagError turns pflag's complaint into ours, with the flag that was meant.
func flagError(cmd *cobra.Command, err error) error {
	if before := cmd.Flags().Args(); !cmd.HasParent() && len(before) > 0 {
		return unknownCommand(cmd, before[0]) // whose flags would be its own
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		text = fmt.Sprintf("%s has no flag --%s.", cmd.CommandPath(), name)
		if best := diag.Closest(name, names); best != "" {
			text += fmt.Sprintf(" Did you mean --%s?", best)
		}
	} else {
		text = sentence(err)
	}
	return wrong("See: "+cmd.CommandPath()+" --help", "%s", text)
}

// takes checks the number of a command's arguments; most below zero is any.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := "Usage: " + cmd.UseLine()
		switch {
		case len(args) < least:
			return wrong(hint, "%s needs %s.", cmd.CommandPath(), what)
		case most == 0 && len(args) > 0:
			return wrong(hint, "%s takes no argument, and was given %q.", cmd.CommandPath(), args[0])
		case most >= 0 && len(args) > most:
			return wrong(hint, "%s takes %s and no more, and was also given %q.", cmd.CommandPath(), what, args[most])
		}
		return nil
	}
}

func (a *app) findingsJSON(ds engine.Diagnostics, sources map[string][]byte) json.RawMessage {
	all := make([]any, 0, len(ds))
	for _, d := range ds {
		all = append(all, diag.JSON(d, sources))
	}
	return rawJSON(all)
}

// text prints a command's own text, or puts it into a record.
func (a *app) text(kind, name, text string) {
	if a.json {
		a.record(render.Record{Message: name, Type: kind, Data: map[string]any{"file": name, "text": text}})
		return
	}
	a.screen.Print(text)
}
