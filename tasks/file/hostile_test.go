package file

import "testing"

// TestHostilePaths tries what a mistaken or a malicious playbook could ask to be
// deleted, with the roots that a cluster has by default. None of it may pass.
func TestHostilePaths(t *testing.T) {
	roots := []string{"/var/lib/etcd", "/var/lib/etcd.*"}
	allowed := func(p string) bool {
		if checkRemove(removeArgs{Path: p, Recursive: true}) != nil {
			return false
		}
		return within(p, roots[0]) || within(p, roots[1])
	}
	for _, p := range []string{
		"", " ", ".", "..", "/", "//", "/.", "/..", "/ ", "etcd", "var/lib/etcd", "./var/lib/etcd", "~", "~/etcd",
		"/var", "/var/", "/var/lib", "/var/lib/", "/var/lib/.", "/var/lib/..", "/var/lib/etcd/", "/var/lib/etcd/.",
		"/var/lib/etcd/..", "/var/lib/etcd/../..", "/var/lib/etcd/../../../etc", "/var/lib/etcd/./member", "/var/lib//etcd",
		"//var/lib/etcd", "/var/lib/etcd.", "/var/lib/etcd./x", "/var/lib/etcd.*/../x", "/var/lib/etcd.old/../etc",
		"/var/lib/etcd2", "/var/lib/etcdx/member", "/var/lib/etc", "/var/lib/etcd-old", "/var/lib/Etcd", "/var/lib/etcd ",
		"/var/lib/etcd\x00/x", "/var/lib/etcd\n", "/var/lib/etcd/\x1b[2J", "/etc", "/etc/passwd", "/usr/bin", "/boot/efi",
		"/home/core/.ssh", "/proc/1", "/dev/sda1", "/lib/systemd", "/root/x", "/tmp/etcd",
	} {
		if allowed(p) {
			t.Errorf("%q may be deleted, want it refused", p)
		}
	}
	for _, p := range []string{
		"/var/lib/etcd", "/var/lib/etcd/member", "/var/lib/etcd.old", "/var/lib/etcd.replaced-20261122T095500Z-7f3a/member/snap",
		"/var/lib/etcd/..data", "/var/lib/etcd.*",
	} {
		if !allowed(p) {
			t.Errorf("%q is refused, want it allowed", p)
		}
	}
}
