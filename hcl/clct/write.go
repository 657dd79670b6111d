package clct

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// New is the config of these values, of types string, int64 and bool by their
// keys. What the transpiler would leave out, and all that etcd does not start
// with, is an error here.
func New(f Flavour, version string, values map[string]any) (*Config, error) {
	c := &Config{Flavour: f, release: f.assumed()}
	if version != "" {
		v, err := parseVersion(version)
		if err != nil {
			return nil, fmt.Errorf("version: %w", err)
		}
		release, said := f.releaseFor(v)
		if said.HasErrors() {
			return nil, fmt.Errorf("version %s: %s", version, lower(said[0].Summary))
		}
		c.Version, c.release = v.String(), release
	}
	known := map[string]key{}
	var names []string
	for _, k := range keys(c.release) {
		known[k.name], names = k, append(names, k.name)
	}
	for name, v := range values {
		k, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("the etcd section for release %s has no key %q.%s", c.release, name, diag.DidYouMean(name, names))
		}
		if kindOf(v) != k.kind {
			return nil, fmt.Errorf("%s: %s", name, lower(strings.TrimSuffix(expected(k.kind), ".")))
		}
		c.set(k, v)
	}
	c.ordered()
	for _, d := range c.Check() {
		// A wrapper of the site's own may know better than these two; and what systemd
		// would expand is escaped in what is written from values.
		if d.Code == string(diag.ConfigContainer) || d.Code == string(diag.ConfigExpanded) {
			continue
		}
		return nil, fmt.Errorf("%s: %s", lower(d.Summary), strings.TrimSuffix(d.Detail, "."))
	}
	return c, nil
}

func lower(s string) string {
	if len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func kindOf(v any) kind {
	switch v.(type) {
	case string:
		return text
	case int64:
		return whole
	case bool:
		return truth
	}
	return 0
}

// YAML is the config itself. Values are written so that the drop-in which the
// transpiler makes of it gives etcd these values: with % and $ doubled.
func (c *Config) YAML() string {
	if c.Version == "" && len(c.Options) == 0 {
		return "etcd: {}\n"
	}
	var b strings.Builder
	b.WriteString("etcd:\n")
	if c.Version != "" {
		fmt.Fprintf(&b, "  version: %s\n", c.Version)
	}
	for _, o := range c.Options {
		if s, ok := o.Value.(string); ok {
			fmt.Fprintf(&b, "  %s: %s\n", o.Key, quoted(escaper.Replace(s)))
		} else {
			fmt.Fprintf(&b, "  %s: %v\n", o.Key, o.Value)
		}
	}
	return b.String()
}

// escaper doubles what systemd expands.
var escaper = strings.NewReplacer("%", "%%", "$", "$$")

// quoted is a text in double quotes, as YAML and JSON have it alike.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string can always be encoded
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\x7f`)
}

// Butane is a Butane config of Flatcar with this drop-in: Butane has no etcd
// section of its own.
func Butane(dropin string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "variant: flatcar\nversion: 1.0.0\nsystemd:\n  units:\n    - name: %s\n      enabled: true\n      dropins:\n        - name: %s\n          contents: |-\n", Unit, Dropin)
	for line := range strings.SplitSeq(dropin, "\n") {
		if line != "" {
			line = strings.Repeat(" ", 12) + line
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// ignition is what of Ignition 2.3.0 the transpilers write for etcd.
type ignition struct {
	Ignition struct {
		Config   struct{} `json:"config"`
		Security struct {
			TLS struct{} `json:"tls"`
		} `json:"security"`
		Timeouts struct{} `json:"timeouts"`
		Version  string   `json:"version"`
	} `json:"ignition"`
	Networkd struct{} `json:"networkd"`
	Passwd   struct{} `json:"passwd"`
	Storage  struct{} `json:"storage"`
	Systemd  struct {
		Units []ignitionUnit `json:"units"`
	} `json:"systemd"`
}

type ignitionUnit struct {
	Dropins []ignitionDropin `json:"dropins"`
	Enable  bool             `json:"enable,omitempty"`
	Enabled bool             `json:"enabled,omitempty"`
	Name    string           `json:"name"`
}

type ignitionDropin struct {
	Contents string `json:"contents"`
	Name     string `json:"name"`
}

// Ignition is the Ignition config that the transpilers make of a config which
// has this etcd section and nothing else.
func Ignition(dropin, platform string) (string, error) {
	var c ignition
	c.Ignition.Version = "2.3.0"
	if slices.Contains([]string{"openstack-metadata", "cloudstack-configdrive"}, platform) {
		provider := []ignitionDropin{{
			Name:     "20-clct-provider-override.conf",
			Contents: "[Service]\nEnvironment=COREOS_METADATA_OPT_PROVIDER=--provider=" + platform,
		}}
		c.Systemd.Units = append(c.Systemd.Units,
			ignitionUnit{Name: "coreos-metadata.service", Dropins: provider},
			ignitionUnit{Name: "coreos-metadata-sshkeys@.service", Enabled: true, Dropins: provider})
	}
	c.Systemd.Units = append(c.Systemd.Units, ignitionUnit{
		Name: Unit, Enable: true, Dropins: []ignitionDropin{{Name: Dropin, Contents: dropin}},
	})
	raw, err := json.Marshal(c)
	return string(raw), err
}
