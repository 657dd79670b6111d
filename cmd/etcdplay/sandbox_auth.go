package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv2 "go.etcd.io/etcd/client/v2"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdplay/etcdplay/engine/conn/sandbox"
)

// root is etcd's user that may do everything, and its role.
const root = "root"

// sandboxClient is a client of a sandbox's members, with the certificates that
// they ask for, and with a password that is not "" as their user root.
func sandboxClient(s *sandbox.Sandbox, endpoints []string, password string) (*clientv3.Client, error) {
	c := clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()}
	var err error
	if c.TLS, err = sandboxTLS(s); err != nil {
		return nil, err
	}
	if password != "" {
		c.Username, c.Password = root, password
	}
	return clientv3.New(c)
}

// sandboxTLS is the client's side of TLS; nil in a sandbox without.
func sandboxTLS(s *sandbox.Sandbox) (*tls.Config, error) {
	ca, cert, key := s.ClientFiles()
	if ca == "" {
		return nil, nil
	}
	info := transport.TLSInfo{TrustedCAFile: ca, CertFile: cert, KeyFile: key, Logger: zap.NewNop()}
	return info.ClientConfig()
}

// sandboxPassword is the one of etcd's user root; "" in a sandbox whose clients
// need none.
func sandboxPassword(s *sandbox.Sandbox) (string, error) {
	if s.PasswordFile() == "" {
		return "", nil
	}
	text, err := os.ReadFile(s.PasswordFile())
	return strings.TrimSpace(string(text)), err
}

// turnOnAuth makes the user root with the password of the sandbox, and lets
// nobody in any more without one.
func turnOnAuth(ctx context.Context, s *sandbox.Sandbox) error {
	password, err := sandboxPassword(s)
	if err != nil || password == "" {
		return err
	}
	if s.API() == 2 {
		return turnOnAuth2(ctx, s, password)
	}
	client, err := sandboxClient(s, []string{s.Hosts()[0].ClientURL()}, "")
	if err != nil {
		return err
	}
	// Its connection has done its work; there is nobody to tell how it ended.
	defer client.Close()
	if _, err := client.RoleAdd(ctx, root); err != nil && !errors.Is(err, rpctypes.ErrRoleAlreadyExist) {
		return fmt.Errorf("etcd's role root: %w", err)
	}
	if _, err := client.UserAdd(ctx, root, password); err != nil {
		return fmt.Errorf("etcd's user root: %w", err)
	}
	if _, err := client.UserGrantRole(ctx, root, root); err != nil {
		return fmt.Errorf("the role of etcd's user root: %w", err)
	}
	if _, err := client.AuthEnable(ctx); err != nil {
		return fmt.Errorf("turn authentication on: %w", err)
	}
	return nil
}

// guest is the role of API 2 that everybody has who gives no name.
const guest = "guest"

// turnOnAuth2 is turnOnAuth for API 2, whose users are others than those of API
// 3. The latter stays open: with both on, etcd lets nobody change the members
// over API 2, since it asks for a user of API 3 there.
func turnOnAuth2(ctx context.Context, s *sandbox.Sandbox, password string) error {
	config, err := sandboxTLS(s)
	if err != nil {
		return err
	}
	client, err := clientv2.New(clientv2.Config{
		Endpoints: []string{s.Hosts()[0].ClientURL()},
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
	})
	if err != nil {
		return err
	}
	// etcd would make the role guest itself, with all rights on all keys.
	if err := clientv2.NewAuthRoleAPI(client).AddRole(ctx, guest); err != nil {
		return fmt.Errorf("etcd's role guest: %w", err)
	}
	if err := clientv2.NewAuthUserAPI(client).AddUser(ctx, root, password); err != nil {
		return fmt.Errorf("etcd's user root: %w", err)
	}
	if err := clientv2.NewAuthAPI(client).Enable(ctx); err != nil {
		return fmt.Errorf("turn authentication on: %w", err)
	}
	return nil
}
