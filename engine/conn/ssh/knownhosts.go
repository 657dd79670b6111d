package ssh

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the hash of hashed host names, chosen by OpenSSH
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// HostKeyError says why a host key was not accepted. It wraps conn.ErrRefused.
type HostKeyError struct {
	Host        string // host:port
	Reason      string // "unknown", "changed", "revoked" or "certificate"
	Type        string // of the key the host showed
	Fingerprint string // of that key, SHA256:…
	File        string // where the key belongs, or where the entry stands
	Line        int    // of that entry; zero if there is none
	Detail      string // more about it, may be empty
}

func (e *HostKeyError) Error() string {
	key, at := fmt.Sprintf("%s %s", e.Type, e.Fingerprint), e.File
	if e.Fingerprint == "" { // the system's ssh does not tell that of a hop's
		key = "another key"
	}
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	switch e.Reason {
	case "unknown":
		return fmt.Sprintf("host key of %s is unknown: it showed %s; if that is right, add its key to %s", e.Host, key, e.File)
	case "changed":
		return fmt.Sprintf("host key of %s has changed: it showed %s, which is not what %s says: another machine may be in its place", e.Host, key, at)
	case "revoked":
		return fmt.Sprintf("host key of %s is revoked by %s: it showed %s", e.Host, at, key)
	}
	return fmt.Sprintf("host certificate of %s is not accepted: %s (%s)", e.Host, e.Detail, key)
}

func (e *HostKeyError) Unwrap() error { return conn.ErrRefused }

// errKnownHosts says that a known_hosts file could not be read or understood.
var errKnownHosts = fmt.Errorf("%w: the known hosts are not known", conn.ErrRefused)

// Warning is a line of a known_hosts file that was passed over.
type Warning struct {
	File string
	Line int
	Text string
}

// entry is one line of a known_hosts file.
type entry struct {
	marker   string // "", "cert-authority" or "revoked"
	patterns []string
	key      ssh.PublicKey
	file     string
	line     int
}

// keyring is what known_hosts files say.
type keyring struct {
	entries  []entry
	warnings []Warning
	files    []string
}

// readKeyring reads known_hosts files. A missing file is an empty one; a line
// that cannot be understood is an error, a key type that nobody here knows a
// warning, as it is with OpenSSH.
func readKeyring(files []string) (*keyring, error) {
	k := &keyring{files: files}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := k.parse(file, data); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *keyring) parse(file string, data []byte) error {
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 1<<20)
	n := 0
	for scanner.Scan() {
		n++
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		e, warning, err := parseEntry(line)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
		if warning != "" {
			k.warnings = append(k.warnings, Warning{file, n, warning})
			continue
		}
		e.file, e.line = file, n
		k.entries = append(k.entries, e)
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", file, n+1, err)
	}
	return nil
}

// parseEntry parses one line that is neither empty nor a comment.
func parseEntry(line []byte) (e entry, warning string, err error) {
	fields := strings.Fields(string(line))
	if marker, marked := strings.CutPrefix(fields[0], "@"); marked {
		if marker != "cert-authority" && marker != "revoked" {
			return e, "", fmt.Errorf("marker @%s is unknown", marker)
		}
		e.marker, fields = marker, fields[1:]
	}
	if len(fields) < 3 {
		return e, "", errors.New("want host, key type and key")
	}
	for _, p := range strings.Split(fields[0], ",") {
		if err := checkPattern(p); err != nil {
			return e, "", err
		}
		e.patterns = append(e.patterns, p)
	}
	blob, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return e, "", errors.New("the key is not base64")
	}
	if !knownKeyType(fields[1]) {
		return e, fmt.Sprintf("key type %s is unknown", fields[1]), nil
	}
	if e.key, err = ssh.ParsePublicKey(blob); err != nil {
		return e, "", fmt.Errorf("the key cannot be read: %w", err)
	}
	if e.key.Type() != fields[1] {
		return e, "", fmt.Errorf("the line says %s and holds a key of type %s", fields[1], e.key.Type())
	}
	return e, "", nil
}

func knownKeyType(name string) bool {
	switch name {
	case ssh.KeyAlgoRSA, ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return true
	}
	return false
}

func checkPattern(p string) error {
	if salt, _, hashed := strings.Cut(strings.TrimPrefix(p, "|1|"), "|"); strings.HasPrefix(p, "|") {
		if _, err := base64.StdEncoding.DecodeString(salt); !strings.HasPrefix(p, "|1|") || !hashed || err != nil {
			return errors.New("the hashed host name cannot be read")
		}
		return nil
	}
	p = strings.TrimPrefix(p, "!")
	if p == "" || p[0] == '[' && !strings.Contains(p, "]:") {
		return fmt.Errorf("host pattern %q cannot be read", p)
	}
	return nil
}

// matches reports whether the line speaks of the address, host:port.
func (e *entry) matches(addr string) bool {
	name := knownhosts.Normalize(addr)
	matched := false
	for _, p := range e.patterns {
		if strings.HasPrefix(p, "|1|") {
			matched = matched || hashedMatch(p, name)
			continue
		}
		pattern, negated := strings.CutPrefix(p, "!")
		if !wildcard(strings.ToLower(pattern), strings.ToLower(name)) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

func hashedMatch(pattern, name string) bool {
	salt64, sum64, _ := strings.Cut(strings.TrimPrefix(pattern, "|1|"), "|")
	salt, err1 := base64.StdEncoding.DecodeString(salt64)
	sum, err2 := base64.StdEncoding.DecodeString(sum64)
	if err1 != nil || err2 != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return hmac.Equal(mac.Sum(nil), sum)
}

// wildcard matches as OpenSSH does: * and ? know no separators.
func wildcard(pattern, s string) bool {
	for {
		if pattern == "" {
			return s == ""
		}
		switch {
		case pattern[0] == '*':
			for i := 0; i <= len(s); i++ {
				if wildcard(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case s == "" || pattern[0] != '?' && pattern[0] != s[0]:
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
}

// algorithms are the host key algorithms to ask for, so that the host shows a
// key of which something is known: a server with several keys would otherwise
// show its favourite, and an honest host look like a changed one. Empty means
// that nothing is known of the host.
func (k *keyring) algorithms(addr string) []string {
	var plain, certs []string
	for i := range k.entries {
		e := &k.entries[i]
		if !e.matches(addr) {
			continue
		}
		switch e.marker {
		case "":
			plain = append(plain, signatures(e.key.Type())...)
		case "cert-authority":
			certs = append(certs, certAlgorithms...)
		}
	}
	if len(plain) == 0 && len(certs) > 0 {
		// A host without a certificate is to be told as what it is: unknown.
		plain = plainAlgorithms
	}
	var all []string
	for _, a := range append(certs, plain...) {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// signatures are the signature algorithms of a key type, SHA-1 left out.
func signatures(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

var certAlgorithms = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
}

// plainAlgorithms are asked for when nothing is known of a host.
var plainAlgorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// check accepts the key that the host at addr shows, or says why not.
func (k *keyring) check(addr string, key ssh.PublicKey) error {
	refusal := &HostKeyError{Host: addr, Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key)}
	cert, isCert := key.(*ssh.Certificate)
	if isCert {
		refusal.Fingerprint = ssh.FingerprintSHA256(cert.Key)
	}
	if e := k.revoked(addr, key); e != nil {
		refusal.Reason, refusal.File, refusal.Line = "revoked", e.file, e.line
		return refusal
	}
	if isCert {
		return k.checkCert(addr, cert, refusal)
	}
	for i := range k.entries {
		e := &k.entries[i]
		if e.marker != "" || !e.matches(addr) {
			continue
		}
		if bytes.Equal(e.key.Marshal(), key.Marshal()) {
			return nil
		}
		if refusal.Reason == "" {
			refusal.Reason, refusal.File, refusal.Line = "changed", e.file, e.line
		}
	}
	if refusal.Reason == "" {
		refusal.Reason = "unknown"
		if len(k.files) > 0 {
			refusal.File = k.files[0]
		}
	}
	return refusal
}

func (k *keyring) revoked(addr string, key ssh.PublicKey) *entry {
	blobs := [][]byte{key.Marshal()}
	if cert, ok := key.(*ssh.Certificate); ok {
		blobs = append(blobs, cert.Key.Marshal(), cert.SignatureKey.Marshal())
	}
	for i := range k.entries {
		e := &k.entries[i]
		if e.marker != "revoked" || !e.matches(addr) {
			continue
		}
		for _, b := range blobs {
			if bytes.Equal(e.key.Marshal(), b) {
				return e
			}
		}
	}
	return nil
}

func (k *keyring) checkCert(addr string, cert *ssh.Certificate, refusal *HostKeyError) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	refusal.Reason = "certificate"
	var authority *entry
	for i := range k.entries {
		e := &k.entries[i]
		if e.marker == "cert-authority" && e.matches(addr) && bytes.Equal(e.key.Marshal(), cert.SignatureKey.Marshal()) {
			authority = e
		}
	}
	if authority == nil {
		refusal.Detail = "its authority is not known for this host"
		return refusal
	}
	refusal.File, refusal.Line = authority.file, authority.line
	if cert.CertType != ssh.HostCert {
		refusal.Detail = "it is not a host certificate"
		return refusal
	}
	checker := ssh.CertChecker{IsHostAuthority: func(ssh.PublicKey, string) bool { return true }}
	if err := checker.CheckCert(host, cert); err != nil {
		refusal.Detail = strings.TrimPrefix(err.Error(), "ssh: ")
		return refusal
	}
	return nil
}

// acceptedKeys is the file in which accept-new keeps keys; several connections
// write to it.
type acceptedKeys struct{ mu sync.Mutex }

// add appends the host's key, durably.
func (a *acceptedKeys) add(file, addr string, key ssh.PublicKey) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(knownhosts.Line([]string{addr}, key) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
