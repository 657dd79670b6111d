package eval

import (
	"strings"
	"testing"

	"github.com/etcdplay/etcdplay/engine"
)

func TestCheckKind(t *testing.T) {
	for _, test := range []struct {
		kind engine.Kind
		s    string
		want string
	}{
		{engine.Duration, "1h30m", ""},
		{engine.Duration, "30", `"30" is not a length of time. Write for example "30s", "5m" or "1h30m".`},
		{engine.Duration, "5 minutes", `"5 minutes" is not a length of time. Write for example "30s", "5m" or "1h30m".`},
		{engine.Duration, "-1s", `"-1s" is not above zero. Write for example "30s", "5m" or "1h30m".`},
		{engine.Duration, "0s", `"0s" is not above zero. Write for example "30s", "5m" or "1h30m".`},
		{engine.Duration, "720h", ""},
		{engine.Duration, "9999h", `"9999h" is longer than 720h, which is the longest allowed.`},
		{engine.Duration, "99999999999h", `"99999999999h" is longer than 720h, which is the longest allowed.`},
		{engine.Mode, "0644", ""},
		{engine.Mode, "644", `"644" is not a mode. Write four octal digits, for example "0644".`},
		{engine.Mode, "0888", `"0888" is not a mode. Write four octal digits, for example "0644".`},
		{engine.AbsPath, "/var/lib/etcd", ""},
		{engine.AbsPath, "var", `"var" is not an absolute path. Begin it with a slash.`},
		{engine.AbsPath, "/", `"/" is the root of the file system. Name a directory or a file below it.`},
		{engine.AbsPath, "/..", `"/.." is the root of the file system. Name a directory or a file below it.`},
		{engine.AbsPath, "/a/../b/", `"/a/../b/" is not a clean path. Write "/b".`},
		{engine.AbsPath, "/a ", `"/a " ends with a space. Take it away.`},
		{engine.AbsPath, "/a\n", `"/a\n" holds a control character, which no path here may.`},
		{engine.URL, "https://10.0.0.1:2379", ""},
		{engine.URL, "10.0.0.1:2379", `"10.0.0.1:2379" is not a URL. Write for example "https://10.240.0.1:2379".`},
		{engine.URL, "ftp://a", `"ftp://a" is not a URL with http or https. Write for example "https://10.240.0.1:2379".`},
		{engine.URL, "http://:80", `"http://:80" names no host. Write for example "https://10.240.0.1:2379".`},
		{engine.URL, "http://a:70000", `"http://a:70000" has no port between 1 and 65535.`},
		{engine.SHA256, sumOfEtcd, ""},
		{engine.SHA256, strings.ToUpper(sumOfEtcd), `"` + strings.ToUpper(sumOfEtcd) + `" is a SHA-256 sum in capitals. Write it in lower case.`},
		{engine.SHA256, "abc", `"abc" is not a SHA-256 sum. Write its 64 hex digits.`},
		{engine.UnitName, "etcd@1.service", ""},
		{engine.UnitName, "etcd", `"etcd" is not a unit name, since it does not tell its kind. Write for example "etcd.service".`},
		{engine.UnitName, ".service", `".service" is not a unit name. Write letters, digits and : - _ . \ @ and the kind, for example "etcd-member.service".`},
		{engine.UnitName, "", `"" is not a unit name. Write letters, digits and : - _ . \ @ and the kind, for example "etcd-member.service".`},
		{engine.FileName, "20-x.conf", ""},
		{engine.FileName, "..", `".." is not a file name.`},
		{engine.FileName, "a/b", `"a/b" is a path, and a file name is wanted, without a directory.`},
		{engine.MemberID, "1609b5a3a078c227", ""},
		{engine.MemberID, "0fe", `"0fe" is not a member ID. An ID is lower-case hex without leading zeros, for example "1609b5a3a078c227"; etcd::member_id(...) makes it so.`},
	} {
		got := ""
		if err := CheckKind(test.kind, nil, test.s); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s %q\ngot  %s\nwant %s", test.kind, test.s, got, test.want)
		}
	}
	err := CheckKind(engine.AnyString, []string{"started", "stopped"}, "startd")
	if want := `"startd" is not one of started, stopped. Did you mean "started"?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
