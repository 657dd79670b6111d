package sandbox

import (
	"fmt"
	"strings"
)

// What a host has in the layout of Debian's package.
const (
	debianUnitName = "etcd.service"
	debianFile     = "etc/default/etcd"
	debianProgram  = "/usr/bin/etcd"
)

// debianUnit is Debian's unit. Its program is the wrapper of the sandbox.
const debianUnit = `# etcd.service as Debian's package has it. In a sandbox a unit that cannot start
# is given up after three attempts.
[Unit]
Description=etcd - highly-available key value store
Documentation=https://etcd.io/docs
After=network.target
Wants=network-online.target
StartLimitIntervalSec=10s
StartLimitBurst=3

[Service]
Environment=DAEMON_ARGS=
Environment=ETCD_NAME=%%H
Environment=ETCD_DATA_DIR=/var/lib/etcd/default
%sEnvironmentFile=-/etc/default/%%p
Type=notify
ExecStart=/usr/bin/etcd $DAEMON_ARGS
Restart=on-abnormal
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
`

// layout is what an inventory calls it.
func (s *Sandbox) layout() string {
	if s.meta.Debian {
		return "debian"
	}
	return "etcd-member"
}

// Unit is the unit that runs a member.
func (s *Sandbox) Unit() string {
	if s.meta.Debian {
		return debianUnitName
	}
	return Unit
}

// DataDir is the data directory of a member, as seen on its host.
func (s *Sandbox) DataDir() string {
	if s.meta.Debian {
		return DataDir + "/default"
	}
	return DataDir
}

// program is what the unit starts.
func (s *Sandbox) program() string {
	if s.meta.Debian {
		return debianProgram
	}
	return wrapperPath
}

// variables is the file of variables of a member of the first cluster.
func (s *Sandbox) variables(h Host) string {
	var b strings.Builder
	for _, f := range s.flags(h) {
		fmt.Fprintf(&b, "ETCD_%s=%q\n", strings.ToUpper(strings.ReplaceAll(f[0], "-", "_")), f[1])
	}
	return b.String()
}
