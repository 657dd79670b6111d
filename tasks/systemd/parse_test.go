package systemd

import (
	"slices"
	"strings"
	"testing"
)

const memberDropin = `# rendered
[Service]
ExecStart=
ExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS \
  --name="demo-etcd-2" \
  --listen-peer-urls="http://0.0.0.0:2380" \
  --initial-cluster="demo-etcd-1=http://10.240.0.1:2380,demo-etcd-2=http://10.240.0.2:2380" \
  --initial-cluster-state="existing"
`

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ content, want string }{
		"nothing":             {"", "the content has no section"},
		"only a comment":      {"# here\n\n", "the content has no section"},
		"no section":          {"ExecStart=/bin/true\n[Service]\n", "line 1 of the content stands outside any section"},
		"text before section": {"# fine\nhello\n[Service]\n", "line 2 of the content stands outside any section"},
		"escape character":    {"[Service]\nEnvironment=\"A=\x1b[31m\"\n", `line 2 of the content has the control character '\x1b'`},
		"carriage return":     {"[Service]\r\nType=notify\r\n", `line 1 of the content has the control character '\r'`},
		"zero byte":           {"[Service]\nType=\x00\n", `line 2 of the content has the control character '\x00'`},
		"not UTF-8":           {"[Service]\nType=\xff\n", "not UTF-8"},
		"open section":        {"[Service\nType=notify\n", "no unit file"},
		"no equals sign":      {"[Service]\nType notify\n", "no unit file"},
		"nothing before it":   {"[Service]\n=notify\n", "nothing before its ="},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse(test.content)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestMemberIn(t *testing.T) {
	tests := map[string]struct {
		content string
		want    member
	}{
		"flags": {memberDropin, member{
			"demo-etcd-2",
			"demo-etcd-1=http://10.240.0.1:2380,demo-etcd-2=http://10.240.0.2:2380", "existing",
		}},
		"flags with the value apart": {
			"[Service]\nExecStart=\nExecStart=/usr/bin/etcd -name a --initial-cluster 'a=http://h:1' --initial-cluster-state new\n",
			member{"a", "a=http://h:1", "new"},
		},
		"variables": {
			"[Service]\nEnvironment=ETCD_NAME=a \"ETCD_INITIAL_CLUSTER=a=http://h:1\"\nEnvironment=ETCD_INITIAL_CLUSTER_STATE=new\n",
			member{"a", "a=http://h:1", "new"},
		},
		"flags win over variables": {
			"[Service]\nEnvironment=ETCD_NAME=a\nExecStart=\nExecStart=/usr/bin/etcd --name=b\n",
			member{name: "b"},
		},
		"only the last command counts": {
			"[Service]\nExecStart=/usr/bin/etcd --name=a\nExecStart=\nExecStart=/usr/bin/etcd --name=b\n",
			member{name: "b"},
		},
		"doubled signs":    {"[Service]\nExecStart=/usr/bin/etcd --name=a%%b$$c\n", member{name: "a%b$c"}},
		"no member at all": {"[Service]\nEnvironment=A=b\n", member{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			options, err := parse(test.content)
			if err != nil {
				t.Fatal(err)
			}
			if got := memberIn(options); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		value string
		want  []string
	}{
		{``, nil},
		{`  `, nil},
		{`a b`, []string{"a", "b"}},
		{`"a b" c`, []string{"a b", "c"}},
		{`a"b c"d`, []string{"ab cd"}},
		{`'it''s' ""`, []string{"its", ""}},
		{`a\x41\101\u00e9`, []string{"aAAé"}},
		{`\x6e\n`, []string{"n\n"}},
		{"a \\\n  b", []string{"a", "b"}},
		{`"a\"b" 'c"d'`, []string{`a"b`, `c"d`}},
		{`a\sb`, []string{"a b"}},
	}
	for _, test := range tests {
		got, err := split(test.value)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("split(%q): got %q, %v; want %q", test.value, got, err, test.want)
		}
	}
	for _, bad := range []string{`"a`, `a\`, `\q`, `\x4`, `\400`, `\x00`} {
		if got, err := split(bad); err == nil {
			t.Errorf("split(%q): got %q, want an error", bad, got)
		}
	}
}

// quoted is a word as a template has to write it for systemd.
func quoted(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(word) + `"`
}

// FuzzSplit quotes words and expects them back: whatever a word holds, it stays
// one word, and no value makes the parser fail in another way than by an error.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"", "a b", `"\x41'`, "a\\\nb", `\`, "é\x00\xff"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, value, word string) {
		_, _ = split(value) // only that it returns
		got, err := split(quoted(word) + " " + quoted("x"))
		if err != nil || !slices.Equal(got, []string{word, "x"}) {
			t.Errorf("got %q, %v; want %q and x", got, err, word)
		}
	})
}

// FuzzParse expects that every option that parse lets through has a section and
// a name, and that looking for a member's flags in them never fails.
func FuzzParse(f *testing.F) {
	f.Add(memberDropin)
	f.Add("[Service]\nEnvironment=\"A=x\nExecStartPre=/bin/rm\"\n")
	f.Fuzz(func(t *testing.T, content string) {
		options, err := parse(content)
		if err != nil {
			return
		}
		for _, o := range options {
			if o.Section == "" || o.Name == "" {
				t.Errorf("got an option without a section or a name: %+v", o)
			}
		}
		memberIn(options)
	})
}
