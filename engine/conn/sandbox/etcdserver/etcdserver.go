// Package etcdserver knows how to be an etcd server. It stands apart because
// importing etcd costs start-up time and megabytes.
package etcdserver

import "go.etcd.io/etcd/server/v3/etcdmain"

// Main runs etcd with its command-line arguments, those after the program's
// name, until it ends. It ends the process itself, with etcd's exit code.
func Main(args []string) {
	etcdmain.Main(append([]string{"etcd"}, args...))
}
