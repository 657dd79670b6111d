package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// cluster is the three hosts of the lab, with etcd on them.
type cluster struct {
	lab     string
	initial string // --initial-cluster of the beginning
	hosts   map[int]*ssh.Client
	clients map[int]*clientv3.Client // each speaks to one member alone
}

const dropins = "/etc/systemd/system/etcd-member.service.d"

// form starts a new cluster on the hosts.
func form(ctx context.Context, s setup) (_ *cluster, err error) {
	c := &cluster{lab: s.Lab, hosts: map[int]*ssh.Client{}, clients: map[int]*clientv3.Client{}}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	key, err := os.ReadFile(filepath.Join(s.Lab, "id"))
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return nil, err
	}
	known, err := knownhosts.New(filepath.Join(s.Lab, "known_hosts"))
	if err != nil {
		return nil, err
	}
	var initial []string
	for n := 1; n <= 3; n++ {
		initial = append(initial, fmt.Sprintf("%s=http://%s:2380", hostName(n), hostAddress(n)))
		c.hosts[n], err = ssh.Dial("tcp", hostAddress(n)+":22", &ssh.ClientConfig{
			User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
			HostKeyCallback: known, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
		})
		if err != nil {
			return nil, err
		}
		if c.clients[n], err = client(n); err != nil {
			return nil, err
		}
	}
	c.initial = strings.Join(initial, ",")
	for n := 1; n <= 3; n++ {
		// The data directory of the image cannot be renamed: it is on another layer of
		// the host's root file system.
		fresh := "rm -rf /var/lib/etcd && install -d -m 0700 -o etcd -g etcd /var/lib/etcd"
		if err := c.on(n, fresh, ""); err != nil {
			return nil, err
		}
		file := "mkdir -p " + dropins + " && cat >" + dropins + "/20-clct-etcd-member.conf && systemctl daemon-reload && systemctl enable -q etcd-member && systemctl start --no-block etcd-member"
		if err := c.on(n, file, first(n, c.initial)); err != nil {
			return nil, err
		}
	}
	for n := 1; n <= 3; n++ {
		if err := c.serves(ctx, n); err != nil {
			return nil, err
		}
	}
	// etcd refuses changes until its peers have been connected for so long.
	return c, rest(ctx, 6*time.Second)
}

func client(n int) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{"http://" + hostAddress(n) + ":2379"}, Logger: zap.NewNop()})
}

// first is the drop-in of a member of a new cluster.
func first(n int, initial string) string {
	addr := hostAddress(n)
	return fmt.Sprintf("[Service]\nExecStart=\nExecStart=/usr/lib/coreos/etcd-wrapper --name=%s --listen-peer-urls=http://%s:2380"+
		" --listen-client-urls=http://%s:2379,http://0.0.0.0:4001 --initial-advertise-peer-urls=http://%s:2380 --initial-cluster=%s"+
		" --initial-cluster-state=new --initial-cluster-token=demo-etcd-token --advertise-client-urls=http://%s:2379\n",
		hostName(n), addr, addr, addr, initial, addr)
}

func (c *cluster) close() {
	for _, h := range c.hosts {
		h.Close() // the hosts go next
	}
	for _, e := range c.clients {
		e.Close() // likewise
	}
}

// on runs a line of shell on a host.
func (c *cluster) on(n int, line, stdin string) error {
	_, err := c.output(n, line, stdin)
	return err
}

// output is on, and what the line printed.
func (c *cluster) output(n int, line, stdin string) (string, error) {
	session, err := c.hosts[n].NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	session.Stdin = strings.NewReader(stdin)
	out, err := session.CombinedOutput(line)
	if err != nil {
		return "", fmt.Errorf("host %d: %w: %s", n, err, out)
	}
	return string(out), nil
}

// serves waits until member n serves a linearizable read.
func (c *cluster) serves(ctx context.Context, n int) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		look, cancel := context.WithTimeout(ctx, time.Second)
		_, err := c.clients[n].Get(look, "health")
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("member %d does not serve: %w", n, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// id is the ID of the failed host's member.
func (c *cluster) id(ctx context.Context) (uint64, error) {
	list, err := c.clients[1].MemberList(ctx)
	if err != nil {
		return 0, err
	}
	if len(list.Members) != 3 {
		return 0, fmt.Errorf("the cluster has %d members", len(list.Members))
	}
	for _, m := range list.Members {
		if m.Name == hostName(failed) {
			return m.ID, nil
		}
	}
	return 0, errors.New("the member that failed is not in the list")
}

// wreck kills the member, spoils its data, gives it its first drop-in back, and
// returns its ID. The others go on serving: they keep the leader, so that etcd
// takes a change at once.
func (c *cluster) wreck(ctx context.Context) (uint64, error) {
	for n := 1; n <= 3; n++ {
		if err := c.serves(ctx, n); err != nil {
			return 0, err
		}
	}
	id, err := c.id(ctx)
	if err != nil {
		return 0, err
	}
	status, err := c.clients[1].Status(ctx, "http://"+hostAddress(1)+":2379")
	if err != nil {
		return 0, err
	}
	if status.Leader == id {
		// The request goes to the leader, which gives the lead to member 1.
		if _, err := c.clients[failed].MoveLeader(ctx, status.Header.MemberId); err != nil {
			return 0, err
		}
	}
	err = c.on(failed, `
		systemctl kill -s KILL etcd-member
		while systemctl -q is-active etcd-member; do sleep 0.01; done
		systemctl stop etcd-member
		systemctl reset-failed etcd-member
		rm -rf /var/lib/etcd.*
		find /var/lib/etcd -type f | while read -r f; do head -c 65536 /dev/urandom >"$f"; done
		cat >`+dropins+`/20-clct-etcd-member.conf
		systemctl daemon-reload
		sync`, first(failed, c.initial))
	if err != nil {
		return 0, err
	}
	for _, n := range []int{1, 3} {
		if err := c.serves(ctx, n); err != nil {
			return 0, err
		}
	}
	// The disk and the survivors come to rest; nothing is measured meanwhile.
	return id, rest(ctx, time.Second)
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// replaced is nil if another member than before is in the place of the one that
// failed, and all three serve, which the contender says it has waited for.
func (c *cluster) replaced(ctx context.Context, before uint64) error {
	// The client to the member that failed is in the middle of a long wait before
	// it dials again.
	c.clients[failed].Close()
	var err error
	if c.clients[failed], err = client(failed); err != nil {
		return err
	}
	now, err := c.id(ctx)
	if err != nil {
		return err
	}
	if now == before {
		return errors.New("the old member is still there")
	}
	for n := 1; n <= 3; n++ {
		look, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := c.clients[n].Get(look, "health")
		cancel()
		if err != nil {
			return fmt.Errorf("member %d does not serve a moment after it was said to be healthy: %w", n, err)
		}
	}
	return nil
}
