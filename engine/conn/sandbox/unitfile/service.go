// Package unitfile knows what systemd makes of the text of a service unit and
// its drop-ins: which files count, how they are merged, what quoting, escapes
// and specifiers mean. What it does not support it refuses, naming file, line
// and directive; it never guesses. It must not know how a service is run.
package unitfile

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Infinity is the time span "infinity".
const Infinity = time.Duration(1<<63 - 1)

// Service is a service unit, all its files merged.
type Service struct {
	Name        string
	Description string
	Fragment    string   // path of the unit file
	DropIns     []string // paths, in the order of their effect
	Conflicts   []string // services that stop when this one starts
	Conditions  []Condition
	WantedBy    []string // of [Install]; empty means the unit is static

	StartLimitInterval time.Duration
	StartLimitBurst    int

	Type             string // simple, exec, notify or oneshot
	NotifyAccess     string // none, main, exec or all
	RemainAfterExit  bool
	ExecStartPre     []Command
	ExecStart        []Command
	ExecStartPost    []Command
	ExecStop         []Command
	ExecStopPost     []Command
	Environment      []string // NAME=value, a later one wins
	EnvironmentFiles []EnvironmentFile
	User, Group      string
	WorkingDirectory string // empty means "/"
	RuntimeDirectory []string
	Restart          string // no, on-success, on-failure, on-abnormal, on-abort or always
	RestartDelay     time.Duration
	TimeoutStart     time.Duration // Infinity for none
	TimeoutStop      time.Duration
	KillMode         string // control-group, mixed or process
	KillSignal       syscall.Signal
	LimitNOFILE      uint64 // zero means unset
	UMask            uint32
}

// Command is one command line of a unit.
type Command struct {
	Path          string   // what is executed: absolute, or a bare name to look up
	Argv          []string // what it sees, quotes, escapes and specifiers undone, variables not expanded
	IgnoreFailure bool     // prefix "-"
	Literal       bool     // prefix ":": variables are not expanded
}

// EnvironmentFile is one file of variables.
type EnvironmentFile struct {
	Path     string
	Optional bool // prefix "-": it may be missing
}

// Condition is one ConditionPathExists=.
type Condition struct {
	Path   string
	Negate bool
}

// File is one file of a unit.
type File struct {
	Path    string
	Content string
}

// Error says which directive of which file cannot be used. systemd calls a unit
// with such a directive "bad-setting".
type Error struct {
	Path      string
	Line      int // from 1; zero if the file as a whole is meant
	Directive string
	Err       error
}

func (e *Error) Error() string {
	at := e.Path
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, e.Line)
	}
	if e.Directive != "" {
		at += ": " + e.Directive + "="
	}
	return at + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Merge makes the service called name of its files: the unit file first, then
// the drop-ins in the order of their effect. An error is an *Error.
func Merge(name string, files []File, sp Specifiers) (*Service, error) {
	s := &Service{
		Name: name,
		Type: "", Restart: "no", KillMode: "control-group", KillSignal: syscall.SIGTERM,
		RestartDelay: 100 * time.Millisecond, TimeoutStart: 90 * time.Second, TimeoutStop: 90 * time.Second,
		StartLimitInterval: 10 * time.Second, StartLimitBurst: 5, UMask: 0o022,
	}
	timeoutStartSet := false
	for i, f := range files {
		if i == 0 {
			s.Fragment = f.Path
		} else {
			s.DropIns = append(s.DropIns, f.Path)
		}
		settings, err := read(f)
		if err != nil {
			return nil, err
		}
		for _, set := range settings {
			if err := s.apply(set, sp); err != nil {
				return nil, &Error{Path: f.Path, Line: set.line, Directive: set.name, Err: err}
			}
			timeoutStartSet = timeoutStartSet || strings.HasPrefix(set.name, "Timeout") && set.name != "TimeoutStopSec"
		}
	}
	if s.Type == "oneshot" && !timeoutStartSet {
		s.TimeoutStart = Infinity
	}
	if err := s.finish(); err != nil {
		path := name
		if len(files) > 0 {
			path = files[len(files)-1].Path
		}
		return nil, &Error{Path: path, Err: err}
	}
	return s, nil
}

// finish checks what only the whole can tell, and fills defaults that depend on
// other directives.
func (s *Service) finish() error {
	if s.Type == "" {
		s.Type = "simple"
	}
	if s.NotifyAccess == "" {
		s.NotifyAccess = "none"
	}
	if s.Type == "notify" && s.NotifyAccess == "none" {
		s.NotifyAccess = "main"
	}
	switch {
	case len(s.ExecStart) == 0 && s.Type == "oneshot" && len(s.ExecStop) > 0:
		if !s.RemainAfterExit {
			return fmt.Errorf("service has no ExecStart= and no RemainAfterExit=yes")
		}
	case len(s.ExecStart) == 0:
		return fmt.Errorf("service has no ExecStart=")
	case len(s.ExecStart) > 1 && s.Type != "oneshot":
		return fmt.Errorf("service has more than one ExecStart= setting, which is only allowed for Type=oneshot")
	case s.Type == "oneshot" && (s.Restart == "always" || s.Restart == "on-success"):
		return fmt.Errorf("service has Restart=%s, which isn't allowed for Type=oneshot", s.Restart)
	}
	return nil
}

// ExecStartArgv is the argv of each ExecStart=.
func (s *Service) ExecStartArgv() [][]string {
	argvs := make([][]string, len(s.ExecStart))
	for i, c := range s.ExecStart {
		argvs[i] = c.Argv
	}
	return argvs
}

// EffectiveEnvironment is Environment with only the last of equal names.
func (s *Service) EffectiveEnvironment() []string { return lastWins(s.Environment) }

// lastWins keeps the last assignment of each name, in the place of the first.
func lastWins(assignments []string) []string {
	at := map[string]int{}
	var out []string
	for _, a := range assignments {
		name, _, _ := strings.Cut(a, "=")
		if i, ok := at[name]; ok {
			out[i] = a
			continue
		}
		at[name] = len(out)
		out = append(out, a)
	}
	return out
}
