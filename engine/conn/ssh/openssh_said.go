package ssh

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// What the system's ssh says of a host key that it refuses. The key itself it
// tells only where it is asked for details, in a line that begins with debug1.
var (
	saidKey     = regexp.MustCompile(`(?m)^debug1: Server host key: (\S+) (\S+)`)
	saidUnknown = regexp.MustCompile(`No (\S+) host key is known for (\S+) and you have requested strict checking`)
	saidChanged = regexp.MustCompile(`Host key for (\S+) has changed and you have requested strict checking`)
	saidRevoked = regexp.MustCompile(`The (\S+) host key for (\S+) is marked as revoked`)
	saidWhere   = regexp.MustCompile(`(?m)^Offending \S+ key in (\S+):(\d+)`)
)

// masterError sorts what ssh says when it could not connect.
func masterError(c Config, said string) error {
	said = strings.ReplaceAll(said, "\r", "")
	if refusal := saidHostKey(c, said); refusal != nil {
		return refusal
	}
	var plain []string
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "debug1: ") && !strings.HasPrefix(line, "OpenSSH_") {
			plain = append(plain, strings.Fields(line)...)
		}
	}
	text, kind := strings.Join(plain, " "), conn.ErrUnreachable
	for _, refusal := range []string{"Host key verification failed", "Permission denied", "Too many authentication failures", "Bad configuration option", "no matching"} {
		if strings.Contains(text, refusal) {
			kind = conn.ErrRefused
		}
	}
	return fmt.Errorf("%w: ssh: %s", kind, text)
}

// saidHostKey is the refusal of a host key in what ssh says; nil if there is none.
func saidHostKey(c Config, said string) error {
	e := &HostKeyError{File: "~/.ssh/known_hosts"}
	if len(c.KnownHosts) > 0 {
		e.File = c.KnownHosts[0]
	}
	if at := saidWhere.FindStringSubmatch(said); at != nil {
		e.File = at[1]
		e.Line, _ = strconv.Atoi(at[2]) // these are digits
	}
	if key := saidKey.FindAllStringSubmatch(said, -1); len(key) > 0 {
		last := key[len(key)-1]
		e.Type, e.Fingerprint = last[1], last[2]
	}
	if m := saidUnknown.FindStringSubmatch(said); m != nil {
		e.Reason, e.Host = "unknown", m[2]
	} else if m := saidRevoked.FindStringSubmatch(said); m != nil {
		e.Reason, e.Host = "revoked", m[2]
	} else if m := saidChanged.FindStringSubmatch(said); m != nil {
		e.Reason, e.Host = "changed", m[1]
	} else {
		return nil
	}
	// Only another port than 22 is told.
	if host, port, found := strings.Cut(strings.TrimPrefix(e.Host, "["), "]:"); found {
		e.Host = net.JoinHostPort(host, port)
	} else {
		e.Host = net.JoinHostPort(e.Host, "22")
	}
	return e
}
