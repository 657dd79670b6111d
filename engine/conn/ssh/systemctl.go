package ssh

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// What follows is done by systemctl and busctl, where a host has no bridge to
// its bus.

// systemctl runs systemctl as a change.
func (h *Host) systemctl(ctx context.Context, args ...string) error {
	r, err := h.Run(ctx, conn.Command{Argv: append([]string{"systemctl", "--quiet", "--no-ask-password"}, args...)})
	if err != nil || r.ExitCode == 0 {
		return err
	}
	said := strings.TrimSpace(string(r.Stderr))
	if strings.Contains(said, "not found.") || strings.Contains(said, "not loaded.") {
		return fmt.Errorf("%w: %s", conn.ErrNoUnit, args[len(args)-1])
	}
	return fmt.Errorf("systemctl %s: exit code %d: %s", strings.Join(args, " "), r.ExitCode, lastLine(said))
}

func (h *Host) systemctlMask(ctx context.Context, verb, unit string, runtime bool) error {
	args := []string{verb}
	if runtime {
		args = append(args, "--runtime")
	}
	return h.systemctl(ctx, append(args, "--", unit)...)
}

// systemctlJob queues a job and, if wanted, waits for its end. A start that
// somebody asks for is not to be refused because systemd tried too often by
// itself, so the count is reset before.
func (h *Host) systemctlJob(ctx context.Context, what, unit string, wait bool) error {
	if what != "stop" {
		if err := h.systemctl(ctx, "reset-failed", "--", unit); err != nil && ctx.Err() != nil {
			return err // any other error the start will have, too
		}
	}
	if err := h.systemctl(ctx, "--no-block", what, "--", unit); err != nil || !wait {
		return err
	}
	for {
		p, err := h.systemctlProperties(ctx, unit)
		if err != nil {
			return fmt.Errorf("%w: %s of %s: %w", conn.ErrOutcomeUnknown, what, unit, err)
		}
		state := p["ActiveState"]
		pending := p["Job"] != "" && p["Job"] != "0" || state == "activating" || state == "deactivating" || state == "reloading"
		switch {
		case pending:
		case what == "stop" && state != "active", state == "active":
			return nil
		case state == "inactive" && p["Result"] == "success":
			return nil // a oneshot that is over
		default:
			return fmt.Errorf("%s: the %s ended with %q; its journal says more", unit, what, p["Result"])
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s of %s: %w", conn.ErrOutcomeUnknown, what, unit, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

var shownProperties = "LoadState,ActiveState,SubState,Result,Type,UnitFileState,InvocationID,MainPID,ExecMainStatus,NRestarts,NeedDaemonReload,FragmentPath,DropInPaths,Job"

func (h *Host) systemctlProperties(ctx context.Context, unit string) (map[string]string, error) {
	r, err := h.Query(ctx, conn.Command{Argv: []string{"systemctl", "--no-pager", "show", "--property=" + shownProperties, "--", unit}})
	if err != nil {
		return nil, err
	}
	if r.ExitCode != 0 {
		return nil, fmt.Errorf("systemctl show: exit code %d: %s", r.ExitCode, lastLine(string(r.Stderr)))
	}
	p := make(map[string]string)
	for line := range strings.Lines(string(r.Stdout)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		p[name] = value
	}
	return p, nil
}

// systemctlShow describes a unit.
func (h *Host) systemctlShow(ctx context.Context, name string) (conn.Unit, error) {
	p, err := h.systemctlProperties(ctx, name)
	if err != nil {
		return conn.Unit{}, err
	}
	if p["LoadState"] == "not-found" && p["ActiveState"] == "inactive" {
		return conn.Unit{}, fmt.Errorf("%w: %s", conn.ErrNoUnit, name)
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(p[name]) // a property that an older systemd does not have is zero
		return n
	}
	u := conn.Unit{
		Name: name, LoadState: p["LoadState"], ActiveState: p["ActiveState"], SubState: p["SubState"],
		Result: p["Result"], Type: p["Type"], UnitFileState: p["UnitFileState"], InvocationID: p["InvocationID"],
		MainPID: number("MainPID"), ExecMainStatus: number("ExecMainStatus"), NRestarts: number("NRestarts"),
		NeedDaemonReload: p["NeedDaemonReload"] == "yes", FragmentPath: p["FragmentPath"],
		DropInPaths: strings.Fields(p["DropInPaths"]),
	}
	if strings.HasSuffix(name, ".service") && u.LoadState == "loaded" {
		err = h.busctlService(ctx, &u)
	}
	return u, err
}

// busctlService reads what systemctl prints in a form that cannot be read back:
// the arguments and assignments of a service.
func (h *Host) busctlService(ctx context.Context, u *conn.Unit) error {
	object := "/org/freedesktop/systemd1/unit/" + dbus.PathBusEscape(u.Name)
	r, err := h.Query(ctx, conn.Command{Argv: []string{
		"busctl", "--json=short", "get-property", "org.freedesktop.systemd1", object,
		"org.freedesktop.systemd1.Service", "ExecStart", "Environment", "EnvironmentFiles",
	}})
	if err != nil {
		return err
	}
	if r.ExitCode != 0 {
		return fmt.Errorf("busctl: exit code %d: %s", r.ExitCode, lastLine(string(r.Stderr)))
	}
	lines := bytes.Split(bytes.TrimSpace(r.Stdout), []byte("\n"))
	if len(lines) != 3 {
		return fmt.Errorf("busctl printed %d properties instead of 3", len(lines))
	}
	var commands, files struct {
		Data [][]json.RawMessage `json:"data"`
	}
	var environment struct {
		Data []string `json:"data"`
	}
	for i, into := range []any{&commands, &environment, &files} {
		if err := json.Unmarshal(lines[i], into); err != nil {
			return fmt.Errorf("busctl printed something else than JSON: %w", err)
		}
	}
	u.Environment = environment.Data
	for _, c := range commands.Data {
		var argv []string
		if len(c) > 1 && json.Unmarshal(c[1], &argv) == nil {
			u.ExecStart = append(u.ExecStart, argv)
		}
	}
	for _, f := range files.Data {
		var path string
		if len(f) > 0 && json.Unmarshal(f[0], &path) == nil {
			u.EnvironmentFiles = append(u.EnvironmentFiles, path)
		}
	}
	return nil
}
