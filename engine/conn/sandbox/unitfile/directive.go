package unitfile

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// apply takes one assignment into the service.
func (s *Service) apply(set setting, sp Specifiers) error {
	if strings.HasPrefix(set.section, "X-") || strings.HasPrefix(set.name, "X-") {
		return nil // systemd leaves these to others
	}
	switch set.section {
	case "Unit":
		return s.applyUnit(set.name, set.value, sp)
	case "Service":
		return s.applyService(set.name, set.value, sp)
	case "Install":
		return s.applyInstall(set.name, set.value, sp)
	}
	return fmt.Errorf("section [%s] is not supported", set.section)
}

var errUnsupported = errors.New("this directive is not supported in a sandbox")

func (s *Service) applyUnit(name, value string, sp Specifiers) (err error) {
	switch name {
	case "Description":
		s.Description, err = sp.expand(value)
		return err
	case "Documentation":
		return nil // it has no effect on what runs
	case "After", "Before", "Wants", "Requires", "BindsTo", "PartOf":
		return targetsOnly(value, sp)
	case "Conflicts":
		return list(&s.Conflicts, value, sp, func(unit string) error { return nil })
	case "ConditionPathExists":
		return s.condition(value, sp)
	case "StartLimitIntervalSec", "StartLimitInterval":
		s.StartLimitInterval, err = span(value)
		return err
	case "StartLimitBurst":
		s.StartLimitBurst, err = strconv.Atoi(value)
		return err
	}
	return errUnsupported
}

// targetsOnly accepts dependencies on targets, all of which a sandbox host has
// reached once it is up. Anything else would have to be waited for.
func targetsOnly(value string, sp Specifiers) error {
	var names []string
	return list(&names, value, sp, func(unit string) error {
		if !strings.HasSuffix(unit, ".target") {
			return fmt.Errorf("%q is not a target; a sandbox has no dependencies between services", unit)
		}
		return nil
	})
}

// list appends the words of value to to; an empty value empties it.
func list(to *[]string, value string, sp Specifiers, check func(string) error) error {
	if value == "" {
		*to = nil
		return nil
	}
	split, err := words(value)
	if err != nil {
		return err
	}
	for _, w := range split {
		text, err := sp.expand(w.text)
		if err != nil {
			return err
		}
		if err := check(text); err != nil {
			return err
		}
		*to = append(*to, text)
	}
	return nil
}

func (s *Service) condition(value string, sp Specifiers) error {
	if value == "" {
		s.Conditions = nil
		return nil
	}
	if strings.HasPrefix(value, "|") {
		return errors.New(`the prefix "|" is not supported`)
	}
	plain, negate := strings.CutPrefix(value, "!")
	expanded, err := sp.expand(plain)
	if err != nil {
		return err
	}
	p, err := absolute(expanded)
	s.Conditions = append(s.Conditions, Condition{Path: p, Negate: negate})
	return err
}

func (s *Service) applyInstall(name, value string, sp Specifiers) error {
	switch name {
	case "WantedBy", "RequiredBy":
		return list(&s.WantedBy, value, sp, func(string) error { return nil })
	}
	return errUnsupported
}

func (s *Service) applyService(name, value string, sp Specifiers) (err error) {
	switch name {
	case "Type":
		s.Type, err = choice(value, "simple", "exec", "notify", "oneshot")
	case "NotifyAccess":
		s.NotifyAccess, err = choice(value, "none", "main", "exec", "all")
	case "RemainAfterExit":
		s.RemainAfterExit, err = boolean(value)
	case "Environment":
		return s.environment(value, sp)
	case "EnvironmentFile":
		return s.environmentFile(value, sp)
	case "User", "Group", "WorkingDirectory":
		return s.applyIdentity(name, value, sp)
	case "RuntimeDirectory":
		return list(&s.RuntimeDirectory, value, sp, relative)
	case "Restart":
		s.Restart, err = choice(value, "no", "on-success", "on-failure", "on-abnormal", "on-abort", "always")
	case "RestartSec":
		s.RestartDelay, err = span(value)
	case "TimeoutStartSec":
		s.TimeoutStart, err = timeout(value)
	case "TimeoutStopSec":
		s.TimeoutStop, err = timeout(value)
	case "TimeoutSec":
		s.TimeoutStart, err = timeout(value)
		s.TimeoutStop = s.TimeoutStart
	case "KillMode":
		s.KillMode, err = choice(value, "control-group", "mixed", "process")
	case "KillSignal":
		s.KillSignal, err = signal(value)
	case "LimitNOFILE":
		s.LimitNOFILE, err = limit(value)
	case "UMask":
		mask, perr := strconv.ParseUint(value, 8, 32)
		if perr != nil || mask > 0o777 {
			return fmt.Errorf("%q is not a file mode mask", value)
		}
		s.UMask = uint32(mask)
	case "StartLimitInterval", "StartLimitBurst": // where systemd had them before version 230
		return s.applyUnit(name, value, sp)
	default:
		return s.applyExec(name, value, sp)
	}
	return err
}

func (s *Service) applyIdentity(name, value string, sp Specifiers) error {
	expanded, err := sp.expand(value)
	if err != nil {
		return err
	}
	switch name {
	case "User":
		s.User = expanded
	case "Group":
		s.Group = expanded
	default:
		if expanded == "" {
			s.WorkingDirectory = ""
			return nil
		}
		if strings.HasPrefix(expanded, "-") || expanded == "~" {
			return fmt.Errorf("%q is not supported", value)
		}
		s.WorkingDirectory, err = absolute(expanded)
	}
	return err
}

func relative(dir string) error {
	for _, part := range strings.Split(dir, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%q is not a relative path without \"..\"", dir)
		}
	}
	return nil
}

func (s *Service) applyExec(name, value string, sp Specifiers) error {
	to := map[string]*[]Command{
		"ExecStartPre": &s.ExecStartPre, "ExecStart": &s.ExecStart, "ExecStartPost": &s.ExecStartPost,
		"ExecStop": &s.ExecStop, "ExecStopPost": &s.ExecStopPost,
	}[name]
	if to == nil {
		return errUnsupported
	}
	if value == "" {
		*to = nil
		return nil
	}
	split, err := words(value)
	if err != nil {
		return err
	}
	for begin := 0; begin < len(split); {
		end := begin
		for end < len(split) && split[end].bare != ";" {
			end++
		}
		if end > begin {
			c, err := command(split[begin:end], sp)
			if err != nil {
				return err
			}
			*to = append(*to, c)
		}
		begin = end + 1
	}
	return nil
}

// command reads one command line, its prefixes and specifiers included.
func command(split []word, sp Specifiers) (Command, error) {
	var c Command
	first := split[0].text
	separate := false
	for first != "" {
		switch first[0] {
		case '-':
			c.IgnoreFailure = true
		case ':':
			c.Literal = true
		case '@':
			separate = true
		case '+', '!':
			return c, fmt.Errorf("the prefix %q changes privileges, which a sandbox cannot", first[:1])
		case '|':
			return c, errors.New(`the prefix "|" is not supported`)
		default:
			goto prefixed
		}
		first = first[1:]
	}
prefixed:
	argv := make([]string, 0, len(split))
	for i, w := range split {
		text := w.text
		if i == 0 {
			text = first
		}
		expanded, err := sp.expand(text)
		if err != nil {
			return c, err
		}
		argv = append(argv, expanded)
	}
	c.Path, c.Argv = argv[0], argv
	if separate {
		if c.Argv = argv[1:]; len(c.Argv) == 0 {
			return c, errors.New(`the prefix "@" needs a second word`)
		}
	}
	if c.Path == "" || strings.HasSuffix(c.Path, "/") {
		return c, errors.New("the command has no program")
	}
	if strings.Contains(c.Path, "/") {
		p, err := absolute(c.Path)
		c.Path = p
		return c, err
	}
	return c, nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (s *Service) environment(value string, sp Specifiers) error {
	return list(&s.Environment, value, sp, func(assignment string) error {
		name, text, ok := strings.Cut(assignment, "=")
		if !ok || !variable.MatchString(name) {
			return fmt.Errorf("%q is not an assignment NAME=value; systemd would ignore it", assignment)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' }) {
			return fmt.Errorf("the value of %s holds a control character", name)
		}
		return nil
	})
}

func (s *Service) environmentFile(value string, sp Specifiers) error {
	if value == "" {
		s.EnvironmentFiles = nil
		return nil
	}
	expanded, err := sp.expand(value)
	if err != nil {
		return err
	}
	plain, optional := strings.CutPrefix(expanded, "-")
	if strings.ContainsAny(plain, "*?[") {
		return errors.New("patterns are not supported")
	}
	p, err := absolute(plain)
	s.EnvironmentFiles = append(s.EnvironmentFiles, EnvironmentFile{Path: p, Optional: optional})
	return err
}
