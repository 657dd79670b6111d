package main

import (
	"path/filepath"
)

// stateDir is where runs and their journals are kept: never in the playbook's
// folder, never on a host.
func (a *app) stateDir() (string, error) {
	if dir := a.env["XDG_STATE_HOME"]; dir != "" {
		if !filepath.IsAbs(dir) {
			return "", wrong("", "XDG_STATE_HOME is %q, and has to be an absolute path.", dir)
		}
		return filepath.Join(dir, "etcdplay"), nil
	}
	home := a.env["HOME"]
	switch {
	case home == "":
		return "", wrong("", "Neither XDG_STATE_HOME nor HOME is set, so there is no place for the records of runs. Set XDG_STATE_HOME to a folder of yours.")
	case !filepath.IsAbs(home):
		return "", wrong("", "HOME is %q, and has to be an absolute path. Or set XDG_STATE_HOME.", home)
	}
	return filepath.Join(home, ".local", "state", "etcdplay"), nil
}
