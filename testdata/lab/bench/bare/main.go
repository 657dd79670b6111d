// Command bare replaces a failed member as fast as it can be done over one SSH
// connection, with systemd's D-Bus and etcd's gRPC inside it: the limit that
// etcdplay is measured against. It plans nothing, checks nothing, records
// nothing and cannot be resumed. Never use it on a cluster that matters.
//
//	bare NAME ADDRESS KEY KNOWN_HOSTS SURVIVOR…
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"google.golang.org/grpc"
)

const (
	unit    = "etcd-member.service"
	dropins = "/etc/systemd/system/etcd-member.service.d"
)

func main() {
	if len(os.Args) < 6 {
		fmt.Fprintln(os.Stderr, "usage: bare NAME ADDRESS KEY KNOWN_HOSTS SURVIVOR…")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := replace(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func replace(ctx context.Context, name, address, key, known string, survivors []string) error {
	host, err := dial(address, key, known)
	if err != nil {
		return err
	}
	defer host.Close()
	cluster, err := etcd(host, survivors...)
	if err != nil {
		return err
	}
	defer cluster.Close()
	list := make(chan error, 1)
	var members *clientv3.MemberListResponse
	go func() {
		var err error
		members, err = cluster.MemberList(ctx)
		list <- err
	}()
	systemd, err := bus(host)
	if err != nil {
		return err
	}
	defer systemd.Close()
	if err := job(ctx, systemd.StopUnitContext); err != nil {
		return err
	}
	if err := <-list; err != nil {
		return err
	}
	for _, m := range members.Members {
		if m.Name == name {
			if _, err := cluster.MemberRemove(ctx, m.ID); err != nil {
				return err
			}
		}
	}
	aside := fmt.Sprintf("/var/lib/etcd.replaced-%d", time.Now().UnixNano())
	if err := run(host, "mv -T /var/lib/etcd "+aside+" && install -d -m 0700 -o etcd -g etcd /var/lib/etcd", ""); err != nil {
		return err
	}
	peer := "http://" + address + ":2380"
	added, err := cluster.MemberAdd(ctx, []string{peer})
	if err != nil {
		return err
	}
	var initial []string
	for _, m := range added.Members {
		if m.ID == added.Member.ID {
			m.Name = name
		}
		initial = append(initial, m.Name+"="+m.PeerURLs[0])
	}
	write := "mkdir -p " + dropins + " && cat >" + dropins + "/20-clct-etcd-member.conf"
	if err := run(host, write, dropin(name, address, strings.Join(initial, ","))); err != nil {
		return err
	}
	if err := systemd.ReloadContext(ctx); err != nil {
		return err
	}
	if err := job(ctx, systemd.StartUnitContext); err != nil {
		return err
	}
	return healthy(ctx, host, append(survivors, address))
}

func dial(address, key, known string) (*ssh.Client, error) {
	b, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(b)
	if err != nil {
		return nil, err
	}
	check, err := knownhosts.New(known)
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", address+":22", &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: check, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
}

// etcd is a client whose connections go through the host's.
func etcd(host *ssh.Client, addresses ...string) (*clientv3.Client, error) {
	var urls []string
	for _, a := range addresses {
		urls = append(urls, "http://"+a+":2379")
	}
	through := func(_ context.Context, addr string) (net.Conn, error) { return host.Dial("tcp", addr) }
	return clientv3.New(clientv3.Config{
		Endpoints: urls, Logger: zap.NewNop(), DialOptions: []grpc.DialOption{grpc.WithContextDialer(through)},
	})
}

// stream is a program on the host by its two ends.
type stream struct {
	io.Reader
	io.WriteCloser
}

func bus(host *ssh.Client) (*dbus.Conn, error) {
	session, err := host.NewSession()
	if err != nil {
		return nil, err
	}
	in, _ := session.StdinPipe() // these fail only when asked for twice
	out, _ := session.StdoutPipe()
	if err := session.Start("systemd-stdio-bridge"); err != nil {
		return nil, err
	}
	raw, err := godbus.NewConn(stream{out, in})
	if err == nil {
		err = raw.Auth([]godbus.Auth{godbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	}
	if err == nil {
		err = raw.Hello()
	}
	if err != nil {
		return nil, err
	}
	c, err := dbus.NewConnection(func() (*godbus.Conn, error) { return raw, nil })
	if err != nil {
		return nil, err
	}
	return c, c.Subscribe()
}

func job(ctx context.Context, call func(ctx context.Context, name, mode string, ch chan<- string) (int, error)) error {
	done := make(chan string, 1)
	if _, err := call(ctx, unit, "replace", done); err != nil {
		return err
	}
	if result := <-done; result != "done" {
		return fmt.Errorf("the job of %s ended with %s", unit, result)
	}
	return nil
}

func run(host *ssh.Client, line, stdin string) error {
	session, err := host.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	session.Stdin = strings.NewReader(stdin)
	if out, err := session.CombinedOutput(line); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

func dropin(name, address, initial string) string {
	return `[Service]
ExecStart=
ExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS \
  --name="` + name + `" \
  --listen-peer-urls="http://` + address + `:2380" \
  --listen-client-urls="http://` + address + `:2379,http://0.0.0.0:4001" \
  --initial-advertise-peer-urls="http://` + address + `:2380" \
  --initial-cluster="` + initial + `" \
  --initial-cluster-state="existing" \
  --initial-cluster-token="demo-etcd-token" \
  --advertise-client-urls="http://` + address + `:2379"
`
}

// healthy waits until each of the members serves a linearizable read.
func healthy(ctx context.Context, host *ssh.Client, addresses []string) error {
	errs := make(chan error)
	for _, a := range addresses {
		go func() {
			c, err := etcd(host, a)
			if err != nil {
				errs <- err
				return
			}
			defer c.Close()
			for {
				look, cancel := context.WithTimeout(ctx, time.Second)
				_, err := c.Get(look, "health")
				cancel()
				if err == nil || ctx.Err() != nil {
					errs <- err
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
	}
	for range addresses {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}
