package file_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/engine/world"
	"github.com/etcdplay/etcdplay/tasks/file"
)

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, dir+"/d", 0o755)
	if err := os.Symlink("/etc/passwd", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir + "/d":      "is-file",
		dir + "/link":   "is-file",
		dir + "/no/f":   "has-directory",
		dir + "/d/f":    "",
		dir + "/link/f": "not a directory",
	} {
		if got := refusal(t, file.Write(), engine.Cluster{}, arguments{"path": str(path), "content": str("x")}); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// TestWriteKeepsAttributes: what is not asked for stays as it is.
func TestWriteKeepsAttributes(t *testing.T) {
	path := t.TempDir() + "/f"
	write(t, path, "data", 0o640)
	typ, args := file.Write(), enginetest.Args(file.Write(), arguments{"path": str(path), "content": str("other")})
	s, err := typ.Observe(t.Context(), look(t, engine.Cluster{}), args)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := typ.Apply(t.Context(), engine.Hands{Look: look(t, engine.Cluster{}), Host: here(t)}, args, s); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v, want 0640", info.Mode(), err)
	}
}

// reading is this machine with a unit that reads files of variables.
type reading struct {
	conn.Host
	files []string
}

func (r reading) Unit(context.Context, string) (conn.Unit, error) {
	return conn.Unit{EnvironmentFiles: r.files}, nil
}

// TestWriteGuardsMembers: the file that configures a member of the cluster has to
// be read by its service, and to fit the member list.
func TestWriteGuardsMembers(t *testing.T) {
	path := t.TempDir() + "/etcd"
	cluster := engine.Cluster{Layout: "debian", EnvFile: path, Unit: "etcd.service"}
	running := &world.World{Cluster: world.Cluster{Known: true, ID: "1", Members: []world.Member{
		{ID: "a", Name: "a", PeerURLs: []string{"http://a:2380"}}, {ID: "b", PeerURLs: []string{"http://b:2380"}},
	}}}
	joining := "ETCD_NAME=\"b\"\n# a word\nETCD_INITIAL_CLUSTER=\"a=http://a:2380,b=http://b:2380\"\nETCD_INITIAL_CLUSTER_STATE=existing\n"
	for name, c := range map[string]struct {
		read    string
		content string
		want    string
	}{
		"joins":           {path, joining, ""},
		"is not read":     {"/etc/sysconfig/etcd", joining, "takes-effect"},
		"another member":  {path, strings.Replace(joining, ",b=http://b", ",b=http://c", 1), "Q16"},
		"a new cluster":   {path, strings.Replace(joining, "existing", "new", 1), "Q17"},
		"not its own one": {path, strings.Replace(joining, "NAME=\"b\"", "NAME=\"x\"", 1), "Q16"},
	} {
		l := look(t, cluster)
		l.Host = reading{here(t), []string{c.read}}
		args := enginetest.Args(file.Write(), arguments{"path": str(path), "content": str(c.content)})
		s, err := file.Write().Observe(t.Context(), l, args)
		if err != nil {
			t.Fatal(err)
		}
		var refused *world.Refusal
		got := ""
		if errors.As(file.Write().Guard("localhost", args, s, running).Err(), &refused) {
			got = refused.Failed[0].ID
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
