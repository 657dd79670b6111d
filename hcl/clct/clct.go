// Package clct reads the etcd section of a Container Linux Config and writes
// the drop-in that the Container Linux Config Transpiler makes of it, byte for
// byte; it also writes such a config, and the same for Butane, from values. It
// knows both transpilers, CoreOS's and Flatcar's, says what they say, and says
// what they let pass although etcd will not start with it. It reads no files,
// and knows no playbook.
package clct

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Flavour is one of the two transpilers.
type Flavour string

// CoreOS's ended with etcd 3.3; Flatcar's went on to 3.5, and reads YAML 1.2
// where CoreOS's reads YAML 1.1.
const (
	CoreOS  Flavour = "coreos"
	Flatcar Flavour = "flatcar"
)

// Flavours lists both.
func Flavours() []Flavour { return []Flavour{CoreOS, Flatcar} }

// newest is the newest minor release of etcd 3 that the transpiler knows.
func (f Flavour) newest() int {
	if f == Flatcar {
		return 5
	}
	return 3
}

// assumed is the release whose keys count where no version is given.
func (f Flavour) assumed() string {
	if f == Flatcar {
		return "3.5"
	}
	return "3.0"
}

// The names of what the transpilers write.
const (
	Unit   = "etcd-member.service"
	Dropin = "20-clct-etcd-member.conf"
)

// MaxSize is the size in bytes up to which a config is read.
const MaxSize = 256 << 10

// Config is the etcd section of a config.
type Config struct {
	Flavour Flavour
	Version string   // "3.3.1"; "" if none is given
	Options []Option // those that are given, in the order of their flags

	release  string                  // whose keys count: "3.3"
	keyed    map[string]engine.Range // where each option's key stands; empty if not read from a file
	valued   map[string]engine.Range // where its value stands
	section  *engine.Range
	versions engine.Range // where the version's value stands
	others   []environment
	sections []string // the other sections of the file
}

// Sections lists the other sections of the file that the config was read from,
// of which this package makes nothing.
func (c *Config) Sections() []string { return c.sections }

// Option is one key with its value.
type Option struct {
	Key   string
	Value any // string, int64 or bool
}

// Flag is the option's flag of etcd, without dashes before it.
func (o Option) Flag() string { return strings.ReplaceAll(o.Key, "_", "-") }

// word is the flag with its value as the transpilers write it.
func (o Option) word() string {
	if s, ok := o.Value.(string); ok {
		return fmt.Sprintf("--%s=%q", o.Flag(), s)
	}
	return fmt.Sprintf("--%s=%v", o.Flag(), o.Value)
}

// get is the value of a key that is a string, "" if it is not given.
func (c *Config) get(key string) string {
	for _, o := range c.Options {
		if s, ok := o.Value.(string); ok && o.Key == key {
			return s
		}
	}
	return ""
}

// at is where the value of a key stands, nil if it was not read from a file.
func (c *Config) at(key string) *engine.Range {
	if r, ok := c.valued[key]; ok {
		return &r
	}
	return c.section
}

// set gives a key its value, or with nil takes it away.
func (c *Config) set(k key, value any) {
	c.Options = slices.DeleteFunc(c.Options, func(o Option) bool { return o.Key == k.name })
	if value != nil {
		c.Options = append(c.Options, Option{k.name, value})
	}
}

// ordered puts the options into the order of their flags.
func (c *Config) ordered() {
	rank := map[string]int{}
	for i, k := range keys(c.release) {
		rank[k.name] = i
	}
	slices.SortStableFunc(c.Options, func(a, b Option) int { return rank[a.Key] - rank[b.Key] })
}

// semver is a version as the transpilers read it.
type semver struct {
	major, minor, patch int64
	pre, meta           string
}

func parseVersion(s string) (v semver, err error) {
	s, v.meta, _ = strings.Cut(s, "+")
	s, v.pre, _ = strings.Cut(s, "-")
	parts := strings.SplitN(s, ".", 3)
	if len(parts) != 3 {
		return v, fmt.Errorf("%s is not in dotted-tri format", s)
	}
	for i, to := range []*int64{&v.major, &v.minor, &v.patch} {
		if *to, err = strconv.ParseInt(parts[i], 10, 64); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (v semver) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
	if v.pre != "" {
		s += "-" + v.pre
	}
	if v.meta != "" {
		s += "+" + v.meta
	}
	return s
}

// What the transpilers say, in their words.
const (
	tooOld       = "Etcd version specified is not valid (too old)"
	tooNew       = "Etcd version is not valid (too new)"
	minorTooNew  = "Etcd minor version specified is too new, only options available in the previous minor version will be accepted"
	unrecognized = "Config has unrecognized key: "
	empty        = "Configuration is empty"
	noPlatform   = "platform must be specified to use templating"
	badPlatform  = "unsupported platform"
	unknownField = "unknown field"
)

// releaseFor is the release whose keys count for a version, "" if there is
// none, and what the transpiler says of the version.
func (f Flavour) releaseFor(v semver) (release string, said engine.Diagnostics) {
	fault := func(severity engine.Severity, summary, detail string) engine.Diagnostics {
		return engine.Diagnostics{{Severity: severity, Code: string(diag.ConfigVersion), Summary: summary, Detail: detail}}
	}
	newest := fmt.Sprintf("3.%d", f.newest())
	switch {
	case v.major < 2, v.major == 2 && v.minor < 3, v.major == 2 && v.minor == 3 && v.patch == 0 && v.pre != "":
		said = fault(engine.Error, tooOld, "The oldest version that can be configured so is 2.3.0.")
	case v.major > 3:
		said = fault(engine.Error, tooNew, "The newest keys that this transpiler knows are those of etcd "+newest+".")
	case v.major == 2 && v.minor > 3:
		said = fault(engine.Warning, minorTooNew, "There is no etcd 2 after 2.3.")
	case v.major == 3 && v.minor > int64(f.newest()):
		said = fault(engine.Warning, minorTooNew, "The newest keys that this transpiler knows are those of etcd "+newest+", and they are what counts here.")
	}
	switch {
	case v.major == 2 && v.minor >= 3:
		return "2.3", said
	case v.major == 3 && v.minor >= 0:
		return fmt.Sprintf("3.%d", min(v.minor, int64(f.newest()))), said
	}
	return "", said
}
