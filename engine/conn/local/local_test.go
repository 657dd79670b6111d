package local_test

import (
	"os"
	"os/user"
	"testing"

	"github.com/coreos/go-systemd/v22/util"
	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/local"
)

func TestConnection(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	conntest.Run(t, func(t *testing.T) conntest.Fixture {
		h, err := local.Dial("here")
		if err != nil {
			t.Fatal(err)
		}
		f := conntest.Fixture{Host: h, Dir: t.TempDir(), User: me.Username, Group: group.Name}
		if os.Geteuid() == 0 {
			f.OtherUser = "nobody"
		}
		f.OtherFS = otherFS(t, f.Dir)
		f.NoUnits = "the units of the machine that runs the tests are left alone"
		f.Unsupported = !util.IsRunningSystemd()
		return f
	})
}

// otherFS makes a directory on another file system than dir's, in memory.
func otherFS(t *testing.T, dir string) string {
	other, err := os.MkdirTemp("/dev/shm", "etcdplay-conntest-")
	if err != nil {
		conntest.Skip(t, "no file system in memory: "+err.Error())
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	var a, b unix.Stat_t
	if unix.Stat(dir, &a) != nil || unix.Stat(other, &b) != nil || a.Dev == b.Dev {
		conntest.Skip(t, "the temporary folder is itself in memory")
	}
	return other
}
