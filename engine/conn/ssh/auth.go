package ssh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxKeys is how many keys a host is shown: sshd counts each one as an attempt
// and hangs up after six.
const maxKeys = 6

// Shared is what the connections of one run have in common: the host keys that
// were seen, which stay pinned until it is dropped, the known_hosts files as
// they were first read, and the keys whose passphrase was asked for. Its zero
// value is ready to use, by many goroutines.
type Shared struct {
	mu       sync.Mutex
	pins     map[string][]byte // marshalled host key by host:port
	seen     []HostKey         // in the order in which they were pinned
	expected map[string]string // key as in HostKey by host:port, of an earlier process
	keyrings map[string]*keyring
	keys     map[string]ssh.Signer // decrypted, by file
	accepted acceptedKeys
	asking   sync.Mutex // one question at a time
}

// Warnings lists the lines of known_hosts files that were passed over.
func (s *Shared) Warnings() []Warning {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Warning
	for _, k := range s.keyrings {
		all = append(all, k.warnings...)
	}
	return all
}

// login yields the ways to log in to h: its identity files first, then the
// agent, never more than maxKeys keys in all. A missing default identity is
// passed over, one that was named is an error.
func (c *Config) login(ctx context.Context, h hop) ([]ssh.AuthMethod, func(), error) {
	files, named := h.identities, true
	if len(files) == 0 {
		named = false
		files = []string{expand("~/.ssh/id_ed25519"), expand("~/.ssh/id_ecdsa"), expand("~/.ssh/id_rsa")}
	}
	var signers []ssh.Signer
	for _, file := range files {
		file = expand(file)
		s, err := c.Shared.signer(ctx, file, c.AskPassphrase)
		if errors.Is(err, os.ErrNotExist) && (!named || c.AgentSocket != "") {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if cert, err := readCertificate(file+"-cert.pub", s); err != nil {
			return nil, nil, err
		} else if cert != nil {
			signers = append(signers, cert)
		}
		signers = append(signers, s)
	}
	done := func() {}
	if c.AgentSocket != "" && !h.identitiesOnly {
		held, hangUp, err := askAgent(c.AgentSocket)
		if err != nil && len(signers) == 0 {
			return nil, nil, err
		}
		done = hangUp
		// An agent that has gone, as after a new login, does not matter where files have keys.
		signers = append(signers, held...)
	}
	if len(signers) == 0 {
		done()
		return nil, nil, errors.New("there is no key to log in with: name one in identity_files of the connection, or start an agent")
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signers[:min(len(signers), maxKeys)]...)}, done, nil
}

// askAgent lists the keys that the agent holds. They sign until done is called.
func askAgent(socket string) (held []ssh.Signer, done func(), err error) {
	done = func() {}
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, done, fmt.Errorf("ssh agent: %w", err)
	}
	if held, err = agent.NewClient(c).Signers(); err != nil {
		c.Close()
		return nil, done, fmt.Errorf("ssh agent: %w", err)
	}
	return held, func() { c.Close() }, nil
}

// signer reads a private key. The passphrase of an encrypted one is asked for
// when the host has accepted its public half, and once per Shared.
func (s *Shared) signer(ctx context.Context, file string, ask func(context.Context, string) ([]byte, error)) (ssh.Signer, error) {
	s.mu.Lock()
	held := s.keys[file]
	s.mu.Unlock()
	if held != nil {
		return held, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, nil
	case !errors.As(err, &locked):
		return nil, fmt.Errorf("%s: %w", file, err)
	case ask == nil:
		return nil, fmt.Errorf("%s: the key is encrypted and there is nobody to ask for its passphrase: use an agent", file)
	}
	public := locked.PublicKey
	if public == nil {
		if public, err = readPublicKey(file + ".pub"); err != nil {
			return nil, fmt.Errorf("%s: the key is encrypted in the old format: %w", file, err)
		}
	}
	return &lockedKey{ctx: ctx, shared: s, file: file, pem: pem, public: public, ask: ask}, nil
}

func readPublicKey(file string) (ssh.PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// readCertificate returns a signer that shows the certificate in file, or nil
// if there is none.
func readCertificate(file string, s ssh.Signer) (ssh.Signer, error) {
	key, err := readPublicKey(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("%s: it is not a certificate", file)
	}
	signer, err := ssh.NewCertSigner(cert, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return signer, nil
}

// lockedKey is an encrypted key: it is opened when first something has to be
// signed with it.
type lockedKey struct {
	ctx    context.Context // of the connection attempt that signs
	shared *Shared
	file   string
	pem    []byte
	public ssh.PublicKey
	ask    func(context.Context, string) ([]byte, error)
}

func (k *lockedKey) PublicKey() ssh.PublicKey { return k.public }

func (k *lockedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(rand, data, "")
}

func (k *lockedKey) SignWithAlgorithm(random io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	if random == nil {
		random = rand.Reader
	}
	if as, ok := s.(ssh.AlgorithmSigner); ok {
		return as.SignWithAlgorithm(random, data, algorithm)
	}
	return s.Sign(random, data)
}

func (k *lockedKey) open() (ssh.Signer, error) {
	k.shared.asking.Lock()
	defer k.shared.asking.Unlock()
	k.shared.mu.Lock()
	held := k.shared.keys[k.file]
	k.shared.mu.Unlock()
	if held != nil {
		return held, nil
	}
	passphrase, err := k.ask(k.ctx, k.file)
	if err != nil {
		return nil, err
	}
	s, err := ssh.ParsePrivateKeyWithPassphrase(k.pem, passphrase)
	clear(passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: the passphrase does not open it", k.file)
	}
	k.shared.mu.Lock()
	defer k.shared.mu.Unlock()
	if k.shared.keys == nil {
		k.shared.keys = make(map[string]ssh.Signer)
	}
	k.shared.keys[k.file] = s
	return s, nil
}
