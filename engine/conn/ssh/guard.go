package ssh

import (
	"bytes"
	"errors"
	"fmt"
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
	if known := g.ring.algorithms(g.hop.addr()); len(known) > 0 {
		return known, nil
	}
	return plainAlgorithms, nil
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
	s.pins[addr] = key.Marshal()
}

// Fingerprints are the host keys seen so far, by host:port, in the form
// SHA256:…, to be recorded.
func (s *Shared) Fingerprints() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]string, len(s.pins))
	for addr, blob := range s.pins {
		if key, err := ssh.ParsePublicKey(blob); err == nil { // it was one when it was pinned
			all[addr] = ssh.FingerprintSHA256(key)
		}
	}
	return all
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
