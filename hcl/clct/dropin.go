package clct

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// platforms tells for each platform which variable of its metadata stands for a
// field in braces.
func platforms() map[string]map[string]string {
	fields := func(prefix, hostname, v4private, v4public, v6private, v6public string) map[string]string {
		m := map[string]string{}
		for name, v := range map[string]string{
			"HOSTNAME": hostname, "PRIVATE_IPV4": v4private, "PUBLIC_IPV4": v4public,
			"PRIVATE_IPV6": v6private, "PUBLIC_IPV6": v6public,
		} {
			if v != "" {
				m[name] = prefix + v
			}
		}
		return m
	}
	return map[string]map[string]string{
		"azure":                  fields("COREOS_AZURE_", "", "IPV4_DYNAMIC", "IPV4_VIRTUAL", "", ""),
		"digitalocean":           fields("COREOS_DIGITALOCEAN_", "HOSTNAME", "IPV4_PRIVATE_0", "IPV4_PUBLIC_0", "IPV6_PRIVATE_0", "IPV6_PUBLIC_0"),
		"ec2":                    fields("COREOS_EC2_", "HOSTNAME", "IPV4_LOCAL", "IPV4_PUBLIC", "", ""),
		"gce":                    fields("COREOS_GCE_", "HOSTNAME", "IP_LOCAL_0", "IP_EXTERNAL_0", "", ""),
		"packet":                 fields("COREOS_PACKET_", "HOSTNAME", "IPV4_PRIVATE_0", "IPV4_PUBLIC_0", "", "IPV6_PUBLIC_0"),
		"openstack-metadata":     fields("COREOS_OPENSTACK_", "HOSTNAME", "IPV4_LOCAL", "IPV4_PUBLIC", "", ""),
		"vagrant-virtualbox":     fields("COREOS_VAGRANT_VIRTUALBOX_", "HOSTNAME", "PRIVATE_IPV4", "", "", ""),
		"cloudstack-configdrive": fields("CLOUDSTACK_", "LOCAL_HOSTNAME", "", "", "", ""),
		"custom":                 fields("COREOS_CUSTOM_", "HOSTNAME", "PRIVATE_IPV4", "PUBLIC_IPV4", "PRIVATE_IPV6", "PUBLIC_IPV6"),
	}
}

// Platforms lists the platforms that a config can be made for.
func Platforms() []string {
	var names []string
	for name := range platforms() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Rendering says how a drop-in is written.
type Rendering struct {
	Platform string // "" if there is no templating
	// Escape doubles % and $ in values, so that systemd does not expand them.
	// Without it, the text is that of the transpilers.
	Escape bool
}

// Dropin is the text of the drop-in, without a line break at its end, and what
// the transpilers say of it; with an error there is no text.
func (c *Config) Dropin(r Rendering) (string, engine.Diagnostics) {
	if r.Platform != "" && platforms()[r.Platform] == nil {
		return "", engine.Diagnostics{diag.Bare(diag.ConfigTemplating, badPlatform, "There is no platform %q. Choose among %s.%s",
			r.Platform, strings.Join(Platforms(), ", "), diag.DidYouMean(r.Platform, Platforms()))}
	}
	options := slices.Clone(c.Options)
	for i, o := range options {
		if s, ok := o.Value.(string); ok && r.Escape {
			options[i].Value = escaper.Replace(s)
		}
	}
	templated := slices.ContainsFunc(options, func(o Option) bool { return strings.ContainsAny(o.word(), "{}") })
	words, found := c.words(options, r.Platform, templated)
	if found.HasErrors() {
		return "", found
	}
	var b strings.Builder
	if templated {
		b.WriteString("[Unit]\nRequires=coreos-metadata.service\nAfter=coreos-metadata.service\n\n")
	}
	b.WriteString("[Service]\n")
	if templated {
		b.WriteString("EnvironmentFile=/run/metadata/coreos\n")
	}
	if c.Version != "" {
		fmt.Fprintf(&b, "Environment=\"ETCD_IMAGE_TAG=v%s\"\n", c.Version)
	}
	b.WriteString("ExecStart=\nExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS")
	for _, w := range words {
		b.WriteString(" \\\n  " + w)
	}
	return b.String(), nil
}

func (c *Config) words(options []Option, platform string, templated bool) (words []string, found engine.Diagnostics) {
	for _, o := range options {
		w := o.word()
		switch {
		case templated && platform == "" && !strings.ContainsAny(w, "{}"):
		case templated && platform == "":
			d := diag.Bare(diag.ConfigTemplating, noPlatform, "The braces in %s stand for something that only the platform knows. Say which it is, one of %s.",
				o.Key, strings.Join(Platforms(), ", "))
			d.Subject = c.at(o.Key)
			return nil, engine.Diagnostics{d}
		case templated:
			var field string
			if w, field = fill(w, platforms()[platform]); field != "" {
				d := diag.Bare(diag.ConfigTemplating, unknownField, "%s has no {%s}. It has %s.", platform, field, fieldsOf(platform))
				d.Subject = c.at(o.Key)
				return nil, engine.Diagnostics{d}
			}
		}
		words = append(words, w)
	}
	return words, nil
}

func fieldsOf(platform string) string {
	var names []string
	for name := range platforms()[platform] {
		names = append(names, "{"+name+"}")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// fill puts variables in the place of fields, with the transpilers' way of
// looking for them: a brace that closes before one opens ends the search. An
// unknown field is returned.
func fill(word string, fields map[string]string) (filled, unknown string) {
	start, end := strings.IndexByte(word, '{'), strings.IndexByte(word, '}')
	for start != -1 && end != -1 && start < end {
		field := word[start+1 : end]
		variable, ok := fields[field]
		if !ok {
			if field == "" {
				field = " "
			}
			return "", field
		}
		word = strings.Replace(word, "{"+field+"}", "${"+variable+"}", 1)
		// The search goes on behind where the field ended, in the new text.
		if start = strings.IndexByte(word[end:], '{'); start != -1 {
			start += end
			if end = strings.IndexByte(word[start:], '}'); end != -1 {
				end += start
			}
		}
	}
	return word, ""
}
