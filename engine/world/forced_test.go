package world

import (
	"strings"
	"testing"
)

func TestForcesNewCluster(t *testing.T) {
	for _, c := range []struct {
		env  string // separated by ;
		argv string
		want string
	}{
		{"ETCD_NAME=a", "/usr/bin/etcd --name=a", ""},
		{"ETCD_FORCE_NEW_CLUSTER=true", "/usr/bin/etcd", "ETCD_FORCE_NEW_CLUSTER=true"},
		{"ETCD_FORCE_NEW_CLUSTER=1", "", "ETCD_FORCE_NEW_CLUSTER=1"},
		{"ETCD_FORCE_NEW_CLUSTER=maybe", "", "ETCD_FORCE_NEW_CLUSTER=maybe"},
		{"ETCD_FORCE_NEW_CLUSTER=false", "", ""},
		{"ETCD_FORCE_NEW_CLUSTER=", "", ""},
		{"X_ETCD_FORCE_NEW_CLUSTER=true", "", ""},
		{"ETCD_OPTS=--debug --force-new-cluster", "", "--force-new-cluster"},
		{"", "/usr/bin/etcd --force-new-cluster", "--force-new-cluster"},
		{"", "/usr/bin/etcd -force-new-cluster=true", "-force-new-cluster=true"},
		{"", "/usr/bin/etcd --force-new-cluster=false", ""},
		{"", "/usr/bin/etcd --force-new-cluster=maybe", "--force-new-cluster=maybe"},
		{"", `/bin/sh -c '--force-new-cluster'`, "'--force-new-cluster'"},
		{`ETCD_OPTS="--force-new-cluster" --debug`, "", `"--force-new-cluster"`},
		{"", "/usr/bin/etcd --name=force-new-cluster", ""},
		{"A=force-new-cluster", "", ""},
	} {
		if got := ForcesNewCluster(strings.Split(c.env, ";"), [][]string{strings.Fields(c.argv)}); got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.env, c.argv, got, c.want)
		}
	}
	if Unforced("u", "").err() != nil || Unforced("u", "x").err() == nil {
		t.Error("Q11 does not go by what was found")
	}
}

// err is nil if the check holds.
func (c Check) err() error { return Verdict{Checks: []Check{c}}.Err() }
