package flags_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
	"github.com/etcdplay/etcdplay/engine/conn/conntest"
	"github.com/etcdplay/etcdplay/engine/conn/local"
	"github.com/etcdplay/etcdplay/engine/enginetest"
	"github.com/etcdplay/etcdplay/tasks/flags"
)

// host is this machine with a unit of its own, whose files lie below a folder.
type host struct {
	conn.Host
	unit  conn.Unit
	files map[string]string
}

func (h host) Unit(context.Context, string) (conn.Unit, error) { return h.unit, nil }

func (h host) ReadFile(ctx context.Context, path string) ([]byte, error) {
	if text, ok := h.files[path]; ok {
		return []byte(text), nil
	}
	if filepath.Ext(path) == ".conf" || filepath.Ext(path) == ".service" {
		return nil, fs.ErrNotExist
	}
	return h.Host.ReadFile(ctx, path)
}

func (h host) Stat(ctx context.Context, path string) (conn.Info, error) {
	if text, ok := h.files[path]; ok {
		return conn.Info{Path: path, Mode: 0o755, Size: int64(len(text))}, nil
	}
	return h.Host.Stat(ctx, path)
}

const (
	wrapper = "/usr/lib/coreos/etcd-wrapper"
	coreos  = "#!/bin/bash -e\nexec rkt run -- \"$@\"\n"
	flatcar = "#!/bin/bash\nif [[ $1 =~ name ]]; then unset ETCD_NAME; fi\nexec sdnotify-proxy /run/x docker run \"$@\"\n"
)

// situation is what the type says of a unit: an error with these words, or the
// version, and the variables that are ignored.
type situation struct {
	argv    []string
	env     []string
	files   map[string]string
	unit    conn.Unit
	etcd    string
	want    string // of the error; "" is none
	version string
	ignored []string
}

func (s situation) look(t *testing.T) (cty.Value, error) {
	t.Helper()
	here, err := local.Dial("localhost")
	if err != nil {
		t.Fatal(err)
	}
	u := s.unit
	u.ExecStart, u.Environment = [][]string{s.argv}, s.env
	args := enginetest.Args(flags.Flags(), map[string]cty.Value{"unit": cty.StringVal("etcd.service")})
	if s.etcd != "" {
		args = enginetest.Args(flags.Flags(), map[string]cty.Value{"unit": cty.StringVal("etcd.service"), "etcd": cty.StringVal(s.etcd)})
	}
	st, err := flags.Flags().Observe(t.Context(), engine.Look{Host: host{here, u, s.files}}, args)
	if err != nil {
		return cty.NilVal, err
	}
	return flags.Flags().Report(args, st), nil
}

func TestUnits(t *testing.T) {
	of := func(script string) map[string]string { return map[string]string{wrapper: script} }
	for name, s := range map[string]situation{
		"a new flag in an old release": {
			argv: []string{wrapper, "--name=a", "--feature-gates=X=true"}, env: []string{"ETCD_IMAGE_TAG=v3.5.16"}, files: of(coreos),
			want: "etcd 3.5 does not know --feature-gates. It came with 3.6",
		},
		"an old flag in a new release": {
			argv: []string{wrapper, "--enable-v2"}, env: []string{"ETCD_IMAGE_TAG=v3.6.11-amd64"}, files: of(coreos),
			want: "etcd 3.6 does not know --enable-v2. 3.5 was the last release that had it",
		},
		"what the help text of 3.7 still has": {
			argv: []string{wrapper, "--discovery=http://x"}, env: []string{"ETCD_IMAGE_TAG=v3.7.3"}, files: of(coreos),
			want: "etcd 3.7 does not know --discovery",
		},
		"a flag in a variable": {
			argv: []string{wrapper, "$ETCD_OPTS", "--name=a"}, env: []string{"ETCD_IMAGE_TAG=v3.7.3", "ETCD_OPTS=--debug -ca-file x"}, files: of(coreos),
			want: "etcd 3.7 does not know --debug",
		},
		"Container Linux's own name": {
			argv: []string{wrapper, "--name=a"}, env: []string{"ETCD_IMAGE_TAG=v3.4.45", "ETCD_NAME=machine"}, files: of(coreos),
			want: "--name and ETCD_NAME are both set",
		},
		"Flatcar's wrapper takes it away": {
			argv: []string{wrapper, "--name=a"}, env: []string{"ETCD_IMAGE_TAG=v3.5.16", "ETCD_NAME=machine", "ETCD_SSL_DIR=/x"}, files: of(flatcar),
			version: "3.5.16",
		},
		"but not the data directory": {
			argv: []string{wrapper, "--data-dir=/data"}, env: []string{"ETCD_IMAGE_TAG=v3.5.16", "ETCD_DATA_DIR=/var/lib/etcd"}, files: of(flatcar),
			want: "--data-dir and ETCD_DATA_DIR are both set",
		},
		"a drop-in takes it away": {
			argv: []string{wrapper, "--name=a"}, env: []string{"ETCD_IMAGE_TAG=v3.4.45", "ETCD_NAME=machine"},
			files: map[string]string{wrapper: coreos, "/etc/x.conf": "[Service]\nUnsetEnvironment=ETCD_NAME\n"},
			unit:  conn.Unit{DropInPaths: []string{"/etc/x.conf"}}, version: "3.4.45",
		},
		"before 3.4 the flag wins": {
			argv: []string{wrapper, "--name=a"}, env: []string{"ETCD_IMAGE_TAG=v3.3.12", "ETCD_NAME=machine"}, files: of(coreos), version: "3.3.12",
		},
		"a file of variables": {
			argv: []string{wrapper, "$DAEMON_ARGS"}, env: []string{"ETCD_IMAGE_TAG=v3.6.1", "DAEMON_ARGS="},
			files: map[string]string{wrapper: coreos, "/etc/default/etcd": "# a word\nDAEMON_ARGS=\"--name=b\"\nETCD_NAME='a b'\n"},
			unit:  conn.Unit{EnvironmentFiles: []string{"/etc/default/etcd", "/etc/default/none"}},
			want:  "--name and ETCD_NAME are both set",
		},
		"ignored variables": {
			argv: []string{wrapper}, env: []string{"ETCD_IMAGE_TAG=v3.6.1", "ETCD_ENABLE_V2=true", "ETCD_NMAE=a", "ETCD_NAME=a", "PATH=/bin"}, files: of(coreos),
			version: "3.6.1", ignored: []string{"ETCD_ENABLE_V2", "ETCD_NMAE"},
		},
		"a file of flags": {
			argv: []string{wrapper, "--config-file=/x", "--name=a"}, env: []string{"ETCD_IMAGE_TAG=v3.6.1"}, files: of(coreos),
			want: "ignores all its other flags",
		},
		"nothing tells the version":              {argv: []string{wrapper, "--enable-v2"}, files: of(coreos)},
		"no release has it":                      {argv: []string{wrapper, "--nmae=a"}, files: of(coreos), want: "no release of etcd from 3.4 on knows --nmae"},
		"a release not in the table":             {argv: []string{wrapper, "--anything"}, env: []string{"ETCD_IMAGE_TAG=v3.8.0"}, files: of(coreos), version: "3.8.0"},
		"a program of another name is not asked": {argv: []string{"/bin/sh", "--name=a"}},
		"but its tag counts":                     {argv: []string{"/bin/sh", "--name=a"}, env: []string{"ETCD_IMAGE_TAG=v3.6.1"}, version: "3.6.1"},
		"nothing is started":                     {argv: nil, want: "starts nothing"},
		"an old view":                            {argv: []string{wrapper}, unit: conn.Unit{NeedDaemonReload: true}, want: "NeedDaemonReload"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.look(t)
			switch {
			case s.want == "" && err != nil:
				t.Fatal(err)
			case s.want != "" && (err == nil || !strings.Contains(err.Error(), s.want)):
				t.Fatalf("got %v, want %q", err, s.want)
			case s.want != "":
				return
			}
			if v := got.GetAttr("version").AsString(); v != s.version {
				t.Errorf("version %q, want %q", v, s.version)
			}
			var ignored []string
			for it := got.GetAttr("ignored").ElementIterator(); it.Next(); {
				_, v := it.Element()
				ignored = append(ignored, v.AsString())
			}
			if !slices.Equal(ignored, s.ignored) {
				t.Errorf("ignored %q, want %q", ignored, s.ignored)
			}
		})
	}
}

// TestGenuine asks genuine programs for their version: started by the unit, by
// a script that it starts, or named by the author.
func TestGenuine(t *testing.T) {
	etcds := os.Getenv("ETCDPLAY_ETCDS")
	if etcds == "" {
		conntest.Skip(t, "ETCDPLAY_ETCDS does not name the folder of genuine etcds; make test does")
	}
	for release, etcd := range map[string]string{"3.4.": etcds + "/3.4/etcd", "3.7.": etcds + "/3.7/etcd"} {
		for name, s := range map[string]situation{
			"the program": {argv: []string{etcd, "--name=a"}},
			"a script":    {argv: []string{wrapper, "--name=a"}, files: map[string]string{wrapper: "#!/bin/sh\nexec '" + etcd + "' \"$@\"\n"}},
			"as named":    {argv: []string{wrapper, "--name=a"}, files: map[string]string{wrapper: coreos}, etcd: etcd},
		} {
			got, err := s.look(t)
			if err != nil {
				t.Errorf("%s, %s: %v", release, name, err)
			} else if v := got.GetAttr("version").AsString(); !strings.HasPrefix(v, release) {
				t.Errorf("%s, %s: version %q", release, name, v)
			}
		}
	}
}
