package ssh_test

import (
	"os"
	"os/user"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
)

// TestConnection holds both transports to the suite of all connections.
func TestConnection(t *testing.T) {
	for _, transport := range []string{"native", "openssh"} {
		t.Run(transport, func(t *testing.T) {
			if transport == "openssh" {
				program(t, "ssh")
			}
			s := startServer(t)
			c := s.config()
			c.Transport = transport
			h := open(t, c)
			conntest.Run(t, func(t *testing.T) conntest.Fixture { return fixture(t, h) })
		})
	}
}

// fixture is a host that is this machine, seen through sshd.
func fixture(t *testing.T, h conn.Host) conntest.Fixture {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	f := conntest.Fixture{
		Host: h, Dir: t.TempDir(), User: me.Username, Group: group.Name,
		NoUnits: "the units of the machine that runs the tests are left alone",
	}
	if os.Geteuid() == 0 {
		f.OtherUser = "nobody"
	}
	f.OtherFS = otherFS(t, f.Dir)
	return f
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
