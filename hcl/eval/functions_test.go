package eval

import (
	"errors"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// evaluate yields the value of one expression with the names given.
func evaluate(t testing.TB, src string, names map[string]cty.Value) (cty.Value, error) {
	t.Helper()
	expr, diags := hclsyntax.ParseExpression([]byte(src), "test.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %s", src, diags.Error())
	}
	v, diags := expr.Value(&hcl.EvalContext{Variables: names, Functions: Table(nil, "")})
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	return v, nil
}

// The examples of the reference are true.
func TestExamples(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Functions() {
		if seen[f.Name] {
			t.Errorf("%s stands twice", f.Name)
		}
		seen[f.Name] = true
		if f.Group == "" || f.Doc == "" || f.Signature == "" || f.Example == "" {
			t.Errorf("%s has no full reference: %+v", f.Name, f)
		}
		if f.Yields == "" {
			continue
		}
		v, err := evaluate(t, f.Example, nil)
		if err != nil {
			t.Errorf("%s: %v", f.Example, err)
			continue
		}
		if got := diag.Value(v, ""); got != f.Yields {
			t.Errorf("%s\ngot  %s\nwant %s", f.Example, got, f.Yields)
		}
	}
}

func TestFunctions(t *testing.T) {
	host := HostValue(engine.HostSpec{Name: "h1", Member: engine.MemberSpec{Name: "m1", PeerURLs: []string{"http://h1:2380", "http://h1:2381"}}})
	bare := HostValue(engine.HostSpec{Name: "localhost"})
	member := func(id, name string, urls ...string) cty.Value {
		return cty.ObjectVal(map[string]cty.Value{
			"id": cty.StringVal(id), "name": cty.StringVal(name), "peer_urls": stringList(urls),
			"client_urls": stringList(nil), "started": cty.True, "learner": cty.False,
		})
	}
	names := map[string]cty.Value{
		"host":    host,
		"bare":    bare,
		"members": cty.ListVal([]cty.Value{member("a", "m0", "http://h0:2380"), member("b", "", "http://h1:2381/")}),
		"named":   cty.ListVal([]cty.Value{member("a", "m1", "http://h1:2380"), member("b", "m0", "http://h0:2380", "http://h0:1")}),
		"none":    cty.ListValEmpty(MemberType),
		"later":   cty.UnknownVal(cty.List(MemberType)),
		"partly": cty.ListVal([]cty.Value{
			member("a", "m0", "http://h0:2380"),
			cty.ObjectVal(map[string]cty.Value{
				"id": cty.UnknownVal(cty.String), "name": cty.StringVal("m1"), "peer_urls": stringList([]string{"http://h1:2380"}),
				"client_urls": stringList(nil), "started": cty.False, "learner": cty.True,
			}),
		}),
		"secret": cty.StringVal("hidden").Mark(Sensitive),
		"text":   cty.UnknownVal(cty.String).Refine().StringPrefix("https://a").NotNull().NewValue(),
	}
	for _, test := range []struct{ src, want string }{
		{`etcd::initial_cluster([host])`, `"m1=http://h1:2380,m1=http://h1:2381"`},
		{`etcd::initial_cluster(named)`, `"m0=http://h0:1,m0=http://h0:2380,m1=http://h1:2380"`},
		{`etcd::initial_cluster(members)`, `error: Invalid value for "members" parameter: the member at http://h1:2381 has no name yet`},
		{`etcd::initial_cluster([bare])`, `error: Invalid value for "members" parameter: this host has no member`},
		{`etcd::initial_cluster(partly)`, `"m0=http://h0:2380,m1=http://h1:2380"`},
		{`etcd::initial_cluster(later)`, `(unknown)`},
		{`etcd::initial_cluster(none)`, `""`},
		{`etcd::initial_cluster("x")`, `error: Invalid value for "members" parameter: a list of members or hosts is needed, and this is a string`},
		{`etcd::member_for(members, host).id`, `"b"`},
		{`etcd::member_for(none, host) == null`, `true`},
		{`etcd::member_for([], host) == null`, `true`},
		{`etcd::member_for(named, host).name`, `"m1"`},
		{`etcd::member_for(partly, host).id`, `(unknown)`},
		{`etcd::member_for(partly, host) == null`, `false`},
		{`etcd::member_for(later, host) == null`, `(unknown)`},
		{`etcd::member_for(members, bare)`, `error: Invalid value for "host" parameter: this host has no member`},
		{`etcd::member_for(members, "h1")`, `error: Invalid value for "host" parameter: a member or a host is needed, and this is a string without peer_urls`},
		{`etcd::member_named(named, "m0").id`, `"b"`},
		{`etcd::member_named(named, "m9") == null`, `true`},
		{`etcd::quorum(1)`, `1`},
		{`etcd::quorum(5)`, `3`},
		{`etcd::quorum(0)`, `error: Invalid value for "voters" parameter: a whole number of voters is needed, from 1 on, and this is 0`},
		{`etcd::quorum(2.5)`, `error: Invalid value`},
		{`etcd::tolerance(1)`, `0`},
		{`etcd::tolerance(4)`, `1`},
		{`etcd::member_id("0FE2F75DD51FA5FF")`, `"fe2f75dd51fa5ff"`},
		{`etcd::member_id(18446744073709551615)`, `"ffffffffffffffff"`},
		{`etcd::member_id("xyz")`, `error: Invalid value for "id" parameter: "xyz" is not a member ID`},
		{`etcd::member_id(-1)`, `error: Invalid value`},
		{
			`etcd::parse_member_add("added member 9bf1b35fc7761a23 to cluster\n\nETCD_NAME=\"node4\"\nETCD_INITIAL_CLUSTER=\"a=http://a:2380,node4=http://n:2380\"\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n")`,
			`{ id = "9bf1b35fc7761a23", initial_advertise_peer_urls = null, initial_cluster = "a=http://a:2380,node4=http://n:2380", initial_cluster_state = "existing", name = "node4" }`,
		},
		{`etcd::parse_member_add("Member 9bf1b35fc7761a23 added to cluster 1f\n").id`, `"9bf1b35fc7761a23"`},
		{`etcd::parse_member_add("no")`, `error: Invalid value`},
		{`systemd::quote("a\nb")`, `error: Invalid value for "word" parameter: "a\nb" holds a control character`},
		{`systemd::escape("a\tb")`, `"a\\x09b"`},
		{`systemd::quote(secret)`, `(sensitive)`},
		{`systemd::env_quote("a` + "`" + `b\\c")`, `"\"a\\` + "`" + `b\\\\c\""`},
		{`systemd::env_quote("a\nb")`, `error: Invalid value for "value" parameter: "a\nb" holds a control character`},
		{`clct::dropin({ name = "50% $X", snapshot_count = 5, pre_vote = false, cors = null })`, `"[Service]\nExecStart=\nExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS \\\n  --name=\"50%% $$X\" \\\n  --snapshot-count=5 \\\n  --pre-vote=false"`},
		{`clct::config({ name = "50% $X", version = "3.3.1" })`, `"etcd:\n  version: 3.3.1\n  name: \"50%% $$X\"\n"`},
		{`clct::config({})`, `"etcd: {}\n"`},
		{`clct::dropin({ nmae = "a" })`, `error: Invalid value for "etcd" parameter: the etcd section for release 3.5 has no key "nmae". Did you mean "name"?`},
		{`clct::dropin({ pre_vote = true, version = "3.3.1" })`, `error: Invalid value for "etcd" parameter: the etcd section for release 3.3 has no key "pre_vote"`},
		{`clct::dropin({ snapshot_count = "5" })`, `error: Invalid value for "etcd" parameter: snapshot_count: write a whole number, without quotes`},
		{`clct::dropin({ name = "{HOSTNAME}" })`, `error: Invalid value for "etcd" parameter: braces stand for something that only a platform knows`},
		{`clct::dropin({ name = "a", initial_cluster = "b=http://10.0.0.1:2380" })`, `error: Invalid value for "etcd" parameter: own name is missing: The initial cluster has b, and not this member's own name "a"`},
		{`clct::dropin({ enable_v2 = true, version = "3.6.1" })`, `error: Invalid value for "etcd" parameter: unknown flag: etcd 3.6 does not know --enable-v2`},
		{`clct::dropin({ version = "2.2.0" })`, `error: Invalid value for "etcd" parameter: version 2.2.0: etcd version specified is not valid (too old)`},
		{`etcd::tls_flags(null)`, `{}`},
		{`etcd::tls_flags({ ca_file = "/ca", client_cert_auth = true, peer_client_cert_auth = false, key_file = null })`, `{ client-cert-auth = "true", trusted-ca-file = "/ca" }`},
		{`etcd::tls_flags({ cacert = "/ca" })`, `error: Invalid value for "server_tls" parameter: "cacert" is no part of TLS`},
		{`etcd::tls_flags({ ca_file = true })`, `error: Invalid value for "server_tls" parameter: ca_file: a string is needed, and this is a bool`},
		{`systemd::dropin_path("etcd", "x.conf", true)`, `error: Invalid value for "unit" parameter`},
		{`systemd::dropin_path("etcd.service", "../x.conf", true)`, `error: Invalid value for "name" parameter`},
		{`systemd::dropin_path("etcd.service", "x.conf", true)`, `"/run/systemd/system/etcd.service.d/x.conf"`},
		{`format("%1000000000d", 1)`, `error: Invalid value for "form`},
		{`format("%.1000000000f", 1.5)`, `error: Invalid value for "form`},
		{`format("%-5s|%05.1f|%%5000", "a", 2.5)`, `"a    |002.5|%5000"`},
		{`indent(1000000, "a\nb")`, `error: Invalid value`},
		{`tostring(1e999)`, `error: Invalid value`},
		{`jsonencode(1e999)`, `error: Invalid value`},
		{`startswith(text, "https:")`, `true`},
		{`startswith(text, "http:")`, `false`},
		{`startswith(text, "https://ab")`, `(unknown)`},
		{`alltrue([true, null])`, `error: Invalid value`},
		{`anytrue([])`, `false`},
		{`alltrue([])`, `true`},
		{`length("héllo")`, `5`},
		{`length({ a = 1 })`, `1`},
		{`length(3)`, `error: Invalid value for "value" parameter: a list, a set, a map or a string is needed, and this is a number`},
		{`one([])`, `null`},
		{`one([1, 2])`, `error: Invalid value`},
		{`convert("5", number)`, `5`},
		{`convert({ a = "5" }, object({ a = number, b = optional(string, "x") }))`, `{ a = 5, b = "x" }`},
		{`convert(["a"], host)`, `error: Invalid value for "value" parameter: a host is needed, and this is a list`},
		{`convert(1, any)`, `error: Invalid value for "type" parameter: A variable needs a full type`},
		{`convert("x", number)`, `error: Invalid value for "value" parameter: "x" cannot be converted to a number`},
		{`tobool("yes")`, `error: Invalid value`},
		{`can(host.nope)`, `false`},
		{`can(later[0])`, `(unknown)`},
		{`[nonsensitive([secret]), sensitive(1)]`, `[["hidden"], (sensitive)]`},
		{`version_matches("3.6.0-rc.1", ">= 3.4")`, `true`},
		{`version_matches("3.6.0-rc.1", ">= 3.6.0-rc.2")`, `false`},
		{`version_matches("v3.3.9", ">= 3.4")`, `false`},
		{`version_matches("x", ">= 3.4")`, `error: Invalid value`},
		{`version_matches("3.4.0", "=> 3.4")`, `error: Invalid value for "constraint" parameter`},
		{`hostport("https://[fd00::1]:2379")`, `"[fd00::1]:2379"`},
		{`hostport("https://a")`, `error: Invalid value for "url" parameter: "https://a" names no port`},
		{`url_scheme("x")`, `error: Invalid value`},
		{`base64decode("/w==")`, `error: Invalid value`},
		{`shellquote("a\u0000b")`, `error: Invalid value`},
		{`coalesce(null, secret)`, `(sensitive)`},
		{`templatefile("x", {})`, `error: templatefile cannot be used here`},
	} {
		v, err := evaluate(t, test.src, names)
		got := diag.Value(v, "")
		if err != nil {
			var ds hcl.Diagnostics
			errors.As(err, &ds)
			got = "error: " + strings.TrimPrefix(ds[0].Detail, `Call to function "templatefile" failed: `)
		}
		if wantError := strings.HasPrefix(test.want, "error:"); got != test.want && (!wantError || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%s\ngot  %s\nwant %s", test.src, got, test.want)
		}
	}
}

// bomb is a text that doubles with every call.
func TestSizesAreBounded(t *testing.T) {
	v := cty.StringVal(strings.Repeat("x", 1000))
	for range 12 {
		next, err := evaluate(t, `join("", [v, v])`, map[string]cty.Value{"v": v})
		if err != nil {
			return
		}
		v = next
	}
	t.Errorf("got a text of %d bytes, want an error before", len(v.AsString()))
}

// arguments makes values for the parameters of a function, of types that they
// can take.
func arguments(r *rand.Rand, f function.Function, expr hcl.Expression) []cty.Value {
	params := f.Params()
	if p := f.VarParam(); p != nil {
		for range r.IntN(4) {
			params = append(params, *p)
		}
	}
	args := make([]cty.Value, len(params))
	for i, p := range params {
		switch {
		case p.Type.Equals(customdecode.ExpressionClosureType):
			args[i] = customdecode.ExpressionClosureVal(&customdecode.ExpressionClosure{Expression: expr, EvalContext: &hcl.EvalContext{}})
		case p.Type.Equals(customdecode.ExpressionType):
			args[i] = customdecode.ExpressionVal(expr)
		default:
			args[i] = randomArgument(r, p.Type)
		}
	}
	return args
}

// randomArgument is a value that HCL would hand to a parameter of this type.
func randomArgument(r *rand.Rand, ty cty.Type) cty.Value {
	for range 20 {
		v := randomValue(r, 3)
		if ty == cty.DynamicPseudoType {
			return v
		}
		if out, err := convert.Convert(v, ty); err == nil {
			return out
		}
	}
	if r.IntN(3) == 0 {
		return cty.UnknownVal(ty)
	}
	return cty.NullVal(ty)
}

// No function panics, whatever it is given; the same arguments yield the same
// again; and what a function says while something is unknown stays true when it
// is known: a plan is not contradicted by its run.
func TestFunctionsAreTotal(t *testing.T) {
	expr, diags := hclsyntax.ParseExpression([]byte("list(string)"), "x", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, f := range Functions() {
		t.Run(f.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			good := 0
			for range 600 {
				args := arguments(r, f.Impl, expr)
				v, err := f.Impl.Call(args)
				checkPanic(t, f.Name, args, err)
				again, errAgain := f.Impl.Call(args)
				if (err == nil) != (errAgain == nil) || err == nil && !agree(v, again) {
					t.Fatalf("%s(%#v)\ngot  %#v, %v\nthen %#v, %v", f.Name, args, v, err, again, errAgain)
				}
				if err != nil {
					continue
				}
				good++
				hidden := make([]cty.Value, len(args))
				for i, a := range args {
					hidden[i] = hide(r, a)
				}
				before, err := f.Impl.Call(hidden)
				checkPanic(t, f.Name, hidden, err)
				if err != nil {
					t.Fatalf("%s fails while something is unknown: %v\nwith    %#v\nwithout %#v", f.Name, err, hidden, args)
				}
				if why := contradicts(before, v); why != "" {
					t.Fatalf("%s: %s\nbefore %#v\nthen   %#v\nwith   %#v", f.Name, why, before, v, args)
				}
			}
			if good == 0 && f.Name != "templatefile" {
				t.Error("no call was good: the test shows nothing")
			}
		})
	}
}

// agree reports whether two calls with the same arguments came to the same. The
// library compares the attributes of objects in random order and stops at the
// first that differs or is unknown, so as long as something is unknown one call
// may know more than the other.
func agree(v, again cty.Value) bool {
	if v.IsWhollyKnown() && again.IsWhollyKnown() {
		return v.RawEquals(again)
	}
	return contradicts(v, again) == "" || contradicts(again, v) == ""
}

func checkPanic(t *testing.T, name string, args []cty.Value, err error) {
	t.Helper()
	var pe function.PanicError
	if errors.As(err, &pe) {
		t.Fatalf("%s(%#v) panicked: %v", name, args, pe)
	}
}

func FuzzShellquote(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		skip(f, "there is no sh")
	}
	for _, s := range []string{"", "a", "it's", "$(id) `id` $HOME", "-n", "\\", "a\nb\n", "'''", "~ * ? [a]", "é\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// Only text: go-cty's normalisation of other bytes depends on what stands
		// before them, so that the quoted form is no longer made of the same ones.
		s = strings.ToValidUTF8(s, "\ufffd")
		v, err := evaluate(t, "shellquote(s)", map[string]cty.Value{"s": cty.StringVal(s)})
		if err != nil {
			if !strings.ContainsRune(s, 0) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		want := cty.StringVal(s).AsString()
		out, err := exec.Command(sh, "-c", "printf %s. "+v.AsString()).Output()
		if err != nil || string(out) != want+"." {
			t.Errorf("%q as %s: got %q, %v", want, v.AsString(), out, err)
		}
	})
}

// words reads a line of ExecStart= as systemd does: C escapes in quotes, then
// %% and $$ for the characters themselves.
func words(line string) (list []string, ok bool) {
	rest, ok := strings.CutPrefix(line, `"`)
	if !ok {
		return nil, false
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c == '"':
			return append(list, b.String()), i == len(rest)-1
		case c == '\\' || c == '%' || c == '$':
			if i++; i == len(rest) {
				return nil, false
			}
			if c != '\\' && rest[i] != c || c == '\\' && rest[i] != '\\' && rest[i] != '"' {
				return nil, false // a specifier, a variable, or another escape
			}
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return nil, false
}

func FuzzSystemd(f *testing.F) {
	for _, s := range []string{"", "a b", `50% of $HOME`, `\x41"`, "${A}", "%i%%", "var/lib-etcd", ".x", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names := map[string]cty.Value{"s": cty.StringVal(s)}
		s = names["s"].AsString()
		v, err := evaluate(t, "systemd::quote(s)", names)
		switch {
		case err != nil && !hasControl(s):
			t.Errorf("%q: %v", s, err)
		case err == nil:
			if got, ok := words(v.AsString()); !ok || len(got) != 1 || got[0] != s {
				t.Errorf("%q as %s: got %q", s, v.AsString(), got)
			}
		}
		v, err = evaluate(t, "systemd::escape(s)", names)
		if err != nil && s != "" {
			t.Errorf("%q: %v", s, err)
		}
		// The library writes bytes below 16 with one digit, systemd with two.
		short := strings.ContainsFunc(s, func(c rune) bool { return c < 16 })
		if err == nil && !short && v.AsString() != unit.UnitNameEscape(s) {
			t.Errorf("%q: got %q, want %q", s, v.AsString(), unit.UnitNameEscape(s))
		}
	})
}
