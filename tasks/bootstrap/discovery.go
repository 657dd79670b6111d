package bootstrap

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/engine/world"
)

// DiscoveryArgs is the arguments of etcd_discovery.
type DiscoveryArgs struct {
	API       int      `play:"api,required" doc:"By which API of etcd the members will register themselves: 2 for members up to 3.5, 3 for those from 3.6 on."`
	Size      int      `play:"size,required" doc:"How many members there will be."`
	Endpoints []string `play:"endpoints,url" default:"none" doc:"Client URLs of the etcd that keeps the registry; exactly one for API 2."`
	Token     *string  `play:"token,nosecret" default:"a new one" doc:"The token below which the registry at the endpoints is kept. Nobody may have registered under it."`
	Service   *string  `play:"service,url" default:"none" doc:"Instead of endpoints, the URL of a discovery service for API 2, which is asked for a new token at /new."`
	URL       *string  `play:"url,url" default:"none" doc:"Instead of both, the URL of a token of API 2 that was made before. Nobody may have registered at it."`
	CAFile    *string  `play:"ca_file,abspath,nosecret" default:"what the host trusts" doc:"For API 3, the authorities that the registry's certificate is checked against: a file on every host, which the members are given."`
	CertFile  *string  `play:"cert_file,abspath,nosecret" default:"none" doc:"For API 3, the certificate that the members show to the registry, a file on every host. etcdplay itself shows the one that the inventory names under tls."`
	KeyFile   *string  `play:"key_file,abspath,nosecret" default:"none" doc:"The key of cert_file, on every host. It is not read."`
}

// DiscoveryResults is the results of etcd_discovery.
type DiscoveryResults struct {
	Token string            `play:"token" doc:"The token; for API 2 its whole URL."`
	Flags map[string]string `play:"flags" doc:"The flags of etcd by which a member finds the registry, without their dashes."`
}

// discoveryState is the token that is worked on, made up before anything is sent
// so that a run which lost the answer can look for it.
type discoveryState struct {
	Token string `json:"token"`
	Entry entry  `json:"entry"`
}

func discovery() *engine.Type {
	return engine.Define(engine.Spec[DiscoveryArgs, discoveryState, DiscoveryResults]{
		Name: "etcd_discovery",
		Doc: "Prepares a token by which the members of a new cluster find each other through a discovery service, which is reached " +
			"from the host. A token is good for one bootstrap: one at which somebody has registered is refused.",
		Effect: engine.Change, Where: engine.OnHost,
		Check: checkDiscovery, Observe: observeDiscovery, Plan: planDiscovery, Guard: guardDiscovery, Apply: applyDiscovery,
		Settle: settleDiscovery, Verify: verifyDiscovery,
	})
}

func checkDiscovery(a DiscoveryArgs) error {
	ways := 0
	for _, given := range []bool{len(a.Endpoints) > 0, a.Service != nil, a.URL != nil} {
		if given {
			ways++
		}
	}
	switch {
	case a.API != 2 && a.API != 3:
		return &engine.ArgError{Arg: "api", Text: fmt.Sprintf("There is no discovery by API %d. Write 2 for etcd up to 3.5, 3 from 3.6 on.", a.API)}
	case a.Size < 1:
		return &engine.ArgError{Arg: "size", Text: fmt.Sprintf("A cluster has at least one member, not %d.", a.Size)}
	case ways != 1:
		return &engine.ArgError{Arg: "endpoints", Text: "Give exactly one of endpoints, service and url."}
	case a.API == 3 && len(a.Endpoints) == 0:
		return &engine.ArgError{Arg: "endpoints", Text: "Discovery by API 3 needs the client URLs of an etcd that keeps the registry; a service or a URL is for API 2."}
	case a.API == 2 && len(a.Endpoints) > 1:
		return &engine.ArgError{Arg: "endpoints", Text: "Discovery by API 2 has one URL. Name one endpoint."}
	case a.Token != nil && len(a.Endpoints) == 0:
		return &engine.ArgError{Arg: "token", Text: "A token goes with endpoints. The URL of a token is the argument url."}
	case a.API == 2 && (a.CAFile != nil || a.CertFile != nil || a.KeyFile != nil):
		return &engine.ArgError{Arg: "ca_file", Text: "For discovery by API 2 etcd knows no certificates but those that its host trusts. Have the hosts trust the registry's authority, and leave ca_file, cert_file and key_file out."}
	case (a.CertFile == nil) != (a.KeyFile == nil):
		return &engine.ArgError{Arg: "cert_file", Text: "Give cert_file and key_file both, or neither."}
	case a.Token != nil && (*a.Token == "" || strings.ContainsAny(*a.Token, "/ \t\n?#")):
		return &engine.ArgError{Arg: "token", Text: fmt.Sprintf("%q cannot be a token: it is one element of a path.", *a.Token)}
	}
	return nil
}

// registry is that of the token, spoken to from the host.
func (a DiscoveryArgs) registry(ctx context.Context, l engine.Look, token string) (registry, error) {
	line, err := a.line(ctx, l)
	if a.API == 3 {
		return token3{line, a.Endpoints, token}, err
	}
	return token2{line, token}, err
}

// read is what stands in the registry under the token.
func (a DiscoveryArgs) read(ctx context.Context, l engine.Look, token string) (entry, error) {
	r, err := a.registry(ctx, l, token)
	if err != nil {
		return entry{}, err
	}
	return r.read(ctx)
}

// named is the token that the arguments name; "" if it is yet to be made.
func (a DiscoveryArgs) named() string {
	switch {
	case a.URL != nil:
		return *a.URL
	case a.Token != nil && a.API == 2:
		return a.at(*a.Token)
	case a.Token != nil:
		return *a.Token
	}
	return ""
}

// at is the URL of a token of API 2.
func (a DiscoveryArgs) at(token string) string {
	return strings.TrimSuffix(a.Endpoints[0], "/") + "/v2/keys" + prefix + token
}

func (a DiscoveryArgs) results(token string) DiscoveryResults {
	if a.API == 2 {
		return DiscoveryResults{Token: token, Flags: map[string]string{"discovery": token}}
	}
	flags := map[string]string{"discovery-token": token, "discovery-endpoints": strings.Join(a.Endpoints, ",")}
	for flag, file := range map[string]*string{"discovery-cacert": a.CAFile, "discovery-cert": a.CertFile, "discovery-key": a.KeyFile} {
		if file != nil {
			flags[flag] = *file
		}
	}
	return DiscoveryResults{Token: token, Flags: flags}
}

func observeDiscovery(ctx context.Context, l engine.Look, a DiscoveryArgs) (s discoveryState, err error) {
	switch s.Token = a.named(); {
	case s.Token == "" && a.Service != nil:
		addr, err := dialAddr(*a.Service)
		if err == nil {
			err = dialer(l.Host.Dial).reach(ctx, addr)
		}
		return s, err // the service makes the token
	case s.Token == "":
		var b [8]byte
		rand.Read(b[:])
		if s.Token = l.RunID + "-" + hex.EncodeToString(b[:]); a.API == 2 {
			s.Token = a.at(s.Token)
		}
	}
	s.Entry, err = a.read(ctx, l, s.Token)
	return s, err
}

func planDiscovery(p engine.Planning, a DiscoveryArgs, s discoveryState) (engine.Planned, DiscoveryResults) {
	if p.Observed && s.usable(a) {
		return engine.Planned{Summary: fmt.Sprintf("token %s, made for %s, nobody has registered", s.Token, members(a.Size))}, a.results(s.Token)
	}
	planned := engine.Planned{Needed: true, Unknown: []string{"flags", "token"}}
	switch {
	case p.Unknown["size"] || !p.Observed:
		planned.Summary = "a token for a new cluster"
	case a.named() != "":
		planned.Summary, planned.Unknown = fmt.Sprintf("token %s for %s", s.Token, members(a.Size)), nil
		return planned, a.results(s.Token)
	case a.Service != nil:
		planned.Summary = fmt.Sprintf("a new token for %s, from %s", members(a.Size), *a.Service)
	default:
		planned.Summary = fmt.Sprintf("a new token for %s, kept by API %d at %s", members(a.Size), a.API, listed(a.Endpoints))
	}
	return planned, DiscoveryResults{}
}

// usable reports whether the token that the arguments name is there, and fits.
func (s discoveryState) usable(a DiscoveryArgs) bool {
	return a.named() != "" && s.Entry.Size != "" && s.Entry.fresh(s.Token).Holds && s.Entry.fits(s.Token, a.Size).Holds
}

func guardDiscovery(_ string, a DiscoveryArgs, s discoveryState, _ *world.World) (v world.Verdict) {
	if s.Entry.Size == "" && len(s.Entry.Registered) == 0 {
		if a.URL != nil {
			v.Checks = append(v.Checks, world.Check{
				ID: "token-exists", Text: "there is no token at " + s.Token, Help: "get one from the service: a token that nobody made cannot be used",
			})
		}
		return v
	}
	v.Checks = append(v.Checks, s.Entry.fresh(s.Token), s.Entry.fits(s.Token, a.Size))
	return v
}

// fresh is whether nobody has registered yet.
func (e entry) fresh(token string) world.Check {
	c := world.Check{ID: "fresh-token", Holds: len(e.Registered) == 0, Text: "nobody has registered at the token " + token}
	if !c.Holds {
		c.Text = fmt.Sprintf("the token %s is used up: %d of %s members have registered at it (%s)", token, len(e.Registered), e.Size, listed(e.Registered))
		c.Help = "a token is good for one bootstrap; take a new one"
	}
	return c
}

// fits is whether the token waits for as many members as there will be.
func (e entry) fits(token string, size int) world.Check {
	c := world.Check{ID: "token-size", Holds: e.Size == strconv.Itoa(size), Text: "the token waits for " + members(size)}
	if !c.Holds {
		c.Text = fmt.Sprintf("the token %s waits for %q members, and there will be %d", token, e.Size, size)
		c.Help = "take one that was made for as many"
	}
	return c
}

func applyDiscovery(ctx context.Context, h engine.Hands, a DiscoveryArgs, s discoveryState) (DiscoveryResults, error) {
	if s.usable(a) {
		return a.results(s.Token), nil
	}
	if a.Service != nil {
		line, err := a.line(ctx, h.Look)
		if err != nil {
			return DiscoveryResults{}, engine.Definite(err)
		}
		token, err := line.newToken(ctx, *a.Service, a.Size)
		return a.results(token), err
	}
	r, err := a.registry(ctx, h.Look, s.Token)
	if err != nil {
		return DiscoveryResults{}, engine.Definite(err)
	}
	err = r.create(ctx, a.Size)
	if errors.Is(err, errTaken) {
		return DiscoveryResults{}, engine.Definite(fmt.Errorf("%w: %s; somebody else made it this moment", err, s.Token))
	}
	return a.results(s.Token), err
}

// settleDiscovery looks for the token. One that a service gave and that was lost
// on the way stays unused there.
func settleDiscovery(ctx context.Context, l engine.Look, a DiscoveryArgs, s discoveryState) (engine.Settlement, DiscoveryResults, error) {
	if a.Service != nil {
		return engine.NotDone, DiscoveryResults{}, nil
	}
	now, err := a.read(ctx, l, s.Token)
	switch {
	case err != nil:
		return "", DiscoveryResults{}, err
	case now.Size == "" && len(now.Registered) == 0:
		return engine.NotDone, DiscoveryResults{}, nil
	case !now.fresh(s.Token).Holds, !now.fits(s.Token, a.Size).Holds:
		return engine.Conflict, DiscoveryResults{}, nil
	}
	return engine.Done, a.results(s.Token), nil
}

func verifyDiscovery(ctx context.Context, l engine.Look, a DiscoveryArgs, r DiscoveryResults) error {
	if r.Token == "" {
		return errors.New("there is no token")
	}
	now, err := a.read(ctx, l, r.Token)
	if err != nil {
		return err
	}
	if now.Size == "" {
		return fmt.Errorf("there is no token %s", r.Token)
	}
	return world.Verdict{Checks: []world.Check{now.fresh(r.Token), now.fits(r.Token, a.Size)}}.Err()
}
