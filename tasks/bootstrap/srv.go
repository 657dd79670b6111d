package bootstrap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/conn"
)

// SRVArgs is the arguments of etcd_srv.
type SRVArgs struct {
	Domain   string   `play:"domain,required,nosecret" doc:"The domain of the records, as --discovery-srv will say."`
	Service  *string  `play:"service,nosecret" default:"none" doc:"The suffix of the service's name, as --discovery-srv-name will say."`
	PeerURLs []string `play:"peer_urls,required,url" doc:"The peer URLs of all members, which the records have to yield."`
}

// SRVResults is the results of etcd_srv.
type SRVResults struct {
	Fit  bool     `play:"fit" doc:"Whether the records yield exactly the peer URLs, and the host finds an address for each."`
	URLs []string `play:"urls" doc:"The peer URLs that the records yield, sorted."`
	Why  []string `play:"why" doc:"What does not fit."`
}

func srv() *engine.Type {
	return engine.Define(engine.Spec[SRVArgs, SRVResults, SRVResults]{
		Name: "etcd_srv",
		Doc: "Resolves the DNS records by which the members of a new cluster find each other, as the host sees them, and " +
			"compares them with the peer URLs that the members will have.",
		Effect: engine.Read, Where: engine.OnHost, Retryable: true, Volatile: true,
		Check: checkSRV, Observe: observeSRV,
		Report: func(_ SRVArgs, s SRVResults) SRVResults { return s },
		Plan: func(p engine.Planning, a SRVArgs, s SRVResults) (engine.Planned, SRVResults) {
			switch {
			case !p.Observed:
				return engine.Planned{Summary: "told during the run: the records of a domain"}, SRVResults{}
			case !s.Fit:
				return engine.Planned{Summary: strings.Join(s.Why, "; ")}, s
			}
			return engine.Planned{Summary: fmt.Sprintf("the records of %s name the %d peer URLs", a.Domain, len(s.URLs))}, s
		},
	})
}

func checkSRV(a SRVArgs) error {
	for arg, name := range map[string]string{"domain": a.Domain, "service": deref(a.Service, "x")} {
		if name == "" || strings.ContainsAny(name, "/: \t\n") {
			return &engine.ArgError{Arg: arg, Text: fmt.Sprintf("%q is no name in DNS.", name)}
		}
	}
	return nil
}

func deref(s *string, without string) string {
	if s == nil {
		return without
	}
	return *s
}

func observeSRV(ctx context.Context, l engine.Look, a SRVArgs) (s SRVResults, err error) {
	r, err := resolver(ctx, l.Host)
	if err != nil {
		return s, err
	}
	against := func(format string, args ...any) { s.Why = append(s.Why, fmt.Sprintf(format, args...)) }
	suffix := ""
	if a.Service != nil {
		suffix = "-" + *a.Service
	}
	var names []string
	// etcd takes the records of both services together.
	for _, of := range [...]struct{ service, scheme string }{{"etcd-server-ssl", "https"}, {"etcd-server", "http"}} {
		_, records, err := r.LookupSRV(ctx, of.service+suffix, "tcp", strings.TrimSuffix(a.Domain, ".")+".")
		if e := (*net.DNSError)(nil); errors.As(err, &e) && e.IsNotFound {
			continue
		}
		if err != nil {
			return s, fmt.Errorf("_%s%s._tcp.%s: %w", of.service, suffix, a.Domain, err)
		}
		for _, rec := range records {
			name := strings.TrimSuffix(rec.Target, ".")
			u := of.scheme + "://" + net.JoinHostPort(name, strconv.Itoa(int(rec.Port)))
			if !slices.Contains(s.URLs, u) {
				s.URLs = append(s.URLs, u)
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(s.URLs)
	slices.Sort(names)
	if len(s.URLs) == 0 {
		against("there are no records _etcd-server%s._tcp.%s or _etcd-server-ssl%s._tcp.%s", suffix, a.Domain, suffix, a.Domain)
	}
	for _, u := range s.URLs {
		if !slices.Contains(a.PeerURLs, u) {
			against("the records name %s, which is no member's peer URL in the inventory", u)
		}
	}
	for _, u := range a.PeerURLs {
		if len(s.URLs) > 0 && !slices.Contains(s.URLs, u) {
			against("no record names %s", u)
		}
	}
	for _, name := range names {
		if err := resolves(ctx, l.Host, r, name); err != nil {
			against("%s has no address here: %v", name, err)
		}
	}
	s.Fit = len(s.Why) == 0
	return s, ctx.Err()
}

// resolver asks the name servers of the host, in their order, through the host.
func resolver(ctx context.Context, h conn.Reader) (*net.Resolver, error) {
	const file = "/etc/resolv.conf"
	text, err := h.ReadFile(ctx, file)
	if err != nil {
		return nil, err
	}
	var servers []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "nameserver" {
			servers = append(servers, net.JoinHostPort(words[1], "53"))
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s of %s names no name server", file, h.Name())
	}
	// A connection of TCP, which every name server takes too, goes through any
	// connection to a host.
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var err error
		for _, server := range servers {
			var c net.Conn
			if c, err = h.Dial(ctx, server); err == nil {
				return c, nil
			}
		}
		return nil, err
	}}, nil
}

// resolves is nil if programs on the host find an address for the name, be it in
// DNS or in a file of the host.
func resolves(ctx context.Context, h conn.Reader, r *net.Resolver, name string) error {
	if net.ParseIP(name) != nil {
		return nil
	}
	// getent asks as every other program there; a host without it has but DNS.
	found, err := h.Query(ctx, conn.Command{Argv: []string{"getent", "ahosts", name}})
	switch {
	case err == nil && found.ExitCode == 0:
		return nil
	case err == nil && found.ExitCode == 2:
		return errors.New("the name is not known")
	}
	_, err = r.LookupNetIP(ctx, "ip", name+".")
	return err
}
