// Package control has the task types that are about the run itself: assert,
// confirm and playbook, to which the engine gives their meaning, and exec, which
// runs what no other type does.
package control

import "github.com/etcdplay/etcdplay/engine"

// Types lists the task types of this package.
func Types() []*engine.Type {
	return []*engine.Type{Assert(), Confirm(), Exec(), Playbook()}
}
