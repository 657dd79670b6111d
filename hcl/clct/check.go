package clct

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/flags"
	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Check finds what the transpilers let pass, and what then keeps etcd from
// starting, or makes it start otherwise than is meant. All of it is warnings:
// the drop-in is what the transpilers make of it all the same.
func (c *Config) Check() engine.Diagnostics {
	k := &checker{Config: c}
	k.cluster()
	k.expansions()
	k.shadowed()
	k.flags()
	k.urls()
	k.paths()
	k.words()
	return k.found
}

// checker gathers findings.
type checker struct {
	*Config
	found engine.Diagnostics
}

func (k *checker) add(code diag.Code, at *engine.Range, summary, format string, args ...any) {
	d := diag.Warn(diag.Bare(code, summary, format, args...))
	d.Subject = at
	k.found = append(k.found, d)
}

// templated reports whether a value is only known on the machine.
func templated(s string) bool { return strings.ContainsAny(s, "{}$%") }

// cluster checks the initial cluster against the member's own name and URLs.
func (k *checker) cluster() {
	initial, at := k.get("initial_cluster"), k.at("initial_cluster")
	if initial == "" || templated(initial) {
		return
	}
	byName, owner := map[string][]string{}, map[string]string{}
	var names []string
	for _, part := range strings.Split(initial, ",") {
		name, u, ok := strings.Cut(part, "=")
		switch {
		case !ok || name == "" || u == "":
			k.add(diag.ConfigCluster, at, "Initial cluster cannot be read", "%q is not name=URL. Write the members as in a=http://10.240.0.1:2380,b=http://10.240.0.2:2380.", part)
			return
		case owner[u] != "" && owner[u] != name:
			k.add(diag.ConfigCluster, at, "One URL, two members", "%s is given to %s and to %s.", u, owner[u], name)
		}
		if byName[name] == nil {
			names = append(names, name)
		}
		owner[u], byName[name] = name, append(byName[name], u)
	}
	name := k.get("name")
	if name == "" || templated(name) {
		return
	}
	advertised := k.get("initial_advertise_peer_urls")
	if byName[name] == nil {
		hint := ""
		if other := owner[advertised]; other != "" {
			hint = fmt.Sprintf(" It calls the member at %s %q; write %q.", advertised, other, name)
		}
		k.add(diag.ConfigCluster, at, "Own name is missing", "The initial cluster has %s, and not this member's own name %q, so etcd does not start: couldn't find local name in the initial cluster configuration.%s",
			strings.Join(names, ", "), name, hint)
		return
	}
	if advertised == "" || templated(advertised) {
		return
	}
	have, want := strings.Split(advertised, ","), byName[name]
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		k.add(diag.ConfigCluster, k.at("initial_advertise_peer_urls"), "Own URL differs", "The initial cluster has %s at %s, and initial_advertise_peer_urls says %s. etcd starts only if both are the same.",
			name, strings.Join(want, ","), advertised)
	}
}

// expansions finds what systemd replaces in the drop-in.
func (k *checker) expansions() {
	for _, o := range k.Options {
		s, ok := o.Value.(string)
		if !ok {
			continue
		}
		for _, sign := range []string{"%", "$"} {
			if strings.Contains(strings.ReplaceAll(s, sign+sign, ""), sign) {
				k.add(diag.ConfigExpanded, k.at(o.Key), "Expanded by systemd", "The transpiler leaves %[1]s in %[2]s as it is, and systemd then puts something in its place. Write %[1]s%[1]s if %[1]s is meant.", sign, o.Key)
			}
		}
	}
}

// released is the release of etcd that will run, as far as it is told.
func (k *checker) released() (release string, known bool) {
	if k.Version == "" {
		return "", false
	}
	return flags.Release(k.Version)
}

// shadowed finds variables of the unit which a flag shadows: since 3.4, etcd
// does not start with both.
func (k *checker) shadowed() {
	// Without a version it is that of the system's image: Flatcar's has been 3.5
	// and later for years, CoreOS's last was 3.3.
	modern := k.Flavour == Flatcar
	if v, err := parseVersion(k.Version); err == nil {
		modern = v.major > 3 || v.major == 3 && v.minor >= 4
	}
	if !modern {
		return
	}
	own := map[string]string{"data_dir": "ETCD_DATA_DIR"}
	if k.Flavour == CoreOS { // Flatcar's wrapper takes the variable away itself
		own["name"] = "ETCD_NAME"
	}
	for _, o := range k.Options {
		if v := own[o.Key]; v != "" {
			k.add(diag.ConfigShadowed, k.key(o.Key), "Flag beside its variable", "etcd-member.service sets %s already, and since etcd 3.4 it does not start with both: conflicting environment variable %q is shadowed by corresponding command-line flag. Take %s out, or set UnsetEnvironment=%s in a drop-in.", v, v, o.Key, v)
		}
		v := "ETCD_" + strings.ToUpper(o.Key)
		for _, e := range k.others {
			if e.name == v {
				k.add(diag.ConfigShadowed, &e.at, "Flag beside its variable", "This sets %s, and %s in the section etcd is the flag of the same name. Since etcd 3.4 it does not start with both; keep one.", v, o.Key)
			}
		}
	}
}

// key is where a key stands.
func (c *Config) key(name string) *engine.Range {
	if r, ok := c.keyed[name]; ok {
		return &r
	}
	return c.section
}

// flags finds keys that the release given by version does not have any more.
func (k *checker) flags() {
	release, known := k.released()
	if !known {
		return
	}
	for _, o := range k.Options {
		if !flags.Has(release, o.Flag()) {
			k.add(diag.ConfigFlag, k.key(o.Key), "Unknown flag", "etcd %s does not know --%s, and does not start with it. %s", release, o.Flag(), flags.Advice(release, o.Flag()))
		}
	}
}

// urls checks the URLs of the member itself.
func (k *checker) urls() {
	for _, key := range []string{"listen_peer_urls", "listen_client_urls", "initial_advertise_peer_urls", "advertise_client_urls"} {
		value := k.get(key)
		if value == "" || templated(value) {
			continue
		}
		for _, s := range strings.Split(value, ",") {
			if problem := urlProblem(s, strings.HasPrefix(key, "listen")); problem != "" {
				k.add(diag.ConfigURL, k.at(key), "Unsuitable URL", "%q %s", s, problem)
			}
		}
	}
}

func urlProblem(s string, listen bool) string {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a URL."
	case listen && (u.Scheme == "unix" || u.Scheme == "unixs"):
		return ""
	case u.Scheme != "http" && u.Scheme != "https":
		return "has neither the scheme http nor https."
	case u.Hostname() == "":
		return "names no host."
	case u.Port() == "":
		return "names no port."
	case u.Path != "" && u.Path != "/":
		return "goes on after the port."
	}
	ip, err := netip.ParseAddr(u.Hostname())
	switch {
	case err != nil && listen && u.Hostname() != "localhost":
		return "names a host, and etcd listens on addresses only."
	case err == nil && !listen && ip.IsUnspecified():
		return "is what a member listens on; others cannot reach it there."
	}
	return ""
}

// paths finds files that are not mounted into the container of etcd.
func (k *checker) paths() {
	for _, o := range k.Options {
		s, ok := o.Value.(string)
		if !ok || !strings.HasPrefix(s, "/") {
			continue
		}
		seen := []string{"/var/lib/etcd", "/etc/ssl/certs", "/usr/share/ca-certificates", "/run"}
		if !slices.ContainsFunc(seen, func(dir string) bool { return s == dir || strings.HasPrefix(s, dir+"/") }) {
			k.add(diag.ConfigContainer, k.at(o.Key), "Not in the container", "etcd runs in a container that has only %s of the machine, so it does not see %s.", strings.Join(seen, ", "), s)
		}
	}
}

// words checks values of which there are only a few, which the transpilers
// declare and never check.
func (k *checker) words() {
	for _, w := range []struct {
		key   string
		words []string
	}{
		{"initial_cluster_state", []string{"new", "existing"}},
		{"proxy", []string{"off", "readonly", "on"}},
		{"discovery_fallback", []string{"exit", "proxy"}},
		{"auto_compaction_mode", []string{"periodic", "revision"}},
		{"metrics", []string{"basic", "extensive"}},
	} {
		value := k.get(w.key)
		if value == "" || templated(value) || slices.Contains(w.words, value) {
			continue
		}
		k.add(diag.ConfigWord, k.at(w.key), "Unknown word", "%s is one of %s.%s", w.key, quotedList(w.words), diag.DidYouMean(value, w.words))
	}
}

func quotedList(words []string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, fmt.Sprintf("%q", w))
	}
	return strings.Join(quoted, ", ")
}

// Escaped reports whether a finding does not hold once values are escaped.
func Escaped(d engine.Diagnostic) bool { return d.Code == string(diag.ConfigExpanded) }
