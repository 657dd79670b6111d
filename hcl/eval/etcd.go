package eval

import (
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

func etcdFunctions() []Function {
	return []Function{
		{
			Name: "etcd::initial_cluster", Group: "etcd::", Signature: "etcd::initial_cluster(members list of members or hosts) string",
			Doc:     "The value of --initial-cluster for these members, or for the members configured on these hosts: name=url pairs with commas, in alphabetic order.",
			Example: `etcd::initial_cluster([{ name = "b", peer_urls = ["http://b:2380"] }, { name = "a", peer_urls = ["http://a:2380"] }])`,
			Yields:  `"a=http://a:2380,b=http://b:2380"`, Impl: bounded(initialCluster(), nil),
		},
		{
			Name: "etcd::quorum", Group: "etcd::", Signature: "etcd::quorum(voters number) number",
			Doc:     "How many of so many voting members must agree.",
			Example: `etcd::quorum(4)`, Yields: `3`, Impl: bounded(ofVoters(func(n int64) int64 { return n/2 + 1 }), nil),
		},
		{
			Name: "etcd::tolerance", Group: "etcd::", Signature: "etcd::tolerance(voters number) number",
			Doc:     "How many of so many voting members may fail.",
			Example: `etcd::tolerance(5)`, Yields: `2`, Impl: bounded(ofVoters(func(n int64) int64 { return (n - 1) / 2 }), nil),
		},
		{
			Name: "etcd::member_for", Group: "etcd::", Signature: "etcd::member_for(members list of members, host) member",
			Doc:     "The member that has one of the host's peer URLs, or null if none has.",
			Example: `etcd::member_for([{ id = "1f", peer_urls = ["http://a:2380"] }], { peer_urls = ["http://a:2380"] }).id`,
			Yields:  `"1f"`, Impl: bounded(memberFor(), nil),
		},
		{
			Name: "etcd::member_named", Group: "etcd::", Signature: "etcd::member_named(members list of members, name string) member",
			Doc:     "The member of this name, or null if there is none. A name does not tell members apart that were replaced; member_for does.",
			Example: `etcd::member_named([{ id = "1f", name = "a" }], "a").id`, Yields: `"1f"`, Impl: bounded(memberNamed(), nil),
		},
		{
			Name: "etcd::member_id", Group: "etcd::", Signature: "etcd::member_id(id string or number) string",
			Doc:     "The member ID in lower-case hex without leading zeros. A string is read as hex, a number (as in etcdctl's JSON) as the number it is.",
			Example: `etcd::member_id(1588000058001375783)`, Yields: `"1609b5a3a078c227"`, Impl: bounded(memberID(), nil),
		},
		{
			Name: "etcd::parse_member_add", Group: "etcd::", Signature: "etcd::parse_member_add(text string) object",
			Doc:     "What etcdctl member add printed, as the results of etcd_member_add: id, name, initial_cluster, initial_cluster_state and initial_advertise_peer_urls. What is not in the text is null.",
			Example: `etcd::parse_member_add("Added member named a with ID 4fb77509779cac99 to cluster\n\nETCD_NAME=\"a\"\n").id`,
			Yields:  `"4fb77509779cac99"`, Impl: bounded(parseMemberAdd(), nil),
		},
		{
			Name: "etcd::tls_flags", Group: "etcd::", Signature: "etcd::tls_flags(server_tls object) map(string)",
			Doc:     "The flags of etcd for a member's own side of TLS, by their names without dashes: what host.member.server_tls says, and nothing if that is null.",
			Example: `etcd::tls_flags({ cert_file = "/etc/ssl/etcd/a.pem", key_file = "/etc/ssl/etcd/a-key.pem" })`,
			Yields:  `{ cert-file = "/etc/ssl/etcd/a.pem", key-file = "/etc/ssl/etcd/a-key.pem" }`, Impl: bounded(tlsFlags(), nil),
		},
	}
}

func ofVoters(f func(int64) int64) function.Function {
	return pure(cty.Number, func(args []cty.Value) (cty.Value, error) {
		n, acc := args[0].AsBigFloat().Int64()
		if acc != big.Exact || n < 1 || n > 1000 {
			return cty.NilVal, function.NewArgErrorf(0, "a whole number of voters is needed, from 1 on, and this is %s", diag.Value(args[0], ""))
		}
		return cty.NumberIntVal(f(n)), nil
	}, param("voters", cty.Number))
}

// Whatever has a name and peer URLs can stand for a member: an element of
// etcd_members, a host (by its member), or an object written in place.

// urlsOf is the peer URLs of a member or a host; ok is false while they are not
// known.
func urlsOf(v cty.Value) (urls []string, ok bool, err error) {
	if !v.IsKnown() {
		return nil, false, nil
	}
	if v.IsNull() {
		return nil, false, wrong("a member or a host is needed, and this is null")
	}
	list, err := peerURLs(v)
	if err != nil || !list.IsWhollyKnown() {
		return nil, false, err
	}
	if list.IsNull() || !list.CanIterateElements() {
		return nil, false, wrong("peer_urls must be a list of strings")
	}
	for it := list.ElementIterator(); it.Next(); {
		_, u := it.Element()
		if u.IsNull() || u.Type() != cty.String {
			return nil, false, wrong("peer_urls must be a list of strings")
		}
		urls = append(urls, strings.TrimSuffix(u.AsString(), "/"))
	}
	return urls, true, nil
}

func peerURLs(v cty.Value) (cty.Value, error) {
	ty := v.Type()
	if ty.IsObjectType() && ty.HasAttribute("member") {
		if v = v.GetAttr("member"); !v.IsKnown() {
			return v, nil
		}
		if v.IsNull() {
			return cty.NilVal, wrong("this host has no member")
		}
		ty = v.Type()
	}
	if !ty.IsObjectType() || !ty.HasAttribute("peer_urls") {
		return cty.NilVal, wrongf("a member or a host is needed, and this is %s without peer_urls", TypeName(ty))
	}
	return v.GetAttr("peer_urls"), nil
}

// nameOf is the name of the member that v is or, of a host, that runs on it.
func nameOf(v cty.Value) (name string, ok bool, err error) {
	if !v.IsKnown() {
		return "", false, nil
	}
	if v.IsNull() {
		return "", false, wrong("a member is needed, and this is null")
	}
	ty := v.Type()
	if ty.IsObjectType() && ty.HasAttribute("member") {
		if v = v.GetAttr("member"); !v.IsKnown() {
			return "", false, nil
		}
		if v.IsNull() {
			return "", false, wrong("this host has no member")
		}
		ty = v.Type()
	}
	if !ty.IsObjectType() || !ty.HasAttribute("name") {
		return "", false, wrongf("a member or a host is needed, and this is %s without a name", TypeName(ty))
	}
	n := v.GetAttr("name")
	switch {
	case n.Type() != cty.String && n.Type() != cty.DynamicPseudoType:
		return "", false, wrong("the name of a member must be a string")
	case !n.IsKnown():
		return "", false, nil
	case n.IsNull():
		return "", true, nil
	}
	return n.AsString(), true, nil
}

// membersOf are the elements of a list, set or tuple; ok is false while it is
// not known how many there are.
func membersOf(v cty.Value) (list []cty.Value, ok bool, err error) {
	if !isSequence(v.Type()) {
		return nil, false, function.NewArgErrorf(0, "a list of members or hosts is needed, and this is %s", TypeName(v.Type()))
	}
	if !v.IsKnown() || !v.CanIterateElements() {
		return nil, false, nil
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		list = append(list, e)
	}
	return list, true, nil
}

func isSequence(ty cty.Type) bool {
	return ty == cty.DynamicPseudoType || ty.IsListType() || ty.IsSetType() || ty.IsTupleType()
}

func initialCluster() function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{value("members")},
		Type:         function.StaticReturnType(cty.String),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			members, ok, err := membersOf(args[0])
			if err != nil || !ok {
				return cty.UnknownVal(cty.String), err
			}
			var pairs []string
			known := true
			for _, m := range members {
				name, haveName, err := nameOf(m)
				if err != nil {
					return cty.NilVal, function.NewArgError(0, err)
				}
				urls, haveURLs, err := urlsOf(m)
				if err != nil {
					return cty.NilVal, function.NewArgError(0, err)
				}
				if !haveName || !haveURLs {
					known = false
					continue
				}
				if name == "" {
					return cty.NilVal, function.NewArgErrorf(0, "the member at %s has no name yet, because it has not started", strings.Join(urls, ", "))
				}
				for _, u := range urls {
					pairs = append(pairs, name+"="+u)
				}
			}
			if !known {
				return cty.UnknownVal(cty.String), nil
			}
			slices.Sort(pairs)
			return cty.StringVal(strings.Join(pairs, ",")), nil
		},
	})
}

// memberType is the type of one of the members: the element type of a list; of
// a tuple the one type that all its elements have.
func memberType(members cty.Type) (cty.Type, error) {
	switch {
	case members == cty.DynamicPseudoType:
		return cty.DynamicPseudoType, nil
	case members.IsListType() || members.IsSetType():
		return members.ElementType(), nil
	case members.IsTupleType() && members.Length() == 0:
		return MemberType, nil
	case members.IsTupleType():
		first := members.TupleElementType(0)
		for _, e := range members.TupleElementTypes() {
			if !e.Equals(first) {
				return cty.NilType, function.NewArgErrorf(0, "the members are not all of one type")
			}
		}
		return first, nil
	}
	return cty.NilType, function.NewArgErrorf(0, "a list of members is needed, and this is %s", TypeName(members))
}

// find is the first member that fits. An unknown before it leaves the answer
// unknown, so that what a plan shows is what the run will find.
func find(members cty.Value, ret cty.Type, fits func(m cty.Value) (match, known bool, err error)) (cty.Value, error) {
	list, ok, err := membersOf(members)
	if err != nil {
		return cty.NilVal, err
	}
	if !ok {
		return cty.UnknownVal(ret), nil
	}
	known := true
	for _, m := range list {
		match, sure, err := fits(m)
		if err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		if known = known && sure; known && match {
			return m, nil
		}
	}
	if !known {
		return cty.UnknownVal(ret), nil
	}
	return cty.NullVal(ret), nil
}

func memberFor() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{value("members"), value("host")},
		Type:   func(args []cty.Value) (cty.Type, error) { return memberType(args[0].Type()) },
		Impl: func(args []cty.Value, ret cty.Type) (cty.Value, error) {
			wanted, known, err := urlsOf(args[1])
			if err != nil {
				return cty.NilVal, function.NewArgError(1, err)
			}
			return find(args[0], ret, func(m cty.Value) (bool, bool, error) {
				urls, ok, err := urlsOf(m)
				match := slices.ContainsFunc(urls, func(u string) bool { return slices.Contains(wanted, u) })
				return match, ok && known, err
			})
		},
	})
}

func memberNamed() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{
			value("members"),
			{Name: "name", Type: cty.String, AllowUnknown: true},
		},
		Type: func(args []cty.Value) (cty.Type, error) { return memberType(args[0].Type()) },
		Impl: func(args []cty.Value, ret cty.Type) (cty.Value, error) {
			return find(args[0], ret, func(m cty.Value) (bool, bool, error) {
				name, ok, err := nameOf(m)
				known := ok && args[1].IsKnown()
				return known && name == args[1].AsString(), known, err
			})
		},
	})
}

func memberID() function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{value("id")},
		Type:         function.StaticReturnType(cty.String),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v := args[0]
			if ty := v.Type(); ty != cty.String && ty != cty.Number && ty != cty.DynamicPseudoType {
				return cty.NilVal, function.NewArgErrorf(0, "a string or a number is needed, and this is %s", TypeName(ty))
			}
			if !v.IsKnown() {
				return cty.UnknownVal(cty.String), nil
			}
			var id uint64
			var exact bool
			if v.Type() == cty.Number {
				n, acc := v.AsBigFloat().Uint64()
				id, exact = n, acc == big.Exact
			} else {
				n, err := strconv.ParseUint(strings.ToLower(strings.TrimPrefix(v.AsString(), "0x")), 16, 64)
				id, exact = n, err == nil
			}
			if !exact || id == 0 {
				return cty.NilVal, function.NewArgErrorf(0, "%s is not a member ID", diag.Value(v, ""))
			}
			return cty.StringVal(strconv.FormatUint(id, 16)), nil
		},
	})
}

// parseMemberAdd reads what the etcdctl of API 2 and of API 3 print; the ID is
// in the first line, in one of three forms.
func parseMemberAdd() function.Function {
	ret := cty.Object(map[string]cty.Type{
		"id":                          cty.String,
		"name":                        cty.String,
		"initial_cluster":             cty.String,
		"initial_cluster_state":       cty.String,
		"initial_advertise_peer_urls": cty.String,
	})
	idForm := regexp.MustCompile(`(?i)(?:with ID|added member|^member)\s+([0-9a-f]{1,16})\b`)
	return pure(ret, func(args []cty.Value) (cty.Value, error) {
		out := map[string]cty.Value{}
		for name := range ret.AttributeTypes() {
			out[name] = cty.NullVal(cty.String)
		}
		for line := range strings.Lines(args[0].AsString()) {
			line = strings.TrimSpace(line)
			key, text, isSetting := strings.Cut(line, "=")
			if name, ok := strings.CutPrefix(key, "ETCD_"); isSetting && ok {
				if name = strings.ToLower(name); ret.HasAttribute(name) {
					out[name] = cty.StringVal(unquoteSetting(text))
				}
				continue
			}
			if m := idForm.FindStringSubmatch(line); m != nil && out["id"].IsNull() {
				if id, err := strconv.ParseUint(m[1], 16, 64); err == nil {
					out["id"] = cty.StringVal(strconv.FormatUint(id, 16))
				}
			}
		}
		if out["id"].IsNull() && out["name"].IsNull() {
			return cty.NilVal, function.NewArgErrorf(0, "this is not what etcdctl member add prints: it holds neither an ID nor ETCD_NAME")
		}
		return cty.ObjectVal(out), nil
	}, param("text", cty.String))
}

func unquoteSetting(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// tlsFlags takes any object with some of the attributes of ServerTLSType. What
// is null or false in it is no flag.
func tlsFlags() function.Function {
	flags := map[string]string{
		"cert_file": "cert-file", "key_file": "key-file", "ca_file": "trusted-ca-file", "client_cert_auth": "client-cert-auth",
		"peer_cert_file": "peer-cert-file", "peer_key_file": "peer-key-file", "peer_ca_file": "peer-trusted-ca-file", "peer_client_cert_auth": "peer-client-cert-auth",
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{
			Name: "server_tls", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowNull: true, AllowDynamicType: true,
		}},
		Type:         function.StaticReturnType(cty.Map(cty.String)),
		RefineResult: notNull,
		Impl: func(args []cty.Value, ret cty.Type) (cty.Value, error) {
			v := args[0]
			if ty := v.Type(); ty != cty.DynamicPseudoType && !ty.IsObjectType() {
				return cty.NilVal, function.NewArgErrorf(0, "an object is needed, and this is %s", TypeName(ty))
			}
			switch {
			case !v.IsWhollyKnown():
				return cty.UnknownVal(ret), nil
			case v.IsNull():
				return cty.MapValEmpty(cty.String), nil
			}
			out := map[string]cty.Value{}
			for _, name := range attributeNames(v.Type()) {
				flag, known := flags[name]
				if !known {
					return cty.NilVal, function.NewArgErrorf(0, "%s is no part of TLS.%s", quote(name), didYouMean(name, attributeNames(ServerTLSType)))
				}
				switch a, want := v.GetAttr(name), ServerTLSType.AttributeType(name); {
				case a.IsNull():
				case a.Type() != want:
					return cty.NilVal, function.NewArgErrorf(0, "%s: %s is needed, and this is %s", name, TypeName(want), TypeName(a.Type()))
				case want == cty.String:
					out[flag] = a
				case a.True():
					out[flag] = cty.StringVal("true")
				}
			}
			if len(out) == 0 {
				return cty.MapValEmpty(cty.String), nil
			}
			return cty.MapVal(out), nil
		},
	})
}
