package eval

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/url"
	"unicode/utf8"

	"github.com/hashicorp/go-version"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func numberFunctions() []Function {
	return []Function{
		{
			Name: "abs", Group: "numbers", Signature: "abs(n number) number",
			Doc:     "The number without its sign.",
			Example: `abs(-2)`, Yields: `2`, Impl: bounded(stdlib.AbsoluteFunc, nil),
		},
		{
			Name: "ceil", Group: "numbers", Signature: "ceil(n number) number",
			Doc:     "The next whole number that is not below n.",
			Example: `ceil(1.2)`, Yields: `2`, Impl: bounded(stdlib.CeilFunc, nil),
		},
		{
			Name: "floor", Group: "numbers", Signature: "floor(n number) number",
			Doc:     "The next whole number that is not above n.",
			Example: `floor(1.8)`, Yields: `1`, Impl: bounded(stdlib.FloorFunc, nil),
		},
		{
			Name: "max", Group: "numbers", Signature: "max(numbers...) number",
			Doc:     "The greatest of the numbers.",
			Example: `max(1, 3, 2)`, Yields: `3`, Impl: bounded(stdlib.MaxFunc, nil),
		},
		{
			Name: "min", Group: "numbers", Signature: "min(numbers...) number",
			Doc:     "The smallest of the numbers.",
			Example: `min(2, 1, 3)`, Yields: `1`, Impl: bounded(stdlib.MinFunc, nil),
		},
	}
}

func encodingFunctions() []Function {
	return []Function{
		{
			Name: "jsonencode", Group: "encoding", Signature: "jsonencode(value) string",
			Doc:     "The value as JSON on one line.",
			Example: `jsonencode({ a = [1, true] })`, Yields: `"{\"a\":[1,true]}"`, Impl: bounded(stdlib.JSONEncodeFunc, nil),
		},
		{
			Name: "jsondecode", Group: "encoding", Signature: "jsondecode(text string) value",
			Doc:     "The value that the JSON text stands for. Numbers keep all their digits.",
			Example: `jsondecode("{\"id\": 18446744073709551615}")`, Yields: `{ id = 18446744073709551615 }`, Impl: bounded(stdlib.JSONDecodeFunc, nil),
		},
		{
			Name: "base64encode", Group: "encoding", Signature: "base64encode(text string) string",
			Doc:     "The bytes of the text in standard base64 with padding.",
			Example: `base64encode("etcd")`, Yields: `"ZXRjZA=="`, Impl: bounded(base64Encode(), nil),
		},
		{
			Name: "base64decode", Group: "encoding", Signature: "base64decode(text string) string",
			Doc:     "The text behind standard base64 with padding. It must be UTF-8: bytes that are no text stay in files.",
			Example: `base64decode("ZXRjZA==")`, Yields: `"etcd"`, Impl: bounded(base64Decode(), nil),
		},
		{
			Name: "sha256", Group: "encoding", Signature: "sha256(text string) string",
			Doc:     "The SHA-256 sum of the text's bytes, in lower-case hex.",
			Example: `sha256("etcd")`, Yields: `"` + sumOfEtcd + `"`, Impl: bounded(sum256(), nil),
		},
	}
}

const sumOfEtcd = "c38cbd92fce41312f3fbdce60510013b7f0d4004a03b45c8e762f98f1ed4006c"

func versionFunctions() []Function {
	return []Function{{
		Name: "version_matches", Group: "versions", Signature: "version_matches(version string, constraint string) bool",
		Doc:     "Whether the version meets the constraint: >=, >, <=, <, =, != and ~>, several of them with commas. A pre-release counts as its release, unless the constraint names a pre-release.",
		Example: `version_matches("3.5.9", ">= 3.4, < 4.0")`, Yields: `true`, Impl: bounded(versionMatches(), nil),
	}}
}

func netFunctions() []Function {
	return []Function{
		{
			Name: "hostport", Group: "net", Signature: "hostport(url string) string",
			Doc:     "Host and port of a URL, as a connection takes them. The URL must name its port.",
			Example: `hostport("https://10.240.0.1:2379")`, Yields: `"10.240.0.1:2379"`, Impl: bounded(hostPort(), nil),
		},
		{
			Name: "url_scheme", Group: "net", Signature: "url_scheme(url string) string",
			Doc:     "The scheme of a URL, in lower case.",
			Example: `url_scheme("https://10.240.0.1:2379")`, Yields: `"https"`, Impl: bounded(urlScheme(), nil),
		},
	}
}

func base64Encode() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		return cty.StringVal(base64.StdEncoding.EncodeToString([]byte(args[0].AsString()))), nil
	}, param("text", cty.String))
}

func base64Decode() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		raw, err := base64.StdEncoding.DecodeString(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "this is not standard base64")
		}
		if !utf8.Valid(raw) {
			return cty.NilVal, function.NewArgErrorf(0, "what is encoded here is not UTF-8 text")
		}
		return cty.StringVal(string(raw)), nil
	}, param("text", cty.String))
}

func sum256() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		sum := sha256.Sum256([]byte(args[0].AsString()))
		return cty.StringVal(hex.EncodeToString(sum[:])), nil
	}, param("text", cty.String))
}

func versionMatches() function.Function {
	return pure(cty.Bool, func(args []cty.Value) (cty.Value, error) {
		v, err := version.NewVersion(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "%s is not a version", quote(args[0].AsString()))
		}
		cs, err := version.NewConstraint(args[1].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(1, "%s is not a constraint on versions; write for example \">= 3.4, < 4.0\"", quote(args[1].AsString()))
		}
		for _, c := range cs {
			if !c.Check(v) && (c.Prerelease() || !c.Check(v.Core())) {
				return cty.False, nil
			}
		}
		return cty.True, nil
	}, param("version", cty.String), param("constraint", cty.String))
}

func hostPort() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		u, err := parseURL(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		if u.Port() == "" {
			return cty.NilVal, function.NewArgErrorf(0, "%s names no port", quote(args[0].AsString()))
		}
		return cty.StringVal(net.JoinHostPort(u.Hostname(), u.Port())), nil
	}, param("url", cty.String))
}

func urlScheme() function.Function {
	return pure(cty.String, func(args []cty.Value) (cty.Value, error) {
		u, err := parseURL(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		return cty.StringVal(u.Scheme), nil
	}, param("url", cty.String))
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return nil, wrongf("%s is not a URL with a scheme and a host", quote(s))
	}
	return u, nil
}
