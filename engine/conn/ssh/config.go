package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kevinburke/ssh_config"
)

// Config says how one host is reached. Only Name and Address are needed. What
// is zero comes from the file SSHConfig, if there is one, and then from what is
// said here of each field.
type Config struct {
	Name    string // the host's name in the inventory
	Address string // a host name or an IP address, or an alias of SSHConfig
	Port    int    // zero means 22
	User    string // empty means the name of the local user

	IdentityFiles []string // private keys; a certificate beside one (NAME-cert.pub) is used. Empty means ~/.ssh/id_ed25519, id_ecdsa and id_rsa
	AgentSocket   string   // of the ssh agent to ask after the files; empty means no agent

	KnownHosts    []string // files; empty means ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts
	HostKeyPolicy string   // "strict" (also if empty) or "accept-new"
	AcceptedKeys  string   // the file of our own where accept-new writes and looks first

	ProxyJump string // hops, [user@]host[:port], separated by commas; "none" means none
	SSHConfig string // path of an OpenSSH client configuration; empty means none

	Become         string                                    // "none" (also if empty) or "sudo"
	BecomePassword func(ctx context.Context) ([]byte, error) // asked whenever sudo wants it, so it should remember; the answer is wiped. nil means there is none
	AskPassphrase  func(ctx context.Context, file string) ([]byte, error)

	ConnectTimeout time.Duration // zero means 10 s
	Keepalive      time.Duration // between signs of life, of which three may stay unanswered; zero means 15 s
	Reconnect      time.Duration // how long a lost connection is tried again to learn the outcome of a change; zero means 60 s

	Transport string // "native" (also if empty) or "openssh", the system's ssh program
	Epoch     uint64 // of an earlier Fence; zero means that changes are not fenced until Fence is called

	Shared *Shared // what all connections of one run have in common; nil means this one stands alone
}

// hop is one machine on the way, the last one being the host itself.
type hop struct {
	user, address  string
	port           int
	identities     []string
	identitiesOnly bool
	knownHosts     []string
	jump           string
}

func (h hop) addr() string { return net.JoinHostPort(h.address, strconv.Itoa(h.port)) }

var (
	goodUser = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	goodHost = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)
)

// checkNames refuses names that could mean something else to a program they
// are given to.
func checkNames(user, address string) error {
	if !goodUser.MatchString(user) {
		return fmt.Errorf("user name %q: letters, digits, '.', '_' and '-' are allowed, and no '-' at the beginning", user)
	}
	if net.ParseIP(address) == nil && !goodHost.MatchString(address) {
		return fmt.Errorf("host %q is neither a host name nor an IP address", address)
	}
	return nil
}

// normal checks c and fills in what it leaves open, but for what belongs to a hop.
func (c Config) normal() (Config, error) {
	if c.Name == "" {
		c.Name = c.Address
	}
	for _, f := range []struct {
		what, value string
		allowed     []string
	}{
		{"host key policy", c.HostKeyPolicy, []string{"", "strict", "accept-new"}},
		{"become", c.Become, []string{"", "none", "sudo"}},
		{"transport", c.Transport, []string{"", "native", "openssh"}},
	} {
		if !contains(f.allowed, f.value) {
			return c, fmt.Errorf("%s %q: want %s", f.what, f.value, strings.Join(f.allowed[1:], " or "))
		}
	}
	if c.HostKeyPolicy == "accept-new" && c.AcceptedKeys == "" {
		return c, errors.New("host key policy accept-new needs a file to keep the keys in")
	}
	if c.Port < 0 || c.Port > 65535 {
		return c, fmt.Errorf("port %d is out of range", c.Port)
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&c.ConnectTimeout, 10 * time.Second}, {&c.Keepalive, 15 * time.Second}, {&c.Reconnect, time.Minute}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if c.Shared == nil {
		c.Shared = new(Shared)
	}
	return c, nil
}

// addr is the host:port that is written, which ssh's own configuration may make
// another one of.
func (c *Config) addr() string {
	return net.JoinHostPort(c.Address, strconv.Itoa(cmp.Or(c.Port, 22)))
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// hops returns the machines on the way to the host, the host last.
func (c Config) hops() ([]hop, error) {
	file, err := readSSHConfig(c.SSHConfig)
	if err != nil {
		return nil, err
	}
	target, err := c.hop(file, c.User, c.Address, c.Port)
	if err != nil {
		return nil, err
	}
	if len(c.IdentityFiles) > 0 {
		target.identities = c.IdentityFiles
	}
	jump := c.ProxyJump
	if jump == "" {
		jump = target.jump
	}
	hops := []hop{target}
	if jump == "" || jump == "none" {
		return hops, nil
	}
	var before []hop
	for _, spec := range strings.Split(jump, ",") {
		user, address, port, err := splitTarget(strings.TrimSpace(spec))
		if err != nil {
			return nil, fmt.Errorf("proxy jump: %w", err)
		}
		h, err := c.hop(file, user, address, port)
		if err != nil {
			return nil, fmt.Errorf("proxy jump: %w", err)
		}
		if len(h.identities) == 0 {
			h.identities = c.IdentityFiles
		}
		before = append(before, h)
	}
	return append(before, hops...), nil
}

// hop resolves one machine by the client configuration, which may be nil.
func (c Config) hop(file *ssh_config.Config, user, address string, port int) (hop, error) {
	h := hop{user: user, address: address, port: port, knownHosts: c.KnownHosts}
	if file != nil {
		if err := h.fill(file, address); err != nil {
			return h, fmt.Errorf("%s: host %s: %w", c.SSHConfig, address, err)
		}
	}
	if h.user == "" {
		name, err := localUser()
		if err != nil {
			return h, err
		}
		h.user = name
	}
	if h.port == 0 {
		h.port = 22
	}
	if len(h.knownHosts) == 0 {
		h.knownHosts = []string{expand("~/.ssh/known_hosts"), "/etc/ssh/ssh_known_hosts"}
	}
	return h, checkNames(h.user, h.address)
}

func (h *hop) fill(file *ssh_config.Config, alias string) error {
	get := func(key string) string {
		value, err := file.Get(alias, key)
		if err != nil {
			return "" // only a key that the library itself does not know
		}
		return value
	}
	if command := get("ProxyCommand"); command != "" && command != "none" {
		return errors.New("ProxyCommand is not supported: use ProxyJump, or the transport \"openssh\"")
	}
	if name := get("HostName"); name != "" {
		h.address = strings.ReplaceAll(name, "%h", alias)
	}
	if h.user == "" {
		h.user = get("User")
	}
	if p := get("Port"); p != "" && h.port == 0 {
		port, err := strconv.Atoi(p)
		if err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("port %q is not a number from 1 to 65535", p)
		}
		h.port = port
	}
	files, err := file.GetAll(alias, "IdentityFile")
	if err == nil {
		for _, f := range files {
			h.identities = append(h.identities, expand(f))
		}
	}
	h.identitiesOnly = strings.EqualFold(get("IdentitiesOnly"), "yes")
	if known := get("UserKnownHostsFile"); known != "" && len(h.knownHosts) == 0 {
		for _, f := range strings.Fields(known) {
			h.knownHosts = append(h.knownHosts, expand(f))
		}
	}
	h.jump = get("ProxyJump")
	return nil
}

func readSSHConfig(path string) (*ssh_config.Config, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	config, err := ssh_config.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

// splitTarget splits [user@]host[:port].
func splitTarget(s string) (user, address string, port int, err error) {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		user, s = s[:at], s[at+1:]
	}
	host, p, splitErr := net.SplitHostPort(s)
	if splitErr != nil {
		return user, strings.Trim(s, "[]"), 0, nil
	}
	if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
		return "", "", 0, fmt.Errorf("port %q is not a number from 1 to 65535", p)
	}
	return user, host, port, nil
}

func localUser() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

// expand replaces a leading "~/" by the home directory.
func expand(path string) string {
	rest, tilde := strings.CutPrefix(path, "~/")
	if !tilde {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path // which then does not exist, and is reported by its name
	}
	return filepath.Join(home, rest)
}
