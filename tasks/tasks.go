// Package tasks lists all task types. What each does stands in the package of
// its subject; nothing but this list knows them all.
package tasks

import (
	"context"
	"slices"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/bootstrap"
	"github.com/etcdplay/etcdplay/tasks/control"
	"github.com/etcdplay/etcdplay/tasks/etcd"
	"github.com/etcdplay/etcdplay/tasks/etcd2"
	"github.com/etcdplay/etcdplay/tasks/file"
	"github.com/etcdplay/etcdplay/tasks/flags"
	"github.com/etcdplay/etcdplay/tasks/onhost"
	"github.com/etcdplay/etcdplay/tasks/snapshot"
	"github.com/etcdplay/etcdplay/tasks/systemd"
)

// Types lists every task type.
func Types() []*engine.Type {
	return slices.Concat(
		etcd.Types(),
		etcd2.Types(),
		bootstrap.Types(),
		snapshot.Types(),
		systemd.Types(),
		file.Types(),
		flags.Types(),
		control.Types(),
	)
}

// Verbs lists what the task types do on a host with a process of this program.
func Verbs() []onhost.Verb {
	return snapshot.Verbs()
}

// Survey reads the cluster over the API that the inventory says it speaks.
func Survey(ctx context.Context, l engine.Look, endpoints []string) world.Cluster {
	if l.Cluster.API == 2 {
		return etcd2.Survey(ctx, l, endpoints)
	}
	return etcd.Survey(ctx, l, endpoints)
}
