package ssh_test

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
)

const errNoSpace = syscall.ENOSPC

func skipNotRoot(t *testing.T) {
	t.Helper()
	conntest.Skip(t, "this needs root, to mount file systems and to make users")
}

// mount mounts a file system in memory. sshd has a mount namespace of its own,
// so it must be started after this.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if out, err := exec.Command(program(t, "mount"), "-t", "tmpfs", "-o", options, "test", dir).CombinedOutput(); err != nil {
		conntest.Skip(t, "no file system could be mounted: "+string(out))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
