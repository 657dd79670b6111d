package clct_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/etcdplay/etcdplay/hcl/clct"
)

// FuzzRead gives the reader any bytes: it answers, and what it finds lies in the
// file.
func FuzzRead(f *testing.F) {
	for _, flavour := range clct.Flavours() {
		paths, err := filepath.Glob(filepath.Join("testdata", string(flavour), "*.yaml"))
		if err != nil || len(paths) == 0 {
			f.Fatal(paths, err)
		}
		for _, p := range paths {
			src, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Add([]byte("etcd: &a\n  <<: *a\n  name: *a\n"))
	f.Add([]byte("? - a\n: b\netcd:\n  ? x\n"))
	f.Add([]byte(strings.Repeat("[", 101)))
	f.Add([]byte(strings.Repeat("- ", 1001)))
	f.Add([]byte("systemd:\n  units: [{name: etcd-member.service, contents: \"Environment=ETCD_NAME=a\"}]\netcd:\n  name: a\n  version: 3.5.0\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 4096 {
			return
		}
		lines := strings.Count(string(src), "\n") + 1
		for _, flavour := range clct.Flavours() {
			c, found := clct.Read("f.yaml", src, flavour)
			if (c == nil) != found.HasErrors() {
				t.Fatalf("a config %v, and findings\n%s", c != nil, said(found))
			}
			for _, d := range found {
				if r := d.Subject; r != nil && (r.Start.Line < 1 || r.Start.Line > lines || r.Start.Column < 1 || r.Start.Byte > r.End.Byte || r.End.Byte > len(src)) {
					t.Errorf("%s at %+v", d.Summary, r)
				}
			}
			if c == nil {
				continue
			}
			text, said := c.Dropin(clct.Rendering{})
			if (text == "") != said.HasErrors() || strings.HasSuffix(text, "\n") {
				t.Errorf("drop-in %q, %v", text, said)
			}
		}
	})
}

// FuzzRoundTrip writes a config from values, reads it as both transpilers do,
// and takes the drop-in apart as systemd does: etcd gets the values.
func FuzzRoundTrip(f *testing.F) {
	f.Add("node4", "/var/lib/etcd", int64(10000), true)
	f.Add(`50% of $HOME "quoted" \ `, "%%n$$x", int64(-1), false)
	f.Add("\u00a0\u2028é\x7f\t\n\x01", "yes", int64(0), false)
	f.Add("a: b # c", "- x", int64(1)<<62, true)
	f.Fuzz(func(t *testing.T, token, cors string, count int64, pprof bool) {
		if !utf8.ValidString(token) || !utf8.ValidString(cors) || strings.ContainsAny(token+cors, "{}\x00\ufeff") || strings.Contains(token+cors, "\ufffd") {
			return // braces are templating, and the others no text
		}
		values := map[string]any{"initial_cluster_token": token, "cors": cors, "snapshot_count": count, "enable_pprof": pprof}
		written, err := clct.New(clct.Flatcar, "3.2.1", values)
		if err != nil {
			t.Fatal(err)
		}
		want, found := written.Dropin(clct.Rendering{Escape: true})
		if found.HasErrors() {
			t.Fatal(found)
		}
		for _, flavour := range clct.Flavours() {
			read, found := clct.Read("f.yaml", []byte(written.YAML()), flavour)
			if read == nil {
				t.Fatalf("%s:\n%s\n%s", flavour, written.YAML(), said(found))
			}
			if got, _ := read.Dropin(clct.Rendering{}); got != want {
				t.Errorf("%s reads\n%s\nand writes\n%s\nwant\n%s", flavour, written.YAML(), got, want)
			}
		}
		words := unquoted(t, want)
		for flag, value := range map[string]string{
			"initial-cluster-token": token, "cors": cors, "snapshot-count": strconv.FormatInt(count, 10), "enable-pprof": strconv.FormatBool(pprof),
		} {
			if got, ok := words[flag]; !ok || got != value {
				t.Errorf("etcd gets --%s=%q, want %q, from\n%s", flag, got, value, want)
			}
		}
	})
}

// unquoted is the flags of a drop-in as etcd gets them: after systemd has joined
// lines, undone quotes and escapes, and halved %% and $$.
func unquoted(t *testing.T, dropin string) map[string]string {
	t.Helper()
	_, line, ok := strings.Cut(dropin, "etcd-wrapper $ETCD_OPTS")
	if !ok {
		t.Fatalf("no command in\n%s", dropin)
	}
	flags := map[string]string{}
	for _, word := range strings.Split(line, " \\\n  ")[1:] {
		flag, value, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if strings.HasPrefix(value, `"`) {
			var b strings.Builder
			for rest := value[1 : len(value)-1]; rest != ""; {
				if rest[0] != '\\' {
					b.WriteByte(rest[0])
					rest = rest[1:]
					continue
				}
				// systemd's escapes are those of C and of Go, where Go writes them.
				r, wide, tail, err := strconv.UnquoteChar(rest, '"')
				if err != nil {
					t.Fatalf("%s: %v", word, err)
				}
				if wide {
					b.WriteRune(r)
				} else {
					b.WriteByte(byte(r))
				}
				rest = tail
			}
			value = strings.NewReplacer("%%", "%", "$$", "$").Replace(b.String())
		}
		flags[flag] = value
	}
	return flags
}
