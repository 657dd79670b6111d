// Package tasks lists all task types. What each does stands in the package of
// its subject; nothing but this list knows them all.
package tasks

import (
	"slices"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/tasks/bootstrap"
	"github.com/etcdplay/etcdplay/tasks/control"
	"github.com/etcdplay/etcdplay/tasks/etcd"
	"github.com/etcdplay/etcdplay/tasks/file"
	"github.com/etcdplay/etcdplay/tasks/onhost"
	"github.com/etcdplay/etcdplay/tasks/snapshot"
	"github.com/etcdplay/etcdplay/tasks/systemd"
)

// Types lists every task type.
func Types() []*engine.Type {
	return slices.Concat(
		etcd.Types(),
		bootstrap.Types(),
		snapshot.Types(),
		systemd.Types(),
		file.Types(),
		control.Types(),
	)
}

// Verbs lists what the task types do on a host with a process of this program.
func Verbs() []onhost.Verb {
	return snapshot.Verbs()
}
