package inventory

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var dnsForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// digitsOnly would be read as an address of four numbers, and is none.
var digitsOnly = regexp.MustCompile(`^[0-9.]+$`)

// addressProblem says why a host cannot have this address, or "". An address
// is an IP address or a DNS name, without a port.
func addressProblem(s string) string {
	if s == "" {
		return "The address is empty."
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		return quoted(s) + " stands in brackets, which only URLs need. Write " + quoted(strings.TrimSuffix(inner, "]")) + "."
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		switch {
		case ip.Zone() != "":
			return quoted(s) + " has a zone, which only the machine itself understands. Write an address that all members reach."
		case ip.IsUnspecified():
			return quoted(s) + " stands for all addresses of a machine. Write the one by which others reach it."
		case ip.IsMulticast():
			return quoted(s) + " is a multicast address."
		}
		return ""
	}
	host, port, err := net.SplitHostPort(s)
	switch {
	case strings.Contains(s, "://"):
		return quoted(s) + " is a URL. Write the address alone; the scheme stands in the cluster block."
	case err == nil && (dnsForm.MatchString(host) || net.ParseIP(host) != nil):
		return quoted(s) + " has a port. Write " + quoted(host) + ", and port = " + port + " in a connection block if it is that of ssh."
	case len(s) > 253 || !dnsForm.MatchString(s) || digitsOnly.MatchString(s):
		return quoted(s) + " is neither an IP address nor a DNS name. Write for example \"10.240.0.1\" or \"etcd1.example.com\"; a name with other letters is written in its xn-- form."
	}
	return ""
}

const urlExample = ` Write for example "https://10.240.0.1:2380".`

// memberURLProblem says why this cannot be a URL of a member, or "". Those to
// listen on are of addresses, as etcd demands; the others are those by which
// peers and clients reach it.
func memberURLProblem(s string, listen bool) string {
	if better := bracketed(s); better != "" {
		return quoted(s) + " has an IPv6 address without brackets. Write " + quoted(better) + "."
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return quoted(s) + " is not a URL." + urlExample
	case u.Scheme != "http" && u.Scheme != "https":
		return quoted(s) + " has neither the scheme http nor https." + urlExample
	case u.User != nil:
		return quoted(s) + " holds a user name or a password, which a URL of a member cannot." + urlExample
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return quoted(s) + " goes on after the port." + urlExample
	case u.Hostname() == "":
		return quoted(s) + " names no host." + urlExample
	case u.Port() == "":
		return quoted(s) + " names no port." + urlExample
	}
	if n, err := strconv.Atoi(u.Port()); err != nil || n < 1 || n > 65535 {
		return quoted(s) + " has no port between 1 and 65535."
	}
	return urlHostProblem(s, u.Hostname(), listen)
}

func urlHostProblem(s, host string, listen bool) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.Zone() != "":
		return quoted(s) + " has a zone, which only the machine itself understands."
	case err != nil && (!dnsForm.MatchString(host) || digitsOnly.MatchString(host)):
		return quoted(s) + " names no possible host." + urlExample
	case err != nil && listen && host != Localhost:
		return quoted(s) + " names a host, and etcd listens on addresses only. Write the IP address."
	case err == nil && !listen && ip.IsUnspecified():
		return quoted(s) + " is what a member listens on; others cannot reach it there. Write its own address."
	}
	return ""
}

// bracketed is the URL with its IPv6 address in brackets, "" if it has none
// without them.
func bracketed(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return ""
	}
	hostport, _, _ := strings.Cut(rest, "/")
	if strings.Count(hostport, ":") < 2 || strings.ContainsAny(hostport, "[@") {
		return ""
	}
	i := strings.LastIndexByte(hostport, ':')
	host, port := hostport[:i], hostport[i+1:]
	if _, err := netip.ParseAddr(host); err != nil { // it is all address
		host, port = hostport, peerPort
	}
	return scheme + "://[" + host + "]:" + port
}
