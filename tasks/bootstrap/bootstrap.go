// Package bootstrap holds the task types that a new cluster begins with: what
// stands on a host before etcd has run there, who answers at the addresses that
// its members will have, and how they find each other (a discovery service, DNS).
// It knows what etcd wants of each of these. It does not know whether a cluster
// may be made; that is what the playbook asserts of what is found here.
package bootstrap

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
)

// Types lists the task types of this package.
func Types() []*engine.Type {
	return []*engine.Type{discovery(), host(), peers(), srv()}
}

// knock bounds one attempt to connect, and one short request.
const knock = 3 * time.Second

// dialAddr is the address that u leads to from the host that listens there: one
// that stands for all addresses is reached on the loopback.
func dialAddr(u string) (string, error) {
	parsed, err := url.Parse(u)
	if err != nil {
		return "", err
	}
	name, port := parsed.Hostname(), parsed.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[parsed.Scheme]
		if port == "" {
			port = "80"
		}
	}
	if ip := net.ParseIP(name); ip != nil && ip.IsUnspecified() {
		name = "127.0.0.1"
		if ip.To4() == nil {
			name = "::1"
		}
	}
	return net.JoinHostPort(name, port), nil
}

// loopback reports whether u leads to the machine itself.
func loopback(u string) bool {
	parsed, err := url.Parse(u)
	if err != nil {
		return false
	}
	ip := net.ParseIP(parsed.Hostname())
	return parsed.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func listed(words []string) string { return strings.Join(words, ", ") }

func members(n int) string {
	if n == 1 {
		return "1 member"
	}
	return fmt.Sprintf("%d members", n)
}
