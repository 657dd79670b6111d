package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostGuard decides whether one machine on the way is the right one.
type hostGuard struct {
	config *Config
	hop    hop
	ring   *keyring
}

func newHostGuard(c *Config, h hop) *hostGuard { return &hostGuard{config: c, hop: h} }

// algorithms are the host key algorithms to ask the machine for.
func (g *hostGuard) algorithms() ([]string, error) {
	files := g.hop.knownHosts
	if g.config.AcceptedKeys != "" {
		files = append(append([]string{}, files...), g.config.AcceptedKeys)
	}
	var err error
	if g.ring, err = g.config.Shared.keyring(files); err != nil {
		return nil, fmt.Errorf("%w: %w", errKnownHosts, err)
	}
	if pin, err := g.config.Shared.pin(g.hop.addr()); err != nil {
		return nil, err
	} else if pin != nil && g.config.HostKeyPolicy == "accept-new" {
		// The key may have been accepted after the files were read.
		return signatures(pin.Type()), nil
	}
	known := g.ring.algorithms(g.hop.addr())
	if len(known) == 0 {
		known = plainAlgorithms
	}
	return g.config.Shared.narrowed(known, g.hop.addr()), nil
}

// narrowed are those of the algorithms by which addr can show the key that is
// expected of it; all of them where there is none.
func (s *Shared) narrowed(algorithms []string, addr string) []string {
	s.mu.Lock()
	want, _, _ := strings.Cut(s.expected[addr], " ")
	s.mu.Unlock()
	var fit []string
	for _, a := range algorithms {
		if plain := strings.TrimSuffix(a, "-cert-v01@openssh.com"); slices.Contains(signatures(want), plain) {
			fit = append(fit, a)
		}
	}
	if want == "" || len(fit) == 0 {
		return algorithms
	}
	return fit
}

// check accepts the key that the machine shows, once and for all.
func (g *hostGuard) check(addr string, key ssh.PublicKey) error {
	s := g.config.Shared
	plain := key
	if cert, ok := key.(*ssh.Certificate); ok {
		plain = cert.Key
	}
	pin, err := s.pin(addr)
	if err != nil {
		return err
	}
	if pin != nil {
		if bytes.Equal(pin.Marshal(), plain.Marshal()) {
			return nil
		}
		return &HostKeyError{
			Host: addr, Reason: "changed", Type: plain.Type(), Fingerprint: ssh.FingerprintSHA256(plain),
			File: "the connection of this run before it (" + ssh.FingerprintSHA256(pin) + ")",
		}
	}
	if err := s.unexpected(addr, plain.Type(), ssh.FingerprintSHA256(plain)); err != nil {
		return err
	}
	err = g.ring.check(addr, key)
	var refusal *HostKeyError
	if errors.As(err, &refusal) && refusal.Reason == "unknown" && g.config.HostKeyPolicy == "accept-new" {
		err = s.accepted.add(g.config.AcceptedKeys, addr, plain)
	}
	if err != nil {
		return err
	}
	s.setPin(addr, plain)
	return nil
}

func (s *Shared) pin(addr string) (ssh.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	blob := s.pins[addr]
	if blob == nil {
		return nil, nil
	}
	return ssh.ParsePublicKey(blob)
}

func (s *Shared) setPin(addr string, key ssh.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins == nil {
		s.pins = make(map[string][]byte)
	}
	if s.pins[addr] == nil {
		s.seen = append(s.seen, HostKey{addr, key.Type() + " " + ssh.FingerprintSHA256(key)})
	}
	s.pins[addr] = key.Marshal()
}

// HostKey is a host key as it is recorded and shown.
type HostKey struct {
	Addr string // host:port
	Key  string // "ssh-ed25519 SHA256:…"
}

// HostKeys are the host keys that were accepted, in the order in which they were
// first seen, without the first so many.
func (s *Shared) HostKeys(after int) []HostKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen[min(after, len(s.seen)):])
}

// Expect lets a host show no other key than the one that HostKeys told of it
// earlier, whatever known_hosts says by now. It is called before the first
// connection.
func (s *Shared) Expect(keys []HostKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expected == nil {
		s.expected = make(map[string]string)
	}
	for _, k := range keys {
		s.expected[k.Addr] = k.Key
	}
}

// unexpected refuses a key that is not the one that is expected of addr.
func (s *Shared) unexpected(addr, keyType, fingerprint string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := s.expected[addr]
	if want == "" || want == keyType+" "+fingerprint {
		return nil
	}
	return &HostKeyError{Host: addr, Reason: "changed", Type: keyType, Fingerprint: fingerprint, File: "the record of this run (" + want + ")"}
}

// met notes a key that was accepted; of each address only the first.
func (s *Shared) met(addr, keyType, fingerprint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.seen, func(k HostKey) bool { return k.Addr == addr }) {
		s.seen = append(s.seen, HostKey{addr, keyType + " " + fingerprint})
	}
}

// keyring reads known_hosts files once; they stay as they were then.
func (s *Shared) keyring(files []string) (*keyring, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.Join(files, "\x00")
	if k := s.keyrings[name]; k != nil {
		return k, nil
	}
	k, err := readKeyring(files)
	if err != nil {
		return nil, err
	}
	if s.keyrings == nil {
		s.keyrings = make(map[string]*keyring)
	}
	s.keyrings[name] = k
	return k, nil
}
