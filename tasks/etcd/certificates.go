package etcd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine"
)

// CertificatesArgs is the arguments of etcd_certificates.
type CertificatesArgs struct {
	Member   ViaMember `play:"member,required" doc:"The member of a host object: its URLs, and the files of its certificates."`
	Peers    []string  `play:"peers,url" default:"none" doc:"Peer URLs of members that run. The host shakes hands with each, as its member will."`
	Domain   *string   `play:"domain" default:"none" doc:"The domain of --discovery-srv, where members are found by it: peers' certificates have to cover it."`
	ValidFor *string   `play:"valid_for,duration" default:"24h" doc:"How long from now on they have to be valid at least."`
	MaxSkew  *string   `play:"max_skew,duration" default:"10s" doc:"How far the clocks of the host and of this machine may be apart."`
}

// CertificatesResults is the results of etcd_certificates.
type CertificatesResults struct {
	OK        bool     `play:"ok" doc:"There is no problem."`
	Problems  []string `play:"problems" doc:"What would keep the member from joining, or clients from it, each a sentence."`
	Warnings  []string `play:"warnings" doc:"What is worth a look: a key that everybody may read, an end within thirty days, what could not be checked."`
	Unreached []string `play:"unreached" doc:"Those of peers that did not take a connection from the host."`
	Expires   string   `play:"expires" doc:"When the first of the certificates ends, RFC 3339; empty if there are none."`
	Skew      float64  `play:"skew" doc:"By how many seconds the host's clock is ahead of this machine's at least; below zero, behind."`
}

// soon is how long before its end a certificate is worth a warning.
const soon = 30 * 24 * time.Hour

func certificates() *engine.Type {
	return engine.Define(engine.Spec[CertificatesArgs, examined, CertificatesResults]{
		Name: "etcd_certificates",
		Doc: "Checks the certificates of a member on its host before it is started there: that they come from the authorities that others ask for, " +
			"cover its addresses, may be a server's and a client's, are valid by the host's clock and by this machine's, " +
			"that etcd's user can read the keys and that they belong to the certificates. Keys are never read, only looked at on the host. " +
			"It reports, and fails only where the host cannot be looked at. Without https there is nothing to check.",
		Effect:    engine.Read,
		Where:     engine.OnHost,
		Retryable: true,
		Volatile:  true,
		Check: func(a CertificatesArgs) error {
			if a.Domain != nil && (*a.Domain == "" || strings.ContainsAny(*a.Domain, "/: ")) {
				return &engine.ArgError{Arg: "domain", Text: fmt.Sprintf("%q is not a domain. Write it as --discovery-srv has it, for example example.com.", *a.Domain)}
			}
			return nil
		},
		Observe: func(ctx context.Context, l engine.Look, a CertificatesArgs) (examined, error) {
			return examine(ctx, l, a)
		},
		Report: func(_ CertificatesArgs, s examined) CertificatesResults { return s.results() },
		Plan: func(p engine.Planning, a CertificatesArgs, s examined) (engine.Planned, CertificatesResults) {
			if !p.Observed {
				return engine.Planned{Summary: "told during the run: the certificates of the member"}, CertificatesResults{}
			}
			planned := engine.Planned{Summary: s.summary()}
			for _, text := range s.Problems {
				planned.Details = append(planned.Details, engine.Detail{Name: "problem", Value: text})
			}
			for _, text := range s.Warnings {
				planned.Details = append(planned.Details, engine.Detail{Name: "warning", Value: text})
			}
			return planned, s.results()
		},
	})
}

func (a CertificatesArgs) validFor() time.Duration { return duration(a.ValidFor, 24*time.Hour) }
func (a CertificatesArgs) maxSkew() time.Duration  { return duration(a.MaxSkew, 10*time.Second) }

// duration is what an argument of that kind says, which has been checked.
func duration(text *string, otherwise time.Duration) time.Duration {
	if text == nil {
		return otherwise
	}
	d, err := time.ParseDuration(*text)
	if err != nil {
		return otherwise
	}
	return d
}

// examined is what was found of the certificates of one member.
type examined struct {
	Secure    bool // it has URLs with https
	Files     []string
	Problems  []string
	Warnings  []string
	Unreached []string
	Shaken    int       // peers that a handshake was made with
	Expires   time.Time // zero if there is no certificate
	Skew      time.Duration
}

func (e *examined) problem(format string, args ...any) {
	e.Problems = appendNew(e.Problems, fmt.Sprintf(format, args...))
}

func (e *examined) warn(format string, args ...any) {
	e.Warnings = appendNew(e.Warnings, fmt.Sprintf(format, args...))
}

// appendNew leaves out what is there already: the same authority may be asked
// about for both sides of a member.
func appendNew(texts []string, text string) []string {
	for _, t := range texts {
		if t == text {
			return texts
		}
	}
	return append(texts, text)
}

func (e examined) results() CertificatesResults {
	r := CertificatesResults{
		OK: len(e.Problems) == 0, Problems: e.Problems, Warnings: e.Warnings, Unreached: e.Unreached, Skew: e.Skew.Seconds(),
	}
	if !e.Expires.IsZero() {
		r.Expires = e.Expires.UTC().Format(time.RFC3339)
	}
	return r
}

func (e examined) summary() string {
	switch {
	case !e.Secure:
		return "its URLs are http: there is nothing to check"
	case len(e.Problems) > 0:
		return count(len(e.Problems), "problem") + " with " + strings.Join(e.Files, ", ")
	}
	text := strings.Join(e.Files, ", ") + ": in order"
	if !e.Expires.IsZero() {
		text += ", valid until " + e.Expires.UTC().Format("2006-01-02")
	}
	if e.Shaken > 0 {
		text += "; agrees with " + count(e.Shaken, "peer")
	}
	return text
}
