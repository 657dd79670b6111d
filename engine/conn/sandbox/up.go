package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// Options says what Up makes.
type Options struct {
	Dir        string // folder of the sandbox; it must not exist or be empty
	Members    int    // of the cluster that Up starts; 0 for hosts of which one is yet to be made
	Spares     int    // hosts with the unit and without data
	Etcd       string // path of an etcd binary; empty means Exe run as etcd
	Exe        string // etcdplay's own binary; empty means the one that runs now
	NamePrefix string // of the hosts' names; empty means "demo-etcd-"
	// Names, if not nil, are the hosts' names instead, members first.
	Names   []string
	Cluster string // its name in the inventory; empty means "demo"
	Token   string // initial-cluster-token; empty means "demo-etcd-token"

	// API is the API of etcd that is spoken; zero means 3. With 2 etcd serves its v2
	// API as well, which takes an Etcd of release 3.4 or 3.5, and the hosts have the
	// etcdctl that lies beside it.
	API int

	// Debian gives the hosts the layout of Debian's package instead of Container
	// Linux's: etcd.service, configured by /etc/default/etcd.
	Debian bool

	// TLS gives every host certificates, which clients and peers need too.
	TLS bool
	// Auth makes up a password for etcd's user root and names it in the inventory.
	// To make that user and turn authentication on is left to the caller, and
	// without members to whoever makes the cluster.
	Auth bool

	// Progress, if not nil, is told in a few words what Up is doing.
	Progress func(string)
}

var plainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// complete fills what was left open and refuses what cannot be.
func (o *Options) complete() error {
	for field, value := range map[*string]string{
		&o.NamePrefix: "demo-etcd-", &o.Cluster: "demo", &o.Token: "demo-etcd-token",
	} {
		if *field == "" {
			*field = value
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if n := o.Members + o.Spares; o.Members < 0 || o.Spares < 0 || n < 1 || n > maxHosts {
		return fmt.Errorf("a sandbox has 1 to %d hosts", maxHosts)
	}
	if !plainName.MatchString(o.NamePrefix + "1") {
		return fmt.Errorf("%q cannot begin the name of a host", o.NamePrefix)
	}
	if o.Names != nil && len(o.Names) != o.Members+o.Spares {
		return fmt.Errorf("%d names for %d hosts", len(o.Names), o.Members+o.Spares)
	}
	for _, name := range o.Names {
		if !plainName.MatchString(name) {
			return fmt.Errorf("%q cannot be the name of a host in a sandbox", name)
		}
	}
	if !plainName.MatchString(o.Cluster) {
		return fmt.Errorf("%q cannot be the name of a cluster", o.Cluster)
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	if o.Exe == "" {
		if o.Exe, err = os.Executable(); err != nil {
			return err
		}
	}
	switch {
	case o.API != 0 && o.API != 2 && o.API != 3:
		return fmt.Errorf("etcd has the API 2 and the API 3, and no API %d", o.API)
	case o.API == 2 && o.Etcd == "":
		return errors.New("the etcd built in has no API 2; give an etcd of release 3.4 or 3.5")
	case o.Etcd == "":
		return nil
	}
	if o.Etcd, err = filepath.Abs(o.Etcd); err != nil {
		return err
	}
	if info, err := os.Stat(o.Etcd); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", o.Etcd)
	}
	return nil
}

// Up makes a sandbox: its hosts, its supervisor and a running cluster of the
// members, and returns once every member has joined and serves. Without members
// the hosts are those of a cluster that is yet to be made, and the inventory
// names them all as its members. If Up cannot do it, nothing of it is left.
func Up(ctx context.Context, o Options) (*Sandbox, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := makeEmpty(o.Dir); err != nil {
		return nil, err
	}
	s := &Sandbox{Dir: o.Dir}
	if err := s.up(ctx, o); err != nil {
		// What it was doing may have been cut off by ctx; the clearing up must not be.
		clear, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if downErr := s.Down(clear, false); downErr != nil {
			err = errors.Join(err, fmt.Errorf("clear up: %w", downErr))
		}
		return nil, err
	}
	return s, nil
}

func makeEmpty(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s exists already; if it is a sandbox, `etcdplay sandbox down` removes it", dir)
	}
	return os.Chmod(dir, 0o700)
}

func (s *Sandbox) up(ctx context.Context, o Options) error {
	o.Progress("choosing addresses")
	s.meta = meta{Version: metaVersion, Cluster: o.Cluster, Token: o.Token, API: o.API, Debian: o.Debian, TLS: o.TLS, Auth: o.Auth}
	a, err := claim(o.Dir, o.Members+o.Spares, clientPorts())
	if err != nil {
		return err
	}
	s.meta.Claim = a.claim
	for i := range o.Members + o.Spares {
		name := fmt.Sprintf("%s%d", o.NamePrefix, i+1)
		if o.Names != nil {
			name = o.Names[i]
		}
		s.meta.Hosts = append(s.meta.Hosts, Host{
			Name:       name,
			Address:    a.host(i),
			ClientPort: a.clientPort,
			PeerPort:   a.peerPort,
			Spare:      i >= o.Members,
			Secure:     o.TLS,
		})
	}
	// Written first, so that Down knows what this folder is.
	if err := s.meta.write(s.Dir); err != nil {
		return err
	}
	if err := copyFile(o.Exe, s.exe(), 0o755); err != nil {
		return err
	}
	o.Progress("making hosts")
	command := []string{o.Etcd}
	if o.Etcd == "" {
		command = []string{s.exe(), "sandbox", "etcd", "--"}
	}
	text := unitOf(debianUnit, "", o.API)
	if !o.Debian {
		text = unitOf(unitText, imageTag(ctx, command), o.API)
	}
	for _, h := range s.meta.Hosts {
		if err := s.layHost(h, command, text); err != nil {
			return err
		}
		if o.API == 2 {
			if err := s.layEtcdctl(h, o.Etcd); err != nil {
				return err
			}
		}
	}
	if o.TLS {
		if err := s.certify(); err != nil {
			return err
		}
	}
	if o.Auth {
		if err := s.writePassword(); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.Inventory(), s.inventory(), 0o600); err != nil {
		return err
	}
	o.Progress("starting the supervisor")
	if err := s.Start(ctx); err != nil {
		return err
	}
	o.Progress("waiting for the members")
	return s.waitReady(ctx)
}

// imageTag is the tag of the container image that Container Linux would run for
// this etcd: its version. A program that does not tell one has no tag.
func imageTag(ctx context.Context, etcd []string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// What does not answer is found out when its unit starts.
	out, _ := exec.CommandContext(ctx, etcd[0], slices.Concat(etcd[1:], []string{"--version"})...).Output()
	if found := etcdVersion.FindSubmatch(out); found != nil {
		return "v" + string(found[1])
	}
	return ""
}

var etcdVersion = regexp.MustCompile(`(?m)^etcd Version: (\S+)`)

// waitReady waits until the unit of every member is active, which etcd says
// once it has joined and serves.
func (s *Sandbox) waitReady(ctx context.Context) error {
	for _, h := range s.meta.Hosts {
		if h.Spare {
			continue
		}
		c, err := s.Host(ctx, h.Name)
		if err != nil {
			return err
		}
		// The unit is starting since boot: this waits for that start.
		if err := c.Units().Start(ctx, s.Unit(), true); err != nil {
			return errors.Join(err, lastWords(ctx, c, s.Unit()))
		}
	}
	return nil
}

// lastWords is what the unit of a member said last, as an error.
func lastWords(ctx context.Context, c conn.Host, unit string) error {
	entries, err := c.Journal(context.WithoutCancel(ctx), conn.JournalQuery{Unit: unit, Lines: 5})
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, e.Message)
	}
	return fmt.Errorf("the last lines of its journal:\n%s", strings.Join(lines, "\n"))
}

// copyFile copies a program, so that the sandbox does not depend on what
// becomes of the original: a rebuild, or the end of `go run`.
func copyFile(from, to string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
