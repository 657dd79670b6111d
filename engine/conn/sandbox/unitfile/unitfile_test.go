package unitfile

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"
)

var sp = Specifiers{Unit: "a-b@in-st.service", Hostname: "h.example", MachineID: "0123", BootID: "4567"}

func merge(t *testing.T, texts ...string) *Service {
	t.Helper()
	s, err := Merge(sp.Unit, unitFiles(texts...), sp)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func unitFiles(texts ...string) []File {
	var files []File
	for i, text := range texts {
		files = append(files, File{Path: "/" + string(rune('a'+i)) + ".conf", Content: text})
	}
	return files
}

func TestExecStart(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
	}{
		{`/bin/x a b`, []string{"/bin/x", "a", "b"}},
		{`/bin/x "a b" 'c d'`, []string{"/bin/x", "a b", "c d"}},
		{`/bin/x --name="demo etcd"`, []string{"/bin/x", "--name=demo etcd"}},
		{`/bin/x "" ''`, []string{"/bin/x", "", ""}},
		{`/bin/x a\x20b \s \\ \" \' \t`, []string{"/bin/x", "a b", " ", `\`, `"`, `'`, "\t"}},
		{`/bin/x "\x41\102\u00e9\U0001D11E"`, []string{"/bin/x", "ABé𝄞"}},
		{`/bin/x '\x41'`, []string{"/bin/x", "A"}},
		{`/bin/x "it's" 'say "x"'`, []string{"/bin/x", "it's", `say "x"`}},
		{`/bin/x 100%% $$HOME ${A} $A`, []string{"/bin/x", "100%", "$$HOME", "${A}", "$A"}},
		{`/bin/x %n %N %p %i %P %I %H %l %m %b %t`, []string{
			"/bin/x", "a-b@in-st.service", "a-b@in-st", "a-b", "in-st", "a/b", "in/st", "h.example", "h", "0123", "4567", "/run",
		}},
		{"/bin/x \\\n  --a=1 \\\n# a comment \\\n  --b=2", []string{"/bin/x", "--a=1", "--b=2"}},
		{`/bin/x \; ";"`, []string{"/bin/x", ";", ";"}},
		{`-/bin/x a`, []string{"/bin/x", "a"}},
		{`@/bin/x y a`, []string{"y", "a"}},
		{`x a`, []string{"x", "a"}},
	} {
		s, err := Merge(sp.Unit, unitFiles("[Service]\nExecStart="+tt.line+"\n"), sp)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		if got := s.ExecStart[0].Argv; !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestExpand(t *testing.T) {
	env := []string{"ONE=1", "TWO=a  b", "EMPTY=", "QUOTED='x y' z", "ONE=2"}
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"/x $ONE $TWO", []string{"/x", "2", "a", "b"}},
		{"/x ${TWO} x${ONE}y", []string{"/x", "a  b", "x2y"}},
		{"/x $EMPTY $UNSET ${UNSET} ${EMPTY}", []string{"/x", "", ""}},
		{"/x $QUOTED", []string{"/x", "x y", "z"}},
		{"/x $$ONE $${ONE} a$ONE $", []string{"/x", "$ONE", "${ONE}", "a$ONE", "$"}},
		{"/x ${ONE", []string{"/x", "${ONE"}},
		{":/x $ONE ${ONE} $$", []string{"/x", "$ONE", "${ONE}", "$$"}},
	} {
		s := merge(t, "[Service]\nExecStart="+tt.line+"\n")
		got, err := s.ExecStart[0].Expand(env)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, %v, want %q", tt.line, got, err, tt.want)
		}
	}
}

func TestMerge(t *testing.T) {
	s := merge(t,
		"# comment\n; other\n[Unit]\nDescription=of %p\nConflicts=x.service y.service\nWants=a.target\n"+
			"[Service]\nType=notify\nExecStart=/bin/old\nEnvironment=A=1 \"B=b b\"\nEnvironment=C=%H$X\nEnvironmentFile=/etc/one\n"+
			"ExecStartPre=/bin/pre\nRestart=on-failure\nRestartSec=1min 30s\nTimeoutStartSec=0\n[Install]\nWantedBy=multi-user.target\n",
		"[Service]\nExecStart=\nExecStart=/bin/new $OPTS \\\n  --x=\"y\"\nEnvironment=A=2\n",
		"[Service]\nEnvironmentFile=\nEnvironmentFile=-/etc/two\nExecStartPre=\nTimeoutStopSec=500ms\nLimitNOFILE=40000\nUMask=0077\nKillSignal=SIGINT",
	)
	if got, want := s.ExecStartArgv(), []string{"/bin/new", "$OPTS", "--x=y"}; len(got) != 1 || !slices.Equal(got[0], want) {
		t.Errorf("ExecStart: got %q, want %q", got, want)
	}
	if got, want := s.EffectiveEnvironment(), []string{"A=2", "B=b b", "C=h.example$X"}; !slices.Equal(got, want) {
		t.Errorf("Environment: got %q, want %q", got, want)
	}
	if got := s.EnvironmentFiles; len(got) != 1 || got[0] != (EnvironmentFile{"/etc/two", true}) {
		t.Errorf("EnvironmentFile: got %+v", got)
	}
	if len(s.ExecStartPre) != 0 || s.TimeoutStart != Infinity || s.TimeoutStop != 500*time.Millisecond ||
		s.RestartDelay != 90*time.Second || s.LimitNOFILE != 40000 || s.UMask != 0o077 || s.KillSignal != 2 ||
		s.NotifyAccess != "main" || s.Description != "of a-b" || len(s.Conflicts) != 2 || len(s.WantedBy) != 1 {
		t.Errorf("got %+v", s)
	}
	if s.Fragment != "/a.conf" || !slices.Equal(s.DropIns, []string{"/b.conf", "/c.conf"}) {
		t.Errorf("files: got %s, %q", s.Fragment, s.DropIns)
	}
	if got := merge(t, "[Service]\nExecStart=/a\nEnvironment=A=1\nEnvironment=\nEnvironment=B=2\n").Environment; !slices.Equal(got, []string{"B=2"}) {
		t.Errorf("reset Environment: got %q", got)
	}
}

// TestRefused: what is not supported, or what systemd would only warn of, is an
// error that says where it is.
func TestRefused(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"[Service]\nExecStart=/x\nProtectSystem=full\n", "/a.conf:3: ProtectSystem=: this directive is not supported in a sandbox"},
		{"[Socket]\nListenStream=1\n", "/a.conf:2: ListenStream=: section [Socket] is not supported"},
		{"[Service]\n# one\nType=forking\n", `/a.conf:3: Type=: "forking" is not supported; supported: simple, exec, notify, oneshot`},
		{"[Service]\nExecStart=/x \\\n  a\nEnvironment=NOEQ\n", `/a.conf:4: Environment=: "NOEQ" is not an assignment NAME=value; systemd would ignore it`},
		{"[Service]\nEnvironment=1A=x\n", `/a.conf:2: Environment=: "1A=x" is not an assignment NAME=value; systemd would ignore it`},
		{"[Service]\nExecStart=/x bad\\qescape\n", `/a.conf:2: ExecStart=: unknown escape "\q"`},
		{"[Service]\nExecStart=/x \"open\n", `/a.conf:2: ExecStart=: unbalanced quote "`},
		{"[Service]\nExecStart=/x %\n", `/a.conf:2: ExecStart=: lone "%" at the end; write "%%"`},
		{"[Service]\nExecStart=/x %z\n", `/a.conf:2: ExecStart=: unknown specifier "%z"; a literal percent sign is "%%"`},
		{"[Service]\nExecStart=+/x\n", `/a.conf:2: ExecStart=: the prefix "+" changes privileges, which a sandbox cannot`},
		{"[Service]\nExecStart=/x\nExecStart=/y\n", `/a.conf: service has more than one ExecStart= setting, which is only allowed for Type=oneshot`},
		{"[Service]\nType=simple\n", `/a.conf: service has no ExecStart=`},
		{"[Service]\nExecStart=/x\nRestartSec=soon\n", `/a.conf:3: RestartSec=: "soon" is not a time span`},
		{"[Unit]\nRequires=other.service\n", `/a.conf:2: Requires=: "other.service" is not a target; a sandbox has no dependencies between services`},
		{"[Service]\nEnvironmentFile=relative\n", `/a.conf:2: EnvironmentFile=: path "relative" is not absolute`},
		{"[Service\nType=simple\n", `/a.conf: unable to find end of section`},
		{"[Service]\nno assignment\n", `/a.conf: unexpected newline encountered while parsing option name`},
		{"[Service]\nExecStart=/x \\\n# not continued\n", `/a.conf:2: ExecStart=: a comment inside a continued line must itself be continued here`},
	} {
		_, err := Merge(sp.Unit, unitFiles(tt.text), sp)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q:\ngot  %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

func TestReadEnvironment(t *testing.T) {
	text := "# comment \\\nstill\n; other\n\nA=1\n B = spaced value  \nC=\"double \\\"q\\\" $x \\z\"\nD='single \\n'\nE=a\\\nb\nF=\nG=\"two\nlines\"\r\nH=x 'y'\nI='a'\"b\""
	got, err := ReadEnvironment(text)
	want := []string{
		"A=1", "B=spaced value", `C=double "q" $x \z`, `D=single \n`, "E=ab", "F=", "G=two\nlines", "H=x 'y'", "I=ab",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	for text, want := range map[string]string{
		"A=1\nnonsense\n": `line 2: "nonsense" is not an assignment NAME=value`,
		"1A=x\n":          `line 1: "1A" is not the name of a variable`,
		"A='open":         `line 1: unbalanced quote`,
		"A=1\nB":          `line 2: "B" is not an assignment NAME=value`,
	} {
		if _, err := ReadEnvironment(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Second, "500ms": 500 * time.Millisecond, "1min 30s": 90 * time.Second, "1h": time.Hour, "2 s": 2 * time.Second,
		"0": 0, "1.5s": 1500 * time.Millisecond, "infinity": Infinity, "1d 2h": 26 * time.Hour, "10us": 10 * time.Microsecond,
	} {
		if got, err := span(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "s", "5 parsecs", "-1", "1..2", "99999999999w"} {
		if got, err := span(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

// mapTree is a file system of texts; a text that begins with "->" is a link.
type mapTree map[string]string

func (m mapTree) ReadFile(p string) ([]byte, error) {
	text, ok := m[p]
	if target, link := strings.CutPrefix(text, "->"); link {
		return m.ReadFile(target)
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

func (m mapTree) Readlink(p string) (string, error) {
	if target, link := strings.CutPrefix(m[p], "->"); link {
		return target, nil
	}
	return "", fs.ErrInvalid
}

func (m mapTree) ReadDir(dir string) ([]string, error) {
	var names []string
	for p := range m {
		if path.Dir(p) == dir {
			names = append(names, path.Base(p))
		}
	}
	if names == nil {
		return nil, fs.ErrNotExist
	}
	slices.Sort(names)
	return names, nil
}

func TestFind(t *testing.T) {
	const etc, run, lib = "/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/"
	tree := mapTree{
		lib + "a-b.service":                "lib",
		lib + "a-b.service.d/50-lib.conf":  "50 lib",
		etc + "a-b.service.d/20-same.conf": "20 etc",
		run + "a-b.service.d/20-same.conf": "20 run, hidden by etc",
		run + "a-b.service.d/98-run.conf":  "98 run",
		etc + "a-.service.d/30-group.conf": "30 group",
		etc + "service.d/10-all.conf":      "10 all",
		etc + "a-b.service.d/60-off.conf":  "->/dev/null",
		lib + "a-b.service.d/60-off.conf":  "hidden by a link",
		etc + "a-b.service.d/README":       "not a drop-in",
		lib + "t@.service":                 "template",
		etc + "masked.service":             "->/dev/null",
		lib + "masked.service":             "hidden",
		run + "empty.service":              "",
	}
	files, err := Find(tree, "a-b.service")
	var got []string
	for _, f := range files {
		got = append(got, f.Content)
	}
	if want := []string{"lib", "10 all", "20 etc", "30 group", "50 lib", "98 run"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if files, err := Find(tree, "t@x.service"); err != nil || files[0].Content != "template" {
		t.Errorf("template: got %v, %v", files, err)
	}
	var masked *Masked
	for _, name := range []string{"masked.service", "empty.service"} {
		if _, err := Find(tree, name); !errors.As(err, &masked) {
			t.Errorf("%s: got %v, want it masked", name, err)
		}
	}
	if _, err := Find(tree, "none.service"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: got %v", err)
	}
	for _, name := range []string{"", "x", "x.socket", "../x.service", "a/b.service", "a b.service", ".service", "@.service"} {
		if _, err := Find(tree, name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v, want it refused", name, err)
		}
	}
}

// FuzzUnit: no text makes the reader panic, every refusal names its file, and
// what is accepted can be written down again and means the same.
func FuzzUnit(f *testing.F) {
	for _, seed := range []string{
		"", "[Service]\nExecStart=/x\n", "[Service]\nExecStart=\nExecStart=/x $A \\\n  --n=\"a b\"\nEnvironment=\"A=%n\" B=\\x20\n",
		"[Unit]\nDescription=x\n[Service]\nType=oneshot\nExecStart=/a ; /b \\; c\n", "[Service]\nExecStart=-@:/x y 'z\\\n", "[Service]\n=\n", "[]\n=", "x[Service]\nExecStart=/%%",
	} {
		f.Add(seed, "A=1\nB='x'\n")
	}
	f.Fuzz(func(t *testing.T, text, env string) {
		vars, envErr := ReadEnvironment(env)
		s, err := Merge(sp.Unit, unitFiles(text), sp)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Path == "" {
				t.Fatalf("got %v, want an error that names the file", err)
			}
			return
		}
		for _, c := range s.ExecStart {
			if envErr == nil {
				_, _ = c.Expand(vars) // must not panic; a value may be badly quoted
			}
			line := "ExecStart=" + write(c)
			if len(line) >= unit.SYSTEMD_LINE_MAX {
				continue // what was escaped takes more room, and lines have a limit
			}
			again, err := Merge(sp.Unit, unitFiles("[Service]\n"+line+"\n"), sp)
			if err != nil || len(again.ExecStart) != 1 || !slices.Equal(again.ExecStart[0].Argv, c.Argv) {
				t.Fatalf("%q written as %s: got %+v, %v", c.Argv, write(c), again, err)
			}
		}
	})
}

// write writes a command as a careful author of unit files would.
func write(c Command) string {
	var b strings.Builder
	b.WriteString("@" + quote(c.Path))
	for _, a := range c.Argv {
		b.WriteString(" " + quote(a))
	}
	return b.String()
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + s[:n])
		case r == '%':
			b.WriteString("%%")
		case r == utf8.RuneError && n == 1 || r < ' ' || r == 0x7f:
			const hex = "0123456789abcdef"
			b.WriteString(`\x` + string(hex[s[0]>>4]) + string(hex[s[0]&15]))
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String() + `"`
}
