package world

import "testing"

// look is one expectation of Host.Look.
type look struct {
	path    string
	state   FileState
	origin  string
	content string
}

func expect(t *testing.T, h *Host, wants ...look) {
	t.Helper()
	for _, w := range wants {
		s, origin, content := h.Look(w.path)
		if s != w.state || origin != w.origin || string(content) != w.content {
			t.Errorf("%s: got %v %q %q, want %v %q %q", w.path, s, origin, content, w.state, w.origin, w.content)
		}
	}
}

func TestFilesUntouched(t *testing.T) {
	var none *Host
	expect(t, none, look{path: "/a", state: Real})
	expect(t, &Host{}, look{path: "/a/b", state: Real}, look{path: "/", state: Real})
}

// TestFilesMove is the life of a data directory: moved aside, made anew, and a
// restored tree moved to its place.
func TestFilesMove(t *testing.T) {
	h := &Host{}
	h.Move("/var/etcd", "/var/etcd.old")
	expect(
		t, h,
		look{path: "/var/etcd", state: Absent},
		look{path: "/var/etcd/member/wal", state: Absent},
		look{path: "/var/etcd.old", state: Moved, origin: "/var/etcd"},
		look{path: "/var/etcd.old/member/wal", state: Moved, origin: "/var/etcd/member/wal"},
		look{path: "/var/etcd-other", state: Real},
	)
	h.Mkdir("/var/etcd")
	expect(
		t, h,
		look{path: "/var/etcd", state: Dir},
		look{path: "/var/etcd/member", state: Absent},
	)
	h.Mkdir("/var/etcd.old")
	expect(t, h, look{path: "/var/etcd.old", state: Moved, origin: "/var/etcd"})

	h.Move("/var/etcd.old/member", "/srv/member")
	expect(
		t, h,
		look{path: "/srv/member/wal", state: Moved, origin: "/var/etcd/member/wal"},
		look{path: "/var/etcd.old/member", state: Absent},
		look{path: "/var/etcd.old/proxy", state: Moved, origin: "/var/etcd/proxy"},
	)
	h.Move("/var/etcd.old", "/var/etcd.older")
	expect(
		t, h,
		look{path: "/var/etcd.old", state: Absent},
		look{path: "/var/etcd.older", state: Moved, origin: "/var/etcd"},
		look{path: "/var/etcd.older/member", state: Absent},
	)
}

func TestFilesMoveWritten(t *testing.T) {
	h := &Host{}
	h.Mkdir("/new")
	h.Write("/new/a", []byte("x"))
	h.Move("/new", "/place")
	expect(
		t, h,
		look{path: "/place", state: Dir},
		look{path: "/place/a", state: File, content: "x"},
		look{path: "/place/b", state: Absent},
		look{path: "/new/a", state: Absent},
	)
}

// TestFilesMoveOpaque: what cannot be known does not become known by a move.
func TestFilesMoveOpaque(t *testing.T) {
	h := &Host{}
	h.Blur("/restored")
	h.Move("/restored", "/var/etcd")
	expect(t, h, look{path: "/var/etcd/member", state: Opaque}, look{path: "/restored", state: Absent})

	h = &Host{}
	h.Blur("/tree")
	h.Move("/tree/part", "/part")
	expect(t, h, look{path: "/part", state: Opaque}, look{path: "/part/x", state: Opaque})

	h = &Host{}
	h.Remove("/gone")
	h.Move("/gone/part", "/part")
	expect(t, h, look{path: "/part", state: Absent})
}

func TestFilesWriteRemove(t *testing.T) {
	h := &Host{}
	h.Write("/etc/x/a.conf", []byte("1"))
	h.Write("/etc/x/b.conf", nil)
	expect(
		t, h,
		look{path: "/etc/x/a.conf", state: File, content: "1"},
		look{path: "/etc/x/b.conf", state: File},
		look{path: "/etc/x", state: Real},
		look{path: "/etc/x/a.conf/below", state: Absent},
	)
	h.Remove("/etc/x")
	expect(t, h, look{path: "/etc/x/a.conf", state: Absent}, look{path: "/etc/x", state: Absent}, look{path: "/etc/xy", state: Real})
	h.Mkdir("/etc/x")
	h.Blur("/etc/x")
	expect(t, h, look{path: "/etc/x/a.conf", state: Opaque})
	h.Mkdir("/etc/x")
	expect(t, h, look{path: "/etc/x", state: Opaque})
}
